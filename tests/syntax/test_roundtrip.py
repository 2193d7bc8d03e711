"""What is formatted reads back as the same tree, and formatting it again changes nothing."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import modules

from pnyx.compiler.diagnostics import Diagnostics, render_all
from pnyx.compiler.format import format_module, format_source
from pnyx.compiler.parse import parse
from pnyx.compiler.source import Source
from pnyx.compiler.syntax import Module

ROOT = Path(__file__).parents[2]
PROGRAMS = sorted([*(ROOT / "library").rglob("*.pnyx"), *(ROOT / "examples").rglob("*.pnyx")])
PROGRAMS += sorted((Path(__file__).parent / "fixtures").glob("*.pnyx"))


def _read(text: str) -> Module:
    diagnostics = Diagnostics()
    module = parse(Source("<test>", text), diagnostics)
    assert not diagnostics, f"{render_all(diagnostics)}\n{text}"
    return module


@settings(max_examples=150)
@given(modules)
def test_a_tree_survives_formatting(module: Module) -> None:
    text = format_module(module)
    assert _read(text) == module, text
    assert format_module(_read(text)) == text


@settings(max_examples=80)
@given(modules, st.integers(), st.sampled_from(["\n", " # note\n", "\n\n\n", "  "]))
def test_a_text_with_comments_and_odd_spaces_survives_formatting(module: Module, seed: int, noise: str) -> None:
    """Comments are thrown in at line ends and inside brackets; all of them must come out, each once."""
    source = random.Random(seed)
    lines = format_module(module).split("\n")
    if not any('"""' in line for line in lines):
        lines = [
            f"{line} # c{number}" if source.random() < 0.4 else line
            for number, line in enumerate(lines)
            if line or noise
        ]
    text = "\n".join(lines).replace(",\n", f",{noise}" if noise.endswith("\n") else ",\n")
    before = _read(text)
    once = format_source(Source("<test>", text), Diagnostics())
    assert once is not None
    after = _read(once)
    assert after == before
    assert sorted(c.text.rstrip() for c in after.comments) == sorted(c.text.rstrip() for c in before.comments), once
    assert format_source(Source("<test>", once), Diagnostics()) == once


def test_comments_among_operands_stay_where_they_are() -> None:
    text = """\
let a = [
    (
        1
        # below one
        + 2 * 3
        # last
    ),
    4,
]
"""
    assert format_source(Source("<test>", text), Diagnostics()) == text
    loose = "let a = [(1 \n# below one\n + 2 * 3\n  # last\n), 4]\n"
    assert format_source(Source("<test>", loose), Diagnostics()) == text


def test_comments_of_another_text_are_not_mixed_in() -> None:
    """A tree put together from two texts: places in the one say nothing of the other."""
    one, other = _read("# of one\nlet a = [1, 2]\n"), _read("# of other\nlet b = [3, 4]\nlet c = 5\n")
    merged = replace(one, declarations=other.declarations)
    assert format_module(merged) == "let b = [3, 4]\nlet c = 5\n# of one\n"


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_a_real_program_survives_formatting(path: Path) -> None:
    text = path.read_text()
    once = format_source(Source(path.name, text), Diagnostics())
    assert once is not None
    assert _read(once) == _read(text)
    assert format_source(Source(path.name, once), Diagnostics()) == once
    assert sorted(re.findall(r"#.*", once)) == sorted(line.rstrip() for line in re.findall(r"#.*", text))
