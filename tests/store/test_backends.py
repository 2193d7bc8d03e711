"""Backends: what is written is read, by several at once, and goes in the order of its worth."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from pnyx.runtime.store.backend import Backend, Row

Opened = Callable[[], Backend]


def row(number: int, *, model: str = "m", cost: float = 1.0, size: int = 10, made: int = 100) -> Row:
    return Row(number.to_bytes(16, "big"), model, bytes([number % 256]) * size, cost, made)


def test_what_is_written_is_read(opened: Opened) -> None:
    backend = opened()
    rows = [row(number) for number in range(1000)]
    backend.write(rows, [])
    wanted = [r.key for r in rows[::3]] + [b"\xff" * 16]
    assert backend.read(wanted) == {r.key: r.payload for r in rows[::3]}
    assert backend.read([]) == {}
    assert backend.size() == sum(r.size for r in rows)


def test_another_one_sees_it_and_the_first_write_stays(opened: Opened) -> None:
    first, second = opened(), opened()
    first.write([row(1)], [])
    second.write([Row(row(1).key, "m", b"other", 1.0, 1), row(2)], [])
    assert first.read([row(1).key, row(2).key]) == {row(1).key: row(1).payload, row(2).key: row(2).payload}


def test_several_write_at_once(opened: Opened) -> None:
    backends = [opened() for _ in range(4)]

    def fill(number: int) -> None:
        for start in range(0, 200, 20):  # all of them write all of it, in orders of their own
            turned = (start + 60 * number) % 200
            backends[number].write(
                [row(turned + k, model=f"m{k % 3}") for k in range(20)], [row(k).key for k in range(5)]
            )

    with ThreadPoolExecutor() as pool:
        list(pool.map(fill, range(4)))
    assert backends[0].info().records == 200


def test_what_is_worth_least_goes_first(opened: Opened) -> None:
    backend = opened()
    backend.write([row(1, cost=1.0), row(2, cost=5.0), row(3, cost=3.0), row(4, cost=1.0)], [])
    for _ in range(9):
        backend.write([], [row(4).key])  # cheap, but used ten times
    assert backend.shrink(2 * row(1).size) == 2
    assert set(backend.read([row(n).key for n in range(1, 5)])) == {row(2).key, row(4).key}


def test_what_was_worth_much_long_ago_ages(opened: Opened) -> None:
    backend = opened()
    backend.write([row(0, cost=5.0)], [])
    for number in range(1, 12):  # newcomers of less worth, again and again
        backend.write([row(number, cost=2.0)], [])
        backend.shrink(3 * row(0).size)
    assert backend.read([row(0).key]) == {}
    assert backend.size() <= 3 * row(0).size


def test_what_is_large_goes_before_what_is_small(opened: Opened) -> None:
    backend = opened()
    backend.write([row(1, size=5000), row(2, size=10)], [])
    backend.shrink(5000)
    assert list(backend.read([row(1).key, row(2).key])) == [row(2).key]


def test_what_there_is(opened: Opened) -> None:
    backend = opened()
    backend.write(
        [row(1, model="a", made=1), row(2, model="b", made=2), row(0xABCD << 112, model="b", made=3)], [row(2).key]
    )
    info = backend.info()
    assert (info.records, [(name, records) for name, records, _ in info.models]) == (3, [("a", 1), ("b", 2)])
    assert info.size == sum(size for _, _, size in info.models) == backend.size()
    assert [entry.made for entry in backend.entries(None, 2)] == [3, 2]
    assert [(e.model, e.uses) for e in backend.entries("b", 9)] == [("b", 1), ("b", 2)]
    assert [entry.made for entry in backend.find("ABcd")] == [3]
    assert backend.find("eeee") == []


@pytest.mark.parametrize(
    ("model", "before", "left"), [("b", None, {1}), (None, 2, {2, 3}), ("b", 3, {1, 3}), (None, None, set())]
)
def test_dropping(opened: Opened, model: str | None, before: int | None, left: set[int]) -> None:
    backend = opened()
    backend.write([row(n, model="a" if n == 1 else "b", made=n) for n in (1, 2, 3)], [])
    assert backend.drop(model=model, before=before) == 3 - len(left)
    backend.compact()
    assert {entry.made for entry in backend.entries(None, 9)} == left


def test_dropping_one(opened: Opened) -> None:
    backend = opened()
    backend.write([row(n, model="a") for n in (1, 2, 3)], [])
    assert backend.drop(key=row(2).key, model="b") == 0
    assert backend.drop(key=row(2).key) == 1
    assert backend.read([row(n).key for n in (1, 2, 3)]).keys() == {row(1).key, row(3).key}
