"""Every diagnostic has a page, with a program (or data) that shows it and one that does not."""

from __future__ import annotations

import platform
import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
from docs.commands import command_lines, run
from docs.markdown import PAGES, Block, blocks, section

from pnyx.compiler.diagnostics import CODES
from pnyx.runtime.sandbox import sandbox

_CODE = re.compile(r"\b[EWR][0-9]{3}\b")
_FILES = {"pnyx": "main.pnyx", "toml": "pnyx.toml"}


def _page(code: str) -> str:
    return (PAGES / f"{code}.md").read_text()


def _command(found: list[Block], folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Writes the files of a section; gives the command that it runs. `without` a package: as if it were not there; on
    the `machine` that is named, if one is."""
    lines = ["pnyx check main.pnyx"]
    for block in found:
        if block.language == "console":
            lines = command_lines(block.text)
            for package in (block.option("without") or "").split():
                monkeypatch.setitem(sys.modules, package, None)
            if machine := block.option("machine"):
                monkeypatch.setattr(sandbox, "_refusal", sandbox._refusal.__wrapped__)
                monkeypatch.setattr(platform, "machine", lambda: machine)
            continue
        name = block.option("title") or _FILES.get(block.language)
        assert name, f"line {block.line} of the section: a `{block.language}` block needs a title"
        if block.language == "sql":  # what makes the database of this name
            with closing(sqlite3.connect(folder / name)) as database:
                database.executescript(block.text)
            continue
        (folder / name).write_text(block.text)
    assert len(lines) == 1, "a section runs one command"
    return lines[0]


def _run(code: str, heading: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, set[str], str]:
    """Exit code, diagnostic codes and text that a section's command gives."""
    line = _command(blocks(section(_page(code), heading)), folder, monkeypatch)
    exit_code, printed = run(line, folder, monkeypatch)
    assert "Traceback" not in printed
    return exit_code, set(_CODE.findall(printed)), printed


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} - {"index"} == set(CODES)


def test_the_index_lists_every_code_once_with_its_title() -> None:
    listed = re.findall(r"^\| \[(\w+)\]\((\w+)\.md\) \| (.+) \|$", (PAGES / "index.md").read_text(), re.MULTILINE)
    assert listed == [(c.code, c.code, c.title) for c in CODES.values()]


@pytest.mark.parametrize("code", CODES)
def test_a_page_has_the_title_of_its_code(code: str) -> None:
    text = _page(code)
    assert text.startswith(f"# {code}: {CODES[code].title}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Fails", "Fixed"]


@pytest.mark.parametrize("code", CODES)
def test_the_failing_program_shows_this_diagnostic_alone(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exit_code, found, printed = _run(code, "Fails", tmp_path, monkeypatch)
    assert found == {code}, printed
    if not code.startswith("R"):
        assert (exit_code == 0) == code.startswith("W"), printed


@pytest.mark.parametrize("code", CODES)
def test_the_fixed_program_shows_nothing(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exit_code, found, printed = _run(code, "Fixed", tmp_path, monkeypatch)
    assert (exit_code, found) == (0, set()), printed
