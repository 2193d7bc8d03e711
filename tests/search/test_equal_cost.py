"""A baseline that is closed to take what the winner takes: by what both took, not by what was predicted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from math import log
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search.searches import PROGRAM, halving, search, write_program
from search.spaces import MODELS, program

from pnyx.compiler.plan import Plan
from pnyx.runtime.benchmarks import Problem
from pnyx.runtime.errors import BudgetReached
from pnyx.runtime.search.book.book import Book
from pnyx.runtime.search.confirm import Contestant, confirm
from pnyx.runtime.search.equal_cost import Candidates, candidates_of
from pnyx.runtime.search.evaluate import Evaluator
from pnyx.runtime.search.results import Closed, Confirmation, Confirmed
from pnyx.runtime.search.rows import Settled
from pnyx.runtime.search.space import Point
from pnyx.runtime.search.spaces.program_space import ProgramSpace

__all__ = ["halving"]

TEXT = f"""{MODELS}
pipeline winner(query) {{ query |> generate(large, n = 3) |> extract(number) |> vote }}
pipeline single(query) {{ query |> generate(small, max_tokens = 64) }}
pipeline voting(query) {{
    query
    |> generate(small, n = tune(1..32), temperature = tune(0.2, 0.5, 0.8, default = 0.5), max_tokens = 64)
    |> extract(number)
    |> vote
}}
"""
MADE = program(TEXT)
VOTING = ProgramSpace(MADE, ["voting"])
N = "voting.generate.n"
Take = Callable[[int, int], float]
"""Tokens of a question, by how many samples and which question."""


def voting() -> Candidates:
    found = candidates_of(VOTING, "tokens")
    assert found is not None
    return found


def samples(point: Point) -> int:
    return dict(point)[N] + 1


# Candidates --------------------------------------------------------------------------------------


def test_candidates_differ_in_what_they_take_alone() -> None:
    found = voting()
    assert [samples(point) for point in found.points] == list(range(1, 33))
    assert {dict(point)["voting.generate.temperature"] for point in found.points} == {1}
    assert list(found.predicted) == sorted(found.predicted)


@given(st.floats(0, 300), st.floats(1, 300), st.floats(0.5, 10_000))
def test_nearest_is_found_however_wrong_the_prediction(once: float, each: float, target: float) -> None:
    found, shares = voting(), dict[Point, float]()
    while (point := found.nearest(shares)) not in shares:
        shares[point] = (once + each * samples(point)) / target
    best = min(abs(log((once + each * n) / target)) for n in range(1, 33))
    assert abs(log(shares[point])) <= best + 0.05
    assert len(shares) <= 4
    assert samples(next(iter(shares))) == 1


def test_a_step_that_gains_nothing_is_not_asked() -> None:
    found = voting()
    one, near, nearer = found.points[0], found.points[19], found.points[20]
    assert found.nearest({one: 0.05, near: 0.98}) == near
    assert found.nearest({one: 0.05, near: 0.90}) != near
    assert found.nearest({one: 0.05, near: 0.98, nearer: 1.01}) == nearer


# Confirming --------------------------------------------------------------------------------------


class Notes:
    """A book in which only decisions stand."""

    def __init__(self) -> None:
        self.said: dict[str, Any] = {}

    def decided(self, name: str) -> Any:
        return self.said.get(name)

    def decide(self, name: str, value: Any) -> Any:
        return self.said.setdefault(name, value)


class Answering:
    """Answers every question at once, for so many tokens in all; `score` of each."""

    def __init__(self, take: Take, ours: Take, budget: float = float("inf"), score: float = 1.0) -> None:
        self.take, self.ours, self.left, self.score = take, ours, budget, score
        self.asked: list[tuple[str, int, int]] = []

    async def ask(self, plan: Plan, problems: Sequence[Problem]) -> tuple[Settled, ...]:
        n = max(getattr(node.operator, "n", 1) for node in plan.everywhere())
        take = self.ours if plan.pipeline == "winner" else self.take
        rows = [Settled(self.score, (1.0, n, take(n, int(p.question)), 0.0, 0.0)) for p in problems]
        if (total := sum(row.spent[2] for row in rows)) > self.left:
            raise BudgetReached("the budget is spent")
        self.left -= total
        self.asked.append((plan.pipeline, n, int(problems[0].question)))
        return tuple(rows)


def confirmed(answering: Answering, book: Notes | None = None, questions: int = 60) -> Confirmation:
    problems = [Problem(place=f"q:{i}", asked=str(i), question=str(i)) for i in range(questions)]
    fixed = [
        Contestant(role=role, choices=(), plan=MADE.compile(name))  # type: ignore[arg-type]
        for role, name in (("winner", "winner"), ("baseline", "single"))
    ]
    notes = cast(Book, book or Notes())
    return asyncio.run(confirm([*fixed, voting()], problems, cast(Evaluator, answering), 0, notes))


def baseline(found: Confirmation) -> tuple[Confirmed, int]:
    last = found.pipelines[-1]
    assert last.pipeline == "voting"
    return last, int(dict(last.choices)[N])


def affine(once: float, each: float) -> Take:
    return lambda n, question: once + each * n


def test_measured_tokens_close_it() -> None:
    """As in a search with a real model, where a prediction gave it 16 samples."""
    found = confirmed(Answering(affine(39, 27.7), affine(301, 0)))
    closed, n = baseline(found)
    assert n == 9
    assert closed.closed == Closed("tokens", pytest.approx((39 + 27.7 * 9) / 301), 30)
    assert closed.cost.tokens == pytest.approx(39 + 27.7 * 9)
    assert [len(p.scores) for p in found.pipelines] == [60, 60, 60]


def test_never_fewer_than_there_are() -> None:
    closed, n = baseline(confirmed(Answering(affine(0, 100), affine(3, 0))))
    assert n == 1
    assert closed.closed == Closed("tokens", pytest.approx(100 / 3), 30)


def test_a_winner_that_takes_nothing() -> None:
    closed, n = baseline(confirmed(Answering(affine(0, 100), affine(0, 0))))
    assert (n, closed.closed) == (1, Closed("tokens", None, 30))


def test_scores_have_no_part_in_it() -> None:
    asked = []
    for score in (0.0, 1.0):
        answering = Answering(affine(39, 27.7), affine(301, 0), score=score)
        confirmed(answering)
        asked.append(answering.asked)
    assert asked[0] == asked[1]


def test_more_questions_may_close_it_otherwise() -> None:
    """The first ten happen to be short with the winner; all that it is closed to has answered all of them."""
    ours: Take = lambda n, question: 100.0 if question < 10 else 400.0  # noqa: E731
    answering = Answering(affine(0, 10), ours)
    closed, n = baseline(confirmed(answering))
    tried = list(dict.fromkeys(n for name, n, _ in answering.asked if name == "voting"))
    assert tried == [1, 5, 10, 25, 30]
    assert n == 30
    assert closed.closed == Closed("tokens", 1.0, 30)
    assert len(closed.scores) == 60


def test_the_same_rows_close_it_alike() -> None:
    """After every kill: the book is what it was up to some decision."""
    whole, book = Answering(affine(39, 27.7), affine(301, 0)), Notes()
    expected = confirmed(whole, book)
    for kept in range(0, len(book.said), 3):
        again = Notes()
        again.said = dict(list(book.said.items())[:kept])
        resumed = Answering(affine(39, 27.7), affine(301, 0))
        assert confirmed(resumed, again) == expected
        assert len(resumed.asked) == len(whole.asked) - kept
        assert again.said == book.said


@pytest.mark.parametrize(
    ("budget", "questions", "closed", "share"),
    [(4000, 0, 1, None), (5000, 10, 1, 0.22), (7000, 10, 5, 0.59), (9500, 10, 9, 0.96), (30_000, 40, 9, 0.96)],
)
def test_a_budget_that_ends_leaves_all_at_equally_many(
    budget: float, questions: int, closed: int, share: float | None
) -> None:
    answering = Answering(affine(39, 27.7), affine(301, 0), budget)
    found = confirmed(answering)
    assert (found.complete, answering.left >= 0) == (False, True)
    assert [len(p.scores) for p in found.pipelines] == [questions] * 3
    voted, n = baseline(found)
    assert n == closed
    assert (voted.closed and voted.closed.share) == (share and pytest.approx(share, abs=0.005))


# In a search -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("halving")
@pytest.mark.parametrize("budget", ["200k tokens", "2000 calls"])
def test_a_search_closes_it_by_tokens(budget: str, tmp_path: Path) -> None:
    """Its winner may reply with 512 tokens, and replies with about as many as the others."""
    text = PROGRAM.replace("n = tune(1, 2, 4), temperature = 0.8, max_tokens = 64", "n = 4, max_tokens = 512")
    path = write_program(tmp_path, text.replace("60k tokens", budget).replace("1..8", "1..64"))
    results = [
        search(path, store=store, storage=str(tmp_path / f"{store}.db"), budget=[budget])
        for store in ("calls.db", "none")
    ]
    for result in results:
        assert result.confirmation is not None
        winner, closed = result.confirmation.pipelines[0], result.confirmation.pipelines[-2]
        assert closed.pipeline == "voting"
        assert closed.closed is not None
        assert closed.closed.kind == "tokens"
        assert closed.closed.share == pytest.approx(closed.cost.tokens / winner.cost.tokens)
        assert 0.85 < closed.closed.share < 1.15
    choices = [r.confirmation and r.confirmation.pipelines[-2].choices for r in results]
    assert choices[0] == choices[1]
