"""What configurations share through the call store changes no row, and is drawn once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest
from search.searches import PROGRAM, search, write_program

from pnyx.runtime.engines.simulated import SimulatedEngine
from pnyx.runtime.request import Request, Response
from pnyx.runtime.search import course
from pnyx.runtime.search.algorithms import Choice
from pnyx.runtime.search.results import SearchResult
from pnyx.runtime.search.rows import Rows
from pnyx.runtime.search.space import Point
from pnyx.runtime.search.strategy import Proposal, Standing, Stop

VOTES = (
    PROGRAM.replace("tune(small, big), n = tune(1, 2, 4)", "small, n = tune(4, 8)")
    .replace("60k", "1M")
    .replace("search best {", "search best {\n    held out = 0")
)


class OneByOne:
    """Every point is asked everything before the next one is; `order` of the options of the one choice."""

    def __init__(self, name: str, order: tuple[int, ...]) -> None:
        self._points: list[Point] = [((name, option),) for option in order]

    def next(self, rows: Rows, pending: Collection[Point]) -> tuple[Proposal, ...] | Stop:
        left = [point for point in self._points if point not in rows]
        return (Proposal(left[0], "random", rows.questions),) if left else Stop("everything was asked")

    def standings(self, rows: Rows) -> tuple[Standing, ...]:
        return tuple(Standing(point, 0.5, 0.1) for point in rows)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_program(tmp_path, VOTES)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[tuple[int, int]]]:
    """Of each prompt the requests: the first sample that is wanted, and how many."""
    complete = SimulatedEngine.complete
    requests: dict[str, list[tuple[int, int]]] = defaultdict(list)

    async def noted(engine: SimulatedEngine, request: Request) -> Response:
        requests[request.messages[-1].content].append((request.first, request.n))
        return await complete(engine, request)

    monkeypatch.setattr(SimulatedEngine, "complete", noted)
    return requests


def ask_in(order: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Choice("one by one", OneByOne("answer.generate.n", order))
    monkeypatch.setattr(course, "choose", lambda subject, budget: chosen)


def scores(result: SearchResult) -> dict[str, tuple[float | None, ...]]:
    return {dict(c.choices)["answer.generate.n"]: c.scores for c in result.configurations}


def test_eight_after_four_draw_four_more(
    path: Path, drawn: dict[str, list[tuple[int, int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_in((0, 1), monkeypatch)
    result = search(path)
    assert len(drawn) == result.questions == 50
    assert all(sorted(requests) == [(0, 4), (4, 4)] for requests in drawn.values())
    assert result.budget.charged.samples == 8 * 50
    assert result.virtual.samples == (4 + 8) * 50


def test_four_after_eight_draw_nothing(
    path: Path, drawn: dict[str, list[tuple[int, int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_in((1, 0), monkeypatch)
    result = search(path)
    assert all(requests == [(0, 8)] for requests in drawn.values())
    assert result.budget.charged.samples == 8 * 50


def test_rows_are_those_of_a_search_that_shares_nothing(
    path: Path, drawn: dict[str, list[tuple[int, int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_in((0, 1), monkeypatch)
    shared = search(path)
    drawn.clear()
    ask_in((1, 0), monkeypatch)
    alone = search(path, store="none", storage=str(path.with_name("alone.db")))
    assert all(sorted(requests) == [(0, 4), (0, 8)] for requests in drawn.values())
    assert scores(shared) == scores(alone)
    assert 0 < sum(filter(None, scores(shared)["8"])) < 50
    assert [c.cost and c.cost.tokens for c in shared.configurations] == [
        c.cost and c.cost.tokens for c in reversed(alone.configurations)
    ]


def test_an_engine_whose_samples_depend_on_their_number_gives_other_rows(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the test above would see it."""
    complete = SimulatedEngine.complete

    async def dependent(engine: SimulatedEngine, request: Request) -> Response:
        return await complete(engine, replace(request, seed=request.seed + request.n))

    monkeypatch.setattr(SimulatedEngine, "complete", dependent)
    ask_in((0, 1), monkeypatch)
    shared = search(path)
    alone = search(path, store="none", storage=str(path.with_name("alone.db")))
    assert scores(shared)["4"] == scores(alone)["4"]
    assert scores(shared)["8"] != scores(alone)["8"]
