"""Compile-time values: what expressions evaluate to while a program is elaborated.

Numbers, texts, booleans, lists (tuples) and `none` are Python's own. Everything that exists only at run time is a
`GraphValue`: a node of the graph under construction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from pnyx.compiler import syntax
from pnyx.compiler.elaborate.kinds import Signature
from pnyx.compiler.graph import Node
from pnyx.compiler.operators import OnFail, PromptText
from pnyx.compiler.types import Chat, Scalar

__all__ = [
    "ERROR", "ErrorValue", "GraphValue", "ModelValue", "OpValue", "Operation", "PolicyValue", "PromptValue", "Symbol",
    "Value", "describe",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class ErrorValue:
    """Stands for what could not be evaluated; its problem has been reported, so nothing that meets it reports again."""


ERROR = ErrorValue()


@dataclass(frozen=True, slots=True)
class GraphValue:
    """A run-time value. `query` is the question that its candidates answer (the value itself for a question; of no
    meaning for a single value)."""

    node: Node
    query: Node


@dataclass(frozen=True, slots=True)
class ModelValue:
    name: str


@dataclass(frozen=True, slots=True)
class PromptValue:
    prompt: PromptText
    declaration: syntax.PromptDecl


@dataclass(frozen=True, slots=True)
class Symbol:
    """A bare word that an operator understands: a field name, `each`, `keep` …"""

    name: str


@dataclass(frozen=True, slots=True)
class PolicyValue:
    policy: OnFail


@dataclass(frozen=True, slots=True)
class Operation:
    """What can be called: a built-in operator (no declaration), or an `op` or `extern op` with its declaration."""

    signature: Signature
    declaration: syntax.OpDecl | syntax.ExternDecl | None = None


@dataclass(frozen=True, slots=True)
class OpValue:
    """An operator, alone (`skip`) or with arguments filled in around one hole (`critique(_, judge)`).

    `arguments` hold evaluated values; the hole has `hole=True`.
    """

    operation: Operation
    arguments: tuple[FilledArgument, ...] | None = None


@dataclass(frozen=True, slots=True)
class FilledArgument:
    name: str | None
    value: Value
    syntax: syntax.Argument
    hole: bool = False


Value: TypeAlias = (
    int
    | float
    | str
    | bool
    | tuple["Value", ...]
    | GraphValue
    | ModelValue
    | PromptValue
    | Symbol
    | PolicyValue
    | OpValue
    | ErrorValue
    | None
)


_SCALARS = {
    "int": "a whole number known only at run time",
    "float": "a number known only at run time",
    "bool": "a truth known only at run time",
    "text": "a text known only at run time",
    "any": "a value known only at run time",
}


def _describe_run_time(value: GraphValue) -> str:
    match value.node.type:
        case Chat():
            return "the question"
        case Scalar(base=base):
            return _SCALARS[base]
        case _:
            return "a pool"


def describe(value: Value) -> str:
    """What kind of value it is, for a diagnostic: `the number 3`, `a pool`."""
    match value:
        case bool():
            return f"`{str(value).lower()}`"
        case int() | float():
            return f"the number `{value}`"
        case str():
            return "a text"
        case None:
            return "`none`"
        case tuple():
            return "a list"
        case GraphValue():
            return _describe_run_time(value)
        case ModelValue():
            return f"the model `{value.name}`"
        case PromptValue():
            return f"the prompt `{value.prompt.name}`"
        case Symbol():
            return f"`{value.name}`"
        case PolicyValue():
            return "a policy"
        case OpValue():
            return f"the operator `{value.operation.signature.name}`"
        case ErrorValue():
            return "an error"
