"""Searches never spend more than their budgets: randomised searches on the simulated engine.

    python -m benchmarks.search.budget --searches 1000

Every search has budgets of one to three kinds, drawn such that most of them end it; some share a call store with those
before, and some are begun twice at the same time. What the engines really drew is counted apart from the ledger, and
held against the budget.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pnyx
from pnyx.runtime.engines.simulated import SimulatedEngine
from pnyx.runtime.errors import RuntimeFailure
from pnyx.runtime.request import Request, Response
from pnyx.runtime.search.failures import BudgetTooSmall

PROGRAM = """model small = "smollm2-135m"
model big = "qwen2.5-72b" { parameters = 72B }

pipeline answer(query) {
    query
    |> generate(tune(small, big), n = tune(1, 2, 4), temperature = tune(0.3, 0.8), max_tokens = tune(32, 64))
    |> extract(number)
    |> vote
}

benchmark sums {
    data = jsonl("sums.jsonl")
    query = question
    target = answer
    score = numeric
}

search best {
    pipeline = answer
    benchmark = sums
    budget = 10M tokens
}
"""
_LIMITS = {"calls": (80, 600), "samples": (150, 1500), "tokens": (12_000, 120_000), "flops": (3e14, 3e15)}


@dataclass
class Asked:
    """What engines were asked for, by kind of limit; a call that failed would count too."""

    spent: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def watching(self) -> Iterator[None]:
        complete = SimulatedEngine.complete

        async def counted(engine: SimulatedEngine, request: Request) -> Response:
            response = await complete(engine, request)
            tokens = response.usage.prompt + response.usage.generated
            self.spent["calls"] += 1
            self.spent["samples"] += request.n
            self.spent["tokens"] += tokens
            self.spent["flops"] += 2 * (engine.info.parameters or 0) * tokens
            return response

        SimulatedEngine.complete = counted  # type: ignore[method-assign]
        try:
            yield
        finally:
            SimulatedEngine.complete = complete  # type: ignore[method-assign]


def budget_of(random: Random) -> dict[str, float]:
    kinds = random.sample(sorted(_LIMITS), random.randint(1, 3))
    return {kind: round(random.uniform(*_LIMITS[kind])) for kind in kinds}


def one_search(program: pnyx.Program, folder: Path, number: int, random: Random) -> tuple[str, str | None]:
    """How it ended, and what was exceeded."""
    limits = budget_of(random)
    store = random.choice(["none", str(folder / "calls.db"), str(folder / f"calls{number}.db")])
    settings = {
        "engine": "simulated",
        "store": store,
        "storage": str(folder / f"{number}.db"),
        "seed": number,
        "budget": [f"{kind}={amount}" for kind, amount in limits.items()],
        "algorithm": random.choice(["rms", "rms", "random"]),
    }
    twice = random.random() < 0.25
    asked = Asked()

    async def searching() -> list[object]:
        runs = [program.asearch(**settings) for _ in range(2 if twice else 1)]  # type: ignore[arg-type]
        return list(await asyncio.gather(*runs, return_exceptions=True))

    with asked.watching():
        found = asyncio.run(searching())
    ended = "searched"
    for outcome in found:
        if isinstance(outcome, BudgetTooSmall):
            ended = "refused"
        elif isinstance(outcome, BaseException):
            if not isinstance(outcome, RuntimeFailure):
                raise outcome
            ended = f"failed: {outcome.code}"
    over = [f"{kind}: {asked.spent[kind]} of {limit}" for kind, limit in limits.items() if asked.spent[kind] > limit]
    return ended, "; ".join(over) or None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--searches", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random, endings, exceeded = Random(options.seed), Counter[str](), 0
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="pnyx-budget-") as name:
        folder = Path(name)
        rows = (f'{{"question": "What is {i} * 37 + {i + 5}?", "answer": {i * 37 + i + 5}}}\n' for i in range(11, 51))
        (folder / "sums.jsonl").write_text("".join(rows))
        (folder / "p.pnyx").write_text(PROGRAM)
        program = pnyx.load(folder / "p.pnyx")
        for number in range(options.searches):
            ended, over = one_search(program, folder, number, random)
            endings[ended] += 1
            if over is not None:
                exceeded += 1
                print(f"search {number} exceeded its budget: {over}", flush=True)
    listed = ", ".join(f"{times} {ended}" for ended, times in sorted(endings.items()))
    print(f"{options.searches} searches ({listed}), {exceeded} over budget; {time.perf_counter() - began:.0f} s")
    if exceeded:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
