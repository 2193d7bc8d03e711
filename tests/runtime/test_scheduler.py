"""The scheduler: the window, who goes first, tries again, cancellation."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import ScriptedEngine, in_turn

from pnyx.runtime.errors import EngineFailure, PromptTooLong, RuntimeFailure, ServerAway
from pnyx.runtime.request import Message, Request, Response, SampledText
from pnyx.runtime.scheduling import Scheduler
from pnyx.runtime.scheduling.concurrency import Adaptive
from pnyx.runtime.scheduling.retries import TRIES_WITH_PATIENCE, wait_before_next


async def complete(scheduler: Scheduler, model: str, request: Request) -> Response:
    """Waits for the answer; cancelling it cancels the ticket."""
    answered: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

    def done(outcome: Response | RuntimeFailure | None) -> None:
        assert outcome is not None
        if isinstance(outcome, RuntimeFailure):
            answered.set_exception(outcome)
        else:
            answered.set_result(outcome)

    ticket = scheduler.submit(model, request, done)
    try:
        return await answered
    except asyncio.CancelledError:
        ticket.cancel()
        raise


def request(name: str = "x", n: int = 1, priority: int = 0) -> Request:
    return Request(messages=(Message("user", name),), n=n, priority=priority)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3)), min_size=1, max_size=30), st.integers(1, 6))
def test_the_window_is_never_exceeded_and_everyone_is_served(asked: list[tuple[int, int]], window: int) -> None:
    async def run() -> int:
        engine = ScriptedEngine(lambda _: "x", window=window)
        scheduler = Scheduler({"m": engine})
        calls = [complete(scheduler, "m", request(n=n, priority=priority)) for n, priority in asked]
        responses = await asyncio.wait_for(asyncio.gather(*calls), 10)
        assert [len(r.samples) for r in responses] == [n for n, _ in asked]
        return engine.most_in_flight

    assert asyncio.run(run()) <= max(window, *(n for n, _ in asked))


async def test_many_small_requests_fill_the_window_and_no_more() -> None:
    engine = ScriptedEngine(lambda _: "x", window=4)
    scheduler = Scheduler({"m": engine, "other": engine})
    await asyncio.gather(*(complete(scheduler, m, request()) for m in ("m", "other") for _ in range(8)))
    assert engine.most_in_flight == 4


async def test_the_lowest_priority_value_goes_first_then_the_first_come() -> None:
    engine = ScriptedEngine(lambda _: "x", window=1)
    scheduler = Scheduler({"m": engine})
    asked = [("first", 9), ("late", 2), ("a", 1), ("b", 1), ("early", 0)]
    await asyncio.gather(*(complete(scheduler, "m", request(name, priority=p)) for name, p in asked))
    assert [r.messages[0].content for r in engine.requests] == ["first", "early", "a", "b", "late"]


async def test_a_large_request_is_not_overtaken() -> None:
    engine = ScriptedEngine(lambda _: "x", window=4, delay=lambda r: 0.01 if r.n == 2 else 0)
    scheduler = Scheduler({"m": engine})
    asked = [("a", 2), ("large", 4), *[(f"small{i}", 1) for i in range(6)]]
    await asyncio.gather(*(complete(scheduler, "m", request(name, n=n)) for name, n in asked))
    assert [r.messages[0].content for r in engine.requests][:2] == ["a", "large"]


async def test_what_may_be_tried_again_is_tried_three_times() -> None:
    gone = EngineFailure("gone", retryable=True)
    engine = ScriptedEngine(in_turn([gone, gone, "x"]))
    response = await complete(Scheduler({"m": engine}, backoff=0.001), "m", request())
    assert (response.samples[0].text, len(engine.requests)) == ("x", 3)
    engine = ScriptedEngine(in_turn([gone, gone, gone, "x"]))
    with pytest.raises(EngineFailure, match="gone"):
        await complete(Scheduler({"m": engine}, backoff=0.001), "m", request())
    assert engine.in_flight == 0


@given(st.integers(0, 2**60), st.integers(0, 9), st.integers(1, 2), st.floats(0.01, 8))
def test_each_wait_is_about_twice_the_one_before(seed: int, first: int, tried: int, backoff: float) -> None:
    gone = EngineFailure("gone", retryable=True)
    asked = replace(request(), seed=seed, first=first)
    wait = wait_before_next(gone, tried, asked, backoff)
    assert wait == wait_before_next(gone, tried, asked, backoff)
    assert wait is not None
    assert 0.75 <= wait / (backoff * 2 ** (tried - 1)) <= 1.25
    assert wait != wait_before_next(gone, tried, replace(asked, seed=seed + 7), backoff)


def test_waits_by_class_of_error() -> None:
    def wait(failure: RuntimeFailure, tried: int) -> float | None:
        return wait_before_next(failure, tried, request(), 0.5)

    gone, busy = EngineFailure("", retryable=True), EngineFailure("", retryable=True, overloaded=True)
    assert (wait(gone, 3), wait(PromptTooLong(""), 1), wait(EngineFailure("no"), 1)) == (None, None, None)
    assert wait(busy, 3) is not None
    for passing in (busy, ServerAway("")):
        assert wait(passing, TRIES_WITH_PATIENCE) is None
        longest = wait(passing, TRIES_WITH_PATIENCE - 1)
        assert longest is not None
        assert longest <= 75
        total = sum(wait(passing, tried) or 0.0 for tried in range(1, TRIES_WITH_PATIENCE))
        assert 45 <= total <= 80
    asked = wait(EngineFailure("", retryable=True, retry_after=30.0), 1)
    assert asked is not None
    assert 30 <= asked <= 33
    assert wait(EngineFailure("", retryable=True, retry_after=3600.0), 1) is None


@pytest.mark.parametrize("failure", [EngineFailure("no"), PromptTooLong("long")])
async def test_what_cannot_succeed_is_not_tried_again(failure: Exception) -> None:
    engine = ScriptedEngine(in_turn([failure]))
    with pytest.raises(type(failure)):
        await complete(Scheduler({"m": engine}, backoff=0.001), "m", request())
    assert len(engine.requests) == 1


async def test_a_fault_of_the_engine_becomes_an_engine_failure() -> None:
    engine = ScriptedEngine(in_turn([ZeroDivisionError("oops"), "x"]))
    scheduler = Scheduler({"m": engine})
    with pytest.raises(EngineFailure, match=r"`scripted` failed: ZeroDivisionError: oops") as caught:
        await complete(scheduler, "m", request())
    assert caught.value.help
    assert (await complete(scheduler, "m", request())).samples[0].text == "x"


async def test_a_server_that_is_away_is_waited_for_once() -> None:
    """The first call has patience; those that come after it fail at once, until the server answers again."""
    there = True
    engine = ScriptedEngine(lambda _: "x" if there else ServerAway("nobody is there"))
    scheduler = Scheduler({"m": engine}, backoff=0.001)
    await complete(scheduler, "m", request())
    there = False
    asked = len(engine.requests)
    with pytest.raises(ServerAway):
        await complete(scheduler, "m", request())
    assert len(engine.requests) == asked + TRIES_WITH_PATIENCE
    for number in range(1, 4):
        with pytest.raises(ServerAway):
            await complete(scheduler, "m", request())
        assert len(engine.requests) == asked + TRIES_WITH_PATIENCE + number
    there = True
    await complete(scheduler, "m", request())
    there = False
    waiting = asyncio.create_task(complete(scheduler, "m", request()))
    await asyncio.sleep(0.005)
    there = True  # it was away for a moment
    assert (await waiting).samples[0].text == "x"


async def test_others_run_while_one_waits_to_be_tried_again() -> None:
    engine = ScriptedEngine(in_turn([EngineFailure("gone", retryable=True), "second", "first"]), window=1)
    scheduler = Scheduler({"m": engine}, backoff=0.01)
    first, second = await asyncio.gather(*(complete(scheduler, "m", request()) for _ in range(2)))
    assert (first.samples[0].text, second.samples[0].text) == ("first", "second")


async def test_cancelling_reaches_the_engine_and_gives_places_back() -> None:
    engine = ScriptedEngine(lambda _: "x", window=1, delay=lambda r: 60 if r.messages[0].content == "slow" else 0)
    scheduler = Scheduler({"m": engine})
    slow = asyncio.create_task(complete(scheduler, "m", request("slow")))
    waiting = [asyncio.create_task(complete(scheduler, "m", request(str(i)))) for i in range(4)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    await asyncio.sleep(0)
    slow.cancel()
    await asyncio.sleep(0)
    waiting[0].cancel()  # just given its turn
    done = await asyncio.wait_for(asyncio.gather(slow, *waiting, return_exceptions=True), 5)
    assert [isinstance(d, asyncio.CancelledError) for d in done] == [True, True, True, False, False]
    assert engine.cancelled >= 1
    assert (await asyncio.wait_for(complete(scheduler, "m", request()), 5)).samples


async def test_an_engine_that_asks_to_be_left_alone_is() -> None:
    busy = EngineFailure("busy", retryable=True, overloaded=True, retry_after=0.05)
    engine = ScriptedEngine(in_turn([busy, "x", "y"]), window=1)
    scheduler = Scheduler({"m": engine}, backoff=0.001)
    loop = asyncio.get_running_loop()
    began = loop.time()
    first = asyncio.create_task(complete(scheduler, "m", request("first")))
    await asyncio.sleep(0.01)
    second = await complete(scheduler, "m", request("second"))
    assert loop.time() - began >= 0.049
    assert {(await first).samples[0].text, second.samples[0].text} == {"x", "y"}


@pytest.mark.parametrize("reply", ["wrong n", "wrong choices"])
async def test_an_answer_of_another_shape_is_a_failure_that_may_pass(reply: str) -> None:
    class Engine(ScriptedEngine):
        async def complete(self, request: Request) -> Response:
            response = await super().complete(request)
            if len(self.requests) > 1:
                return response
            return Response(samples=response.samples[:1], probabilities=response.probabilities[:1])

    asked = request(n=2) if reply == "wrong n" else replace(request(), choices=("a", "b"))
    engine = Engine(lambda r: (0.5, 0.5) if r.choices else "x")
    response = await complete(Scheduler({"m": engine}, backoff=0.001), "m", asked)
    assert len(response.samples) + len(response.probabilities) == 2
    assert len(engine.requests) == 2


async def test_a_call_that_gets_no_answer_in_time_is_made_again() -> None:
    engine = ScriptedEngine(lambda _: "x", window=1, delay=lambda _: 60 if len(engine.requests) == 1 else 0)
    scheduler = Scheduler({"m": engine}, backoff=0.001, deadline=0.02)
    assert (await asyncio.wait_for(complete(scheduler, "m", request()), 5)).samples[0].text == "x"
    assert (engine.cancelled, len(engine.requests)) == (1, 2)
    silent = ScriptedEngine(lambda _: "x", delay=lambda _: 60)
    with pytest.raises(EngineFailure, match=r"no answer for 0\.01 seconds"):
        await asyncio.wait_for(complete(Scheduler({"m": silent}, backoff=0.001, deadline=0.01), "m", request()), 5)
    assert silent.cancelled == 3


async def test_a_late_call_is_hedged_and_the_first_answer_counts() -> None:
    late = replace(request(), seed=99)
    engine = ScriptedEngine(lambda _: "x", delay=lambda _: 60 if engine.requests.count(late) == 1 else 0.001)
    scheduler = Scheduler({"m": engine}, hedge=3.0)
    for _ in range(30):
        await complete(scheduler, "m", request())
    assert (await asyncio.wait_for(complete(scheduler, "m", late), 20)).samples[0].text == "x"
    await scheduler.settled()
    assert (engine.requests.count(late), engine.in_flight) == (2, 0)
    assert engine.cancelled >= 1


async def test_a_hedged_call_whose_tries_end_at_once_leaves_no_exception_behind() -> None:
    """The second one fails in the moment in which the first one answers, and nobody hears of it."""
    late = replace(request(), seed=99)
    both = asyncio.Event()

    class Engine(ScriptedEngine):
        async def complete(self, request: Request) -> Response:
            if request.seed != 99:
                return await super().complete(request)
            first = late not in self.requests
            self.requests.append(request)
            await both.wait()
            if first:
                return Response(samples=(SampledText(text="x", tokens=1),))
            raise EngineFailure("too late")

    lost: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context["message"]))
    engine = Engine(lambda _: "x", delay=lambda _: 0.001)
    scheduler = Scheduler({"m": engine}, hedge=1.0)
    for _ in range(30):
        await complete(scheduler, "m", request())
    asked = asyncio.create_task(complete(scheduler, "m", late))
    async with asyncio.timeout(20):
        while engine.requests.count(late) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    both.set()
    assert (await asked).samples[0].text == "x"
    await scheduler.settled()
    gc.collect()
    assert lost == []


@given(st.lists(st.booleans(), max_size=200), st.integers(1, 64))
def test_the_limit_of_a_server_stays_within_its_window(answers: list[bool], window: int) -> None:
    limit = Adaptive(window)
    for now, answered in enumerate(answers):
        before = limit.limit
        if answered:
            limit.succeeded()
            assert limit.limit >= before
        else:
            limit.overloaded(now, now)
            assert limit.limit == max(1, before // 2) or limit.limit == max(1, (before + 1) // 2)
        assert 1 <= limit.limit <= window


def test_one_wave_of_refusals_halves_the_limit_once() -> None:
    limit = Adaptive(64)
    for _ in range(56):
        limit.succeeded()
    assert limit.limit == 64
    for _ in range(10):
        limit.overloaded(began=1.0, now=2.0)
    assert limit.limit == 32
    limit.succeeded()
    assert limit.limit == 32  # no slow start any more
    for _ in range(40):
        limit.succeeded()
    assert limit.limit == 33


async def test_a_server_that_answers_a_full_limit_gets_twice_as_much() -> None:
    server = ScriptedEngine(lambda _: "x")
    server._info = replace(server.info, remote=True)
    scheduler = Scheduler({"m": server})
    await asyncio.gather(*(complete(scheduler, "m", request(n=32)) for _ in range(3)))
    assert server.most_in_flight == 64


async def test_a_server_that_was_asked_little_is_not_trusted_with_much() -> None:
    server = ScriptedEngine(lambda _: "x", window=512)
    server._info = replace(server.info, remote=True)
    scheduler = Scheduler({"m": server})
    for _ in range(200):
        await complete(scheduler, "m", request())
    await asyncio.gather(*(complete(scheduler, "m", request()) for _ in range(200)))
    assert 32 <= server.most_in_flight < 200


async def test_a_server_that_refuses_is_asked_less() -> None:
    class Server(ScriptedEngine):
        """Bears four samples at once."""

        async def complete(self, request: Request) -> Response:
            if self.in_flight >= 4:
                raise EngineFailure("429", retryable=True, overloaded=True)
            return await super().complete(request)

    server = Server(lambda _: "x", delay=lambda _: 0.002)
    server._info = replace(server.info, remote=True)
    scheduler = Scheduler({"m": server}, backoff=0.002)
    await asyncio.wait_for(asyncio.gather(*(complete(scheduler, "m", request()) for _ in range(100))), 20)
    assert server.most_in_flight <= 4


@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.integers(0, 5), st.sampled_from("okay fails busy slow cancelled".split()))
    ),
    st.integers(1, 4),
)
def test_whatever_goes_wrong_every_request_ends_and_no_room_is_lost(
    asked: list[tuple[int, int, str]], window: int
) -> None:
    async def run() -> None:
        failures = {
            "fails": EngineFailure("no"),
            "busy": EngineFailure("busy", retryable=True, overloaded=True, retry_after=0.0001),
        }
        seen: set[int] = set()

        def script(request: Request) -> str | Exception:
            fate = asked[request.seed][2]
            if fate == "busy" and request.seed in seen:
                return "x"
            seen.add(request.seed)
            return failures.get(fate, "x")

        engine = ScriptedEngine(script, window=window, delay=lambda r: 60 if asked[r.seed][2] == "cancelled" else 0)
        scheduler = Scheduler({"m": engine}, backoff=0.0001)
        tasks = [
            asyncio.create_task(complete(scheduler, "m", replace(request(n=n, priority=priority), seed=number)))
            for number, (n, priority, _) in enumerate(asked)
        ]
        await asyncio.sleep(0)
        for task, (_, _, fate) in zip(tasks, asked, strict=True):
            if fate == "cancelled":
                task.cancel()
        ended = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
        await scheduler.settled()
        for outcome, (_, _, fate) in zip(ended, asked, strict=True):
            assert isinstance(
                outcome, {"fails": EngineFailure, "cancelled": asyncio.CancelledError}.get(fate, Response)
            )
        assert engine.in_flight == 0
        assert engine.most_in_flight <= max(window, *(n for n, _, _ in asked), 1)

    asyncio.run(run())
