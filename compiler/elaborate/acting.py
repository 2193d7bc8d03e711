"""The built-in operators that act: their signatures, and how they become nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import cast

from pnyx.compiler.elaborate.builtin_call import BuiltinCall
from pnyx.compiler.elaborate.kinds import REQUIRED, Base, Kind, Parameter, Signature
from pnyx.compiler.elaborate.values import Symbol, Value
from pnyx.compiler.inference_acting import MOST_PASSAGES, MOST_SECONDS
from pnyx.compiler.operators import Retrieve, RunCode, RunTests

__all__ = ["ACTING", "ACTING_LOWERINGS"]

_PROGRAM = (
    Parameter("pool", Kind(Base.POOL, fields=("by",))),
    Parameter("by", Kind(Base.FIELD), Symbol("text"), "the field with the program"),
)
_SECONDS = Kind(Base.FLOAT, low=0.1, high=MOST_SECONDS)

ACTING = (
    Signature(
        "run_code",
        (
            _PROGRAM[0],
            Parameter("into", Kind(Base.FIELD), Symbol("output"), "the field for what the program printed"),
            _PROGRAM[1],
            Parameter("seconds", _SECONDS, 5.0, "how long it may run"),
            Parameter("stdin", Kind(Base.TEXT), "", "what it reads from its standard input"),
        ),
        doc="Runs each candidate's Python program, confined; `error` says why one did not end well.",
    ),
    Signature(
        "run_tests",
        (
            _PROGRAM[0],
            Parameter("tests", Kind(Base.POOL, fields=("text",)), REQUIRED, "Python code that raises where it fails"),
            Parameter("into", Kind(Base.FIELD), Symbol("passes"), "the field for the count"),
            _PROGRAM[1],
            Parameter("seconds", _SECONDS, 5.0, "how long each test may run, with the program before it"),
        ),
        doc="How many tests pass, each run after the candidate's Python program, confined (Chen et al., 2021, Codex).",
    ),
    Signature(
        "retrieve",
        (
            Parameter("query", Kind(Base.CHAT), REQUIRED, "the question"),
            Parameter("from", Kind(Base.TEXT), REQUIRED, "a `.jsonl` or text file, from the program's folder on"),
            Parameter("k", Kind(Base.INT, low=1, high=MOST_PASSAGES), 5, "how many passages at most"),
            Parameter("field", Kind(Base.FIELD), Symbol("text"), "the field of a JSON line with the passage"),
        ),
        doc="The passages of a file that fit the question best, best first, with their `score` (BM25).",
    ),
)


def _run_code(call: BuiltinCall) -> Value:
    into = call.word("into") or "output"
    if into == "error":
        message = "`run_code` has the field `error` for why a program failed"
        return call.fault("E307", message, "into", help="choose another field for the output: `into = output`")
    pool = call.graph("pool")
    operator = RunCode(by=call.word("by") or "text", into=into, seconds=_seconds(call), stdin=call.text("stdin") or "")
    return call.make(operator, [pool.node], pool.query)


def _run_tests(call: BuiltinCall) -> Value:
    pool, tests, into = call.graph("pool"), call.graph("tests"), call.word("into") or "passes"
    if into == "passed":
        message = "`run_tests` has the field `passed` for which tests pass"
        return call.fault("E307", message, "into", help="choose another field for the count: `into = passes`")
    operator = RunTests(by=call.word("by") or "text", into=into, seconds=_seconds(call))
    return call.make(operator, [pool.node, tests.node], pool.query)


def _retrieve(call: BuiltinCall) -> Value:
    source = call.text("from") or ""
    if not source.strip():
        help = 'write it: `from = "notes.jsonl"`'
        return call.fault("E401", "`retrieve` needs the name of a file", "from", help=help)
    query = call.graph("query")
    operator = Retrieve(source=source, k=call.number("k"), field=call.word("field") or "text")
    return call.make(operator, [query.node], query.node)


def _seconds(call: BuiltinCall) -> float:
    return cast("float", call.values["seconds"])


ACTING_LOWERINGS: Mapping[str, Callable[[BuiltinCall], Value]] = MappingProxyType(
    {"run_code": _run_code, "run_tests": _run_tests, "retrieve": _retrieve}
)
