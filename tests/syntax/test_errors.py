"""Syntax errors: the exact text that a person sees, and that nothing goes wrong whatever the text."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from damage import damaged
from hypothesis import given, settings
from hypothesis import strategies as st

from pnyx.compiler.diagnostics import Diagnostics, render_all
from pnyx.compiler.format import format_source
from pnyx.compiler.parse import parse
from pnyx.compiler.source import Source
from pnyx.compiler.syntax import Module

ERRORS = Path(__file__).parent / "fixtures" / "errors"
CASES = sorted(ERRORS.glob("*.pnyx"))
ROOT = Path(__file__).parents[2]
PROGRAMS = [path.read_text() for path in sorted([*(ROOT / "library").rglob("*.pnyx"), *CASES])]


def _parse(text: str, name: str = "<test>") -> tuple[Module, Diagnostics]:
    diagnostics = Diagnostics()
    return parse(Source(name, text), diagnostics), diagnostics


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_syntax_error_is_shown_like_this(path: Path, update_golden: bool) -> None:
    module, diagnostics = _parse(path.read_text(), path.name)
    kept = ", ".join(getattr(d, "name", getattr(d, "path", "")) for d in module.declarations)
    text = f"{render_all(diagnostics.sorted())}\n\nkept: {kept or 'nothing'}\n"
    golden = path.with_suffix(".txt")
    if update_golden:
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_faulty_file_is_not_formatted(path: Path) -> None:
    diagnostics = Diagnostics()
    assert format_source(Source(path.name, path.read_text()), diagnostics) is None
    assert diagnostics.has_errors


def test_names_of_unread_declarations_are_remembered() -> None:
    module, _ = _parse('model a "x"\nlet b = 1\nextern op c(x) = 3\nsearch d {\n    e e e = 1\n}\n')
    assert [d.name for d in module.declarations] == ["b"]
    assert module.unread == ("a", "c", "d")


def test_an_empty_file_is_a_module() -> None:
    for text in ("", "\n\n", "# only this\n", "\ufeff", "   \t\r\n"):
        module, diagnostics = _parse(text)
        assert module.declarations == (), repr(text)
        assert not diagnostics, repr(text)


def _mutated(text: str, source: random.Random) -> str:
    pieces = [
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        '"',
        '"""',
        "|>",
        "=",
        "\n",
        ",",
        "'",
        "#",
        "$",
        "\u200b",
        "if",
        "9" * 50,
        "\\",
        "é",
    ]
    return damaged(text, pieces, source)


@settings(max_examples=200)
@given(st.sampled_from(PROGRAMS), st.integers())
def test_a_damaged_program_gets_located_errors_and_no_exception(program: str, seed: int) -> None:
    text = _mutated(program, random.Random(seed))
    _, diagnostics = _parse(text)
    for diagnostic in diagnostics:
        assert diagnostic.span is not None
        assert 0 <= diagnostic.span.start <= diagnostic.span.end <= len(text)
        assert diagnostic.code.startswith("E")
    assert "\x1b" not in render_all(diagnostics)


@settings(max_examples=150)
@given(st.text(max_size=300))
def test_any_text_is_read_without_an_exception(text: str) -> None:
    _, diagnostics = _parse(text)
    render_all(diagnostics)
