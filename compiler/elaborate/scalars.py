"""Single values known only at run time: constants lifted to them, fields of candidates, arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Label
from pnyx.compiler.elaborate.convert import provider_of
from pnyx.compiler.elaborate.scope import Environment
from pnyx.compiler.elaborate.values import ERROR, GraphValue, Value, describe
from pnyx.compiler.graph import Node
from pnyx.compiler.inference import TypeFault
from pnyx.compiler.nearest import nearest
from pnyx.compiler.operators import Compute, Constant, FieldOf
from pnyx.compiler.source import Span
from pnyx.compiler.types import Pool, Scalar

if TYPE_CHECKING:
    from pnyx.compiler.elaborate.evaluate import Elaborator

__all__ = ["compute_late", "field_of", "is_late", "lift"]


def is_late(value: Value) -> bool:
    """Whether it is a single value known only at run time."""
    return isinstance(value, GraphValue) and isinstance(value.node.type, Scalar)


def lift(elaborator: Elaborator, value: Value, query: Node, where: Span) -> GraphValue | None:
    """The value as a node; None for what has no run-time form (models, operators, lists)."""
    if isinstance(value, GraphValue):
        return value
    if isinstance(value, bool | int | float | str):
        return elaborator.make(Constant(value=value), [], query, where, "constant")
    return None


def compute_late(
    elaborator: Elaborator, expression: syntax.Unary | syntax.Binary, operands: tuple[Value, ...]
) -> Value:
    """Arithmetic, comparison or logic on values of which one is known only at run time."""
    query = next(o.query for o in operands if isinstance(o, GraphValue))
    lifted = [lift(elaborator, operand, query, expression.span) for operand in operands]
    inputs = [value.node for value in lifted if value is not None]
    symbol = expression.operator
    if len(inputs) == len(operands):
        try:
            return elaborator.make(Compute(symbol=symbol), inputs, query, expression.span, symbol)
        except TypeFault:
            pass
    shown = " and ".join(describe(operand) for operand in operands)
    pool = any(isinstance(o, GraphValue) and isinstance(o.node.type, Pool) for o in operands)
    elaborator.report(
        "E301",
        f"`{symbol}` does not work on {shown}",
        expression.span,
        help="measure the pool: `size(pool)`, `mean(pool, by = score)`" if pool else "compare numbers with numbers",
    )
    return ERROR


def field_of(elaborator: Elaborator, expression: syntax.Field, environment: Environment) -> Value:
    """`candidate.field`."""
    value = elaborator.evaluate(expression.value, environment)
    if value is ERROR:
        return ERROR
    name = expression.name
    if not isinstance(value, GraphValue) or not isinstance(value.node.type, Pool):
        elaborator.report(
            "E301",
            f"{describe(value)} has no fields",
            expression.span,
            help="candidates have fields: `each x { … x.score … }`, or `(pool |> best).score`",
        )
        return ERROR
    type_ = value.node.type
    if type_.size.high > 1:
        elaborator.report(
            "E310",
            f"`.{name}` of {type_.size} candidates",
            expression.span,
            secondary=[Label(expression.value.span, f"this is a pool of {type_.size}")],
            help=f"take one: `(pool |> best(by = {name})).{name}`, or all together: `mean(pool, by = {name})`",
        )
        return ERROR
    if type_.size.high and name not in type_.fields:
        likely = nearest(name, type_.fields)
        elaborator.report(
            "E302",
            f"this candidate has no `{name}`",
            expression.name_span,
            secondary=[Label(expression.value.span, f"it has {', '.join(f'`{f}`' for f in sorted(type_.fields))}")],
            help=f"did you mean `{likely}`?" if likely else provider_of(name),
        )
        return ERROR
    return elaborator.make(FieldOf(name=name), [value.node], value.query, expression.span, f".{name}")
