"""What is shipped: a wheel and a source archive that hold the four folders under `pnyx`, once each, and that work."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("grammar", "library", "compiler", "runtime")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(target)], cwd=ROOT, check=True, capture_output=True
    )
    return target


def shipped() -> set[str]:
    """Files that a wheel must hold, as their paths in it."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", *FOLDERS, "pnyx"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = {name for name in listed.split("\0") if name and (ROOT / name).is_file()}
    return {name if name.startswith("pnyx/") else f"pnyx/{name}" for name in names}


def test_wheel_holds_everything_once(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = [name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name]
    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert set(names) == shipped()
    assert {"pnyx/grammar/pnyx.lark"} < set(names)
    assert any(name.startswith("pnyx/library/") and name.endswith(".pnyx") for name in names)


def test_source_archive_holds_everything_once(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = [name.partition("/")[2] for name in opened.getnames()]
    assert [name for name, count in Counter(names).items() if count > 1] == []
    moved = tuple(f"pnyx/{folder}/" for folder in FOLDERS)
    top = {name.removeprefix("pnyx/") if name.startswith(moved) else name for name in shipped()}
    assert top <= set(names)
    assert not any(name.startswith(moved) for name in names)


def test_wheel_works_away_from_the_repository(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    script = (
        "import sys; sys.path.insert(0, 'site'); import pnyx.cli, pnyx.compiler;"
        "assert 'site' in pnyx.compiler.__file__, pnyx.compiler.__file__;"
        "sys.exit(pnyx.cli.main(['new', 'first.pnyx']) or pnyx.cli.main(['check', 'first.pnyx']))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "ok:" in done.stdout
