"""How a call of the user's own function becomes a node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, cast

from pnyx.compiler import syntax
from pnyx.compiler.elaborate.values import ERROR, GraphValue, Value
from pnyx.compiler.operators import ConstantValue, Extern
from pnyx.compiler.source import Span
from pnyx.compiler.types import Pool

if TYPE_CHECKING:
    from pnyx.compiler.elaborate.evaluate import Elaborator

__all__ = ["lower_extern"]


def lower_extern(
    elaborator: Elaborator, declaration: syntax.ExternDecl, values: Mapping[str, Value], call: Span
) -> Value:
    """A call of the user's own function: run-time arguments become inputs, the others constants."""
    late = {name: value for name, value in values.items() if isinstance(value, GraphValue)}
    constants = {name: value for name, value in values.items() if name not in late}
    returns = declaration.returns
    base = _GIVES.get(returns.name) if returns is not None else None
    if returns is None or base is None:
        return ERROR  # reported where it is declared
    pools = [value for value in late.values() if isinstance(value.node.type, Pool)]
    low, high = returns.size or (0, None)
    annotates = base == "pool" and high is None
    if annotates and not pools:
        elaborator.report(
            "E305",
            f"`{declaration.name}` does not say how many candidates it gives at most",
            returns.span,
            help="write it: `Pool[0..8]{text}`; without a size it gives back those of the pool it takes",
        )
        return ERROR
    operator = Extern(
        name=declaration.name,
        target=declaration.target.value,
        names=tuple(late),
        constants=tuple((name, cast("ConstantValue | None", value)) for name, value in constants.items()),
        gives=base,
        low=low,
        high=high or 0,
        fields=tuple(returns.fields or ()),
        annotates=annotates,
    )
    query = pools[0].query if pools else elaborator.query
    return elaborator.make(operator, [value.node for value in late.values()], query, call, declaration.name)


_GIVES: dict[str, Literal["pool", "int", "float", "bool", "text"]] = {
    "Pool": "pool", "Int": "int", "Float": "float", "Bool": "bool", "Text": "text",
}  # fmt: skip
