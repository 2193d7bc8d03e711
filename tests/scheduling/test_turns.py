"""Models of a program that take turns in memory, from the configuration to the summary."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pnyx import load
from pnyx.cli import main
from pnyx.compiler.plan import Plan
from pnyx.runtime.config import Config, ModelConfig, RunConfig
from pnyx.runtime.engines import open as open_module
from pnyx.runtime.engines.engine import Engine
from pnyx.runtime.engines.open import open_engines
from pnyx.runtime.engines.simulated import SimulatedEngine
from pnyx.runtime.errors import ConfigurationError, EngineFailure
from pnyx.runtime.models.folder import weight_bytes
from pnyx.runtime.results import Result
from pnyx.runtime.rows import Row
from pnyx.runtime.session import Session

PROGRAM = """
model small = "small-1B"
model judge = "judge-7B"

pipeline answer(query) {
    query
    |> generate(small, n = 3)
    |> critique(judge)
    |> rank(judge, keep = 1)
    |> fuse(small)
}
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    path = tmp_path / "main.pnyx"
    path.write_text(PROGRAM)
    return load(path).compile().plan


NAMES = ("small", "judge")


def simulated(memory: str | None, **more: dict[str, Any]) -> Config:
    """Both models take 6 GB, and `memory` is what there is."""
    said: dict[str, Any] = {"engine": "simulated", "memory": "6 GB"}
    models = {name: ModelConfig(**(said | more.get(name, {}))) for name in NAMES}
    return Config(run=RunConfig(memory=memory), models=models)


def rows(n: int) -> Iterator[Row]:
    return (Row(i + 1, f"What is {i} + 3?", id=i) for i in range(n))


def timeless(result: Result) -> Result:
    nodes = tuple(replace(n, seconds=0.0) for n in result.nodes)
    return replace(result, usage=replace(result.usage, seconds=0.0), nodes=nodes)


async def answered(
    plan: Plan, config: Config, n: int = 8, *, limit: float = 60, **options: Any
) -> tuple[list[Result], Session]:
    async with asyncio.timeout(limit), open_engines(plan, config) as engines:
        session = Session(plan, engines, **options)
        return [timeless(result) async for result in session.map(rows(n))], session


@pytest.mark.parametrize("window", [1, 5, None])
async def test_results_are_those_of_models_that_fit(plan: Plan, window: int | None) -> None:
    expected, all_fit = await answered(plan, simulated("12 GB"), window=window)
    assert (all_fit.stays, all_fit.window) == ((), window or 32)
    results, in_turn = await answered(plan, simulated("8 GB"), window=window)
    assert results == expected
    assert [stay.model for stay in in_turn.stays] == ["small", "judge"]
    assert all(stay.times > 0 for stay in in_turn.stays)
    assert in_turn.window == (window or 512)


async def test_a_large_window_means_few_turns(plan: Plan) -> None:
    times = {}
    for window in (2, 8):
        _, session = await answered(plan, simulated("8 GB"), window=window)
        times[window] = sum(stay.times for stay in session.stays)
    assert times[8] <= 4 < times[2]


async def test_without_a_bound_nothing_takes_turns(plan: Plan) -> None:
    _, session = await answered(plan, simulated(None), n=2)
    assert session.stays == ()


@pytest.mark.parametrize(
    ("small", "memory", "said"),
    [
        ("30 GB", "20 GB", "the model `small` takes 30 GB, and all models together may take 20 GB"),
        ("1500 MB", "200MB", "the model `small` takes 1.5 GB, and all models together may take 200 MB"),
    ],
)
async def test_a_model_that_alone_is_too_large_is_refused_before_any_is_opened(
    plan: Plan, small: str, memory: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_module, "_open", lambda *_: pytest.fail("opened"))
    with pytest.raises(ConfigurationError) as refused:
        await answered(plan, simulated(memory, small={"memory": small}, judge={"memory": "1 MB"}))
    assert refused.value.message == said
    assert "raise `memory` in `[run]`" in (refused.value.help or "")


def weights(folder: Path, size: int) -> str:
    """A folder that passes for a model of so many bytes of weights."""
    folder.mkdir()
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(size))
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text("{}")
    return str(folder)


async def test_what_nobody_says_is_told_by_the_files(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[str, str | None]] = []

    def open(binding: Any, progress: object) -> Engine:
        opened.append((binding.id, binding.options.memory))
        return SimulatedEngine(model=Path(binding.id).name)

    monkeypatch.setattr(open_module, "_open", open)
    ids = {name: weights(tmp_path / name, 1000) for name in NAMES}
    size = weight_bytes(tmp_path / "small")

    async def stays(memory: int, **said: str) -> tuple[Any, ...]:
        models = {name: ModelConfig(id=ids[name], memory=said.get(name)) for name in NAMES}
        _, session = await answered(plan, Config(run=RunConfig(memory=f"{memory} B"), models=models), n=1)
        return session.stays

    assert await stays(6 * size) == ()  # three times its files each
    assert opened == [(ids["small"], f"{3 * size} B"), (ids["judge"], f"{3 * size} B")]
    assert len(await stays(6 * size - 1)) == 2
    assert len(await stays(2 * size)) == 2  # what is estimated is at most all there is
    assert opened[-1][1] == f"{2 * size} B"
    assert await stays(3 * size, small=f"{size} B", judge=f"{2 * size} B") == ()
    with pytest.raises(ConfigurationError, match=r"the weights of the model `small` take 1\.0"):
        await stays(size - 1)
    with pytest.raises(ConfigurationError, match=r"said to take 10 bytes of memory, and its weights alone take 1\.0"):
        await stays(10 * size, small="10 B")


async def test_a_model_that_is_gone_fails_the_questions_that_need_it(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner, opened = open_module._open, []

    def once(binding: Any, progress: Any) -> Engine:
        if binding.id in opened:
            raise EngineFailure("no such file")
        opened.append(binding.id)
        return inner(binding, progress)

    monkeypatch.setattr(open_module, "_open", once)
    results, _ = await answered(plan, simulated("8 GB"), n=3)
    for result in results:
        assert result.error is not None
        assert result.error.code == "R807"
        assert "the model `judge` cannot be brought into memory again: no such file" in result.error.message
        assert (result.error.place or "").endswith("main.pnyx:8:8")


async def test_what_is_told_to_drain_brings_nothing_in(plan: Plan) -> None:
    async with open_engines(plan, simulated("8 GB", small={"latency": 0.5})) as engines:
        session = Session(plan, engines)
        async with asyncio.timeout(20), aclosing(session.map(rows(6))) as results:
            waiting = asyncio.ensure_future(anext(results, None))
            await asyncio.sleep(0.02)
            session.drain()
            assert await waiting is None
        assert sum(stay.times for stay in session.stays) == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


TOML = """
[run]
memory = "8 GB"

[models.small]
engine = "simulated"
memory = "6 GB"

[models.judge]
engine = "simulated"
memory = "6 GB"
latency = {latency}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PNYX_CACHE", str(tmp_path / "cache"))
    (tmp_path / "main.pnyx").write_text(PROGRAM)
    (tmp_path / "pnyx.toml").write_text(TOML.format(latency=0))
    (tmp_path / "rows.jsonl").write_text("".join(f'{{"question": "What is {i} + 4?"}}\n' for i in range(20)))
    return tmp_path


def test_the_summary_says_how_often_models_came_in(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["map", "main.pnyx", "rows.jsonl", "-o", "out.jsonl", "--summary-json", "sum.json"]) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "models took turns in memory: small 1 time, judge 1 time brought in, " in told
    assert "with up to 512 questions in flight" in told
    brought = json.loads((folder / "sum.json").read_text())["brought_in"]
    assert [(model["model"], model["times"]) for model in brought] == [("small", 1), ("judge", 1)]
    in_turn = (folder / "out.jsonl").read_bytes()
    (folder / "pnyx.toml").write_text(TOML.format(latency=0).replace("8 GB", "12 GB"))
    assert main(["map", "main.pnyx", "rows.jsonl", "-o", "out.jsonl", "--overwrite"]) == 0
    assert "took turns" not in capsys.readouterr().err
    assert (folder / "out.jsonl").read_bytes() == in_turn


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_an_interruption_between_turns_keeps_what_was_done(folder: Path) -> None:
    (folder / "pnyx.toml").write_text(TOML.format(latency=0.2))
    command = [sys.executable, "-m", "pnyx", "map", "main.pnyx", "rows.jsonl", "--store", "calls.sqlite"]
    command += ["-o", "out.jsonl", "--window", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not (Path("out.jsonl").exists() and Path("out.jsonl").stat().st_size):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    done = Path("out.jsonl").read_bytes()
    (folder / "pnyx.toml").write_text(TOML.format(latency=0))
    assert main([*command[3:6], "-o", "out.jsonl", "--store", "calls.sqlite"]) == 0
    assert Path("out.jsonl").read_bytes().startswith(done)
    assert main([*command[3:6], "-o", "whole.jsonl"]) == 0
    assert Path("whole.jsonl").read_bytes() == Path("out.jsonl").read_bytes()


@pytest.mark.model
async def test_one_real_model_under_two_names_takes_turns(
    smollm2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are loaded, never at once, and write what they write side by side."""
    monkeypatch.setenv("PNYX_CACHE", str(smollm2.parents[1]))
    path = tmp_path / "real.pnyx"
    path.write_text(
        'model one = "smollm2-135m"\nmodel two = "smollm2-135m"\n'
        "pipeline answer(query) {\n"
        "    query\n    |> generate(one, n = 2, temperature = 0, max_tokens = 6)\n"
        "    |> fuse(two, temperature = 0, max_tokens = 6)\n}\n"
    )
    plan = load(path).compile().plan
    files = weight_bytes(smollm2)

    def config(memory: int) -> Config:
        # Different windows, or the two would share one instance.
        models = {
            name: ModelConfig(device="cpu", dtype="float32", window=window, memory=f"{3 * files} B")
            for name, window in (("one", 8), ("two", 9))
        }
        return Config(run=RunConfig(memory=f"{memory} B"), models=models)

    async def texts(memory: int) -> tuple[list[str | None], Session]:
        results, session = await answered(plan, config(memory), n=2, limit=600)  # a busy machine loads slowly
        assert all(result.error is None for result in results)
        return [result.answer for result in results], session

    expected, _ = await texts(6 * files)
    found, session = await texts(4 * files)
    assert [(stay.model, stay.times) for stay in session.stays] == [("one", 0), ("two", 1)]
    assert found == expected
