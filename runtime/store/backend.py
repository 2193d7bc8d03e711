"""What a store keeps its records in, and what is the same for all of them: the form of a row, worth, version.

Worth (what goes first where the size is limited) is least expected cost with ageing, as in GreedyDual-Size-Frequency
(Cherkasova, 1998) and the LEC rule of Zhu et al. (2023): age + uses * cost / size, where `cost` is the computation
that the record saves and the age is the worth of what was last evicted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["OVERHEAD", "VERSION", "Backend", "Entry", "Row", "StoreInfo", "shown_place"]

VERSION = 1
"""Of the tables; a store of a higher one is refused."""
OVERHEAD = 96
"""Bytes that a row takes beside its payload: key, numbers, indices."""


@dataclass(frozen=True, slots=True)
class Row:
    """A record to be kept. `model` is the identity of the engine, `cost` in FLOPs, `made` in seconds since 1970."""

    key: bytes
    model: str
    payload: bytes
    cost: float
    made: int

    @property
    def size(self) -> int:
        return len(self.payload) + OVERHEAD


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored row, for people. `payload` only where it was asked for."""

    key: bytes
    model: str
    size: int
    uses: int
    made: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """`size` of the rows in bytes, `file_size` of what holds them where that is known; rows by model."""

    place: str
    records: int
    size: int
    file_size: int | None
    models: tuple[tuple[str, int, int], ...]


class Backend(Protocol):
    """Each method is called by one thread at a time, reading and writing ones from different threads.

    All raise StoreFailure. `read` gives the payloads of those of `keys` that there are. `write` keeps rows durably, and
    counts the uses of `used`; of rows with one key the first stays, and where that is another one than was handed over,
    its payload is given. `shrink` evicts the rows of least worth until their sizes sum up to `size` or less, and gives
    how many those were; `drop` drops those that everything said is true of.
    """

    @property
    def place(self) -> str: ...

    def read(self, keys: Sequence[bytes]) -> dict[bytes, bytes]: ...

    def write(self, rows: Sequence[Row], used: Sequence[bytes]) -> dict[bytes, bytes]: ...

    def size(self) -> int: ...

    def shrink(self, size: int) -> int: ...

    def info(self) -> StoreInfo: ...

    def entries(self, model: str | None, limit: int) -> Iterator[Entry]: ...

    def find(self, prefix: str) -> list[Entry]: ...

    def drop(self, *, model: str | None = None, before: int | None = None, key: bytes | None = None) -> int: ...

    def compact(self) -> None: ...

    def close(self) -> None: ...


def shown_place(place: str) -> str:
    """A place as people may see it: an address without its passwords."""
    scheme, colon, rest = place.partition("://")
    if not colon:
        return place
    rest = re.sub(r"^([^:/@?]*):.*@", r"\1:***@", rest)
    return f"{scheme}://" + re.sub(r"([?&](?:ssl)?password=)[^&]*", r"\1***", rest)
