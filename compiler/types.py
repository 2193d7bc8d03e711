"""Types of run-time values: what flows along the edges of the graph.

A pool type is a size interval and the fields that its candidates have. Operators are row-polymorphic: a field they do
not know passes through. A field of the type may still be absent on a candidate whose reply could not be read; every
operator defines what it does then (absent answers never vote, absent scores sort last, absent verdicts do not pass).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["CHAT", "Chat", "Pool", "Size", "Type"]


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


Type: TypeAlias = Chat | Pool

CHAT = Chat()
