"""The store in the event loop: durable before it is told, batches, failures, the limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from pnyx.runtime.errors import StoreFailure
from pnyx.runtime.request import SampledText
from pnyx.runtime.store import CallStore, Record
from pnyx.runtime.store.backend import Backend, Row
from pnyx.runtime.store.store import Standing


def record(text: str) -> Record:
    return Record(SampledText(text=text, tokens=1), 1, 0.0)


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


async def found(store: CallStore, *wanted: bytes) -> Record | StoreFailure | None:
    answer: asyncio.Future[Record | StoreFailure | None] = asyncio.get_running_loop().create_future()
    store.look_up(wanted, answer.set_result)
    return await asyncio.wait_for(answer, 10)


async def kept(store: CallStore, number: int, text: str) -> Standing | StoreFailure:
    answer: asyncio.Future[Standing | StoreFailure] = asyncio.get_running_loop().create_future()
    store.keep("m", 1.0, [(key(number), record(text))], answer.set_result)
    return await asyncio.wait_for(answer, 10)


async def test_what_is_kept_is_found_by_another(opened: Callable[[], Backend]) -> None:
    async with CallStore(opened()) as store, CallStore(opened()) as other:
        assert await found(store, key(1)) is None
        assert await kept(store, 1, "é") == {}
        assert await found(other, key(1)) == record("é")


async def test_the_first_one_that_was_kept_stands_and_who_comes_later_hears_of_it(
    opened: Callable[[], Backend],
) -> None:
    async with CallStore(opened()) as store, CallStore(opened()) as other:
        assert await kept(store, 1, "first") == {}
        assert await kept(other, 1, "second") == {key(1): record("first")}
        assert await kept(other, 1, "first") == {}  # the same
        both = await asyncio.gather(kept(other, 2, "one"), kept(other, 2, "other"))
        assert both[1].get(key(2)) == record("one")  # type: ignore[union-attr]
        assert await found(store, key(2)) == record("one")


async def test_the_first_key_that_has_a_record_counts(opened: Callable[[], Backend]) -> None:
    async with CallStore(opened()) as store:
        await kept(store, 1, "one")
        await kept(store, 2, "two")
        assert await found(store, key(1), key(2)) == record("one")
        assert await found(store, key(3), key(2)) == record("two")
        assert await found(store, key(3), key(4)) is None
    uses = {entry.key: entry.uses for entry in opened().entries(None, 9)}
    assert uses[key(1)] == uses[key(2)] > 0


async def test_what_comes_together_is_one_batch(opened: Callable[[], Backend]) -> None:
    backend, sizes = opened(), []
    write = backend.write

    def counted(rows: Sequence[Row], used: Sequence[bytes]) -> dict[bytes, bytes]:
        sizes.append(len(rows))
        return write(rows, used)

    backend.write = counted  # type: ignore[method-assign]
    async with CallStore(backend) as store:
        await asyncio.gather(*(kept(store, n, "x") for n in range(100)))
        assert sum(sizes) == 100
        assert len(sizes) < 10
        assert all([await found(store, key(n)) for n in range(100)])


class _Broken:
    place = "nowhere"

    def read(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        if keys[0] == key(2):
            return {key(2): b"damaged"}
        if keys[0] == key(3):
            raise ZeroDivisionError("oops")
        raise StoreFailure("broken")

    def write(self, rows: Sequence[Row], used: Sequence[bytes]) -> dict[bytes, bytes]:
        if rows[0].key == key(3):
            raise MemoryError("no room")
        raise StoreFailure("full")

    def close(self) -> None:
        raise StoreFailure("broken")


async def test_failures_reach_who_waits() -> None:
    async with CallStore(_Broken()) as store:  # type: ignore[arg-type]
        failure = await found(store, key(1))
        assert isinstance(failure, StoreFailure)
        full = await kept(store, 1, "x")
        assert isinstance(full, StoreFailure)
        assert full.message == "full"
        damaged = await found(store, key(2))
        assert isinstance(damaged, StoreFailure)
        assert "cut off" in damaged.message


async def test_no_error_of_a_backend_leaves_anybody_waiting() -> None:
    async with CallStore(_Broken()) as store:  # type: ignore[arg-type]
        for said in (await found(store, key(3)), await kept(store, 3, "x"), await found(store, key(1))):
            assert isinstance(said, StoreFailure)
        told = await kept(store, 3, "x")
        assert isinstance(told, StoreFailure)
        assert told.message == "the call store `nowhere` failed: MemoryError: no room"


async def test_the_limit_is_held(opened: Callable[[], Backend]) -> None:
    backend = opened()
    async with CallStore(backend, limit=20_000) as store:
        for n in range(300):
            await kept(store, n, "x" * 100)
        assert backend.size() <= 20_000
        assert await found(store, key(299)) is not None


@pytest.mark.parametrize("uses", [1, 1000])
async def test_uses_are_counted(opened: Callable[[], Backend], uses: int) -> None:
    async with CallStore(opened()) as store:
        await kept(store, 1, "x")
        for _ in range(uses):
            await found(store, key(1))
    (entry,) = opened().entries(None, 1)
    assert entry.uses > 1
