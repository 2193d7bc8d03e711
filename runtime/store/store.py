"""The store as the event loop sees it: look-ups and group commits, each in a thread of its own.

Invariants
- `kept` is called when the records are durable, not before: what was used once is never drawn again.
- What comes while a batch is on its way is the next batch, so the busier it is, the larger the batches.
- Callbacks come from the event loop, never from inside the call that they belong to.
- Of records with one key the first that was kept stays, and is what everybody uses, also who came with another one.
- A failure of the store, of whatever kind, goes to everyone who waits, once; the store is then of no more use to the
  run.
- A record that is found was used: where the size is limited, what is used goes last.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Self, TypeAlias, TypeVar

from pnyx.runtime.batches import Batches
from pnyx.runtime.errors import StoreFailure
from pnyx.runtime.store.backend import Backend, Row
from pnyx.runtime.store.records import Record, decode, encode

__all__ = ["CallStore", "Found", "Kept", "Standing"]

T = TypeVar("T")
Standing: TypeAlias = Mapping[bytes, Record]
"""By key, what was there before and stands: mostly nothing."""
Found: TypeAlias = Callable[[Record | StoreFailure | None], None]
Kept: TypeAlias = Callable[[Standing | StoreFailure], None]

_SHRINK_TO = 0.9
_USES = 256


class CallStore:
    """Over a backend that it closes. `limit`: bytes of records; where they are more, those of least worth go."""

    def __init__(self, backend: Backend, *, limit: int | None = None) -> None:
        self.place = backend.place
        self._backend = backend
        self._limit = limit
        self._grown = 0 if limit is None else limit + 1  # so that the first batch takes the measure
        self._now = int(time.time())
        self._used: list[bytes] = []
        self._readers = Batches[tuple[tuple[bytes, ...], Found]]("pnyx-store-reads", self._read)
        self._writers = Batches[tuple[list[Row], list[bytes], Kept | None]]("pnyx-store-writes", self._write)

    def look_up(self, keys: tuple[bytes, ...], found: Found) -> None:
        """`found` hears the record of the first of `keys` that has one, None where none has, or the failure of the
        store."""
        self._readers.put((keys, found))

    def keep(self, model: str, costs: float, records: Sequence[tuple[bytes, Record]], kept: Kept) -> None:
        """Stores records under their keys. `model`: the identity of the engine; `costs`: FLOPs that each saves."""
        rows = [Row(key, model, encode(record), costs, self._now) for key, record in records]
        self._writers.put((rows, [], kept))

    def _use(self, key: bytes) -> None:
        self._used.append(key)
        if len(self._used) >= _USES:
            self._count_uses()

    def _count_uses(self) -> None:
        used, self._used = self._used, []
        self._writers.put(([], used, None))

    async def close(self) -> None:
        """Writes what is left; then closes the backend."""
        if self._used:
            self._count_uses()
        await self._readers.close()
        await self._writers.close()
        with suppress(StoreFailure):
            await asyncio.to_thread(self._backend.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _read(self, asked: list[tuple[tuple[bytes, ...], Found]]) -> Callable[[], None]:
        try:
            got = self._backend.read([key for keys, _ in asked for key in keys])
        except Exception as error:
            return partial(_tell_all, _failure(error, self.place), [found for _, found in asked])

        def tell() -> None:
            for keys, found in asked:
                key = next((key for key in keys if key in got), None)
                if key is None:
                    found(None)
                else:
                    self._use(key)
                    found(_decoded(key, got[key], self.place))

        return tell

    def _write(self, asked: list[tuple[list[Row], list[bytes], Kept | None]]) -> Callable[[], None]:
        rows = [row for batch, _, _ in asked for row in batch]
        used = [key for _, batch, _ in asked for key in batch]
        said: Standing | StoreFailure
        try:
            there = self._backend.write(rows, used)
            if self._limit is not None:
                self._hold_limit(self._limit, sum(row.size for row in rows))
            said = {}
            for key, payload in there.items():
                record = _decoded(key, payload, self.place)
                if isinstance(record, StoreFailure):
                    raise record
                said[key] = record
        except Exception as error:
            said = _failure(error, self.place)
        return partial(_tell_all, said, [kept for _, _, kept in asked if kept is not None])

    def _hold_limit(self, limit: int, more: int) -> None:
        """Others may write too, so the size is measured anew whenever this store may have grown past the limit."""
        self._grown += more
        if self._grown > limit:
            self._grown = self._backend.size()
        if self._grown > limit:
            self._backend.shrink(int(limit * _SHRINK_TO))
            self._grown = int(limit * _SHRINK_TO)


def _tell_all(said: T, callbacks: Sequence[Callable[[T], None]]) -> None:
    for callback in callbacks:
        callback(said)


def _decoded(key: bytes, payload: bytes, place: str) -> Record | StoreFailure:
    try:
        return decode(payload)
    except ValueError as error:
        message = f"{error} in the call store `{place}`"
        return StoreFailure(message, help=f"`pnyx store prune --key {key.hex()}` drops it, so that it is drawn again")


def _failure(error: Exception, place: str) -> StoreFailure:
    """The thread that meets an error must live on: whoever waited for it would wait for ever."""
    if isinstance(error, StoreFailure):
        return error
    message = f"the call store `{place}` failed: {type(error).__name__}: {error}"
    return StoreFailure(message, help="`--store none` does without")
