"""Books: tasks and rows outlive their workers, are settled once, and are seen by all."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Protocol

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnyx.runtime.search.book.book import Book, open_book
from pnyx.runtime.search.rows import Rows, Settled
from pnyx.runtime.search.space import Point
from pnyx.runtime.search.strategy import Proposal

A: Point = (("main.n", 1), ("main.é", 0))
B: Point = (("main.n", 0),)
C: Point = ()


class Opening(Protocol):
    def __call__(self, *, lease: float = 30.0, elsewhere: bool = False) -> Book: ...


@pytest.fixture
def opened(place: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opening]:
    """Workers of one search; `elsewhere`: on a machine of which nothing is known."""
    with ExitStack() as books:

        def another(*, lease: float = 30.0, elsewhere: bool = False) -> Book:
            with monkeypatch.context() as patch:
                if elsewhere:
                    patch.setattr("pnyx.runtime.search.book.worker.this_process", lambda: "another machine 7 9")
                book = open_book(place, "best", {"seed": 1}, lease=lease)
            books.callback(book.close)
            return book

        yield another


def row(score: float | None, tokens: float = 30.0) -> Settled:
    return Settled(score, (1.0, 2.0, tokens, 1e12 / 3, 0.1), 0.25)


def die(book: Book) -> None:
    """Without a word: as a killed process does."""
    book.worker._ended.set()
    book.worker._beating.join()


def numbers(book: Book, *, taken: bool) -> list[int]:
    return [task.number for task in book.tasks() if task.taken is taken and task.ending is None]


def test_what_is_written_is_read_by_another_worker_and_after_all_have_left(opened: Opening, place: str) -> None:
    proposals = [Proposal(A, "default", 20), Proposal(B, "given", 40, A), Proposal(A, "incumbent", 60)]
    first, second = opened(), opened()
    assert first.add(proposals, after=0)
    assert [task.proposal for task in second.tasks()] == proposals
    first.settle(A, 0, [row(1.0), row(None), row(math.nan)])
    first.settle(B, 0, [row(0.5)])
    second.settle(A, 3, [row(0.25, tokens=1e15 + 1)])
    with open_book(place, "best", {"seed": 1}) as third:
        for book in (first, second, third):
            rows = Rows(60)
            book.read(rows)
            assert list(rows) == [A, B]
            assert [r.score for r in rows.settled(A)] == [1.0, None, None, 0.25]
            assert rows.settled(A)[3] == row(0.25, tokens=1e15 + 1)
            assert [r.score for r in rows.settled(B)] == [0.5]


def test_new_rows_come_once(opened: Opening) -> None:
    book, other = opened(), opened()
    book.add([Proposal(A, "default", 20), Proposal(B, "random", 20)], after=0)
    rows = Rows(20)
    mark = book.read(rows)
    other.settle(B, 0, [row(1.0)] * 10)
    other.add([Proposal(C, "random", 20)], after=2)
    mark = book.read(rows, mark)
    assert (list(rows), rows.count(A), rows.count(B)) == ([A, B, C], 0, 10)
    book.settle(A, 0, [row(0.0)])
    other.settle(B, 10, [row(0.0)])
    mark = book.read(rows, mark)
    assert (rows.count(A), rows.count(B)) == (1, 11)
    assert book.read(rows, mark) >= mark
    assert rows.total == 12


def test_a_row_is_settled_once(opened: Opening) -> None:
    slow, fast = opened(), opened()
    slow.add([Proposal(A, "default", 20)], after=0)
    fast.settle(A, 0, [row(1.0)] * 10)
    fast.settle(A, 10, [row(0.5)] * 3)
    slow.settle(A, 0, [row(0.0)] * 10)
    slow.settle(A, 10, [row(0.0)] * 10)
    rows = Rows(20)
    fast.read(rows)
    assert rows.scores(A).tolist() == [1.0] * 10 + [0.5] * 3 + [0.0] * 7
    with pytest.raises(AssertionError, match="gaps"):
        fast.settle(A, 21, [row(0.0)])


def test_rounds_are_added_by_one_worker(opened: Opening) -> None:
    book, other = opened(), opened()
    assert book.add([Proposal(A, "default", 20)], after=0)
    assert not other.add([Proposal(B, "default", 20)], after=0)
    assert other.add([Proposal(B, "default", 20, A)], after=1)
    assert [task.proposal.point for task in book.tasks()] == [A, B]


def test_tasks_are_taken_once_in_their_order_and_end_once(opened: Opening) -> None:
    book, other = opened(), opened()
    book.add([Proposal(A, "default", 20), Proposal(B, "random", 20), Proposal(C, "random", 20)], after=0)
    assert [task.number for task in book.take(2)] == [0, 1]
    assert [task.number for task in other.take(5)] == [2]
    assert book.take() == ()
    book.finish(0, "raced out")
    other.finish(0, "done")
    book.release(1)
    assert [task.number for task in other.take()] == [1]
    other.finish(2, "over budget")
    assert [(task.taken, task.ending) for task in book.tasks()] == [
        (False, "raced out"), (True, None), (False, "over budget"),
    ]  # fmt: skip


def test_who_leaves_gives_its_tasks_back(opened: Opening) -> None:
    book = opened()
    book.add([Proposal(A, "default", 20)], after=0)
    other = opened()
    assert other.take()
    assert book.leads()
    assert not other.leads()
    die(other)
    other.worker.close()
    assert [task.number for task in book.take()] == [0]


def test_tasks_of_a_worker_elsewhere_are_free_after_its_lease(opened: Opening) -> None:
    lost = opened(elsewhere=True)
    lost.add([Proposal(A, "default", 20)], after=0)
    lost.take()
    die(lost)
    book = opened(lease=0.3)
    assert book.take() == ()
    until = time.monotonic() + 10
    while not (taken := book.take()):
        assert time.monotonic() < until
        time.sleep(0.02)
    assert taken[0].number == 0
    assert book.leads()


def test_who_was_taken_for_dead_and_was_not_enters_anew(opened: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    asleep = opened(elsewhere=True)
    asleep.add([Proposal(A, "default", 20)], after=0)
    asleep.take()
    was = asleep.worker.number
    book = opened()
    monkeypatch.setattr("pnyx.runtime.search.book.leases.is_gone", lambda process: process.startswith("another"))
    book.worker._sweep()
    assert numbers(book, taken=False) == [0]
    assert [task.number for task in asleep.take()] == [0]
    assert asleep.worker.number > was


def test_the_first_decision_counts(opened: Opening) -> None:
    book, other = opened(), opened()
    assert book.decided("end") is None
    assert book.decide("end", {"why": "budget", "é": [1, 2.5, None]}) == {"why": "budget", "é": [1, 2.5, None]}
    assert other.decide("end", "nothing more") == {"why": "budget", "é": [1, 2.5, None]}
    assert other.decided("end")["why"] == "budget"
    assert other.decide("winner", 3) == 3


def test_the_clock_goes_while_somebody_is_at_work(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return now

    monkeypatch.setattr("pnyx.runtime.search.book.worker.time", Clock)
    monkeypatch.setattr("pnyx.runtime.search.book.worker._BEAT_SECONDS", 1000.0)

    def opened_book() -> Book:
        return open_book(place, "best", {}, lease=10_000.0)

    first = opened_book()
    now += 10
    second = opened_book()
    assert (first.seconds, second.seconds) == (10.0, 0.0)  # nobody has said since that it was at work
    now += 5
    first.decide("a", 1)
    second.decide("b", 1)
    assert first.seconds == second.seconds == 15.0
    first.close()
    now += 5
    second.close()
    now += 100  # nobody was there
    with opened_book() as third:
        assert third.seconds == 20.0
        now += 1
        assert third.seconds == 21.0


points = st.lists(st.tuples(st.text(max_size=5), st.integers(0, 9)), max_size=4).map(tuple)


@settings(max_examples=10, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.sampled_from(["settle", "read"]), points, st.integers(1, 12)), max_size=10)
)
def test_workers_agree_whatever_the_order(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str, Point, int]]
) -> None:
    """Each settles, from what it saw last on, and reads now and then; at the end all see the same."""
    place = str(tmp_path_factory.mktemp("book") / "search.sqlite")
    with open_book(place, "best", {}) as one, open_book(place, "best", {}) as other:
        books, seen, marks = (one, other), (Rows(10_000), Rows(10_000)), [0, 0]
        for number, (who, what, point, count) in enumerate(steps):
            if what == "read":
                marks[who] = books[who].read(seen[who], marks[who])
                continue
            books[who].add([Proposal(point, "random", 10)], after=len(books[who].tasks()))
            books[who].settle(point, seen[who].count(point), [row(float(number))] * count)
        for who in (0, 1):
            books[who].read(seen[who], marks[who])
        assert list(seen[0]) == list(seen[1])
        assert all(list(seen[0].settled(p)) == list(seen[1].settled(p)) for p in seen[0])
