"""Files named on the command line."""

from __future__ import annotations

import io
import os
import stat
import sys
from pathlib import Path

import pytest

from pnyx.cli.files import read_text, write_text
from pnyx.cli.terminal import coloured, count
from pnyx.compiler.diagnostics import CompileError


def failure(path: Path | str) -> tuple[str, str, str | None]:
    with pytest.raises(CompileError) as caught:
        read_text(str(path))
    (diagnostic,) = caught.value.diagnostics
    return diagnostic.code, diagnostic.message, diagnostic.help


def test_missing_file_names_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "archon.pnyx").write_text("")
    code, message, help = failure(tmp_path / "arcon.pnyx")
    assert (code, message) == ("E601", f"there is no file `{tmp_path}/arcon.pnyx`")
    assert help == f"did you mean `{tmp_path}/archon.pnyx`?"


def test_missing_folder(tmp_path: Path) -> None:
    assert failure(tmp_path / "none" / "a.pnyx")[::2] == ("E601", None)


def test_folder(tmp_path: Path) -> None:
    assert failure(tmp_path)[:2] == ("E601", f"`{tmp_path}` is a folder")


def test_name_that_no_file_can_have() -> None:
    assert failure("a\0b")[0] == "E601"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "a.pnyx"
    path.write_text("")
    path.chmod(0)
    assert failure(path)[1] == f"`{path}` cannot be read: permission denied"


def test_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "a.pnyx"
    path.write_bytes(b"# one\n# caf\xe9\n")
    assert failure(path) == ("E602", f"`{path}` is not UTF-8: byte 0xe9 on line 2", "save the file as UTF-8")


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("é".encode())))
    assert read_text("-") == "é"


def test_writing_keeps_the_mode_and_the_link(tmp_path: Path) -> None:
    target, link = tmp_path / "a", tmp_path / "b"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    write_text(str(link), "new\n")
    assert link.is_symlink()
    assert target.read_text() == "new\n"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_writing_makes_the_folder(tmp_path: Path) -> None:
    write_text(str(tmp_path / "x" / "y"), "é")
    assert (tmp_path / "x" / "y").read_bytes() == "é".encode()


def test_writing_to_a_device() -> None:
    write_text("/dev/null", "gone")


def test_failed_writing_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_text(str(target), "\ud800")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_count() -> None:
    assert [count(n, "error") for n in (0, 1, 2)] == ["0 errors", "1 error", "2 errors"]


def test_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert coloured(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not coloured(io.StringIO())
