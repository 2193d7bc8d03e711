"""A call of a built-in operator, its arguments checked and converted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from pnyx.compiler.elaborate.values import ERROR, GraphValue, Symbol, Value
from pnyx.compiler.graph import Node
from pnyx.compiler.operators import Operator, Sampling
from pnyx.compiler.source import Span

if TYPE_CHECKING:
    from pnyx.compiler.elaborate.evaluate import Elaborator

__all__ = ["BuiltinCall", "sampling_of"]


@dataclass(frozen=True, slots=True)
class BuiltinCall:
    """A call whose arguments have been checked and converted. `spans` point at those that were written, `names` at the
    names of the extra ones."""

    name: str
    values: Mapping[str, Value]
    extra: Mapping[str, Value]
    spans: Mapping[str, Span]
    names: Mapping[str, Span]
    span: Span
    elaborator: Elaborator

    def make(self, operator: Operator, inputs: list[Node], query: Node) -> GraphValue:
        return self.elaborator.make(operator, inputs, query, self.span, self.name)

    def word(self, name: str) -> str | None:
        value = self.values[name]
        return value.name if isinstance(value, Symbol) else None

    def number(self, name: str) -> int:
        return cast("int", self.values[name])

    def text(self, name: str) -> str | None:
        return cast("str | None", self.values[name])

    def graph(self, name: str) -> GraphValue:
        return cast("GraphValue", self.values[name])

    def fault(self, code: str, message: str, argument: str, *, help: str, label: str = "") -> Value:
        self.elaborator.report(code, message, self.spans.get(argument, self.span), label, help=help)
        return ERROR


def sampling_of(call: BuiltinCall) -> Sampling:
    """Reports bounds that exclude each other."""
    least, most = call.number("min_tokens"), call.number("max_tokens")
    if least > most:
        message = f"a sample cannot have at least {least} tokens and at most {most}"
        call.fault("E401", message, "min_tokens", help="lower `min_tokens`, or raise `max_tokens`")
    return Sampling(
        temperature=cast("float", call.values["temperature"]),
        top_p=cast("float", call.values["top_p"]),
        max_tokens=most,
        stop=cast("tuple[str, ...]", call.values["stop"] or ()),
        top_k=cast("int | None", call.values["top_k"]),
        min_p=cast("float", call.values["min_p"]),
        min_tokens=least,
    )
