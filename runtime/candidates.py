"""Candidates: the records that flow through a pipeline; and the values that flow beside them.

Invariant: `key` says how the candidate came about (the stream it was drawn from and its index there), so it is the same
whatever else is in the pool; seeds of questions about the candidate come from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from pnyx.runtime.question import Chat

__all__ = ["Candidate", "FieldValue", "Pool", "Value"]

FieldValue: TypeAlias = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Candidate(Mapping[str, FieldValue]):
    """A mapping of its `fields`, which hold only what is present: an unread answer has no entry."""

    key: str
    fields: Mapping[str, FieldValue]

    @property
    def text(self) -> str:
        return str(self.fields.get("text", ""))

    def having(self, name: str, value: FieldValue) -> Candidate:
        return Candidate(self.key, MappingProxyType({**self.fields, name: value}))

    def with_fields(self, **values: FieldValue) -> Candidate:
        """The same candidate with these fields too, or in the place of those it had."""
        return Candidate(self.key, MappingProxyType({**self.fields, **values}))

    def without(self, name: str) -> Candidate:
        if name not in self.fields:
            return self
        return Candidate(self.key, MappingProxyType({k: v for k, v in self.fields.items() if k != name}))

    def __getitem__(self, name: str) -> FieldValue:
        return self.fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)


Pool: TypeAlias = tuple[Candidate, ...]

Value: TypeAlias = Chat | Pool | FieldValue | tuple["Value", ...] | None
"""What a node gives: the question, a pool, a single value (None where it is absent), or several results."""
