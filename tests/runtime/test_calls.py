"""Sessions with a store and with limits: nothing is drawn twice, nothing shows in the results, nothing is exceeded."""

from __future__ import annotations

import asyncio
import gc
import math
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import ScriptedEngine, ask, in_turn, plan_of, prompt_of, sample
from test_interpreter import layered, world

from pnyx.compiler.operators import Reads
from pnyx.compiler.plan import Plan
from pnyx.runtime.budgets import Limits
from pnyx.runtime.calls import Answer, Order
from pnyx.runtime.engines.simulated import SimulatedEngine
from pnyx.runtime.errors import BudgetReached, EngineFailure, RuntimeFailure, StoreFailure
from pnyx.runtime.example import RunningExample
from pnyx.runtime.interpreter import Execution
from pnyx.runtime.request import Message, Request, Response
from pnyx.runtime.results import Result
from pnyx.runtime.rows import Row
from pnyx.runtime.scheduling import Ticket
from pnyx.runtime.session import Session
from pnyx.runtime.store import CallStore, open_backend
from pnyx.runtime.store.backend import Row as StoredRow
from pnyx.runtime.store.sqlite import SqliteBackend


def rows(n: int, same: int = 1) -> Iterator[Row]:
    return (Row(i + 1, f"question {i // same}", id=i) for i in range(n))


def echo(request: Request) -> str:
    return f"{prompt_of(request)} {{seed}}"


def store_at(folder: Path) -> CallStore:
    return CallStore(open_backend(str(folder / "calls.sqlite")))


async def collect(session: Session, items: Iterator[Row]) -> list[Result]:
    async with asyncio.timeout(30):
        return [result async for result in session.map(items)]


async def until_stopped(session: Session, items: Iterator[Row]) -> tuple[list[Result], str]:
    """The results that came, and why no more did."""
    results: list[Result] = []
    try:
        async with asyncio.timeout(30):
            async for result in session.map(items):
                results += [result]
    except RuntimeFailure as failure:
        return results, f"{failure.code}: {failure.message}"
    return results, ""


def written(results: list[Result]) -> list[str]:
    return [result.to_json(measured=False) for result in results]


CHAIN = plan_of((sample(4, joined=True), (0,)), (ask(into="x"), (0, 1)), (ask(into="s", reads=Reads.YES), (0, 2)))


def answer(request: Request) -> str | tuple[float, float]:
    return (0.5, 0.25) if request.choices else echo(request)


async def test_neither_window_nor_store_shows_in_the_results(tmp_path: Path) -> None:
    runs = []
    for number, (window, engine_window, stored) in enumerate(
        [(1, 1, False), (8, 5, False), (256, 64, True), (8, 64, True), (1, 1, True)]
    ):
        engine = ScriptedEngine(world, window=engine_window, delay=lambda r: (r.seed % 3) / 2000)
        folder = tmp_path / str(number // 4)  # the fourth run finds what the third one stored
        async with store_at(folder) as store:
            session = Session(layered(), {"m": engine}, window=window, store=store if stored else None)
            runs.append(written(await collect(session, rows(12, same=2))))
    assert all(run == runs[0] for run in runs)


async def test_what_is_stored_is_not_drawn_again(tmp_path: Path) -> None:
    engine = ScriptedEngine(answer)
    for cached in (0, 9):
        async with store_at(tmp_path) as store:
            (result,) = await collect(Session(CHAIN, {"m": engine}, store=store), rows(1))
        assert len(engine.requests) == 9
        assert (result.usage.calls, result.usage.cached_calls) == (9, cached)
    assert result.usage.cached_samples == result.usage.samples == 8
    assert result.usage.cached_tokens == result.usage.prompt_tokens + result.usage.generated_tokens


async def test_raising_n_draws_what_is_missing(tmp_path: Path) -> None:
    engine = ScriptedEngine(echo)
    results = []
    for n in (4, 8, 6):
        async with store_at(tmp_path) as store:
            session = Session(plan_of((sample(n, joined=True), (0,))), {"m": engine}, store=store)
            results += await collect(session, rows(1))
    assert [(r.first, r.n) for r in engine.requests] == [(0, 4), (4, 4)]
    four, eight, six = ([c["text"] for c in r.candidates] for r in results)
    assert (eight[:4], eight[:6], len(set(eight))) == (four, six, 8)
    assert [r.usage.cached_samples for r in results] == [0, 4, 6]


def wanting(*wanted: bool) -> Plan:
    """A sample whose log-probabilities are shown, or are read by nobody."""
    return plan_of((sample(4, joined=True), (0,)), *([] if wanted == (True,) else [(ask(), (0, 1))]))


async def test_samples_with_log_probabilities_serve_who_wants_none(tmp_path: Path) -> None:
    engine = ScriptedEngine(echo)
    for plan in (wanting(True), wanting(False)):
        async with store_at(tmp_path) as store:
            await collect(Session(plan, {"m": engine}, store=store), rows(1))
    assert [(r.n, r.logprobs) for r in engine.requests] == [(4, True), (1, True), (1, True), (1, True), (1, True)]


async def test_samples_without_log_probabilities_do_not_serve_who_wants_them(tmp_path: Path) -> None:
    """Who wants none then keeps what was drawn first."""
    drawn = iter(range(99))
    engine = ScriptedEngine(lambda _: f"text {next(drawn)} {{k}}")
    asked = Request(messages=(Message("user", "Q?"),), n=2, logprobs=False)
    seen = []
    for request in (asked, replace(asked, logprobs=True), asked, replace(asked, n=3), replace(asked, n=3)):
        async with store_at(tmp_path) as store:
            session = Session(wanting(True), {"m": engine}, store=store)
            outcome: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            session._calls.submit("m", request, None, outcome.set_result)
            seen.append((await outcome).response.samples)  # type: ignore[attr-defined]
    assert [[s.text for s in samples] for samples in seen] == [
        ["text 0 0", "text 0 1"],
        ["text 1 0", "text 1 1"],
        ["text 0 0", "text 0 1"],
        ["text 0 0", "text 0 1", "text 2 2"],
        ["text 0 0", "text 0 1", "text 2 2"],
    ]
    assert all(bool(s.logprobs) == (number == 1) for number, samples in enumerate(seen) for s in samples)


async def test_what_is_not_drawn_has_one_key(tmp_path: Path) -> None:
    engine = ScriptedEngine(answer)
    asked = Request(messages=(Message("user", "Q?"),), choices=("Yes", "No"))
    for request in (asked, replace(asked, logprobs=False), replace(asked, logprobs=True)):
        async with store_at(tmp_path) as store:
            session = Session(CHAIN, {"m": engine}, store=store)
            outcome: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            session._calls.submit("m", request, None, outcome.set_result)
            await outcome
    assert len(engine.requests) == 1


@pytest.mark.parametrize("stored", [True, False])
async def test_the_two_kinds_in_flight_at_once_are_drawn_apart(tmp_path: Path, stored: bool) -> None:
    engine = ScriptedEngine(echo, delay=lambda _: 0.01)
    asked = Request(messages=(Message("user", "Q?"),))
    async with store_at(tmp_path) as store:
        session = Session(wanting(True), {"m": engine}, store=store if stored else None)
        outcomes = [asyncio.get_running_loop().create_future() for _ in range(2)]
        for wanted, outcome in zip((True, False), outcomes, strict=True):
            session._calls.submit("m", replace(asked, logprobs=wanted), None, outcome.set_result)
        scored, plain = [(await outcome).response.samples[0] for outcome in outcomes]
    assert len(engine.requests) == 2
    assert replace(scored, logprobs=()) == plain != scored


async def test_holes_are_filled(tmp_path: Path) -> None:
    engine = ScriptedEngine(echo)
    async with store_at(tmp_path) as store:
        session = Session(plan_of((sample(3), (0,))), {"m": engine}, store=store)
        base = (await collect(session, rows(1)))[0]
        seed = engine.requests[0].seed
        outcome: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        asked = replace(engine.requests[0], first=0, n=1, seed=seed + 1)  # sample 1 alone: there already
        session._calls.submit("m", asked, None, outcome.set_result)
        await outcome
        assert len(engine.requests) == 3
        wide: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        session._calls.submit("m", replace(asked, seed=seed - 1, n=6), None, wide.set_result)
        got = await wide
    assert [(r.seed, r.first, r.n) for r in engine.requests[3:]] == [(seed - 1, 0, 1), (seed - 1, 4, 2)]
    texts = [s.text for s in got.response.samples]  # type: ignore[attr-defined]
    assert texts[1:4] == [c["text"] for c in base.candidates]
    assert texts == [f"question 0 {seed - 1 + k}" for k in range(6)]


@pytest.mark.parametrize("stored", [True, False])
async def test_the_same_call_in_flight_is_made_once(tmp_path: Path, stored: bool) -> None:
    engine = ScriptedEngine(echo, delay=lambda _: 0.01)
    async with store_at(tmp_path) as store:
        session = Session(plan_of((sample(2, joined=True), (0,))), {"m": engine}, store=store if stored else None)
        results = await collect(session, rows(6, same=3))
    assert len(engine.requests) == 2
    assert sorted(r.usage.cached_calls for r in results) == [0, 0, 1, 1, 1, 1]
    assert results[0].candidates == results[1].candidates == results[2].candidates != results[3].candidates


async def test_who_leaves_takes_the_call_from_nobody() -> None:
    engine = ScriptedEngine(echo, delay=lambda _: 0.02)
    session = Session(plan_of((sample(), (0,))), {"m": engine})
    leaves, stays = (asyncio.create_task(session.run("Q?")) for _ in range(2))
    await asyncio.sleep(0.005)
    leaves.cancel()
    assert (await stays).answer is not None
    assert (len(engine.requests), engine.cancelled) == (1, 0)
    alone = asyncio.create_task(session.run("other"))
    await asyncio.sleep(0.005)
    alone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await alone
    assert (len(engine.requests), engine.cancelled, engine.in_flight) == (2, 1, 0)


async def test_a_failure_reaches_all_who_wait_and_is_not_stored(tmp_path: Path) -> None:
    engine = ScriptedEngine(in_turn([EngineFailure("gone"), "x"]))
    async with store_at(tmp_path) as store:
        session = Session(plan_of((sample(), (0,))), {"m": engine}, store=store)
        failed = await collect(session, rows(2, same=2))
        assert [r.error and r.error.code for r in failed] == ["R807", "R807"]
        assert [r.answer for r in await collect(session, rows(1))] == ["x"]


class _FullDisk(SqliteBackend):
    """Full after so many writes."""

    left = 5

    def write(self, rows: Sequence[StoredRow], used: Sequence[bytes]) -> dict[bytes, bytes]:
        self.left -= len(rows)
        if self.left < 0:
            raise StoreFailure("the disk is full")
        return super().write(rows, used)


async def test_a_store_that_fails_ends_the_run_and_what_is_done_stays(tmp_path: Path) -> None:
    async with CallStore(_FullDisk(tmp_path / "calls.sqlite")) as store:
        session = Session(plan_of((sample(), (0,))), {"m": ScriptedEngine(echo)}, store=store, window=1)
        results, why = await until_stopped(session, rows(20))
    assert why == "E615: the disk is full"
    assert [r.index for r in results] == [0, 1, 2, 3, 4]
    assert asyncio.all_tasks() == {asyncio.current_task()}


# Budgets


@settings(max_examples=40)
@given(st.integers(0, 60), st.sampled_from([1, 4, 64]), st.integers(1, 20))
def test_a_budget_is_never_exceeded_and_what_is_done_is_given(calls: int, window: int, engine_window: int) -> None:
    async def run() -> None:
        engine = ScriptedEngine(answer, window=engine_window)
        session = Session(CHAIN, {"m": engine}, window=window, budget=Limits(calls=calls))
        results, why = await until_stopped(session, rows(5))
        assert len(engine.requests) <= calls
        assert [r.index for r in results] == list(range(len(results)))
        assert all(r.error is None for r in results)
        assert (f"{calls} call" in why) == (calls < 5 * 9)

    asyncio.run(asyncio.wait_for(run(), 20))


async def test_tokens_are_set_aside_at_their_most_and_given_back() -> None:
    plan = plan_of((sample(), (0,)))
    bound = len("question 0") + 8 + 64 + 20
    plan = plan_of((replace(sample(), sampling=replace(sample().sampling, max_tokens=20)), (0,)))
    engine = ScriptedEngine(echo)  # takes 5 tokens a call
    session = Session(plan, {"m": engine}, budget=Limits(tokens=bound + 5 * 7))
    with pytest.raises(BudgetReached):
        await collect(session, rows(50))
    assert len(engine.requests) == 8
    assert engine.most_in_flight == 1  # a second one could have gone past it


async def test_hits_are_free_for_the_run_and_count_for_the_query(tmp_path: Path) -> None:
    async def ask_all(**limits: Limits) -> list[Result]:
        async with store_at(tmp_path) as store:
            return await collect(Session(CHAIN, {"m": ScriptedEngine(answer)}, store=store, **limits), rows(3))

    before = await ask_all(limits=Limits(calls=5))
    assert [r.error and r.error.code for r in before] == ["R821"] * 3
    everything = await ask_all()
    assert written(await ask_all(budget=Limits(calls=0))) == written(everything)
    again = await ask_all(limits=Limits(calls=5))
    assert [r.error for r in again] == [r.error for r in before]
    assert "5 calls" in (again[0].error.message if again[0].error else "")


@pytest.mark.parametrize(
    ("limits", "fits"),
    [
        (Limits(calls=9), True),
        (Limits(calls=8), False),
        (Limits(samples=8), True),
        (Limits(samples=7), False),
        (Limits(tokens=100), False),
        (Limits(tokens=10**6, calls=100), True),
    ],
)
async def test_limits_of_a_query(limits: Limits, fits: bool) -> None:
    (result,) = await collect(Session(CHAIN, {"m": ScriptedEngine(answer)}, limits=limits), rows(1))
    assert (result.error is None) == fits
    if result.error is not None:
        assert (result.error.code, result.error.place is not None) == ("R821", True)


async def test_a_slow_query_ends_and_the_others_go_on() -> None:
    engine = ScriptedEngine(echo, delay=lambda r: 60 if r.priority == 1 else 0)
    results = await collect(Session(plan_of((sample(), (0,))), {"m": engine}, limits=Limits(seconds=0.05)), rows(3))
    assert [r.error and r.error.code for r in results] == [None, "R821", None]
    assert results[1].error
    assert "0.05 seconds" in results[1].error.message
    assert engine.cancelled == 1


async def test_the_time_of_a_run_is_a_budget_too() -> None:
    engine = ScriptedEngine(echo, delay=lambda r: 60 if r.priority == 1 else 0)
    session = Session(plan_of((sample(), (0,))), {"m": engine}, budget=Limits(seconds=0.05))
    results, why = await until_stopped(session, rows(3))
    assert ([r.index for r in results], engine.in_flight) == ([0], 0)
    assert why == "R820: the budget of 0.05 seconds is over"
    assert (await session.run("Q?")).error is not None


async def test_draining_keeps_what_is_under_way(tmp_path: Path) -> None:
    engine = ScriptedEngine(answer, delay=lambda r: 0.02, window=3)
    async with store_at(tmp_path) as store:
        session = Session(plan_of((sample(2), (0,)), (ask(into="x"), (0, 1))), {"m": engine}, store=store)
        async with aclosing(session.map(rows(20))) as results:
            first = await anext(results)
            begun = len(engine.requests)
            session.drain()
            rest = [result async for result in results]
        assert len(engine.requests) == begun  # nothing new was asked
        assert engine.cancelled == 0
        assert [r.index for r in [first, *rest]] == list(range(1 + len(rest)))
    stored = open_backend(str(tmp_path / "calls.sqlite"))
    assert stored.info().records == begun
    stored.close()


@pytest.mark.parametrize("when", ["while it waits", "while it is tried"])
async def test_draining_makes_no_try_again(when: str) -> None:
    """A row whose call failed in passing is not done: the next run makes it."""
    gone = EngineFailure("gone", retryable=True)
    engine = ScriptedEngine(lambda _: gone, delay=lambda _: 0.01)
    session = Session(plan_of((sample(), (0,))), {"m": engine}, backoff=60.0)
    running = asyncio.create_task(collect(session, rows(1)))
    await asyncio.sleep(0.03 if when == "while it waits" else 0.005)
    session.drain()
    assert await asyncio.wait_for(running, 5) == []
    assert len(engine.requests) == 1


async def test_two_runs_that_draw_one_sample_at_once_use_the_one_that_was_kept_first(tmp_path: Path) -> None:
    async with store_at(tmp_path) as store, store_at(tmp_path) as other:
        sessions = [
            Session(plan_of((sample(2), (0,)), (ask(into="x"), (0, 1))), {"m": ScriptedEngine(_Own(name))}, store=where)
            for name, where in (("first", store), ("second", other))
        ]
        results = await asyncio.gather(*(collect(session, rows(6)) for session in sessions))
        assert written(results[0]) == written(results[1])
        third = Session(sessions[0].plan, {"m": ScriptedEngine(_Own("third"))}, store=store)
        assert written(await collect(third, rows(6))) == written(results[0])


class _Own:
    """An engine that never says the same twice, as one on a GPU may."""

    def __init__(self, name: str) -> None:
        self._name, self._count = name, 0

    def __call__(self, request: Request) -> str:
        self._count += 1
        return f"{self._name} {self._count} {prompt_of(request)} {{seed}}"


@pytest.mark.parametrize("stored", [True, False])
async def test_the_simulated_engine_says_the_same_from_a_store(tmp_path: Path, stored: bool) -> None:
    plan: Plan = layered()

    async def ask_all(store: CallStore | None) -> list[str]:
        engine = SimulatedEngine(model="m-7b", latency=0.001 if stored else 0.0)
        return written(await collect(Session(plan, {"m": engine}, store=store), rows(10)))

    expected = await ask_all(None)
    for _ in range(2):
        async with store_at(tmp_path) as store:
            assert await ask_all(store) == expected


async def test_numbers_that_are_none_come_back_from_the_store(tmp_path: Path) -> None:
    class Odd(ScriptedEngine):
        async def complete(self, request: Request) -> Response:
            response = await super().complete(request)
            return replace(response, samples=tuple(replace(s, logprobs=(math.nan,)) for s in response.samples))

    for _ in range(2):
        async with store_at(tmp_path) as store:
            (result,) = await collect(Session(plan_of((sample(), (0,))), {"m": Odd(echo)}, store=store), rows(1))
        assert "logprob" not in result.candidates[0]


async def test_what_is_done_with_is_freed_without_the_garbage_collector() -> None:
    session = Session(CHAIN, {"m": ScriptedEngine(answer)})
    kinds = (Order, RunningExample, Ticket, Execution)
    gc.collect()
    gc.disable()
    try:
        others = {id(o) for o in gc.get_objects() if type(o) in kinds}
        await collect(session, rows(30))
        left = [o for o in gc.get_objects() if type(o) in kinds and id(o) not in others]
        assert left == []
    finally:
        gc.enable()


async def test_a_call_that_was_cancelled_under_way_counts_as_all_that_it_could_have_cost() -> None:
    engine = ScriptedEngine(echo, delay=lambda _: 60)
    session = Session(plan_of((sample(), (0,))), {"m": engine}, budget=Limits(calls=1))
    under_way = asyncio.create_task(session.run("Q?"))
    await asyncio.sleep(0.005)
    under_way.cancel()
    with pytest.raises(asyncio.CancelledError):
        await under_way
    result = await session.run("other")
    assert result.error is not None
    assert result.error.code == "R820"
    assert len(engine.requests) == 1


@pytest.mark.parametrize("worked", [True, False])
@pytest.mark.parametrize("calls", range(1, 8))
async def test_tries_that_an_engine_may_have_worked_on_are_paid(calls: int, worked: bool) -> None:
    """Every other try fails; the budget is of all tries that may have to be paid."""
    paid = 0

    def script(request: Request) -> str | Exception:
        nonlocal paid
        failed = len(engine.requests) % 2 == 1
        paid += worked or not failed
        return EngineFailure("gone", retryable=True, worked=worked) if failed else echo(request)

    engine = ScriptedEngine(script)
    session = Session(plan_of((sample(), (0,))), {"m": engine}, budget=Limits(calls=calls), window=1, backoff=0.0)
    results, why = await until_stopped(session, rows(9))
    assert why.startswith("R820")
    assert paid == calls
    assert len(results) == (calls // 2 if worked else calls)


async def test_a_call_that_fails_for_good_is_paid_where_an_engine_may_have_worked_on_it() -> None:
    engine = ScriptedEngine(lambda _: EngineFailure("no"))
    results, why = await until_stopped(
        Session(plan_of((sample(), (0,))), {"m": engine}, budget=Limits(calls=3), window=1), rows(9)
    )
    assert (len(results), len(engine.requests), why[:4]) == (3, 3, "R820")


async def test_numbers_of_tokens_that_cannot_be_are_a_failure_and_no_hang(tmp_path: Path) -> None:
    class Odd(ScriptedEngine):
        async def complete(self, request: Request) -> Response:
            response = await super().complete(request)
            return replace(response, usage=replace(response.usage, prompt=2**40))

    async with store_at(tmp_path) as store:
        session = Session(plan_of((sample(), (0,))), {"m": Odd(echo)}, store=store, backoff=0.0)
        (result,) = await collect(session, rows(1))
    assert result.error is not None
    assert result.error.message.endswith("gave a number of tokens that cannot be")


async def test_what_the_store_finds_may_end_who_waits_for_the_rest(tmp_path: Path) -> None:
    """Two calls share a stored sample; the one that hears of it gives the other one up, whose own sample nobody wants
    then; later it is asked for anew."""
    plan = plan_of((sample(2), (0,)))
    async with store_at(tmp_path) as store:
        engine = ScriptedEngine(echo)
        session = Session(plan, {"m": engine}, store=store)
        await collect(Session(plan_of((sample(1), (0,))), {"m": engine}, store=store), rows(1))
        calls = session._calls
        request = replace(engine.requests[0], n=1)
        other = calls.submit("m", replace(request, n=2), None, lambda _: None)
        calls.submit("m", request, None, lambda _: other.cancel())
        async with asyncio.timeout(5):
            while calls._flights:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        drawn = len(engine.requests)
        heard: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        calls.submit("m", replace(request, n=2), None, heard.set_result)
        assert isinstance(await asyncio.wait_for(heard, 5), Answer)
        assert len(engine.requests) == drawn + 1
