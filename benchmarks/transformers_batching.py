"""Tokens per second of the transformers engine with many requests at once, beside one at a time and beside `generate`.

    python benchmarks/transformers_batching.py [FOLDER] [--requests 32] [--tokens 64] [--temperature 0] [--rounds 3]
        [--dtype float32] [--json FILE]

One set of prompts of different lengths that ask for long replies, same folder, number format and machine; `generate`
has the model as transformers loads it. Greedy, unless a temperature is given: then from the whole distribution. What
is counted are the tokens that were really drawn, so a reply that ends early counts for what it has. The engine begins
each time with no prompt known. The four ways take turns in every round, so that a machine that others use too is slow
for all of them; the ratios are of the best rounds, as disturbances only ever add time. One at a time uses the first
`--alone` prompts, as it hardly varies between them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import torch

from pnyx.compiler.operators import Sampling
from pnyx.runtime.engines.transformers import TransformersEngine
from pnyx.runtime.engines.transformers.loading import LoadedModel, load
from pnyx.runtime.models.find import find
from pnyx.runtime.request import Message, Request

TOPICS = ("rivers", "a lighthouse", "the moon", "bread", "an old clock", "trade winds", "a chess game", "bees")
Way = Callable[[], Awaitable[int]]


def make_requests(count: int, sampling: Sampling) -> list[Request]:
    texts = [
        f"Write a long story about {TOPICS[i % 8]}, with {i + 2} people in it."
        + " Describe every one of them." * (i % 5)
        for i in range(count)
    ]
    return [Request(messages=(Message("user", text),), sampling=sampling, seed=i) for i, text in enumerate(texts)]


def generate(loaded: LoadedModel, prompts: list[list[int]], sampling: Sampling) -> int:
    """Plain `generate` of transformers, padded on the left; the tokens drawn up to the end of each reply."""
    width, pad = max(map(len, prompts)), next(iter(loaded.end))
    ids = torch.tensor([[pad] * (width - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    drawing = {"do_sample": True, "temperature": sampling.temperature, "top_k": 0} if sampling.temperature else {}
    with torch.inference_mode():
        made = loaded.model.generate(
            ids, attention_mask=mask, max_new_tokens=sampling.max_tokens, pad_token_id=pad, **drawing
        )
    drawn = 0
    for row in made[:, width:].tolist():
        ends = [at for at, token in enumerate(row) if token in loaded.end]
        drawn += ends[0] + 1 if ends else len(row)
    return drawn


def make_ways(engine: TransformersEngine, loaded: LoadedModel, requests: list[Request], alone: int) -> dict[str, Way]:
    prompts = [loaded.chat.prompt(request.messages) for request in requests]
    few, sampling = requests[:alone], requests[0].sampling

    async def generate_alone() -> int:
        return sum(generate(loaded, [prompt], sampling) for prompt in prompts[:alone])

    async def generate_batch() -> int:
        return generate(loaded, prompts, sampling)

    async def engine_alone() -> int:
        await engine.forget()
        return sum([(await engine.complete(request)).usage.generated for request in few])

    async def engine_batch() -> int:
        await engine.forget()
        responses = await asyncio.gather(*map(engine.complete, requests))
        return sum(response.usage.generated for response in responses)

    return {
        "generate, one at a time": generate_alone,
        "engine, one at a time": engine_alone,
        f"generate, padded batch of {len(requests)}": generate_batch,
        f"engine, {len(requests)} at once": engine_batch,
    }


async def measure(ways: dict[str, Way], rounds: int) -> dict[str, list[float]]:
    """Tokens per second of each round, after a round that is not counted."""
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            started = time.perf_counter()
            tokens = await way()
            if turn:
                speeds[name].append(tokens / (time.perf_counter() - started))
    return speeds


def report(speeds: dict[str, list[float]]) -> dict[str, Any]:
    best = {name: max(values) for name, values in speeds.items()}
    *others, ours = best
    print(f"{'':34}{'best':>9}{'rounds':>30}  tokens per second")
    for name, values in speeds.items():
        print(f"{name:34}{best[name]:9.1f}{' '.join(f'{value:.1f}' for value in values):>30}")
    ratios = {name: best[ours] / best[name] for name in others}
    for name, ratio in ratios.items():
        print(f"{ours} / {name}: {ratio:.1f}")
    return {"tokens_per_second": speeds, "ratios": ratios}


async def run(options: argparse.Namespace) -> None:
    loaded = load(options.folder, device="cpu", dtype=options.dtype)
    engine = TransformersEngine.open(options.folder, model=options.folder.name, device="cpu", dtype=options.dtype)
    sampling = Sampling(temperature=options.temperature, max_tokens=options.tokens)
    requests = make_requests(options.requests, sampling)
    machine = (
        f"{platform.machine()}, {torch.get_num_threads()} threads, {loaded.model.dtype}, torch {torch.__version__}"
    )
    print(machine)
    try:
        ways = make_ways(engine, loaded, requests, options.alone)
        result = report(await measure(ways, options.rounds))
    finally:
        await engine.close()
    if options.json:
        options.json.write_text(json.dumps({"machine": machine, **result}, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", help="a model folder; default: smollm2-135m, if it is pulled")
    parser.add_argument("--requests", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alone", type=int, default=3, help="prompts for the ways that take one at a time")
    parser.add_argument("--dtype", help="as the engine takes it")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    options.folder = options.folder or find("smollm2-135m").folder
    asyncio.run(run(options))


if __name__ == "__main__":
    main()
