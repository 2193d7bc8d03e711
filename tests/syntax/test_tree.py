"""What a text means as a tree, and where its nodes stand."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from lark import Lark

from pnyx.compiler import syntax as s
from pnyx.compiler.diagnostics import Diagnostics, render_all
from pnyx.compiler.format import format_source
from pnyx.compiler.parse import parse
from pnyx.compiler.source import Source, Span
from pnyx.grammar import grammar_text

FIXTURES = Path(__file__).parent / "fixtures"


def _module(text: str) -> s.Module:
    diagnostics = Diagnostics()
    module = parse(Source("<test>", text), diagnostics)
    assert not diagnostics, render_all(diagnostics)
    return module


def _value(text: str) -> s.Expr:
    (declaration,) = _module(f"let x = {text}").declarations
    assert isinstance(declaration, s.LetDecl)
    return declaration.value


def _shape(node: s.Expr) -> str:
    match node:
        case s.Binary():
            return f"({_shape(node.left)} {node.operator} {_shape(node.right)})"
        case s.Unary():
            return f"({node.operator} {_shape(node.operand)})"
        case s.Pipe():
            return f"({_shape(node.source)} |> {_shape(node.stage)})"
        case s.Range():
            return f"({_shape(node.low)} .. {_shape(node.high)})"
        case s.Field():
            return f"({_shape(node.value)} . {node.name})"
        case s.Call():
            return f"{_shape(node.callee)}({', '.join(_shape(a.value) for a in node.arguments)})"
        case _:
            return node.span.text


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("a or b and not c == d", "(a or (b and (not (c == d))))"),
        ("1 + 2 * 3 - 4", "((1 + (2 * 3)) - 4)"),
        ("a // b % c / d", "(((a // b) % c) / d)"),
        ("1 + 1..2 * 3", "((1 + 1) .. (2 * 3))"),
        ("0..3 == x", "((0 .. 3) == x)"),
        ("-a * -b", "((- a) * (- b))"),
        ("-a.b(c)", "(- (a . b)(c))"),
        ("a |> b |> c(d |> e)", "((a |> b) |> c((d |> e)))"),
        ("a or b |> c", "((a or b) |> c)"),
        ("a\n# note\n\n    |> b", "(a |> b)"),
        ("not not a", "(not (not a))"),
        ("1.5..2", "(1.5 .. 2)"),
    ],
)
def test_precedence(text: str, shape: str) -> None:
    assert _shape(_value(text)) == shape


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("2k", 2_000, None), ("2M", 2_000_000, None), ("1.5k", 1_500, None), ("3B", 3_000_000_000, None),
        ("1_000", 1_000, None), ("0.25", 0.25, None), ("1e3", 1000.0, None), ("2.5e-3", 0.0025, None),
        ("1.0", 1.0, None),
        ("30s", 30, "s"), ("5m", 5, "m"), ("1.5h", 1.5, "h"), ("$5", 5, "$"), ("$0.05", 0.05, "$"), ("$2k", 2_000, "$"),
        ("0.0005k", 0.5, None), ("9223372036854775807", 2**63 - 1, None),
    ],
)  # fmt: skip
def test_numbers(text: str, value: float, unit: str | None) -> None:
    number = _value(text)
    assert isinstance(number, s.Number)
    assert (number.value, type(number.value), number.unit) == (value, type(value), unit)
    again = format_source(Source("<test>", f"let x = {text}\n"), Diagnostics())
    assert again == f"let x = {text}\n"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"a\n\t\"\\\u{1F600}"', 'a\n\t"\\\U0001f600'),
        ('"# no comment"', "# no comment"),
        ('"""a"""', "a"),
        ('""""""', ""),
        ('"""say "hi""""', 'say "hi"'),
        ('"""\n    one\n      two\n"""', "one\n  two\n"),
        ('"""\n    one\n    """', "one\n"),
        ('"""\r\n    one\r\n"""', "one\n"),
        (r'"""\boxed{\n}"""', r"\boxed{\n}"),
    ],
)
def test_strings(text: str, value: str) -> None:
    string = _value(text)
    assert isinstance(string, s.Text)
    assert string.value == value


def test_words_of_declarations_are_names_elsewhere() -> None:
    text = "op f(model: Model, op) -> Pool {\n    prompt = model\n    max(search, let, import = extern)\n}"
    (op,) = _module(text).declarations
    assert isinstance(op, s.OpDecl)
    assert [param.name for param in op.params] == ["model", "op"]
    text = "pipeline limit(limit, state) limit 3 calls {\n    state = limit\n    f(limit)\n    limit(state)\n}"
    (pipeline,) = _module(text).declarations
    assert isinstance(pipeline, s.PipelineDecl)
    assert [(number.value, number.unit) for number in pipeline.limits] == [(3, "calls")]


def test_an_else_belongs_to_the_nearest_if_or_pipe() -> None:
    fallback = _value("a |> b else c |> d else e")
    assert isinstance(fallback, s.Otherwise)
    assert isinstance(fallback.fallback, s.Otherwise)
    assert _shape(fallback.fallback.value) == "(c |> d)"
    branch = _value("a |> if b { c } else { d }")
    assert isinstance(branch, s.Pipe)
    assert isinstance(branch.stage, s.If)
    assert branch.stage.orelse is not None
    inside = _value("if a |> b else c { d }\n    else { e }")
    assert isinstance(inside, s.If)
    assert isinstance(inside.condition, s.Otherwise)
    assert inside.orelse is not None


def test_the_grammar_has_no_conflicts(caplog: pytest.LogCaptureFixture) -> None:
    """Lark settles a conflict between shifting and reducing by itself, and says so only here."""
    with caplog.at_level(logging.DEBUG, logger="lark"):
        Lark(grammar_text(), start="module", parser="lalr", lexer="basic", debug=True)
        assert "conflict" not in caplog.text
        Lark('start: start "+" start | "a"', parser="lalr", lexer="basic", debug=True)
        assert "conflict" in caplog.text


def test_the_body_of_an_op_is_told_from_the_fields_of_its_type() -> None:
    module = _module("op f(x) -> Pool { x }\nop g(x) -> Pool{score} { x }\nop h(x) -> Pool[1]{a, b,}? { x }")
    assert [d.returns and d.returns.fields for d in module.declarations] == [None, ("score",), ("a", "b")]


def test_line_breaks_inside_blocks_inside_brackets_end_statements() -> None:
    call = _value("f(each x {\n a = 1\n a\n}, [\n 1,\n\n 2\n])")
    assert isinstance(call, s.Call)
    block = call.arguments[0].value
    assert isinstance(block, s.Each)
    assert len(block.body.statements) == 2


def _nodes(node: object) -> Iterator[object]:
    if isinstance(node, tuple):
        for item in node:
            yield from _nodes(item)
    elif dataclasses.is_dataclass(node) and not isinstance(node, Span):
        yield node
        for field in dataclasses.fields(node):
            yield from _nodes(getattr(node, field.name))


def test_every_span_is_the_text_of_its_node() -> None:
    """What a span covers, taken out and read by itself, is the node again."""
    module = _module((FIXTURES / "everything.pnyx").read_text())
    expressions = tuple(s.Expr.__args__)
    read = 0
    for node in _nodes(module.declarations):
        text = node.span.text
        assert text
        assert text == text.strip()
        if isinstance(node, expressions) and not (isinstance(node, s.Number) and " " in text):
            assert _value(f"({text}\n)") == node, text
            read += 1
        elif isinstance(node, tuple(s.Declaration.__args__)):
            assert _module(text).declarations == (node,)
        elif isinstance(node, s.Param):
            assert text.startswith(node.name)
    assert read > 50


def test_everything_is_in_the_fixture() -> None:
    module = _module((FIXTURES / "everything.pnyx").read_text())
    found = {type(node) for node in _nodes(module)}
    unions = (s.Declaration, s.Statement, s.Expr)
    assert {kind for union in unions for kind in union.__args__} <= found
