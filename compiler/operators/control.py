"""Single values known only at run time, and operators with bodies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pnyx.compiler.operators.words import ConstantValue, MeasureKind

__all__ = ["Branch", "Compute", "Constant", "Each", "FieldOf", "Loop", "Measure", "Param", "Part"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """`() -> Scalar`: a value known when compiling."""

    kind: Literal["constant"] = "constant"
    value: ConstantValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute:
    """`(Scalar) -> Scalar`, `(Scalar, Scalar) -> Scalar`: arithmetic, comparison, logic.

    With one input `-` negates. An absent operand makes arithmetic absent, every comparison false, and is false to
    `and`, `or`, `not`. Values that do not compare or add (a text and a number, a truth value and a number) are as if
    absent; `==` of them is false and `!=` true. Absent too are divisions by zero, numbers that are not finite or beyond
    64 bits, and texts beyond a million characters.
    """

    kind: Literal["compute"] = "compute"
    symbol: Literal["+", "-", "*", "/", "//", "%", "==", "!=", "<", "<=", ">", ">=", "and", "or", "not"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldOf:
    """`(Pool[0..1]{name}) -> Scalar`: a field of the only candidate; absent where it lacks it, or is not there."""

    kind: Literal["field"] = "field"
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """`(Pool{by}) -> Scalar`. `window` belongs to WINDOW; SIZE reads no field."""

    kind: Literal["measure"] = "measure"
    what: MeasureKind
    by: str = "answer"
    window: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """`(Type x carried, captured …) -> Results(Type x carried)`: the body again and again, up to `most` times.

    The body gives the new values of those it carries and, with `until`, a last result that ends the loop when it is
    true; it is looked at after every round. `most` is 1 or more, so the body runs at least once.
    """

    kind: Literal["loop"] = "loop"
    most: int
    carried: int
    until: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Each:
    """`(Pool, captured …) -> Results(Pool)`: the body for every candidate by itself, as a pool of one; what it gives,
    side by side in the order of the pool."""

    kind: Literal["each"] = "each"


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """`(Scalar, captured …) -> Results`: the one body whose pattern the value equals, or else the last.

    There are as many bodies as `patterns`, and one more where there is a body for all other values (`otherwise`);
    without it a value that fits no pattern fails the example. Equal as of `Compute`: texts, truth values and numbers
    each among themselves. A condition is a branch on `true`, and an absent value is not.
    """

    kind: Literal["branch"] = "branch"
    patterns: tuple[ConstantValue, ...]
    otherwise: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """`(Results) -> Type`: one of several results."""

    kind: Literal["part"] = "part"
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """`() -> Type`: a parameter of the body, its type given there. `state` names a value that outlives the example;
    such parameters stand in the program's own graph."""

    kind: Literal["param"] = "param"
    index: int
    state: str | None = None
