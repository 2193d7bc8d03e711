"""Arithmetic, comparison and logic on compile-time values; `+` also joins pools, lists and texts."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Label
from pnyx.compiler.elaborate.scalars import compute_late, is_late
from pnyx.compiler.elaborate.values import ERROR, GraphValue, ModelValue, Symbol, Value, describe
from pnyx.compiler.operators import Concat
from pnyx.compiler.source import Span
from pnyx.compiler.types import Pool

if TYPE_CHECKING:
    from pnyx.compiler.elaborate.evaluate import Elaborator

__all__ = ["bounded", "compute", "equal"]

_NUMERIC: dict[str, Callable[..., int | float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}
_ORDER: dict[str, Callable[..., bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
# Beyond this, numbers serve no pipeline; the limit keeps arithmetic quick.
_GREATEST = 10**18
_LONGEST_TEXT = 1_000_000
_LONGEST_LIST = 20_000

_WORKS_ON = {
    "and": "both sides are true or false: `n > 1 and n < 4`",
    "or": "both sides are true or false: `n < 1 or n > 4`",
    "+": "it adds two numbers, or joins two texts, two lists or two pools",
    **dict.fromkeys(("<", "<=", ">", ">="), "it compares two numbers or two texts"),
}


def compute(expression: syntax.Unary | syntax.Binary, operands: tuple[Value, ...], elaborator: Elaborator) -> Value:
    """The value, or ERROR once the problem is reported."""
    if ERROR in operands:
        return ERROR
    if any(map(is_late, operands)):
        return compute_late(elaborator, expression, operands)
    if isinstance(expression, syntax.Unary):
        return _unary(expression, operands[0], elaborator)
    left, right = operands
    if isinstance(left, GraphValue) or isinstance(right, GraphValue):
        return _join(expression, left, right, elaborator)
    symbol = expression.operator
    if symbol in ("==", "!="):
        return equal(left, right) == (symbol == "==")
    if symbol in ("and", "or"):
        if isinstance(left, bool) and isinstance(right, bool):
            return left and right if symbol == "and" else left or right
    elif _is_number(left) and _is_number(right):
        return _numeric(expression, left, right, elaborator)
    elif isinstance(left, str) and isinstance(right, str) and (symbol == "+" or symbol in _ORDER):
        return bounded(left + right, expression.span, elaborator) if symbol == "+" else _ORDER[symbol](left, right)
    elif isinstance(left, tuple) and isinstance(right, tuple) and symbol == "+":
        return bounded(left + right, expression.span, elaborator)
    elaborator.report(
        "E301",
        f"`{symbol}` does not work on {describe(left)} and {describe(right)}",
        expression.span,
        secondary=[
            Label(expression.left.span, describe(left)),
            Label(expression.right.span, describe(right)),
        ],
        help=_WORKS_ON.get(symbol, "it works on two numbers"),
    )
    return ERROR


def bounded(value: str | tuple[Value, ...], where: Span, elaborator: Elaborator) -> Value:
    """A text or list that was put together, or ERROR where it is too long: what doubles in a loop is soon beyond all
    memory. Items of lists within a list count as its own."""
    if isinstance(value, str):
        elaborator.step(where, len(value) // 1000)
        if len(value) <= _LONGEST_TEXT:
            return value
        message, help = "the text is too long", f"texts have up to {_LONGEST_TEXT} characters"
    else:
        count = _items(value)
        elaborator.step(where, count)
        if count <= _LONGEST_LIST:
            return value
        message, help = "the list is too long", f"lists have up to {_LONGEST_LIST} items"
    elaborator.report("E402", message, where, help=help)
    return ERROR


def _items(value: Value) -> int:
    return 1 + sum(map(_items, value)) if isinstance(value, tuple) else 1


def equal(left: Value, right: Value) -> bool:
    """Whether two values known when compiling are the same."""
    kinds = (str, Symbol, ModelValue, tuple, bool)
    if any(isinstance(left, k) != isinstance(right, k) for k in kinds):
        return False
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(map(equal, left, right))
    return left == right


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _unary(expression: syntax.Unary, operand: Value, elaborator: Elaborator) -> Value:
    if expression.operator == "not" and isinstance(operand, bool):
        return not operand
    if expression.operator == "-" and isinstance(operand, int | float) and not isinstance(operand, bool):
        return -operand
    elaborator.report(
        "E304" if isinstance(operand, GraphValue) else "E301",
        f"`{expression.operator}` does not work on {describe(operand)}",
        expression.operand.span,
        help="it works on true and false" if expression.operator == "not" else "it works on a number",
    )
    return ERROR


def _numeric(expression: syntax.Binary, left: Value, right: Value, elaborator: Elaborator) -> Value:
    symbol = expression.operator
    if symbol in _ORDER:
        return _ORDER[symbol](left, right)
    if symbol in ("/", "//", "%") and right == 0:
        elaborator.report("E402", "division by zero", expression.span, help="give it another divisor")
        return ERROR
    result = _NUMERIC[symbol](left, right)
    if not abs(result) <= _GREATEST:
        elaborator.report(
            "E402", "the result is too large", expression.span, help="numbers go up to a billion billions"
        )
        return ERROR
    return result


def _join(expression: syntax.Binary, left: Value, right: Value, elaborator: Elaborator) -> Value:
    sides = [value for value in (left, right) if isinstance(value, GraphValue) and isinstance(value.node.type, Pool)]
    if expression.operator == "+" and len(sides) == 2:
        first, second = sides
        # What is always empty answers no question.
        query = (first if cast("Pool", first.node.type).size.high else second).query
        return elaborator.make(Concat(), [first.node, second.node], query, expression.span, "+")
    if expression.operator == "+":
        elaborator.report(
            "E301",
            f"`+` joins two pools, and these are {describe(left)} and {describe(right)}",
            expression.span,
            help="give both sides candidates, for example `|> generate(model)`",
        )
    else:
        elaborator.report(
            "E304",
            f"`{expression.operator}` works on single values",
            expression.span,
            secondary=[
                Label(side.span, describe(value))
                for side, value in ((expression.left, left), (expression.right, right))
                if isinstance(value, GraphValue)
            ],
            help="measure the pool: `size(pool)`, `mean(pool, by = score)`",
        )
    return ERROR
