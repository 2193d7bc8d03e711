"""A search from its beginning to its result, on the simulated engine."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from search.searches import PROGRAM, ROWS, Killed, halving, killing, search, write_program

import pnyx
from pnyx.runtime.engines.simulated import SimulatedEngine
from pnyx.runtime.errors import EngineFailure
from pnyx.runtime.request import Request, Response
from pnyx.runtime.search.course import Course
from pnyx.runtime.search.evaluate import Evaluator
from pnyx.runtime.search.failures import NotAnswered
from pnyx.runtime.search.results import SearchResult
from pnyx.runtime.search.search import Progress, Watch

__all__ = ["halving"]

pytestmark = pytest.mark.usefixtures("halving")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_program(tmp_path)


def same(one: SearchResult, other: SearchResult) -> bool:
    """Everything but the clock and what was really drawn."""

    def bare(result: SearchResult) -> object:
        still = [
            replace(c, cost=c.cost and replace(c.cost, seconds=0.0), near_best=None) for c in result.configurations
        ]
        confirmed = result.confirmation and [(p.role, p.digest, p.scores) for p in result.confirmation.pipelines]
        rounds = [(r.rows, r.incumbent, r.mean, r.configurations, r.raced_out) for r in result.history]
        return still, confirmed, result.winner, result.stopped, rounds

    return bare(one) == bare(other)


def test_a_search_and_what_it_says(path: Path) -> None:
    heard: list[Progress] = []
    result = search(path, watch=heard.append)
    assert result.complete
    assert (result.algorithm, result.stopped, result.benchmark) == ("halving", "everything was asked", "sums")
    assert len(result.configurations) == 6
    assert result.best is not None
    assert dict(result.best.choices)["answer.generate.model"] == "big"
    assert len(result.best.scores) == result.questions
    assert result.questions + result.held_out == len(ROWS)
    assert result.estimated is not None
    assert result.confirmation is not None
    assert [p.role for p in result.confirmation.pipelines] == ["winner", "defaults", "baseline", "baseline"]
    assert {len(p.scores) for p in result.confirmation.pipelines} == {result.held_out}
    assert [g.against for g in result.confirmation.gains] == [1, 2, 3]
    assert result.budget.charged.tokens <= result.budget.limits["tokens"] == 60_000
    assert 0 < result.budget.confirming.tokens < result.budget.charged.tokens
    assert result.virtual.tokens > result.budget.charged.tokens - result.budget.confirming.tokens
    assert [r.number for r in result.history] == list(range(1, len(result.history) + 1))
    assert [r.rows for r in result.history] == sorted({r.rows for r in result.history})
    assert {progress.phase for progress in heard} == {"searching", "confirming"}
    assert SearchResult.from_data(json.loads(json.dumps(result.to_data()))) == result


def test_a_baseline_with_choices_costs_what_the_winner_does(path: Path) -> None:
    result = search(path)
    assert result.best is not None
    assert result.best.cost is not None
    assert result.confirmation is not None
    voting = result.confirmation.pipelines[2]
    assert voting.pipeline == "voting"
    assert voting.closed is not None
    assert voting.closed.share == pytest.approx(1, abs=0.25)
    assert dict(voting.choices)["voting.generate.n"] == dict(result.best.choices)["answer.generate.n"]


def test_the_same_search_again_asks_nothing(path: Path) -> None:
    first = search(path)
    again = search(path, store="none")
    assert same(first, again)
    assert again.budget.charged.tokens == first.budget.charged.tokens
    assert again.workers == 2


def test_sharing_changes_no_row(path: Path, tmp_path: Path) -> None:
    shared = search(path, budget=["1M tokens"])
    alone = search(path, store="none", storage=str(tmp_path / "alone.db"), budget=["1M tokens"])
    assert same(shared, alone)
    assert shared.budget.charged.tokens < alone.budget.charged.tokens


@pytest.mark.parametrize(("every", "before"), [(4, False), (5, True)])
def test_killed_at_every_change_it_goes_on_as_if_it_had_not_been(path: Path, every: int, before: bool) -> None:
    whole = search(path, storage=str(path.with_name("whole.db")), store="whole-calls.db")
    kills = 0
    while True:
        try:
            with killing(every, before=before):
                result = search(path)
        except Killed:
            kills += 1
        else:
            break
    assert kills >= 3
    assert same(whole, result)
    assert result.budget.charged.tokens == whole.budget.charged.tokens


def test_a_search_that_is_told_to_end_goes_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = search(path, storage=str(path.with_name("whole.db")), store="whole-calls.db")
    ended = search_until(path, blocks=9, monkeypatch=monkeypatch)
    assert not ended.complete
    assert ended.confirmation is None
    assert (ended.stopped, ended.unconfirmed) == ("it was told to end", "the search is not over")
    assert 0 < sum(len(c.scores) for c in ended.configurations) < sum(len(c.scores) for c in whole.configurations)
    assert same(whole, search(path))


def test_a_confirmation_that_is_told_to_end_goes_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = search(path, storage=str(path.with_name("whole.db")), store="whole-calls.db")
    blocks = sum(-(-len(c.scores) // 10) for c in whole.configurations)
    ended = search_until(path, blocks=blocks + 1, monkeypatch=monkeypatch)
    assert (ended.complete, ended.confirmation) == (False, None)
    assert ended.stopped == whole.stopped
    assert same(whole, search(path))


def search_until(path: Path, blocks: int, monkeypatch: pytest.MonkeyPatch) -> SearchResult:
    """Is told to end when so many blocks were asked."""
    running: list[Course] = []
    run, ask, asked = Course.run, Evaluator.ask, 0

    async def noted(course: Course, watch: Watch) -> SearchResult:
        running.append(course)
        return await run(course, watch)

    async def counted(*arguments: object) -> object:
        nonlocal asked
        asked += 1
        if asked == blocks:
            running[0].drain()
        return await ask(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Course, "run", noted)
        patch.setattr(Evaluator, "ask", counted)
        return search(path)


def test_an_engine_that_fails_ends_the_search_and_everything_is_kept(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = search(path, storage=str(path.with_name("whole.db")), store="whole-calls.db")
    complete, calls = SimulatedEngine.complete, 0

    async def failing(engine: SimulatedEngine, request: Request) -> Response:
        nonlocal calls
        calls += 1
        if calls == 100:
            raise EngineFailure("the engine is gone", help="start it again")
        return await complete(engine, request)

    with monkeypatch.context() as patch:
        patch.setattr(SimulatedEngine, "complete", failing)
        with pytest.raises(NotAnswered, match="the engine is gone") as caught:
            search(path)
    assert caught.value.code == "R807"
    assert caught.value.place is not None
    assert same(whole, search(path))


def test_a_budget_that_ends_leaves_a_winner_that_is_confirmed(path: Path) -> None:
    result = search(path, budget=["130 calls"])
    assert result.complete
    assert result.stopped.startswith("the budget for searching is spent")
    assert result.budget.charged.calls <= 130
    searching = result.budget.charged.calls - result.budget.confirming.calls
    assert searching <= (1 - result.budget.kept) * 130
    assert result.confirmation is not None
    assert len(result.confirmation.pipelines[0].scores) >= 10
    more = search(path)
    assert more.stopped == "everything was asked"
    assert more.budget.charged.tokens <= 60_000


def test_a_confirmation_that_the_budget_ends_keeps_all_at_equal_questions(path: Path) -> None:
    write_program(path.parent, PROGRAM.replace("search best {", "search best {\n    held out = 0.45"))
    result = search(path, budget=["150 calls"], storage=str(path.with_name("b.db")), store="none")
    assert result.confirmation is not None
    assert not result.confirmation.complete
    assert len({len(p.scores) for p in result.confirmation.pipelines}) == 1
    assert len(result.confirmation.pipelines[0].scores) < result.held_out
    assert result.budget.charged.calls <= 150


def test_budgets_are_never_exceeded(path: Path) -> None:
    random = Random(1)
    for number in range(6):
        kind, amount = random.choice([("tokens", 20_000), ("calls", 150), ("samples", 400)])
        limit = int(amount * random.uniform(0.6, 2))
        settings = {"storage": str(path.with_name(f"{number}.db")), "budget": [f"{kind}={limit}"]}
        result = search(path, store=random.choice(["none", f"calls{number}.db"]), **settings)
        assert getattr(result.budget.charged, kind) <= limit
        assert result.budget.charged.tokens <= 60_000


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "journal"])
def test_several_processes_take_part(path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    place = {"sqlite": str(path.with_name("s.db")), "journal": f"journal:{path.with_name('s.log')}"}.get(kind)
    place = place or str(request.getfixturevalue("database"))

    async def both() -> list[SearchResult]:
        program = pnyx.load(path)
        store = str(path.with_name("calls.db"))
        return await asyncio.gather(
            program.asearch(engine="simulated", store=store, storage=place),
            program.asearch(engine="simulated", store=store, storage=place),
        )

    first, second = asyncio.run(both())
    assert first.complete
    assert first.confirmation is not None
    assert (second.winner, second.confirmation) == (first.winner, first.confirmation)
    final = search(path, storage=place)
    assert final.confirmation == first.confirmation
    whole = search(path, storage=str(path.with_name("whole.db")), store="whole-calls.db")
    theirs = {c.point: c.scores for c in whole.configurations}
    for configuration in final.configurations:
        both = min(len(configuration.scores), len(theirs[configuration.point]))
        assert configuration.scores[:both] == theirs[configuration.point][:both]
    assert final.winner is not None
    assert final.budget.charged.tokens <= 60_000


def test_the_kept_seconds_are_for_the_confirmation(path: Path) -> None:
    result = search(path, budget=["60 s"])
    assert result.budget.limits == {"tokens": 60_000, "seconds": 60}
    assert result.seconds < 60


def test_a_real_kill(path: Path) -> None:
    """SIGKILL, three times, when some more rows are in the book."""
    whole = search(path, storage=str(path.with_name("whole.db")), store="whole-calls.db")
    script = (
        "import sys; from search import searches; from search.searches import *\n"
        "from pnyx.runtime.search import course\n"
        "course.choose = lambda subject, budget: Choice('halving', Halving(subject))\n"
        "search(Path(sys.argv[1]))"
    )
    book = path.with_name("p.best.search.db")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    for least in (20, 50, 90):
        process = subprocess.Popen([sys.executable, "-c", script, str(path)], env=environment)
        while rows_in(book) < least and process.poll() is None:
            time.sleep(0.01)
        process.kill()
        process.wait()
    result = search(path)
    assert same(whole, result)
    assert result.workers > 1
    assert result.budget.charged.tokens <= 60_000


def rows_in(book: Path) -> int:
    if not book.exists():
        return 0
    with suppress(sqlite3.Error), closing(sqlite3.connect(book)) as database:
        return int(database.execute("SELECT count(*) FROM pnyx_search_rows").fetchone()[0])
    return 0
