"""A small program with a search, a strategy that needs nothing, and searches that are killed."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

import pnyx
from pnyx.runtime.search import course
from pnyx.runtime.search.algorithms import Choice
from pnyx.runtime.search.book.book import Book
from pnyx.runtime.search.results import SearchResult
from pnyx.runtime.search.rows import Rows
from pnyx.runtime.search.space import Point
from pnyx.runtime.search.strategy import Proposal, Standing, Stop
from pnyx.runtime.search.subject import Subject

PROGRAM = """model small = "smollm2-135m"
model big = "qwen2.5-72b"

pipeline answer(query) {
    query
    |> generate(tune(small, big), n = tune(1, 2, 4), temperature = 0.8, max_tokens = 64)
    |> extract(number)
    |> vote
}

pipeline voting(query) {
    query
    |> generate(small, n = tune(1..8), temperature = 0.8, max_tokens = 64)
    |> extract(number)
    |> vote
}

pipeline single(query) {
    query
    |> generate(big, max_tokens = 64)
    |> extract(number)
}

benchmark sums {
    data = jsonl("sums.jsonl")
    query = question
    target = answer
    score = numeric
}

search best {
    pipeline = answer
    benchmark = sums
    budget = 60k tokens
    baseline = [voting, single]
}
"""
ROWS = [{"question": f"What is {i} * 37 + {i + 5}?", "answer": i * 37 + i + 5} for i in range(11, 61)]


def write_program(folder: Path, program: str = PROGRAM, rows: Sequence[object] = ROWS) -> Path:
    (folder / "sums.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    path = folder / "p.pnyx"
    path.write_text(program)
    return path


def search(path: Path, store: str = "calls.db", **settings: object) -> SearchResult:
    place = store if store == "none" else str(path.with_name(store))
    program = pnyx.load(path)
    return program.search(engine="simulated", store=place, **settings)  # type: ignore[arg-type]


class Halving:
    """All points on 20 questions, the better half raced against the best one on all others."""

    def __init__(self, subject: Subject) -> None:
        self._points = tuple(subject.space.points())

    def next(self, rows: Rows, pending: Collection[Point]) -> tuple[Proposal, ...] | Stop:
        new = [point for point in self._points if point not in rows]
        if new:
            return tuple(Proposal(point, "random", 20) for point in new[:4])
        ranked = [standing.point for standing in self.standings(rows)]
        if rows.count(ranked[0]) < rows.questions:
            return (Proposal(ranked[0], "incumbent", rows.questions),)
        left = [point for point in ranked[:3] if rows.count(point) <= 20]
        if left:
            return tuple(Proposal(point, "proposed", rows.questions, ranked[0]) for point in left)
        return Stop("everything was asked")

    def standings(self, rows: Rows) -> tuple[Standing, ...]:
        asked = [point for point in rows if rows.count(point)]
        means = {point: float(rows.scores(point)[:20].mean()) for point in asked}
        return tuple(Standing(point, means[point], 0.1) for point in sorted(asked, key=lambda p: -means[p]))


@pytest.fixture
def halving(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(course, "choose", lambda subject, budget: Choice("halving", Halving(subject)))


class Killed(BaseException):
    pass


@contextmanager
def killing(every: int, *, before: bool) -> Iterator[None]:
    """Inside, every so many changes of a book kill the process: before they are made, or right after."""
    changes = 0
    patch = pytest.MonkeyPatch()

    def wrap(name: str) -> None:
        original = getattr(Book, name)

        def changed(*arguments: object) -> object:
            nonlocal changes
            changes += 1
            if before and changes % every == 0:
                raise Killed
            done = original(*arguments)
            if not before and changes % every == 0:
                raise Killed
            return done

        patch.setattr(Book, name, changed)

    for name in ("add", "settle", "finish", "decide"):
        wrap(name)
    try:
        yield
    finally:
        patch.undo()
