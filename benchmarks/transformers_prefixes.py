"""Seconds of a pipeline's calls on the transformers engine with and without reuse of prefixes, and by plain `generate`.

    python benchmarks/transformers_prefixes.py [--questions 3] [--samples 8] [--tokens 24] [--rounds 3] [--json FILE]

The pipeline generates, criticises, ranks and fuses; once with short questions, once with a passage before each. It runs
once and its requests are written down. Then all ways get these very requests, in the waves in which the pipeline sends
them: a question's critiques together when its samples are there, and so on. The engine works on all questions at once;
plain `generate` gets one padded batch for each wave, of all questions together, and draws as many tokens with no stop
strings and no seeds, on the model as transformers loads it. The ways take turns in every round, so that a machine that
others use too is slow for all of them; each begins with nothing cached. `computed` counts the positions of prompts that
the model was run on, padding included. Seconds of the processor (all threads) say more than those of the clock where
others work beside; for both, the ratio to the first way is the median over the rounds. OMP_NUM_THREADS=1 keeps threads
from waiting for each other there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from pnyx.compiler.program import Program
from pnyx.runtime.engines.transformers import TransformersEngine
from pnyx.runtime.engines.transformers.loading import LoadedModel, load
from pnyx.runtime.engines.transformers.prefixes import PrefixCache
from pnyx.runtime.models.find import find
from pnyx.runtime.request import Request, Response
from pnyx.runtime.rows import Row
from pnyx.runtime.session import Session

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
Waves = list[list[Request]]


@dataclass(frozen=True, slots=True)
class Run:
    """`prompt`: tokens of the prompts; `computed`: positions of prompts that the model was run on; `cached`: tokens
    that were not computed anew."""

    seconds: float
    processor: float
    prompt: int
    computed: int
    cached: int
    drawn: int


Way = Callable[[], Awaitable[tuple[int, int, int]]]


class Recorder:
    """Stands where the engine stands and writes down each question's requests, a wave beginning when one is sent while
    none is under way."""

    def __init__(self, engine: TransformersEngine) -> None:
        self._engine = engine
        self.info = engine.info
        self.waves: dict[str, Waves] = {}
        self._under_way: dict[str, int] = {}

    async def complete(self, request: Request) -> Response:
        assert request.subject is not None
        query = request.subject.query
        waves = self.waves.setdefault(query, [])
        if not self._under_way.get(query):
            waves.append([])
        waves[-1].append(request)
        self._under_way[query] = self._under_way.get(query, 0) + 1
        try:
            return await self._engine.complete(request)
        finally:
            self._under_way[query] -= 1

    async def close(self) -> None:
        """The engine goes on."""


class Positions:
    """Counts the positions of prompts that models are run on."""

    def __init__(self, *models: Any) -> None:
        self.count = 0
        self._hooks = [model.register_forward_pre_hook(self._see, with_kwargs=True) for model in models]

    def _see(self, _model: Any, _arguments: Any, named: dict[str, Any]) -> None:
        if named["input_ids"].shape[1] > 1:
            self.count += named["input_ids"].numel()


def question(number: int, *, passage: bool) -> str:
    goods, price, count = GOODS[number % len(GOODS)], number % 7 + 2, number + 11
    asked = (
        f"A shop sells {goods} at {price} coins each. On Monday it sells {count} of them, on Tuesday twice as many. "
        f"How many coins does it take in on the two days? Explain each step."
    )
    days = (
        f"In week {week} the shop had {week * 3 + number} visitors, who asked for {GOODS[(number + week) % 8]} most "
        f"of all, and paid {week + price} coins each for them."
        for week in range(1, 11)
    )
    return " ".join((*days, asked)) if passage else asked


async def record(engine: TransformersEngine, options: argparse.Namespace, *, passage: bool) -> list[Waves]:
    keep = max(1, options.samples // 2)
    program = PROGRAM.format(model=options.model, samples=options.samples, tokens=options.tokens, keep=keep)
    recorder = Recorder(engine)
    session = Session(Program.parse(program).compile(None, {}), {"m": recorder})
    rows = (Row(i + 1, question(i, passage=passage), id=i) for i in range(options.questions))
    async for result in session.map(rows):
        assert result.error is None, result.error
    return list(recorder.waves.values())


def make_ways(engine: TransformersEngine, plain: LoadedModel, questions: list[Waves]) -> dict[str, Way]:
    batch = engine._worker._batch
    capacity = batch.prefixes.capacity

    async def by_engine(*, reuse: bool) -> tuple[int, int, int]:
        batch.prefixes = PrefixCache(capacity if reuse else 0)
        usages = await asyncio.gather(*(waves_of(waves) for waves in questions))
        batch.prefixes = PrefixCache(capacity)
        found = [usage for several in usages for usage in several]
        return sum(u.prompt for u in found), sum(u.cached for u in found), sum(u.generated for u in found)

    async def waves_of(waves: Waves) -> list[Any]:
        found = []
        for wave in waves:
            found += [response.usage for response in await asyncio.gather(*map(engine.complete, wave))]
        return found

    async def by_generate() -> tuple[int, int, int]:
        prompt = drawn = 0
        for number in range(max(map(len, questions))):
            wave = [request for waves in questions for request in waves[number : number + 1] for request in request]
            texts = [plain.chat.prompt(request.messages, request.prefix) for request in wave]
            prompt += sum(map(len, texts))
            rows = [text for text, request in zip(texts, wave, strict=True) for _ in range(request.n)]
            drawn += generate(plain, rows, max(request.sampling.max_tokens for request in wave))
        return prompt, 0, drawn

    return {
        "engine, with reuse": lambda: by_engine(reuse=True),
        "engine, without": lambda: by_engine(reuse=False),
        "generate": by_generate,
    }


@torch.inference_mode()
def generate(loaded: LoadedModel, prompts: list[list[int]], tokens: int) -> int:
    """Padded on the left; the tokens drawn up to the end of each reply."""
    width, pad = max(map(len, prompts)), next(iter(loaded.end))
    ids = torch.tensor([[pad] * (width - len(prompt)) + prompt for prompt in prompts], device=loaded.device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=loaded.device)
    made = loaded.model.generate(ids, attention_mask=mask, max_new_tokens=tokens, do_sample=True, pad_token_id=pad)
    drawn = 0
    for row in made[:, width:].tolist():
        ends = [at for at, token in enumerate(row) if token in loaded.end]
        drawn += ends[0] + 1 if ends else len(row)
    return drawn


async def measure(
    engine: TransformersEngine, plain: LoadedModel, questions: list[Waves], rounds: int
) -> dict[str, list[Run]]:
    ways = make_ways(engine, plain, questions)
    positions = Positions(engine._worker._batch._loaded.model, plain.model)
    runs: dict[str, list[Run]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            before, began, worked = positions.count, time.perf_counter(), time.process_time()
            prompt, cached, drawn = await way()
            seconds, processor = time.perf_counter() - began, time.process_time() - worked
            runs[name].append(Run(seconds, processor, prompt, positions.count - before, cached, drawn))
    return runs


def report(runs: dict[str, list[Run]]) -> dict[str, dict[str, float]]:
    """Medians of the rounds' ratios to the first way, of the clock and of the processor."""
    first, *_ = runs
    ratios = {
        name: {
            kind: statistics.median(
                getattr(run, kind) / getattr(ours, kind) for run, ours in zip(several, runs[first], strict=True)
            )
            for kind in ("seconds", "processor")
        }
        for name, several in runs.items()
    }
    titles = ("clock, s", "ratio", "processor, s", "ratio", "prompt", "cached", "computed", "drawn")
    print(f"{'':20}" + "".join(f"{title:>14}" for title in titles))
    for name, several in runs.items():
        run, ratio = several[-1], ratios[name]
        middle = [statistics.median(getattr(each, kind) for each in several) for kind in ("seconds", "processor")]
        print(
            f"{name:20}{middle[0]:14.1f}{ratio['seconds']:14.2f}{middle[1]:14.1f}{ratio['processor']:14.2f}"
            f"{run.prompt:14}{run.cached:14}{run.computed:14}{run.drawn:14}",
            flush=True,
        )
    return ratios


@asynccontextmanager
async def opened(options: argparse.Namespace) -> AsyncIterator[TransformersEngine]:
    engine = TransformersEngine.open(find(options.model).folder, model=options.model, dtype=options.dtype)
    try:
        yield engine
    finally:
        await engine.close()


async def run(options: argparse.Namespace) -> None:
    figures: dict[str, Any] = {}
    plain = load(find(options.model).folder, device=None, dtype=options.dtype)
    async with opened(options) as engine:
        print(f"{platform.machine()}, {torch.get_num_threads()} threads, {engine.info.variant}")
        for name, passage in (("short questions", False), ("questions with a passage", True)):
            questions = await record(engine, options, passage=passage)
            print(f"\n{name}: {sum(len(wave) for waves in questions for wave in waves)} requests")
            runs = await measure(engine, plain, questions, options.rounds)
            assert all(run.cached for run in runs["engine, with reuse"])
            ratios = report(runs)
            rounds = {way: [asdict(each) for each in several] for way, several in runs.items()}
            figures[name] = {"rounds": rounds, "ratios": ratios}
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--questions", type=int, default=3)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=24, help="of each reply at most")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", help="as the engine takes it")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
