"""Programs in a running session: side by side, in time, and gone when nobody waits for them."""

from __future__ import annotations

import asyncio
import time

import pytest
from by_hand import made, plan, question
from scripted import ScriptedEngine, sample

from pnyx.compiler.operators import RunCode, RunTests
from pnyx.compiler.plan import Plan
from pnyx.runtime import workshop
from pnyx.runtime.budgets import Limits
from pnyx.runtime.errors import SandboxUnusable
from pnyx.runtime.sandbox import open_sandbox, sandbox
from pnyx.runtime.session import Session


@pytest.fixture
def confined() -> None:
    try:
        open_sandbox(user="test", place=None)
    except SandboxUnusable as refused:
        pytest.skip(refused.message)


def running(n: int = 1, seconds: float = 5.0) -> Plan:
    query = question()
    return plan(made(RunCode(seconds=seconds), made(sample(n, joined=n > 1), query)), query)


@pytest.mark.usefixtures("confined")
async def test_what_programs_print_is_in_the_result() -> None:
    engine = ScriptedEngine(lambda _: "```python\nprint({k} * 7)\n```")
    result = await Session(running(3), {"m": engine}).run("Q?")
    assert [c["output"] for c in result.candidates] == ["0", "7", "14"]


@pytest.mark.usefixtures("confined")
async def test_tests_are_run_behind_programs() -> None:
    query = question()
    tests = made(sample(2, joined=True, stream=1), query)
    made_plan = plan(made(RunTests(), made(sample(2, joined=True), query), tests), query)
    engine = ScriptedEngine(lambda _: "x = {k}\nassert x == {k}")
    result = await Session(made_plan, {"m": engine}).run("Q?")
    assert [(c["passes"], c["passed"]) for c in result.candidates] == [(2, "1 2"), (2, "1 2")]


@pytest.mark.usefixtures("confined")
async def test_a_time_out_is_a_result_of_its_candidate() -> None:
    engine = ScriptedEngine(lambda _: "import time\ntime.sleep({k} * 60)\nprint('awake')")
    result = await Session(running(2, seconds=1.0), {"m": engine}).run("Q?")
    assert result.error is None
    assert [(c.get("output"), c.get("error")) for c in result.candidates] == [
        ("awake", None),
        (None, "took longer than 1 s"),
    ]


@pytest.mark.usefixtures("confined")
async def test_a_question_that_is_over_takes_its_programs_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[float] = []

    class Watched(sandbox.Running):
        def wait(self) -> sandbox.Ended:
            try:
                return super().wait()
            finally:
                ended.append(time.monotonic())

    monkeypatch.setattr(sandbox, "Running", Watched)
    engine = ScriptedEngine(lambda _: "import time\ntime.sleep(60 + {k})")
    session = Session(running(9, seconds=60.0), {"m": engine}, limits=Limits(seconds=0.7))
    began = time.monotonic()
    result = await session.run("Q?")
    assert result.error is not None
    assert result.error.code == "R821"
    await asyncio.to_thread(workshop.workers().submit(time.monotonic).result, 10)  # a worker is free again
    await asyncio.sleep(0.3)
    assert ended
    assert max(ended) - began < 5
    assert len(ended) < 9  # most of those that waited for a worker never began


@pytest.mark.usefixtures("confined")
async def test_no_more_programs_run_at_once_than_there_are_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = most = 0

    class Counted(sandbox.Running):
        def wait(self) -> sandbox.Ended:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            try:
                return super().wait()
            finally:
                at_once -= 1

    monkeypatch.setattr(sandbox, "Running", Counted)
    engine = ScriptedEngine(lambda _: "print({k})")
    result = await Session(running(12), {"m": engine}).run("Q?")
    assert [c["output"] for c in result.candidates] == [str(k) for k in range(12)]
    assert most <= workshop.workers()._max_workers


async def test_a_machine_that_cannot_confine_is_found_before_the_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_refusal", lambda: "unshare: Operation not permitted")
    engine = ScriptedEngine(lambda _: "x")
    with pytest.raises(SandboxUnusable, match="`run_code` runs code that a model wrote") as raised:
        Session(running(), {"m": engine})
    assert raised.value.code == "E609"
    assert engine.requests == []


async def test_a_process_that_cannot_be_started_fails_its_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_refusal", lambda: None)
    engine = ScriptedEngine(lambda _: "x")
    session = Session(running(), {"m": engine})
    monkeypatch.setattr(sandbox.sys, "executable", "/nowhere/python")
    result = await session.run("Q?")
    assert result.error is not None
    assert (result.error.code, "no process can be started" in result.error.message) == ("E609", True)
