"""Texts made to hurt: the answer comes soon, with a diagnostic or a tree that later passes can walk."""

from __future__ import annotations

import os
import pickle
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pnyx.compiler.diagnostics import Diagnostics, render_all
from pnyx.compiler.format import format_module
from pnyx.compiler.parse import parse
from pnyx.compiler.source import Source
from pnyx.compiler.syntax import Module

N = 100_000
RANDOM = random.Random(0)
# Seconds of processor time, not of the clock: the machine may be busy with other things.
# Seconds; in a process full of other tests the garbage collector alone takes a good part of it.
SOON = 4.0

HOSTILE = {
    "parentheses": "let x = " + "(" * N + "1" + ")" * N,
    "open parentheses": "let x = " + "(" * N,
    "open blocks": "pipeline p(q) " + "{" * N,
    "closing brackets": ")]}" * N,
    "crossed brackets": "let x = " + "([" * N + ")]" * N,
    "open lines": "let x = (\n" * N,
    "minus": "let x = " + "-" * N + "1",
    "not": "let x = " + "not " * N + "1",
    "else if": "let x = if a { 1 }" + " else if a { 1 }" * N,
    "stages": "let x = a" + " |> f" * N,
    "stage lines": "let x = a" + "\n |> f" * N,
    "sum": "let x = 1" + "+1" * N,
    "fields": "let x = a" + ".a" * N,
    "calls": "let x = a" + "()" * N,
    "types": "op f(x: " + "List[" * N + "Int" + "]" * N + ") { 1 }",
    "one line": "let x = [" + "1, " * 333_000 + "]",
    "words": "a " * 500_000,
    "lines of words": "a\n" * 500_000,
    "faulty lines": "pipeline p(q) {\n" + "a b\n" * 10_000 + "}",
    "faulty declarations": "let x 1\n" * 10_000,
    "nearly too many statements": "pipeline p(q) {\n" + "a = f(b, c = 1)\n" * 5_000 + "a b\n" * 100 + "}",
    "a long name": "a" * 1_000_000,
    "a long number": "let x = " + "9" * 1_000_000,
    "an unclosed string": 'let x = "' + "a" * 1_000_000,
    "quotes": '"' * 1_000_000,
    "triple quotes": '"""a' * 250_000,
    "escapes": 'let x = "' + "\\q" * 500_000 + '"',
    "comment": "#" * 1_000_000,
    "empty lines": "\n" * 1_000_000,
    "zeros": "\0" * 1_000_000,
    "controls": "\0\x01" * 500_000,
    "printable": "".join(chr(RANDOM.randrange(32, 127)) for _ in range(1_000_000)),
    "bytes": "".join(chr(RANDOM.randrange(256)) for _ in range(1_000_000)),
    "marks": "".join(RANDOM.choice('é“”{}()[]|>=abc"\n #') for _ in range(1_000_000)),
}
VALID = {"comment", "empty lines"}

NESTED: dict[str, Callable[[int], str]] = {
    "parentheses": lambda n: "let x = " + "(" * n + "1" + ")" * n,
    "lists": lambda n: "let x = " + "[" * n + "1" + "]" * n,
    "calls": lambda n: "let x = " + "f(" * n + "1" + ")" * n,
    "minus": lambda n: "let x = " + "-" * n + "1",
    "stages": lambda n: "let x = a" + " |> f" * n,
    "sum": lambda n: "let x = a" + " + f" * n,
    "else if": lambda n: "let x = if a { 1 }" + " else if a { 1 }" * n,
    "if": lambda n: "let x = " + "if a { " * n + "1" + " }" * n,
    "each": lambda n: "let x = " + "a |> each x { " * n + "1" + " }" * n,
    "match": lambda n: "let x = " + "match a { b => " * n + "1" + " }" * n,
    "repeat": lambda n: "pipeline p(q) {" + "repeat 3 { " * n + "1" + " }" * n + "}",
    "types": lambda n: "op f(x: " + "List[" * n + "Int" + "]" * n + ") { 1 }",
}


def _parse(text: str) -> tuple[Module, Diagnostics]:
    diagnostics = Diagnostics()
    return parse(Source("<test>", text), diagnostics), diagnostics


@pytest.mark.no_cover
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_answered_soon(name: str) -> None:
    start = time.process_time()
    _, diagnostics = _parse(HOSTILE[name])
    shown = render_all(diagnostics.sorted())
    assert time.process_time() - start < SOON
    assert bool(diagnostics) == (name not in VALID)
    assert len(shown) < 60_000


@pytest.mark.parametrize("name", NESTED)
def test_the_deepest_tree_that_is_accepted_can_be_worked_with(name: str) -> None:
    deepest = next(n for n in range(1, 1000) if _parse(NESTED[name](n + 1))[1])
    assert deepest >= 30
    module, _ = _parse(NESTED[name](deepest))
    _, diagnostics = _parse(NESTED[name](deepest + 1))
    assert {d.code for d in diagnostics} == {"E105"}
    again, _ = _parse(format_module(module))
    assert again == module
    assert hash(again) == hash(module)
    assert repr(again) == repr(module)
    assert pickle.loads(pickle.dumps(module)) == module


@pytest.mark.no_cover
def test_a_thousand_lines_are_read_fast() -> None:
    part = 'model m{0} = "x"\n\npipeline p{0}(query) {{\n    drafts = query |> generate(m{0}, n = tune(2, 4))\n'
    part += "    best = drafts\n        |> critique(_, m{0})\n        |> rank(m{0}, keep = 3)\n"
    part += "    best |> fuse(m{0})\n}}\n\n"
    text = "".join(part.format(i) for i in range(100))
    assert text.count("\n") >= 1000
    _parse("")
    start = time.process_time()
    module, diagnostics = _parse(text)
    assert time.process_time() - start < 0.5
    assert len(module.declarations) == 200
    assert not diagnostics


def test_a_grammar_that_cannot_be_cached_is_read_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code = "from pnyx.compiler.program import Program; print(Program.parse('let a = 1').module.declarations[0].name)"
    environment = {**os.environ, "PNYX_CACHE": str(tmp_path / "file" / "cache")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("a\n", "")


def test_lark_is_imported_only_to_parse() -> None:
    code = "import sys, pnyx.compiler.parse, pnyx.compiler.format; assert 'lark' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
