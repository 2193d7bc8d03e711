"""Imports go one way, and the rules that say so can fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("pnyx", "grammar", "library", "compiler", "runtime")


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    return subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)


def test_import_rules_hold() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in FOLDERS:
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("module", "statement", "contract"),
    [
        ("compiler/plan.py", "import pnyx.runtime.errors", "Imports go one way"),
        ("compiler/plan.py", "import pnyx.cli", "Imports go one way"),
        ("runtime/errors.py", "import pnyx.cli", "Imports go one way"),
        ("runtime/errors.py", "import pnyx.api", "Imports go one way"),
        ("pnyx/api.py", "import pnyx.cli", "Imports go one way"),
        ("grammar/__init__.py", "import pnyx.library", "Imports go one way"),
        ("library/__init__.py", "import pnyx.compiler.types", "Imports go one way"),
        ("runtime/errors.py", "import pnyx.compiler.graph", "The runtime sees only"),
        ("runtime/errors.py", "from pnyx.compiler.diagnostics import nearest", "The runtime sees only"),
    ],
)
def test_import_rules_can_fail(copy: Path, module: str, statement: str, contract: str) -> None:
    with (copy / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{statement}\n")
    done = lint(copy)
    assert done.returncode == 1
    assert any(line.startswith(contract) and "BROKEN" in line for line in done.stdout.splitlines()), done.stdout
