"""What a point is predicted to draw beside others is what the call store then lets it draw."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest
from search.spaces import MODELS, program

from pnyx.runtime.engines.simulated import SimulatedEngine
from pnyx.runtime.rows import Row
from pnyx.runtime.search.space import Point
from pnyx.runtime.search.spaces.program_space import ProgramSpace
from pnyx.runtime.session import Session
from pnyx.runtime.store.locations import open_store

PROGRAMS = {
    "more samples": "query |> generate(small, n = tune(2, 4, 7), max_tokens = 64)",
    "of each": "query |> generate(small, n = tune(2, 4), max_tokens = 64) |> critique(large, max_tokens = 32)",
    "other stages": "query |> generate(small, n = 3, max_tokens = 64) |> critique(tune(large, third), max_tokens = 32)",
    "of the whole pool": "query |> generate(small, n = tune(2, 4), max_tokens = 64) |> fuse(large, n = tune(1, 2))",
    "behind a whole pool": (
        "query |> generate(small, n = tune(2, 3), max_tokens = 64) |> fuse(large, n = tune(1, 2)) "
        "|> critique(large, max_tokens = 32)"
    ),
    "several models": "query |> generate(tune(small, [small, large]), n = tune(1, 2), max_tokens = 64)",
    "each its own way": (
        "query |> generate(small, n = tune(1, 3), max_tokens = 64) "
        "|> each one { one |> critique(large, max_tokens = 32) |> revise(small, max_tokens = 64) }"
    ),
    "rounds": "pool = query |> generate(small, max_tokens = 64) "
    "loop max tune(1, 3) { pool = pool |> critique(large, max_tokens = 32) |> revise(small, max_tokens = 64) } pool",
}


def drawn(space: ProgramSpace, points: list[Point], folder: Path) -> list[int]:
    """Samples that each point really draws for one question, one after the other, over one store."""

    async def run() -> list[int]:
        made = []
        async with open_store(str(folder / "calls.sqlite")) as store:
            for point in points:
                plan = space.plan(point)
                engines = {model.name: SimulatedEngine(model=model.id) for model in plan.models}
                session = Session(plan, engines, seed=3, store=store)
                (result,) = [r async for r in session.map([Row(0, "Why is the sky blue?")])]
                assert result.error is None
                made.append(result.usage.samples - result.usage.cached_samples)
        return made

    return asyncio.run(run())


@pytest.mark.parametrize("name", PROGRAMS)
def test_predicted_samples_are_those_that_are_drawn(name: str, tmp_path: Path) -> None:
    body = PROGRAMS[name].replace(" loop", "\n    loop").replace(" } pool", " }\n    pool")
    text = f"{MODELS}\npipeline main(query) {{\n    {body}\n}}\n"
    made = program(text)
    space = ProgramSpace(made, made.pipelines, currency="samples")
    points = list(space.points())
    for number, order in enumerate(itertools.islice(itertools.permutations(points, 2), 12)):
        folder = tmp_path / str(number)
        folder.mkdir()
        alone, beside = drawn(space, list(order), folder)
        predicted = space.marginal([order[0]])(order[1])
        assert alone == pytest.approx(space.cost(order[0]), rel=0.01)
        assert beside == pytest.approx(predicted, abs=0.02 * space.cost(order[1])), list(map(space.describe, order))
