"""What a run leaves in its trace: every call, every node, every failure, at its place."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from pnyx.compiler.operators import Extern, OnFail
from pnyx.runtime.errors import EngineFailure, ServerBusy
from pnyx.runtime.externs import Externs
from pnyx.runtime.request import Request
from pnyx.runtime.rows import as_rows
from pnyx.runtime.session import Session
from pnyx.runtime.store import CallStore, open_store
from pnyx.runtime.traces import Trace, TraceFile
from pnyx.runtime.traces.events import (
    CallEnded,
    ExampleBegan,
    ExampleEnded,
    ExternEnded,
    NodeBegan,
    NodeEnded,
    RunBegan,
    RunEnded,
)
from tests.runtime.scripted import Reply, ScriptedEngine, plan_of, sample
from tests.traces.traced import LOOPED, Kept, compiled, judged, lines, simulated, trace_file, traced, without_times

GOLDEN = Path(__file__).with_name("golden_trace.jsonl")


def grading(request: Request) -> Reply:
    return "7" if request.sampling.temperature == 0 or "/" in request.messages[-1].content else "a draft {k}"


async def recorded(plan: Any, engine: Any, questions: list[str], **session: Any) -> Kept:
    kept = Kept()
    await traced(plan, engine, questions, [kept], **session)
    return kept


async def test_the_file_of_a_small_plan(tmp_path: Path, update_golden: bool) -> None:
    """Line by line, but for times, versions and the plan, which the header holds whole."""
    path = await trace_file(judged(), simulated(), ["What is 2 + 3?"], tmp_path / "t.jsonl")
    found = [without_times(line) for line in lines(path)]
    assert set(found[0]["versions"]) == {"pnyx", "python"}
    assert found[0]["plan"] == json.loads(judged().to_json())
    for volatile in ("versions", "started", "plan", "digest"):
        del found[0][volatile]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in found)
    if update_golden:
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


async def test_results_are_the_same_with_a_trace(tmp_path: Path) -> None:
    plan = compiled(LOOPED, tmp_path)
    questions = [f"What is {i} * 3?" for i in range(6)]
    session = Session(plan, {"small": simulated()})
    alone = [result async for result in session.map(as_rows(questions, field=None))]
    with_trace = await traced(plan, simulated(), questions, [Kept()])
    assert [r.to_json(measured=False) for r in with_trace] == [r.to_json(measured=False) for r in alone]


async def test_the_order_of_events() -> None:
    kept = await recorded(judged(), ScriptedEngine(grading), ["Q?"])
    assert [type(event) for event in kept.events] == [
        RunBegan, ExampleBegan, NodeBegan, CallEnded, NodeEnded, NodeBegan, CallEnded, CallEnded, NodeEnded,
        ExampleEnded, RunEnded,
    ]  # fmt: skip
    assert kept.closed
    first, second, third = kept.of(CallEnded)
    assert (first.place, first.slot, first.attempt, first.model) == ((1,), 0, 0, "m")
    assert [(call.place, call.slot) for call in (second, third)] == [((2,), 0), ((2,), 1)]
    assert kept.events[-1].summary["calls"] == 3


async def test_times_are_in_order() -> None:
    kept = await recorded(judged(), ScriptedEngine(grading, delay=lambda _: 0.01, window=1), ["Q?", "R?"])
    calls = kept.of(CallEnded)
    assert len(calls) == 6
    for call in calls:
        (draw,) = call.draws
        assert call.queued <= draw.began < draw.ended <= call.at
    assert any(call.draws[0].began - call.queued > 0.005 for call in calls)  # a window of one makes others wait
    for node in kept.of(NodeEnded):
        assert node.began <= node.at


async def test_rounds_and_candidates_are_in_the_places(tmp_path: Path) -> None:
    kept = await recorded(compiled(LOOPED, tmp_path), simulated(), ["What is 2 + 3?"])
    places = {node.place: node.label for node in kept.of(NodeEnded)}
    nested = {place for place in places if len(place) == 3}
    each = {place[0] for place in nested if places[(place[0],)] == "each"}
    loop = {place[0] for place in nested if places[(place[0],)] == "loop"}
    assert len(each) == len(loop) == 1
    assert {place[1] for place in nested if place[0] in each} == {0, 1}
    rounds = [place for place in nested if place[0] in loop and places[place] == "fuse"]
    assert [place[1] for place in sorted(rounds)] == [0, 1]
    paths = [node.path for node in kept.of(NodeEnded) if len(node.place) == 3]
    assert len(set(paths)) == 4
    assert "" not in paths
    # What runs other nodes begins before them and ends after them.
    for outer in (*each, *loop):
        (began,) = [i for i, e in enumerate(kept.events) if isinstance(e, NodeBegan) and e.place == (outer,)]
        (ended,) = [i for i, e in enumerate(kept.events) if isinstance(e, NodeEnded) and e.place == (outer,)]
        inside = [
            i
            for i, e in enumerate(kept.events)
            if isinstance(e, CallEnded) and len(e.place) > 1 and e.place[0] == outer
        ]
        assert began < min(inside) <= max(inside) < ended


async def test_retries_with_their_reasons() -> None:
    left = [ServerBusy("too many"), EngineFailure("a hiccup", retryable=True)]
    engine = ScriptedEngine(lambda request: left.pop(0) if left else grading(request))
    kept = await recorded(plan_of((sample(), (0,))), engine, ["Q?"])
    (call,) = kept.of(CallEnded)
    (draw,) = call.draws
    assert [(why.code, why.message) for _, _, why in draw.failures] == [("R816", "too many"), ("R807", "a hiccup")]
    assert draw.failures[0][0] <= draw.failures[0][1] <= draw.failures[1][0] <= draw.began <= draw.ended


async def test_a_call_that_fails_for_good() -> None:
    kept = await recorded(judged(), ScriptedEngine(lambda _: EngineFailure("no more")), ["Q?"])
    (call,) = kept.of(CallEnded)
    assert call.outcome.message == "no more"
    (node,) = kept.of(NodeEnded)
    assert (node.place, node.error.code, node.error.place) == ((1,), "R807", "t.pnyx:1:1")
    (ended,) = kept.of(ExampleEnded)
    assert ended.result.error.code == "R807"


async def test_a_reply_that_cannot_be_read_is_asked_for_again() -> None:
    replies = iter(["a draft {k}", "no grade", "8", "7"])
    engine = ScriptedEngine(lambda _: next(replies), window=1)
    kept = await recorded(judged(on_fail=OnFail(retries=1)), engine, ["Q?"])
    grades = [(call.slot, call.attempt) for call in kept.of(CallEnded) if call.place == (2,)]
    assert sorted(grades) == [(0, 0), (0, 1), (1, 0)]


async def test_what_comes_from_the_store_was_not_drawn(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "calls.sqlite"), None)
    assert isinstance(store, CallStore)
    async with store:
        first = await recorded(judged(), ScriptedEngine(grading), ["Q?"], store=store)
        again = await recorded(judged(), ScriptedEngine(grading), ["Q?"], store=store)
    assert [call.outcome.cached for call in first.of(CallEnded)] == [False] * 3
    assert [(call.outcome.cached, call.draws) for call in again.of(CallEnded)] == [(True, ())] * 3


async def test_a_row_without_a_question() -> None:
    kept = await recorded(judged(), ScriptedEngine(grading), ["  "])
    (began,) = kept.of(ExampleBegan)
    (ended,) = kept.of(ExampleEnded)
    assert began.question is None
    assert ended.result.error.code == "R803"


async def test_a_run_that_is_told_to_end_leaves_nothing_open() -> None:
    kept = Kept()
    engine = ScriptedEngine(grading, delay=lambda _: 60.0)
    plan = judged()
    session = Session(plan, {"m": engine})
    trace = Trace(plan, session.engines, seed=0, sinks=[kept])
    session.record(trace)
    running = asyncio.ensure_future(session.run("Q?"))
    await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    trace.close({})
    (call,) = kept.of(CallEnded)
    assert call.outcome is None
    (ended,) = kept.of(ExampleEnded)
    assert ended.result is None


async def test_questions_at_once_have_numbers_of_their_own() -> None:
    """Each `run` of a session counts from 0."""
    kept = Kept()
    plan = judged()
    session = Session(plan, {"m": ScriptedEngine(grading, delay=lambda _: 0.001)})
    trace = Trace(plan, session.engines, seed=0, sinks=[kept])
    session.record(trace)
    await asyncio.gather(*(session.run(f"Q{i}") for i in range(3)))
    assert sorted(ended.index for ended in kept.of(ExampleEnded)) == [0, 1, 2]
    assert [sum(call.index == number for call in kept.of(CallEnded)) for number in range(3)] == [3, 3, 3]


async def test_functions_of_the_user() -> None:
    extern = Extern(name="f", target="user:f", names=("pool",), constants=(("depth", 2),), gives="pool", high=5)
    plan = plan_of((sample(2, joined=True), (0,)), (extern, (1,)))
    externs = Externs({"user:f": lambda pool, depth: [f"{c['text']} at {depth}" for c in pool]})
    kept = await recorded(plan, ScriptedEngine(grading), ["Q?"], externs=externs)
    (called,) = kept.of(ExternEnded)
    assert called.invocation.target == "user:f"
    assert called.outcome.value == ["a draft 0 at 2", "a draft 1 at 2"]
    assert called.place == (2,)


async def test_what_a_question_leaves_to_later_ones(tmp_path: Path) -> None:
    source = """
model small = "smollm2-135m"

state seen: Int = 0 { chunk = 1 }

pipeline counted(query) {
    seen = seen + 1
    query |> generate(small)
}
"""
    plan = compiled(source, tmp_path)
    kept = await recorded(plan, simulated(), ["What is 1 + 1?", "What is 1 + 2?"])
    assert [dict(ended.states) for ended in kept.of(ExampleEnded)] == [{"seen": 1}, {"seen": 2}]


async def test_nothing_is_noted_without_a_trace() -> None:
    session = Session(judged(), {"m": ScriptedEngine(grading)})
    result = await session.run("Q?")
    assert result.error is None
    assert session._calls.watched is False


async def test_a_run_on_a_server_keeps_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a server that repeats the key in what it says, nor anything else brings it into the trace."""
    from tests.engines.fault_server import FaultServer, status
    from tests.engines.test_openai import opened

    monkeypatch.setenv("TRACED_KEY", "sk-very-secret-123")
    async with FaultServer() as server:
        engine = await opened(server, key_env="TRACED_KEY")
        server.faults.append(status(400, "sk-very-secret-123 is not a question"))
        warned: list[str] = []
        path = tmp_path / "t.jsonl"
        results = await traced(judged(), engine, ["Q?", "R?"], [TraceFile(path, warn=warned.append)], window=1)
        await engine.close()
    assert [result.error is None for result in results] == [False, True]
    assert any("is not a question" in line for line in path.read_text().splitlines())
    assert "sk-very-secret" not in path.read_text()
    assert "TRACED_KEY" not in path.read_text()
