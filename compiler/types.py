"""Types of run-time values: what flows along the edges of the graph.

Besides the question and pools there are single values (`Scalar`), which conditions and choices are made of; any of them
may be absent. Nodes with a body give several results at once (`Results`), of which others take parts.

A pool type is a size interval and the fields that its candidates have. Operators are row-polymorphic: a field they do
not know passes through. A field of the type may still be absent on a candidate whose reply could not be read; every
operator defines what it does then (absent answers never vote, absent scores sort last, absent verdicts do not pass).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["CHAT", "Chat", "Pool", "Results", "Scalar", "ScalarBase", "Size", "Type", "join", "shared_fields"]


@dataclass(frozen=True, slots=True)
class Size:
    """How many candidates: `low` to `high`, both included."""

    low: int
    high: int

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high:
            raise ValueError(f"not a size: {self.low}..{self.high}")

    @property
    def exact(self) -> bool:
        return self.low == self.high

    def __add__(self, other: Size) -> Size:
        return Size(self.low + other.low, self.high + other.high)

    def __mul__(self, factor: int) -> Size:
        return Size(self.low * factor, self.high * factor)

    def hull(self, other: Size) -> Size:
        return Size(min(self.low, other.low), max(self.high, other.high))

    def at_most(self, limit: int) -> Size:
        """After taking the first `limit`."""
        return Size(min(self.low, limit), min(self.high, limit))

    def __str__(self) -> str:
        return str(self.low) if self.exact else f"{self.low}..{self.high}"


@dataclass(frozen=True, slots=True)
class Chat:
    """The question: a list of messages."""

    def __str__(self) -> str:
        return "Chat"


@dataclass(frozen=True, slots=True)
class Pool:
    """An ordered set of candidates."""

    size: Size
    fields: frozenset[str] = frozenset()

    def having(self, *fields: str) -> Pool:
        return Pool(self.size, self.fields | set(fields))

    def sized(self, size: Size) -> Pool:
        return Pool(size, self.fields)

    def __str__(self) -> str:
        fields = ", ".join(sorted(self.fields))
        return f"Pool[{self.size}]{{{fields}}}"


ScalarBase: TypeAlias = Literal["int", "float", "bool", "text", "any"]


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value, which may be absent. `any`: what it is shows only at run time, as of a field that a prompt filled."""

    base: ScalarBase

    def __str__(self) -> str:
        return {"int": "Int", "float": "Float", "bool": "Bool", "text": "Text", "any": "any value"}[self.base]


@dataclass(frozen=True, slots=True)
class Results:
    """What a node with bodies gives: several values."""

    parts: tuple[Type, ...]

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.parts))})"


Type: TypeAlias = Chat | Pool | Scalar | Results

CHAT = Chat()

_NUMBERS = {"int", "float"}


def join(left: Type, right: Type) -> Type | None:
    """The least type that both fit: of a value that comes from one of two places. None where there is none.

    A pool that is always empty has no candidate that could lack a field.
    """
    if left == right:
        return left
    match left, right:
        case Pool(), Pool():
            return Pool(left.size.hull(right.size), shared_fields([left, right]))
        case Scalar(), Scalar():
            return Scalar("float" if {left.base, right.base} <= _NUMBERS else "any")
        case _:
            return None


def shared_fields(pools: Sequence[Pool]) -> frozenset[str]:
    """The fields that every candidate of these pools has."""
    some = [pool.fields for pool in pools if pool.size.high > 0]
    return frozenset.intersection(*some) if some else frozenset()
