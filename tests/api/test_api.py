"""The Python front door: load, compile, run, stream, and what goes wrong."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

import pnyx
from pnyx.runtime.engines.simulated import SimulatedEngine

PROGRAM = """
model small = "sim-7b"

pipeline draft(query) {
    query |> generate(small, n = tune(2, 3))
}

pipeline answer(query) {
    query |> generate(small, n = tune(2, 4)) |> critique(small) |> fuse(small)
}
"""
SIMULATED: Any = {"engine": "simulated"}
QUESTION = "What is 17 * 23?"


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PNYX_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "p.pnyx"
    file.write_text(PROGRAM)
    return file


@pytest.fixture
def pipeline(file: Path) -> pnyx.Pipeline:
    return pnyx.load(file).compile("answer", n=2)


def outcome(result: pnyx.Result) -> tuple[object, ...]:
    """All that does not depend on time or place in a run."""
    return result.question, result.answer, result.candidates, result.error, result.usage.samples


def question_rows(number: int) -> list[str]:
    return [f"What is {i} + {i + 1}?" for i in range(number)]


def test_load_and_compile(file: Path) -> None:
    program = pnyx.load(str(file))
    assert program.pipelines == ("draft", "answer")
    plain, more = program.compile("answer", n=2), program.compile("answer", **{"answer.generate.n": 4})
    assert plain.digest == program.compile("answer").digest
    assert plain.digest != more.digest
    assert plain.digest != program.compile("answer", n=2, optimise=False).digest


@pytest.mark.parametrize(
    ("pipeline", "choices", "code"),
    [(None, {}, "E603"), ("anser", {}, "E603"), ("answer", {"m": 2}, "E403"), ("answer", {"n": 3}, "E403")],
)
def test_compile_refuses(file: Path, pipeline: str | None, choices: dict[str, object], code: str) -> None:
    with pytest.raises(pnyx.CompileError, match=code):
        pnyx.load(file).compile(pipeline, **choices)


def test_load_refuses_a_faulty_program_and_says_where(file: Path) -> None:
    file.write_text("pipeline p(query) { query |> nothing }\n")
    with pytest.raises(pnyx.CompileError, match=r"E201[\s\S]*p\.pnyx:1:30"):
        pnyx.load(file)
    with pytest.raises(pnyx.CompileError, match="E601"):
        pnyx.load("nowhere.pnyx")


def test_run_answers(pipeline: pnyx.Pipeline) -> None:
    result = pipeline.run(QUESTION, **SIMULATED)
    assert result.simulated
    assert result.error is None
    assert result.answer
    assert (result.usage.calls, result.usage.samples) == (4, 5)  # two drafts at once, a critique each, one fusion
    assert outcome(pipeline.run(QUESTION, **SIMULATED)) == outcome(result)
    assert outcome(pipeline.run(QUESTION, seed=1, **SIMULATED)) != outcome(result)
    assert outcome(pipeline.run(QUESTION, models={"small": "sim-70b"}, **SIMULATED)) != outcome(result)


async def test_arun_answers_as_run_does(pipeline: pnyx.Pipeline) -> None:
    result = await pipeline.arun(QUESTION, **SIMULATED)
    assert outcome(result) == outcome(await asyncio.to_thread(lambda: pipeline.run(QUESTION, **SIMULATED)))


def test_what_is_wrong_with_a_question_is_in_its_result(pipeline: pnyx.Pipeline) -> None:
    error = pipeline.run(" ", **SIMULATED).error
    assert error is not None
    assert error.code == "R803"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"engine": "simulatd"}, "unknown engine"),
        ({"models": {"smal": "x"}}, "no model `smal`"),
        ({"models": {"small": "smollm2-135m"}}, "not been pulled"),
    ],
)
def test_engines_that_cannot_be_opened(pipeline: pnyx.Pipeline, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(pnyx.RuntimeFailure, match=said):
        pipeline.run(QUESTION, **arguments)
    with pytest.raises(pnyx.RuntimeFailure, match=said):
        next(pipeline.map([QUESTION], **arguments))


def test_the_configuration_beside_the_program_counts(file: Path, pipeline: pnyx.Pipeline) -> None:
    file.with_name("pnyx.toml").write_text('[models.small]\nengine = "simulated"\n[run]\nseed = 7\n')
    assert outcome(pipeline.run(QUESTION)) == outcome(pipeline.run(QUESTION, seed=7, **SIMULATED))
    assert outcome(pipeline.run(QUESTION)) != outcome(pipeline.run(QUESTION, seed=0, **SIMULATED))


def test_map_answers_rows_of_each_kind_in_order(pipeline: pnyx.Pipeline) -> None:
    rows: list[Any] = [QUESTION, {"id": 1, "query": QUESTION}, "", {"id": 3}, 4, {5: "x"}, {"id": {6}, "query": "?"}]
    results = list(pipeline.map(rows, **SIMULATED))
    assert [result.index for result in results] == list(range(7))
    codes = [result.error and result.error.code for result in results]
    assert codes == [None, None, "R803", "R802", "R801", "R802", "R801"]
    assert outcome(results[0]) == outcome(results[1]) == outcome(pipeline.run(QUESTION, **SIMULATED))
    (named,) = pipeline.map([{"ask": QUESTION, "query": "other?"}], field="ask", **SIMULATED)
    assert named.question == QUESTION
    assert list(pipeline.map([], **SIMULATED)) == []


def test_the_window_changes_nothing(pipeline: pnyx.Pipeline) -> None:
    runs = [list(map(outcome, pipeline.map(question_rows(20), window=w, **SIMULATED))) for w in (1, 64)]
    assert runs[0] == runs[1]


def test_map_streams_and_stops_where_it_is_left(pipeline: pnyx.Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = 0
    closed: list[SimulatedEngine] = []
    close = SimulatedEngine.close

    async def noted(engine: SimulatedEngine) -> None:
        closed.append(engine)
        await close(engine)

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield f"What is {taken} + 1?"

    monkeypatch.setattr(SimulatedEngine, "close", noted)
    threads = threading.active_count()
    results = pipeline.map(endless(), window=2, **SIMULATED)
    assert taken == 0
    assert [next(results).index, next(results).index] == [0, 1]
    assert taken < 20
    assert closed == []
    results.close()
    assert len(closed) == 1
    assert threading.active_count() == threads
    with pytest.raises(StopIteration):
        next(results)


async def test_amap_streams_and_closes(pipeline: pnyx.Pipeline) -> None:
    expected = await asyncio.to_thread(lambda: list(pipeline.map(question_rows(3), **SIMULATED)))
    async with aclosing(pipeline.amap(question_rows(50), window=2, **SIMULATED)) as results:
        found = [await anext(results) for _ in range(3)]
    assert list(map(outcome, found)) == list(map(outcome, expected))
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_a_source_of_rows_that_breaks_is_the_callers(pipeline: pnyx.Pipeline) -> None:
    def broken() -> Iterator[str]:
        yield QUESTION
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        list(pipeline.map(broken(), **SIMULATED))


async def test_inside_an_event_loop_the_asynchronous_side_is_named(pipeline: pnyx.Pipeline) -> None:
    with pytest.raises(RuntimeError, match="`arun`"):
        pipeline.run(QUESTION, **SIMULATED)
    with pytest.raises(RuntimeError, match="`amap`"):
        pipeline.map([QUESTION], **SIMULATED)


def test_one_text_is_not_taken_for_rows(pipeline: pnyx.Pipeline) -> None:
    with pytest.raises(TypeError, match="use `run`"):
        pipeline.map(QUESTION, **SIMULATED)


def test_a_plan_file_runs_as_its_program_does(file: Path, pipeline: pnyx.Pipeline) -> None:
    plan = file.with_name("plan.json")
    plan.write_text(pipeline.plan.to_json(), encoding="utf-8-sig")
    loaded = pnyx.load_plan(plan)
    assert loaded.digest == pipeline.digest
    assert outcome(loaded.run(QUESTION, **SIMULATED)) == outcome(pipeline.run(QUESTION, **SIMULATED))


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff", b'{"nodes": [], "version": 2}'])
def test_files_that_are_no_plans(file: Path, content: bytes) -> None:
    plan = file.with_name("plan.json")
    plan.write_bytes(content)
    with pytest.raises(pnyx.PlanError):
        pnyx.load_plan(plan)
    with pytest.raises(OSError, match="nowhere"):
        pnyx.load_plan("nowhere.json")


def test_front_door_says_what_it_lacks() -> None:
    with pytest.raises(AttributeError, match="`nothing`"):
        _ = pnyx.nothing  # type: ignore[attr-defined]
