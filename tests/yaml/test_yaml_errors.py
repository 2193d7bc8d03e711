"""Whatever stands in a YAML file is answered with diagnostics at their places, all at once and soon."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from damage import damaged
from hypothesis import given, settings
from hypothesis import strategies as st

from pnyx.compiler.diagnostics import Diagnostics, render_all
from pnyx.compiler.parse import parse
from pnyx.compiler.program import Program
from pnyx.compiler.source import Source
from pnyx.compiler.syntax import Module
from pnyx.compiler.yaml import format_yaml, parse_yaml

ROOT = Path(__file__).parents[2]
# Seconds of processor time.
SOON = 5.0


def read(text: str) -> tuple[Module, Diagnostics]:
    found = Diagnostics()
    return parse_yaml(Source("test.yaml", text), found), found


# The text, the code, what is marked, and a part of the message or the help.
FAULTS = {
    # YAML itself
    "tab": ("let:\n\ta: 1", "E110", "\t", "indent with spaces"),
    "bracket": ("let: {a: [1, 2}", "E110", "}", "unclosed bracket"),
    "quotes": ('let: {a: "x', "E110", "", "unclosed quotes"),
    "colon": ("let:\n  a: b: c", "E110", ":", "between quotes"),
    "indentation": ("let:\n    a: 1\n  b: 2", "E110", "b", "one column"),
    "mark": ("let: {a: @x}", "E110", "@", "cannot begin a value"),
    "no value": ("let: {a: 1}}", "E110", "}", "does not fit"),
    "missing colon": ("let:\n  a: 1\n  b\n", "E110", "", "without its"),
    "escape": ('let: {a: "\\q"}', "E110", "q", "unknown escape"),
    "control character": ("let: {a: \x07}", "E104", "\x07", "U+0007"),
    "large escape": ('let: {a: "\\UFFFFFFFF"}', "E108", "\\UFFFFFFFF", "no Unicode character"),
    "surrogate": ('let: {a: "\\ud800"}', "E108", '"\\ud800"', "half of a character"),
    # What programs do not take from YAML
    "anchor": ("let: {a: &x 1}", "E111", "&x 1", "anchor"),
    "alias": ("let: {a: *x}", "E111", "*x", "alias"),
    "alias as a declaration": ("prompts: {p: *x}", "E111", "*x", "alias"),
    "alias as a section": ("let: *x", "E111", "*x", "alias"),
    "alias as a step": ("pipelines: {p: [*x]}", "E111", "*x", "alias"),
    "alias as a key": ("let: {*x : 1}", "E111", "*x", "alias"),
    "merge key": ("let:\n  <<: {a: 1}", "E111", "<<", "merge key"),
    "tag": ("let: {a: !!str 1}", "E111", "!!str", "tag"),
    "tag on a list": ("let: {a: !expr [1]}", "E111", "!expr", "tag"),
    "directive": ("%YAML 1.1\n---\nlet: {a: 1}", "E111", "%YAML 1.1", "directive"),
    "second document": ("let: {a: 1}\n---\nlet: {b: 1}", "E111", "---", "second document"),
    "key twice": ("let: {a: 1, a: 2}", "E112", "a", "given twice"),
    "mapping as a key": ("let:\n  ? {a: 1}\n  : 2", "E115", "{a: 1}", "a key must be a name"),
    # Sections and declarations
    "a text": ("hello", "E115", "hello", "must be a mapping"),
    "section": ("model: {a: x}", "E113", "model", "did you mean `models`?"),
    "section of nothing like it": ("xyz: 1", "E113", "xyz", "the sections are"),
    "a list as a section": ("let: [1]", "E115", "1", "must be a mapping"),
    "reserved word": ("let: {tune: 1}", "E107", "tune", ""),
    "two words": ("let: {a b: 1}", "E101", "b", ""),
    "zero-width character": ("let: {a\u200bb: 1}", "E104", "\u200b", "zero width space"),
    "character of the other direction": ("let: {a\u202e: 1}", "E104", "\u202e", "right-to-left"),
    "a name that is more": ("let: {'a = 2 #': 1}", "E115", "'a = 2 #'", "nothing else"),
    "model without id": ("models: {m: {context: 1}}", "E114", "m", "`id`"),
    "a list as a model": ("models: {m: [x]}", "E115", "[x]", "a text must stand here"),
    "empty model": ("models:\n  m:\n", "E115", "", "a text must stand here"),
    "prompt without user": ("prompts: {p: {params: [q]}}", "E114", "params", "`user`"),
    "misspelt key": ("prompts: {p: {parms: [q], user: x}}", "E113", "parms", "did you mean `params`?"),
    "a text as an operator": ("ops: {f: x}", "E115", "f", "must be a mapping"),
    "parameter": ("ops: {f: {params: {a: [1]}, do: a}}", "E115", "[1]", "its type"),
    "parameter in a list": ("ops: {f: {params: [[a]], do: a}}", "E115", "[a]", "params"),
    "key of a parameter": ("ops: {f: {params: {a: {typ: Int}}, do: a}}", "E113", "typ", "`type` and `default`"),
    "type": ("ops:\n  f:\n    params: {a: Int}\n    returns: Pool[\n    do: a", "E102", "", ""),
    "a list as a type": ("ops: {f: {params: [a], returns: [Pool], do: a}}", "E115", "[Pool]", "a type"),
    "more than a type": ("externs: {f: {returns: !expr 'Int = \"a\" #', target: x}}", "E115", None, "more than a type"),
    "more than a parameter": ("externs:\n  f:\n    params:\n      a: Int, b\n    target: x", "E115", "Int, b", "line"),
    "a comma too many": ("externs:\n  f:\n    params:\n      a: Int,\n    target: x", "E115", "Int,", "one parameter"),
    "faulty parameter": ("externs:\n  f:\n    params:\n      a: = = 2\n    target: x", "E101", "=", ""),
    "limit": ("pipelines: {p: {limit: a, do: query}}", "E115", "a", "number with a unit"),
    # Values
    "empty value": ("let:\n  a:\n", "E114", "", "value is missing"),
    "empty mapping": ("let: {a: {}}", "E115", "{}", "no value"),
    "a call as a value": ("let: {a: {f: 1}}", "E113", "f", "`f(…)`"),
    "misspelt form": ("let: {a: {tume: [1], default: 1}}", "E113", "tume", "did you mean `tune`?"),
    "key of a form": ("let: {a: {tune: [1], defalt: 1}}", "E113", "defalt", "did you mean `default`?"),
    "form without a key": ("let: {a: {if: 1}}", "E114", "if", "`then`"),
    "date": ("let: {a: 2024-01-02}", "E115", "2024-01-02", "a date is no value"),
    "huge number": (f"let: {{a: {'9' * 30}}}", "E106", "9" * 30, "too large"),
    "not a number": ("let: {a: .nan}", "E101", ".", ""),
    "hexadecimal": ("let: {a: 0x1F}", "E106", "x1F", "suffix"),
    "null": ("let: {a: null}", "E101", "null", "write `none`"),
    "two expressions": ("let: {a: !expr \"1\\nlet b = 2\"}", "E115", '!expr "1\\nlet b = 2"', "more than one thing"),
    "quoted lines": ("let: {a: !expr 'b\n  + c'}", "E115", None, "several lines"),
    "folded lines": ("let:\n  a: !expr >\n    b", "E115", None, "several lines"),
    "expression": ("let:\n  a: b + + c", "E101", "+", ""),
    "expression behind an escape": ("let:\n  a: !expr \"\\\"x\\\" + + c\"", "E101", "+", ""),
    "expression in a block": ("let:\n  a: !expr |\n    f(\n      b c)", "E101", "c", ""),
    # Steps
    "text as a step": ("pipelines: {p: ['vote']}", "E115", "'vote'", "no quotes"),
    "list as a step": ("pipelines: {p: [[vote]]}", "E115", "[vote]", "no step"),
    "empty step": ("pipelines:\n  p:\n    -\n", "E115", "", "no step"),
    "arguments beside": ("pipelines:\n  p:\n    - f: a\n      n: 4", "E113", "n", "stand under `f`"),
    "misspelt statement": ("pipelines: {p: [{repaet: 3, do: [f]}]}", "E113", "do", "did you mean `repeat`?"),
    "empty arguments": ("pipelines:\n  p:\n    - vote:\n", "E114", "vote", "write `vote` alone"),
    "statement without a key": ("pipelines: {p: [{repeat: 2}]}", "E114", "repeat", "`do`"),
    "a list as a name": ("pipelines: {p: [{each: [c], do: [f]}]}", "E115", "[c]", "write a name"),
    "set to nothing": ("pipelines: {p: [{set: a}]}", "E114", "a", "to nothing"),
    "set to two things": ("pipelines: {p: [{set: a, to: b, pipe: [c]}]}", "E114", "a", "two things"),
    "no beginning": ("let: {a: {pipe: [f]}}", "E114", "f", "`from: value`"),
    "empty pipe": ("pipelines: {p: [{set: a, pipe: []}]}", "E115", "[]", "list of steps"),
    "statement in a pipe": ("pipelines: {p: [{pipe: [{set: a, to: b}]}]}", "E115", "set", "no step of a pipe"),
    "else of nothing": ("pipelines: {p: [else: a]}", "E115", "else: a", "behind a step"),
    "operator's name": ("pipelines: {p: [{a b: 1}]}", "E101", "b", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_reported_at_its_place(name: str) -> None:
    text, code, marked, said = FAULTS[name]
    _, found = read(text)
    (only,) = found
    assert only.span is not None
    assert only.span.source.text == text
    assert (only.code, only.span.text if marked is not None else None) == (code, marked)
    assert said in f"{only.message} {only.help}"
    assert only.message[:1] == only.message[:1].lower()
    assert not only.message.endswith(".")


def test_a_call_that_yaml_cuts_at_a_comma_gets_the_way_out() -> None:
    _, found = read("let: {a: [f(b, c)]}")
    first, second = found.sorted()
    assert (first.code, second.code) == ("E102", "E109")
    assert "inside `[ ]` and `{ }` of YAML" in (first.help or "")


def test_every_fault_is_reported_and_what_is_sound_is_kept() -> None:
    module, found = read(
        "models: {good: x, bad: [y]}\n"
        "pipelines:\n"
        "  first:\n    - generate: good + \n    - rank: {keep: 0x1}\n    - 'vote'\n"
        "  second:\n    - vote\n"
        "ops: {third: {parms: [a], do: {pipe: [b]}}}\n"
        "unknown: 1\n"
    )
    assert [d.name for d in module.declarations if not hasattr(d, "path")] == ["good", "second"]
    assert module.unread == ("bad", "first", "third")
    assert [d.code for d in found] == ["E115", "E101", "E106", "E115", "E113", "E114", "E113"]


def test_faults_of_meaning_point_into_the_yaml() -> None:
    text = (
        "models: {small: x}\n"
        "prompts:\n  strict:\n    params: [query, candidate]\n    user: |\n\n      Q: {{ query }}\n"
        "      A: {{ candidte.text }}\n"
        "pipelines:\n"
        "  p:\n"
        "    - generate: {model: smal, n: 2}\n"
        "    - rank: {model: small, kep: 1}\n"
        "  q:\n"
        "    - generate: small\n"
        "    - set: x\n      to: !expr |-\n        1 +\n        'a'\n".replace(
            "1 +\n        'a'", '2 * (3\n        + "a")'
        )
        + "    - from: query\n    - vote\n"
    )
    found = Program.parse(text, "test.yaml").check()
    shown = {(d.code, d.span.text, d.span.first.line) for d in found if d.span and d.is_error}
    assert ("E207", "candidte", 8) in shown
    assert ("E201", "smal", 11) in shown
    assert ("E203", "kep", 12) in shown
    assert any(line == 17 and text.startswith("(3") for code, text, line in shown if code == "E301")
    assert all(d.span is None or d.span.source.name == "test.yaml" for d in found)


def test_the_choices_of_a_program_have_names_of_their_own() -> None:
    text = (
        "models: {m: x}\npipelines:\n  p:\n    - generate: {model: m, n: !expr 'tune(1, 2) + tune(3, 4)'}\n"
        "    - fuse: {model: m, n: {tune: [1, 2]}}\n    - tune: [{then: {tune: [skip, best]}}, skip]\n"
    )
    program = Program.parse(text.replace("    - tune: [{then: {tune: [skip, best]}}, skip]\n", ""), "test.yaml")
    assert [choice.name for choice in program.choices()] == ["p.generate.n", "p.generate.n.2", "p.fuse.n"]


HOSTILE = {
    "brackets": "[" * 400_000,
    "braces": "{a: " * 100_000,
    "dashes": "- " * 200_000,
    "question marks": "? " * 200_000,
    "nested lines": "".join(" " * i + "a:\n" for i in range(900)),
    "bomb": "a: &a [x, x]\n" + "".join(f"b{i}: &b{i} [*a, *a, *a]\n" for i in range(15_000)),
    "documents": "---\n" * 100_000,
    "exclamation marks": "!" * 490_000,
    "an anchor": "&" + "a" * 490_000,
    "a word": "a" * 490_000,
    "words": "a " * 240_000,
    "quotes": "'" * 490_000,
    "an open quote": '"' + "a\n" * 240_000,
    "keys": "let:\n" + "".join(f"  a{i}: 1\n" for i in range(45_000)),
    "one key": "let:\n" + "  a: 1\n" * 60_000,
    "expressions": "let:\n" + "".join(f"  a{i}: b + {i}\n" for i in range(28_000)),
    "faulty expressions": "let:\n" + "".join(f"  a{i}: b + + {i}\n" for i in range(28_000)),
    "steps": "pipelines:\n  p:\n" + "    - a: b\n" * 25_000,
    "a long pipe": "let:\n  a: x" + " |> f" * 90_000,
    "a long block": "let:\n  a: !expr |\n" + "    x\n" * 80_000,
    "a megabyte": "let: {a: 1}\n" + "# comment\n" * 100_000,
    "brackets that close": "]}" * 240_000,
}


@pytest.mark.no_cover
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_answered_soon(name: str) -> None:
    start = time.process_time()
    _, found = read(HOSTILE[name])
    shown = render_all(found.sorted())
    assert time.process_time() - start < SOON
    assert found or name == "expressions"
    assert len(shown) < 60_000


def test_the_deepest_value_that_is_accepted_can_be_worked_with() -> None:
    def nested(depth: int) -> str:
        return "let: {a: " + "[" * depth + "1" + "]" * depth + "}"

    deepest = next(n for n in range(1, 400) if read(nested(n + 1))[1])
    assert deepest >= 100
    assert {d.code for d in read(nested(deepest + 1))[1]} == {"E105"}
    module, _ = read(nested(deepest))
    assert read(format_yaml(module))[0] == module


def _damaged(text: str, source: random.Random) -> str:
    pieces = [
        "[",
        "]",
        "{",
        "}",
        ":",
        ": ",
        "- ",
        "\n",
        "  ",
        "\t",
        "'",
        '"',
        "|\n",
        "!expr ",
        "!!x ",
        "&a ",
        "*a",
        "<<: ",
    ]
    pieces += ["#", ",", "9" * 40, "\u200b", "\0", "é", "? ", "---\n", "%", "tune", "\\", "=", "\r"]
    return damaged(text, pieces, source)


def _in_yaml(path: Path) -> str:
    return format_yaml(parse(Source(path.name, path.read_text()), Diagnostics()))


SOUND = [_in_yaml(path) for path in sorted((ROOT / "examples").glob("*.pnyx"))]
SOUND.append(_in_yaml(ROOT / "tests/syntax/fixtures/everything.pnyx"))


@settings(max_examples=250)
@given(st.sampled_from(SOUND), st.integers())
def test_a_damaged_program_gets_located_errors_and_no_exception(program: str, seed: int) -> None:
    text = _damaged(program, random.Random(seed))
    module, found = read(text)
    for diagnostic in found:
        assert diagnostic.span is not None
        assert 0 <= diagnostic.span.start <= diagnostic.span.end <= len(text)
        assert diagnostic.span.source.text == text
    render_all(found)
    if not found:
        assert read(format_yaml(module))[0] == module


@settings(max_examples=150)
@given(st.text(max_size=200))
def test_any_text_is_read_without_an_exception(text: str) -> None:
    _, found = read(text)
    render_all(found)
