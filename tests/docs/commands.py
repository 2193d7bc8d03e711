"""Running a command line of a document in this process."""

from __future__ import annotations

import io
import os
import shlex
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from pnyx.cli import main


def command_lines(text: str) -> list[str]:
    """The commands of a console block, without their prompts; the other lines are what they print."""
    return [line[2:] for line in text.splitlines() if line.startswith("$ ")]


def run(line: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """Exit code and everything printed. Works in `folder`, with a cache of its own that outlives the command."""
    words = shlex.split(line, comments=True)
    assert words[0] == "pnyx", f"`{line}` is no command of pnyx"
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PNYX_CACHE", os.fspath(folder / ".cache"))
    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(printed):
        code = main(words[1:])
    return code, printed.getvalue()
