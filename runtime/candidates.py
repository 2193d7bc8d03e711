"""Candidates: the records that flow through a pipeline.

Invariant: `key` says how the candidate came about (the stream it was drawn from and its index there), so it is the same
whatever else is in the pool; seeds of questions about the candidate come from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

__all__ = ["Candidate", "FieldValue", "Pool"]

FieldValue: TypeAlias = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """`fields` holds only what is present: an unread answer has no entry."""

    key: str
    fields: Mapping[str, FieldValue]

    @property
    def text(self) -> str:
        return str(self.fields.get("text", ""))

    def having(self, name: str, value: FieldValue) -> Candidate:
        return Candidate(self.key, MappingProxyType({**self.fields, name: value}))

    def without(self, name: str) -> Candidate:
        if name not in self.fields:
            return self
        return Candidate(self.key, MappingProxyType({k: v for k, v in self.fields.items() if k != name}))


Pool: TypeAlias = tuple[Candidate, ...]
