"""Sessions: results in order, bounded memory, failures and cancellation, what is measured."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import replace

import pytest
from scripted import ScriptedEngine, ask, in_turn, plan_of, prompt_of, sample
from test_interpreter import layered, world

from pnyx.compiler.cost.profile import Profile
from pnyx.compiler.operators import AnswerKind, Concat, Extract, Reads
from pnyx.runtime.errors import ConfigurationError, EngineFailure, PromptTooLong
from pnyx.runtime.request import Message, Request
from pnyx.runtime.results import ErrorRecord, Result, ResultUsage, Summary
from pnyx.runtime.rows import Row
from pnyx.runtime.session import Session

SIMPLE = plan_of((sample(), (0,)))


def question_rows(n: int) -> Iterator[Row]:
    return (Row(i + 1, f"question {i}", id=i) for i in range(n))


def echo(request: Request) -> str:
    return f"re: {prompt_of(request)}"


async def collect(session: Session, rows: object) -> list[Result]:
    async with asyncio.timeout(20):
        return [result async for result in session.map(rows)]  # type: ignore[arg-type]


def timeless(result: Result) -> Result:
    nodes = tuple(replace(n, seconds=0.0) for n in result.nodes)
    return replace(result, usage=replace(result.usage, seconds=0.0), nodes=nodes)


def nobody_else() -> bool:
    return asyncio.all_tasks() == {asyncio.current_task()}


async def test_run_answers_one_question() -> None:
    session = Session(SIMPLE, {"m": ScriptedEngine(echo, simulated=True)})
    result = await session.run("Q?", id="x")
    assert (result.answer, result.question, result.id, result.index) == ("re: Q?", "Q?", "x", 0)
    assert result.simulated
    assert result.usage.seconds > 0
    chat = [Message("system", "s"), Message("user", "first"), Message("assistant", "a"), Message("user", "last")]
    assert (await session.run(chat)).answer == "re: last"


@pytest.mark.parametrize(("question", "code"), [("", "R803"), (" \n", "R803"), ("\ud800", "R808")])
async def test_a_question_that_cannot_be_asked(question: str, code: str) -> None:
    engine = ScriptedEngine(echo)
    result = await Session(SIMPLE, {"m": engine}).run(question)
    assert result.error is not None
    assert result.error.code == code
    assert engine.requests == []


def test_every_model_needs_an_engine() -> None:
    with pytest.raises(ConfigurationError, match="`m`"):
        Session(SIMPLE, {})


async def test_one_simulated_engine_makes_the_results_simulated() -> None:
    plan = plan_of((sample(), (0,)), (sample(stream=1), (0,)), (Concat(), (1, 2)))
    second = plan.nodes[2].model_copy(update={"operator": replace(plan.nodes[2].operator, model="other")})
    models = (*plan.models, plan.models[0].model_copy(update={"name": "other"}))
    plan = plan.model_copy(update={"models": models, "nodes": (*plan.nodes[:2], second, plan.nodes[3])})
    for simulated in (True, False):
        engines = {"m": ScriptedEngine(echo), "other": ScriptedEngine(echo, simulated=simulated)}
        result = await Session(plan, engines).run("Q?")
        assert result.simulated is simulated
        assert 0 < result.usage.seconds < 60


async def test_map_is_in_order_whatever_takes_longest() -> None:
    engine = ScriptedEngine(echo, delay=lambda r: 0.02 if r.priority % 5 == 0 else 0.001)
    results = await collect(Session(SIMPLE, {"m": engine}, window=8), question_rows(30))
    assert [(r.index, r.id, r.answer) for r in results] == [(i, i, f"re: question {i}") for i in range(30)]
    assert nobody_else()


async def test_the_window_does_not_change_the_results() -> None:
    runs = []
    for window, engine_window in ((1, 1), (64, 3), (64, 64)):
        engine = ScriptedEngine(world, window=engine_window, delay=lambda r: (r.seed % 3) / 1000)
        runs.append(
            [timeless(r) for r in await collect(Session(layered(), {"m": engine}, window=window), question_rows(10))]
        )
    assert runs[0] == runs[1] == runs[2]
    assert any(r.failures for r in runs[0])


async def test_at_most_window_examples_are_in_flight_and_few_wait() -> None:
    engine = ScriptedEngine(echo, delay=lambda r: 0.05 if r.priority == 0 else 0)
    taken = 0

    def rows() -> Iterator[Row]:
        nonlocal taken
        for row in question_rows(1000):
            taken += 1
            yield row

    async with aclosing(Session(SIMPLE, {"m": engine}, window=4).map(rows())) as results:
        assert (await anext(results)).index == 0
        assert engine.most_in_flight <= 4
        assert taken <= 4 * 4 + 1
    assert nobody_else()


async def test_failing_examples_stall_nobody() -> None:
    def script(request: Request) -> str | Exception:
        number = int(prompt_of(request).split()[-1])
        if number % 4 == 0:
            return PromptTooLong("too long")
        return EngineFailure("gone", retryable=True) if number % 4 == 1 else echo(request)

    session = Session(SIMPLE, {"m": ScriptedEngine(script)}, window=3, backoff=0.001)
    bad = Row(99, ErrorRecord("R801", "the row is not JSON", "line 99"), id="bad")
    results = await collect(session, [*question_rows(4), bad, *question_rows(4)])
    assert [r.error.code if r.error else None for r in results] == [
        "R804",
        "R807",
        None,
        None,
        "R801",
        "R804",
        "R807",
        None,
        None,
    ]
    error = results[0].error
    assert error is not None
    assert (error.code, error.message, error.place) == ("R804", "too long", "t.pnyx:1:1")
    assert error.help
    assert (results[4].id, results[4].index) == ("bad", 4)


async def test_what_is_in_flight_of_a_failed_example_is_cancelled() -> None:
    plan = plan_of(
        (sample(), (0,)), (sample(stream=1), (0,)), (ask(into="x"), (0, 1)), (ask(into="y"), (0, 2)), output=3
    )
    engine = ScriptedEngine(
        in_turn([EngineFailure("gone"), "slow"]), delay=lambda r: 60 if len(engine.requests) == 2 else 0
    )
    result = await asyncio.wait_for(Session(plan, {"m": engine}).run("Q?"), 5)
    assert result.error is not None
    assert engine.cancelled == 1
    assert nobody_else()


async def test_leaving_map_leaves_no_task() -> None:
    engine = ScriptedEngine(echo, delay=lambda _: 60)
    async with aclosing(Session(layered(), {"m": engine}).map(question_rows(50))) as results:
        waiting = asyncio.ensure_future(anext(results))
        await asyncio.sleep(0.02)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert nobody_else()
    assert engine.in_flight == 0


async def test_rows_may_come_asynchronously_and_depend_on_results() -> None:
    answered = asyncio.Event()

    async def rows() -> AsyncIterator[Row]:
        yield Row(1, "first")
        await answered.wait()
        yield Row(2, "second")

    answers = []
    async with asyncio.timeout(5):
        async for result in Session(SIMPLE, {"m": ScriptedEngine(echo)}).map(rows()):
            answers.append(result.answer)
            answered.set()
    assert answers == ["re: first", "re: second"]


async def test_a_source_that_breaks_breaks_the_map_and_leaves_no_task() -> None:
    async def rows() -> AsyncIterator[Row]:
        yield Row(1, "first")
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        await collect(Session(SIMPLE, {"m": ScriptedEngine(echo, delay=lambda _: 60)}), rows())
    assert nobody_else()


async def test_no_rows_no_results() -> None:
    assert await collect(Session(SIMPLE, {"m": ScriptedEngine(echo)}), []) == []


async def test_the_profile_is_filled() -> None:
    profile = Profile()
    plan = plan_of((sample(3), (0,)), (ask(into="critique"), (0, 1)), (Extract(answer=AnswerKind.NUMBER), (2,)))
    await collect(Session(plan, {"m": ScriptedEngine(lambda r: "ab")}, profile=profile), question_rows(2))
    assert (profile.question.examples, profile.question.chars) == (2, 20)
    sampled, asked, extracted = (profile.streams[f"s{i}"] for i in (1, 2, 3))
    assert (sampled.calls, sampled.samples, sampled.prompt_tokens, sampled.generated_tokens) == (6, 6, 18, 12)
    assert (sampled.texts, sampled.text_chars, sampled.results, sampled.result_size) == (6, 12, 2, 6)
    assert (asked.calls, asked.texts, asked.text_chars) == (6, 6, 12)
    assert asked.prompt_chars == 6 * len("question 0 / ab")
    assert (extracted.calls, extracted.texts, extracted.result_size) == (0, 0, 6)


# Results


async def test_results_as_json() -> None:
    plan = plan_of((sample(), (0,)), (ask(into="score", reads=Reads.GRADE), (0, 1)))
    result = await Session(plan, {"m": ScriptedEngine(lambda r: "é")}).run("Q?", id=3)
    data = json.loads(result.to_json())
    assert list(data) == ["index", "id", "question", "answer", "candidates", "failures", "error", "usage", "simulated"]
    assert "é" in result.to_json()
    assert data["failures"][0]["node"] == "ask2"
    assert data["candidates"] == [{"text": "é", "logprob": -0.5, "model": "m"}]
    assert (data["error"], data["usage"]["calls"], data["simulated"]) == (None, 2, False)


def test_json_can_always_be_written() -> None:
    text = Result(index=0, question="\ud800é", answer="é").to_json()
    assert json.loads(text.encode())["question"] == "\ud800é"


def test_summaries_add_up() -> None:
    summary = Summary()
    summary.add(Result(index=0, answer="a", usage=ResultUsage(2, 3, 4, 5, 6.0), simulated=True))
    summary.add(Result(index=1, error=ErrorRecord("R805", "empty"), usage=ResultUsage(1, 1, 1, 1, 1.0)))
    assert (summary.examples, summary.answered, summary.failed, summary.errors) == (2, 1, 1, {"R805": 1})
    assert summary.ran == 2  # an empty vote is how the program ends, not what stops it
    ran = {code: Result(index=0, error=ErrorRecord(code, "")).ran for code in ("R805", "R806", "R807")}
    assert ran == {"R805": True, "R806": True, "R807": False}
    assert (summary.calls, summary.samples, summary.tokens, summary.seconds) == (3, 4, 11, 7.0)
    assert summary.simulated


async def test_summaries_know_the_nodes() -> None:
    summary = Summary()
    for result in await collect(Session(layered(), {"m": ScriptedEngine(world)}), question_rows(3)):
        summary.add(result)
    data = summary.to_data()
    assert json.dumps(data)
    assert sum(node["calls"] for node in data["by_node"]) == data["calls"] > 0
    assert data["reading_failures"] > 0
