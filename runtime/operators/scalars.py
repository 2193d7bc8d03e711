"""Operators on single values: `Constant`, `Compute`, `FieldOf`; and `Empty`, `Part` and `AsQuery`, which ask
no model either.

Invariants: nothing raises; a value is at most 64 bits, or a text of a million characters: what would be more is absent,
so no loop can make values grow beyond every bound.
"""

from __future__ import annotations

import operator as python
from collections.abc import Callable, Mapping
from math import isfinite
from types import MappingProxyType
from typing import Any, TypeAlias, TypeGuard

from pnyx.compiler.operators import AsQuery, Compute, Constant, Empty, FieldOf, Part
from pnyx.runtime.candidates import FieldValue, Pool
from pnyx.runtime.operators.step import Begin, Scope, Step, empty_pool
from pnyx.runtime.question import Chat

__all__ = [
    "equal",
    "prepare_as_query",
    "prepare_compute",
    "prepare_constant",
    "prepare_empty",
    "prepare_field_of",
    "prepare_part",
]

Single: TypeAlias = FieldValue | None

_LARGEST = 2**63
_LONGEST = 1_000_000

_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = MappingProxyType(
    {
        "+": python.add,
        "-": python.sub,
        "*": python.mul,
        "/": python.truediv,
        "//": python.floordiv,
        "%": python.mod,
    }
)
_ORDER: Mapping[str, Callable[[Any, Any], bool]] = MappingProxyType(
    {"<": python.lt, "<=": python.le, ">": python.gt, ">=": python.ge}
)


def prepare_empty(_: Step[Empty]) -> Begin:
    return lambda _scope, _values: ()


def prepare_constant(step: Step[Constant]) -> Begin:
    value = step.operator.value
    return lambda _scope, _values: value


def prepare_part(step: Step[Part]) -> Begin:
    index = step.operator.index
    return lambda _, values: values[0][index]


def prepare_field_of(step: Step[FieldOf]) -> Begin:
    name = step.operator.name

    def begin(_: Scope, values: tuple[Pool]) -> Single:
        (pool,) = values
        return pool[0].fields.get(name) if pool else None

    return begin


def prepare_as_query(step: Step[AsQuery]) -> Begin:
    def begin(_: Scope, values: tuple[Chat, Pool]) -> Chat:
        chat, pool = values
        if not pool:
            raise empty_pool(step)
        return chat.asking(pool[0].text)

    return begin


def prepare_compute(step: Step[Compute]) -> Begin:
    symbol = step.operator.symbol

    def begin(_: Scope, values: tuple[Single, ...]) -> Single:
        match symbol, values:
            case "not", (value,):
                return value is not True
            case "-", (value,):
                return _bounded(-value) if _is_number(value) else None
            case "and", (left, right):
                return left is True and right is True
            case "or", (left, right):
                return left is True or right is True
            case (("==" | "!="), (left, right)):
                if left is None or right is None:
                    return False
                return equal(left, right) == (symbol == "==")
            case _, (left, right) if symbol in _ORDER:
                alike = (_is_number(left) and _is_number(right)) or (isinstance(left, str) and isinstance(right, str))
                return alike and _ORDER[symbol](left, right)
            case _, (left, right):
                return _arithmetic(symbol, left, right)
            case _:
                raise AssertionError(f"{len(values)} values to `{symbol}`")

    return begin


def equal(left: FieldValue, right: FieldValue) -> bool:
    """Whether two values are the same: texts, truth values and numbers each among themselves."""
    return _kind(left) is _kind(right) and left == right


def _kind(value: FieldValue) -> type:
    return type(value) if isinstance(value, bool | str) else float


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _arithmetic(symbol: str, left: Single, right: Single) -> Single:
    if isinstance(left, str) and isinstance(right, str):
        return left + right if symbol == "+" and len(left) + len(right) <= _LONGEST else None
    if not (_is_number(left) and _is_number(right)):
        return None
    try:
        return _bounded(_ARITHMETIC[symbol](left, right))
    except (ZeroDivisionError, OverflowError):
        return None


def _bounded(value: float) -> float | None:
    return value if (isfinite(value) if isinstance(value, float) else -_LARGEST <= value < _LARGEST) else None
