"""What the operators of the language and of its library say of themselves, for the operator reference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Diagnostics
from pnyx.compiler.elaborate.builtin import BUILTINS
from pnyx.compiler.elaborate.kinds import Parameter, Required, Signature
from pnyx.compiler.elaborate.values import PolicyValue, Symbol
from pnyx.compiler.parse import parse
from pnyx.compiler.source import Source
from pnyx.library import sources

__all__ = ["Entry", "entries"]

_COLUMN = 46


@dataclass(frozen=True, slots=True)
class Entry:
    """`signature` is text of several lines; `doc` what stands beside the operator's definition."""

    name: str
    signature: str
    doc: str


def entries() -> tuple[Entry, ...]:
    """The built-in operators in the order of their table, then those of the library in the order of its files."""
    built_in = (Entry(s.name, _built_in(s), s.doc) for s in BUILTINS.values())
    return (*built_in, *_library())


def _library() -> Iterator[Entry]:
    for name, text in sources():
        for declaration in parse(Source(name, text), Diagnostics()).declarations:
            if isinstance(declaration, syntax.OpDecl):
                yield Entry(declaration.name, _declared(declaration), _comment(declaration))


def _built_in(signature: Signature) -> str:
    rows = [(_shown(p), p.doc) for p in signature.parameters]
    if signature.variables:
        rows.append(("…", "further variables of the prompt, by name"))
    return _call(signature.name, rows)


def _declared(declaration: syntax.OpDecl) -> str:
    head = _call(declaration.name, [(p.span.text, "") for p in declaration.params])
    return f"{head} -> {declaration.returns.span.text}" if declaration.returns else head


def _call(name: str, rows: list[tuple[str, str]]) -> str:
    """One parameter a line; what is said of it beside, in one column as far as that is not far away."""
    width = min(max(len(parameter) for parameter, _ in rows) + 1, _COLUMN)
    lines = [f"    {parameter + ',':<{width}}  # {doc}" if doc else f"    {parameter}," for parameter, doc in rows]
    return "\n".join([f"{name}(", *lines, ")"])


def _shown(parameter: Parameter) -> str:
    text = f"{parameter.name}: {parameter.kind}"
    return text if isinstance(parameter.default, Required) else f"{text} = {_default(parameter)}"


def _default(parameter: Parameter) -> str:
    match parameter.default:
        case None:
            return "none"
        case bool() as truth:
            return str(truth).lower()
        case Symbol(name=name):
            return name
        case PolicyValue(policy=policy):
            return str(policy.then)
        case value:
            return str(value)


def _comment(declaration: syntax.OpDecl) -> str:
    """The comment right above the operator, or else the one that heads its file."""
    lines = declaration.span.source.text.split("\n")
    above = reversed(lines[: declaration.span.first.line - 1])
    block = [*takewhile(lambda line: line.startswith("# "), above)][::-1]
    block = block or [*takewhile(lambda line: line.startswith("# "), lines)]
    return " ".join(line.removeprefix("# ") for line in block)
