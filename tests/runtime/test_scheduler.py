"""The scheduler: the window, who goes first, tries again, cancellation."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import ScriptedEngine, in_turn

from pnyx.runtime.errors import EngineFailure, PromptTooLong
from pnyx.runtime.request import Message, Request
from pnyx.runtime.scheduler import Scheduler


def request(name: str = "x", n: int = 1, priority: int = 0) -> Request:
    return Request(messages=(Message("user", name),), n=n, priority=priority)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3)), min_size=1, max_size=30), st.integers(1, 6))
def test_the_window_is_never_exceeded_and_everyone_is_served(asked: list[tuple[int, int]], window: int) -> None:
    async def run() -> int:
        engine = ScriptedEngine(lambda _: "x", window=window)
        scheduler = Scheduler({"m": engine})
        calls = [scheduler.complete("m", request(n=n, priority=priority)) for n, priority in asked]
        responses = await asyncio.wait_for(asyncio.gather(*calls), 10)
        assert [len(r.samples) for r in responses] == [n for n, _ in asked]
        return engine.most_in_flight

    assert asyncio.run(run()) <= max(window, *(n for n, _ in asked))


async def test_many_small_requests_fill_the_window_and_no_more() -> None:
    engine = ScriptedEngine(lambda _: "x", window=4)
    scheduler = Scheduler({"m": engine, "other": engine})
    await asyncio.gather(*(scheduler.complete(m, request()) for m in ("m", "other") for _ in range(8)))
    assert engine.most_in_flight == 4


async def test_the_lowest_priority_value_goes_first_then_the_first_come() -> None:
    engine = ScriptedEngine(lambda _: "x", window=1)
    scheduler = Scheduler({"m": engine})
    asked = [("first", 9), ("late", 2), ("a", 1), ("b", 1), ("early", 0)]
    await asyncio.gather(*(scheduler.complete("m", request(name, priority=p)) for name, p in asked))
    assert [r.messages[0].content for r in engine.requests] == ["first", "early", "a", "b", "late"]


async def test_a_large_request_is_not_overtaken() -> None:
    engine = ScriptedEngine(lambda _: "x", window=4, delay=lambda r: 0.01 if r.n == 2 else 0)
    scheduler = Scheduler({"m": engine})
    asked = [("a", 2), ("large", 4), *[(f"small{i}", 1) for i in range(6)]]
    await asyncio.gather(*(scheduler.complete("m", request(name, n=n)) for name, n in asked))
    assert [r.messages[0].content for r in engine.requests][:2] == ["a", "large"]


async def test_what_may_be_tried_again_is_tried_three_times() -> None:
    gone = EngineFailure("gone", retryable=True)
    engine = ScriptedEngine(in_turn([gone, gone, "x"]))
    response = await Scheduler({"m": engine}, backoff=0.001).complete("m", request())
    assert (response.samples[0].text, len(engine.requests)) == ("x", 3)
    engine = ScriptedEngine(in_turn([gone, gone, gone, "x"]))
    with pytest.raises(EngineFailure, match="gone"):
        await Scheduler({"m": engine}, backoff=0.001).complete("m", request())
    assert engine.in_flight == 0


async def test_each_wait_is_about_twice_the_one_before_and_differs_by_request(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        if seconds:
            waits.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    for seed, first in ((0, 0), (7, 0), (0, 7)):
        engine = ScriptedEngine(in_turn([EngineFailure("gone", retryable=True)] * 3))
        with pytest.raises(EngineFailure):
            await Scheduler({"m": engine}, backoff=8).complete("m", replace(request(), seed=seed, first=first))
    assert all(6 <= wait <= 10 for wait in waits[::2])
    assert all(12 <= wait <= 20 for wait in waits[1::2])
    assert len({waits[0], waits[2]}) == len({waits[0], waits[4]}) == 2


@pytest.mark.parametrize("failure", [EngineFailure("no"), PromptTooLong("long")])
async def test_what_cannot_succeed_is_not_tried_again(failure: Exception) -> None:
    engine = ScriptedEngine(in_turn([failure]))
    with pytest.raises(type(failure)):
        await Scheduler({"m": engine}, backoff=0.001).complete("m", request())
    assert len(engine.requests) == 1


async def test_a_fault_of_the_engine_becomes_an_engine_failure() -> None:
    engine = ScriptedEngine(in_turn([ZeroDivisionError("oops"), "x"]))
    scheduler = Scheduler({"m": engine})
    with pytest.raises(EngineFailure, match=r"`scripted` failed: ZeroDivisionError: oops") as caught:
        await scheduler.complete("m", request())
    assert caught.value.help
    assert (await scheduler.complete("m", request())).samples[0].text == "x"


async def test_others_run_while_one_waits_to_be_tried_again() -> None:
    engine = ScriptedEngine(in_turn([EngineFailure("gone", retryable=True), "second", "first"]), window=1)
    scheduler = Scheduler({"m": engine}, backoff=0.01)
    first, second = await asyncio.gather(*(scheduler.complete("m", request()) for _ in range(2)))
    assert (first.samples[0].text, second.samples[0].text) == ("first", "second")


async def test_cancelling_reaches_the_engine_and_gives_places_back() -> None:
    engine = ScriptedEngine(lambda _: "x", window=1, delay=lambda r: 60 if r.messages[0].content == "slow" else 0)
    scheduler = Scheduler({"m": engine})
    slow = asyncio.create_task(scheduler.complete("m", request("slow")))
    waiting = [asyncio.create_task(scheduler.complete("m", request(str(i)))) for i in range(4)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    await asyncio.sleep(0)
    slow.cancel()
    await asyncio.sleep(0)
    waiting[0].cancel()  # just given its turn
    done = await asyncio.wait_for(asyncio.gather(slow, *waiting, return_exceptions=True), 5)
    assert [isinstance(d, asyncio.CancelledError) for d in done] == [True, True, True, False, False]
    assert engine.cancelled >= 1
    assert (await asyncio.wait_for(scheduler.complete("m", request()), 5)).samples
