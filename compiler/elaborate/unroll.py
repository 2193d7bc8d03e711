"""Repetition over compile-time values: unrolled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pnyx.compiler import syntax
from pnyx.compiler.elaborate.convert import Place
from pnyx.compiler.elaborate.kinds import Base, Kind
from pnyx.compiler.elaborate.scope import Environment
from pnyx.compiler.elaborate.values import ERROR, GraphValue, Value, describe

if TYPE_CHECKING:
    from pnyx.compiler.elaborate.evaluate import Elaborator

__all__ = ["range_values", "unroll_for", "unroll_repeat"]


def unroll_repeat(elaborator: Elaborator, statement: syntax.Repeat, environment: Environment) -> None:
    count = elaborator.evaluate(statement.count, environment)
    place = Place("repeat", "the count", statement.count.span, statement.count.span)
    count = elaborator.convert(count, Kind(Base.INT, low=0, high=100_000), place)
    if not isinstance(count, int):
        elaborator.poison(statement.body, environment)
        return
    for _ in range(count):
        elaborator.step(statement.count.span)
        elaborator.block(statement.body, environment.child())


def unroll_for(elaborator: Elaborator, statement: syntax.For, environment: Environment) -> None:
    items = _items_of(elaborator, statement.items, environment)
    if items is None:
        elaborator.poison(statement.body, environment)
        return
    for item in items:
        elaborator.step(statement.items.span)
        inner = environment.child()
        inner.values[statement.name] = item
        elaborator.block(statement.body, inner)


def _items_of(elaborator: Elaborator, expression: syntax.Expr, environment: Environment) -> Sequence[Value] | None:
    if isinstance(expression, syntax.Range):
        return range_values(elaborator, expression, environment)
    items = elaborator.evaluate(expression, environment)
    if items is ERROR:
        return None
    if not isinstance(items, tuple):
        runtime = isinstance(items, GraphValue)
        elaborator.report(
            "E304" if runtime else "E301",
            f"`for` needs a list known when compiling, and this is {describe(items)}",
            expression.span,
            help="a block for each candidate is `pool |> each x { … }`" if runtime else "write `[a, b, c]`",
        )
        return None
    return items


def range_values(elaborator: Elaborator, expression: syntax.Range, environment: Environment) -> Sequence[int] | None:
    ends = []
    for end in (expression.low, expression.high):
        value = elaborator.evaluate(end, environment)
        if isinstance(value, bool) or not isinstance(value, int):
            if value is not ERROR:
                elaborator.report(
                    "E304" if isinstance(value, GraphValue) else "E301",
                    f"`..` goes from one whole number to another, and this is {describe(value)}",
                    end.span,
                    help="write whole numbers that are known when compiling, or list the values: `tune(0.2, 0.5)`",
                )
            return None
        ends.append(value)
    if not 0 <= ends[1] - ends[0] <= 10_000:
        elaborator.report(
            "E401",
            f"the range {ends[0]}..{ends[1]} is {'empty' if ends[1] < ends[0] else 'too long'}",
            expression.span,
            help="both ends are included; the second is the greater, by 10000 at most",
        )
        return None
    return range(ends[0], ends[1] + 1)
