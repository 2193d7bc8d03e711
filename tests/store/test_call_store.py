"""The store in the event loop: durable before it is told, batches, failures, the limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from pnyx.runtime.errors import StoreFailure
from pnyx.runtime.request import SampledText
from pnyx.runtime.store import CallStore, Record
from pnyx.runtime.store.backend import Backend, Row


def record(text: str) -> Record:
    return Record(SampledText(text=text, tokens=1), 1, 0.0)


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


async def found(store: CallStore, *wanted: bytes) -> Record | StoreFailure | None:
    answer: asyncio.Future[Record | StoreFailure | None] = asyncio.get_running_loop().create_future()
    store.look_up(wanted, answer.set_result)
    return await asyncio.wait_for(answer, 10)


async def kept(store: CallStore, number: int, text: str) -> StoreFailure | None:
    answer: asyncio.Future[StoreFailure | None] = asyncio.get_running_loop().create_future()
    store.keep("m", 1.0, [(key(number), record(text))], answer.set_result)
    return await asyncio.wait_for(answer, 10)


async def test_what_is_kept_is_found_by_another(opened: Callable[[], Backend]) -> None:
    async with CallStore(opened()) as store, CallStore(opened()) as other:
        assert await found(store, key(1)) is None
        assert await kept(store, 1, "é") is None
        assert await found(other, key(1)) == record("é")


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

    def counted(rows: Sequence[Row], used: Sequence[bytes]) -> None:
        sizes.append(len(rows))
        write(rows, used)

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
        raise StoreFailure("broken")

    def write(self, rows: Sequence[Row], used: Sequence[bytes]) -> None:
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
