"""YAML and the language give one tree: for every tree there is, for every program we have, and form by form."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from strategies import modules

from pnyx.compiler.diagnostics import Diagnostics, render_all
from pnyx.compiler.format import format_module
from pnyx.compiler.parse import parse
from pnyx.compiler.program import Program
from pnyx.compiler.source import Source
from pnyx.compiler.syntax import Module
from pnyx.compiler.yaml import format_yaml, parse_yaml
from pnyx.library import sources as library_sources

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.pnyx"))
PROGRAMS = [*EXAMPLES, *sorted((ROOT / "library").rglob("*.pnyx")), ROOT / "tests/syntax/fixtures/everything.pnyx"]


def from_yaml(text: str) -> Module:
    found = Diagnostics()
    module = parse_yaml(Source("test.yaml", text), found)
    assert not found, f"{render_all(found)}\n{text}"
    return module


def from_pnyx(text: str) -> Module:
    found = Diagnostics()
    module = parse(Source("test.pnyx", text), found)
    assert not found, f"{render_all(found)}\n{text}"
    return module


@settings(max_examples=150)
@given(modules)
def test_a_tree_survives_yaml(module: Module) -> None:
    text = format_yaml(module)
    read = from_yaml(text)
    assert read == module, text
    assert format_yaml(read) == text
    assert from_pnyx(format_module(read)) == module, text


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_a_real_program_survives_yaml(path: Path) -> None:
    module = from_pnyx(path.read_text())
    text = format_yaml(module)
    assert from_yaml(text) == module
    assert format_yaml(from_yaml(text)) == text
    assert all(len(line) <= 130 for line in text.splitlines())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_a_program_has_one_plan_in_both_notations(path: Path) -> None:
    program = Program.parse(path.read_text(), path.name)
    twin = Program.parse(format_yaml(program.module), f"{path.stem}.yaml")
    assert not [d for d in twin.check() if d.is_error]
    assert twin.pipelines == program.pipelines
    for pipeline in program.pipelines:
        choices = program.choices(pipeline)
        assert [(c.name, c.values) for c in twin.choices(pipeline)] == [(c.name, c.values) for c in choices]
        last = {choice.name: choice.options[-1] for choice in choices[:1]}
        assert twin.compile(pipeline).digest == program.compile(pipeline).digest
        assert twin.compile(pipeline, last).digest == program.compile(pipeline, last).digest


def test_the_library_means_the_same_in_yaml(monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples have the same plans over a library that was read from YAML."""
    texts = [path.read_text() for path in EXAMPLES]

    def digests(text: str) -> list[str]:
        program = Program.parse(text)
        return [program.compile(name).digest for name in program.pipelines]

    before = [digests(text) for text in texts]
    in_yaml = tuple(
        parse_yaml(Source(name, format_yaml(from_pnyx(text))), Diagnostics()) for name, text in library_sources()
    )
    monkeypatch.setattr("pnyx.compiler.program._library", lambda: in_yaml)
    assert [digests(text) for text in texts] == before


# A body in YAML, and the same body in the language.
BODIES = {
    "a bare step": ("- best", "query |> best"),
    "one argument": ("- critique: judge", "query |> critique(judge)"),
    "arguments by name": ("- rank: {model: judge, keep: 3}", "query |> rank(model = judge, keep = 3)"),
    "arguments of both kinds": ("- rank: [judge, keep: 3]", "query |> rank(judge, keep = 3)"),
    "several names in one mapping": ("- f: [a, {b: 1, c: 2}, d]", "query |> f(a, b = 1, c = 2, d)"),
    "no arguments": ("- vote: []", "query |> vote()"),
    "an empty mapping of arguments": ("- vote: {}", "query |> vote()"),
    "a list as the argument": ("- f: [[a, b]]", "query |> f([a, b])"),
    "texts and names": ("- f: [a, 'b', \"c\\n\", 1]", 'query |> f(a, "b", "c\\n", 1)'),
    "a step in the language": ("- rank(judge, keep = 3)", "query |> rank(judge, keep = 3)"),
    "an operator called like a form": ("- set(judge)\n- then: from", "query |> set(judge) |> from"),
    "a choice of numbers": ("- f: {n: {tune: [1, 2], default: 2}}", "query |> f(n = tune(1, 2, default = 2))"),
    "a choice from a range": ("- f: {n: {tune: 0..3}}", "query |> f(n = tune(0..3))"),
    "a choice of one list": ("- f: {n: {tune: [[a]]}}", "query |> f(n = tune([a]))"),
    "a choice of steps": ("- tune:\n  - f(_, judge)\n  - skip", "query |> tune(f(_, judge), skip)"),
    "a choice as the argument": ("- f: {tune: [a, b]}", "query |> f(tune(a, b))"),
    "from": ("- from: pool\n- vote", "pool |> vote"),
    "values one after another": ("- from: a\n- f\n- from: b", "a |> f\nb"),
    "a text is a value": ("- from: 'a'", '"a"'),
    "set to a value": ("- set: n\n  to: size(pool) // 2", "n = size(pool) // 2"),
    "set to a pipe": ("- set: a\n  pipe: [f: 1, g]", "a = query |> f(1) |> g"),
    "set to a pipe of its own": ("- set: a\n  from: b\n  pipe: [f]", "a = b |> f"),
    "set to a list": ("- set: a\n  to: [b, 20 tokens]", "a = [b, 20 tokens]"),
    "steps go on behind a pipe": ("- pipe: [f]\n- g", "query |> f |> g"),
    "repeat": ("- repeat: 2\n  do:\n    - from: a\n    - f", "repeat 2 {\na |> f\n}"),
    "for": ("- for: x\n  in: [a, b]\n  do: [f: x]", "for x in [a, b] {\nquery |> f(x)\n}"),
    "loop": ("- loop: 3\n  do: [f]", "loop max 3 {\nquery |> f\n}"),
    "loop until": ("- loop: 3\n  until: all(a, b)\n  do: c", "loop max 3 until all(a, b) {\nc\n}"),
    "each": ("- each: c\n  do:\n    - f\n    - from: d", "query |> each c {\nc |> f\nd\n}"),
    "behind each the question flows again": ("- each: c\n  do: c\n- f: {x: {pipe: [g]}}",
                                             "query |> each c { c } |> f(x = query |> g)"),
    "if": ("- if: a == none\n  then: b\n  else: [f]", "if a == none { b } else { query |> f }"),
    "if without else": ("- if: a\n  then: b", "if a { b }"),
    "else if": ("- if: a\n  then: b\n  else: {if: c, then: d}", "if a { b } else if c { d }"),
    "an if inside else": ("- if: a\n  then: b\n  else: [{if: c, then: d}]", "if a { b } else {\nif c { d }\n}"),
    "an if flows on": ("- if: a\n  then: b\n- f", "if a { b } |> f"),
    "an if is a step": ("- then: {if: a, then: f}", "query |> if a { f }"),
    "match": ("- match: a\n  cases: {'x': b, y: [f], 1: c, _: d}",
              'match a { "x" => b, y => { query |> f }, 1 => c, _ => d }'),
    "match with one pattern twice": ("- match: a\n  cases: [x: b, x: c]", "match a { x => b, x => c }"),
    "else a value": ("- f\n- else: b", "query |> f else b"),
    "else a block": ("- f\n- else: [g]", "query |> f else { query |> g }"),
    "else and on": ("- f\n- else: b\n- g", "(query |> f else b) |> g"),
    "a value instead of steps": ("do: query", "query"),
    "no steps": ("[]", ""),
    "a tagged expression": ("- f: [!expr 'g(a, b)', !expr \"h(\\\"c\\\")\"]", 'query |> f(g(a, b), h("c"))'),
    "a tagged block": ("- set: a\n  to: !expr |\n    b\n    |> f(\n      c)", "a = b |> f(c)"),
    "words of YAML 1.1": ("- f: [yes, on, off]", "query |> f(yes, on, off)"),
    "texts of every style": ("- f:\n    - |\n      a\n       b\n    - >-\n      c\n      d\n    - 'it''s'",
                             'query |> f("a\\n b\\n", "c d", "it\'s")'),
    "a bare scalar of two lines": ("- f: a +\n    b", "query |> f(a + b)"),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_a_body_reads_as_in_the_language(name: str) -> None:
    body, written = BODIES[name]
    indented = "\n".join(f"    {line}" for line in body.splitlines())
    module = from_yaml(f"pipelines:\n  p:\n{indented}\n")
    assert module == from_pnyx(f"pipeline p(query) {{\n{written}\n}}\n")
    assert from_yaml(format_yaml(module)) == module


DECLARATIONS = {
    "a model": ("models: {m: a/b-7B}", 'model m = "a/b-7B"'),
    "a model that looks like a number": ("models: {m: 7}", 'model m = "7"'),
    "a model with options": ("models: {m: {id: x, context: 32_768, price_in: $0.35}}",
                             'model m = "x" { context = 32_768, price_in = $0.35 }'),
    "options called like keys": ("models: {m: {id: x, a: 1, options: [id: 2, id: 3]}}",
                                 'model m = "x" { a = 1, id = 2, id = 3 }'),
    "a prompt": ("prompts:\n  p:\n    params: [q]\n    system: Be brief.\n    user: |\n      {{ q }}\n",
                 'prompt p(q) = {\nsystem = "Be brief."\nuser = "{{ q }}\\n"\n}'),
    "parameters": ("externs: {f: {params: {a: Int?, b: Float = 0.5, c: = 3}, target: 'm:f'}}",
                   'extern op f(a: Int?, b: Float = 0.5, c = 3) = "m:f"'),
    "parameters with and without types": ("externs: {f: {params: [a, b: Int], target: 'm:f'}}",
                                          'extern op f(a, b: Int) = "m:f"'),
    "a parameter as a mapping": ("externs: {f: {params: {a: {type: Int, default: {tune: [1, 2]}}}, target: x}}",
                                 'extern op f(a: Int = tune(1, 2)) = "x"'),
    "a result": ("externs:\n  f:\n    returns: Op[Pool -> Pool{score}]\n    target: x",
                 'extern op f() -> Op[Pool -> Pool{score}] = "x"'),
    "an operator flows from its first parameter": ("ops: {f: {params: [a, b], do: [g: b]}}",
                                                   "op f(a, b) { a |> g(b) }"),
    "a pipeline with all keys": ("pipelines: {p: {params: [q], limit: [20 calls, $1, 30s], do: [f]}}",
                                 "pipeline p(q) limit 20 calls, $1, 30s { q |> f }"),
    "one limit": ("pipelines: {p: {limit: 2k tokens, do: query}}", "pipeline p(query) limit 2k tokens { query }"),
    "a pipeline without parameters": ("pipelines: {p: {params: [], do: a}}", "pipeline p() { a }"),
    "a value": ("let: {a: '1', b: 1, c: [x, 'y'], d: {from: x, pipe: [f]}}",
                'let a = "1"\nlet b = 1\nlet c = [x, "y"]\nlet d = x |> f'),
    "a state": ("states:\n  s:\n    type: Pool[0..8]{text}\n    value: empty\n    chunk: 8",
                "state s: Pool[0..8]{text} = empty { chunk = 8 }"),
    "imports": ("import: [std.voting, 'a b.pnyx']", 'import std.voting\nimport "a b.pnyx"'),
    "one import": ("import: std.voting", "import std.voting"),
    "settings": ("searches: {s: {per query: 20 calls, budget: [2M tokens, $5]}}",
                 "search s {\nper query = 20 calls\nbudget = [2M tokens, $5]\n}"),
    "a setting twice": ("benchmarks: {b: [a: 1, a: 2]}", "benchmark b {\na = 1\na = 2\n}"),
    "sections that come again": ("- let: {a: 1}\n  models: {m: x}\n- let: {b: 2}",
                                 'let a = 1\nmodel m = "x"\nlet b = 2'),
    "nothing": ("# only this\n", ""),
    "an empty document": ("---\n...\n", ""),
    "the version of YAML": ("%YAML 1.2\n---\nlet: {a: 1}\n", "let a = 1"),
    "a byte order mark and line ends of another system": ("\ufefflet:\r\n  a: 1 + b\r\n", "let a = 1 + b"),
}  # fmt: skip


@pytest.mark.parametrize("name", DECLARATIONS)
def test_a_declaration_reads_as_in_the_language(name: str) -> None:
    written, same = DECLARATIONS[name]
    module = from_yaml(written)
    assert module == from_pnyx(same)
    assert from_yaml(format_yaml(module)) == module


def test_names_that_are_too_long_for_a_simple_key() -> None:
    name = "a" * 2_000
    module = from_pnyx(f"let {name} = 1\nlet b = f({name} = 2)\npipeline p(query) {{\nquery |> {name}(1)\n}}\n")
    assert from_yaml(format_yaml(module)) == module


def test_ordinary_programs_are_written_like_this() -> None:
    text = (
        'model small = "smollm2-135m"\nlet n = tune(1, 2)\n'
        'prompt p(query) = """\n    Say {{ query }}.\n"""\n'
        "pipeline main(query) {\n"
        "    drafts = query |> generate(small, n = n)\n"
        "    repeat 2 { drafts = drafts |> critique(small) }\n"
        '    drafts |> rank(small, keep = 1) |> ask(small, p, stop = "\\n")\n'
        "}\n"
    )
    assert format_yaml(from_pnyx(text)) == (
        "models:\n  small: smollm2-135m\n\n"
        "let:\n  n: {tune: [1, 2]}\n\n"
        "prompts:\n  p:\n    params: [query]\n    user: |\n      Say {{ query }}.\n\n"
        "pipelines:\n  main:\n"
        "    - set: drafts\n      pipe:\n        - generate: [small, n: n]\n"
        "    - repeat: 2\n      do:\n        - set: drafts\n          from: drafts\n          pipe:\n"
        "            - critique: small\n"
        "    - from: drafts\n    - rank: [small, keep: 1]\n"
        '    - ask: [small, p, stop: "\\n"]\n'
    )
