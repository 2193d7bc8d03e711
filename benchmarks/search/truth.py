"""How good points are: their scores on 16,000 fresh questions, the same for all, and the best point of each world.

What was computed is kept in a folder of its own under the system's folder for temporary files, under a digest of the
world's source, and may be deleted. The best points are found by local search, and stored in `optima.json`:

    python benchmarks/search/truth.py [--worlds 24]
"""

from __future__ import annotations

import argparse
import ast
import heapq
import json
import tempfile
from collections.abc import Iterator
from functools import cache, lru_cache
from hashlib import blake2b
from pathlib import Path

import numpy as np
from architectures import SPACE
from world import Questions, World

from pnyx.runtime.search.space import Point

__all__ = ["CACHE", "OPTIMA", "digest", "draw_point", "neighbours", "optimum", "regret", "source", "truth"]

QUESTIONS = 16_000
CACHE = Path(tempfile.gettempdir()) / "pnyx-search-benchmark"
OPTIMA = Path(__file__).with_name("optima.json")
_FRESH_SEED, _CLIMB_SEED, _FINAL_SEED = 5555, 777, 778


def source(name: str) -> str:
    """Of a module beside this one."""
    return Path(__file__).with_name(name).read_text()


def digest(*sources: str) -> str:
    """Of what code is, and not of how it is formatted."""
    digest = blake2b(digest_size=6)
    for code in sources:
        digest.update(ast.dump(ast.parse(code)).encode())
    return digest.hexdigest()


def truth(world: int, point: Point) -> float:
    """The share of the fresh questions that it gets right."""
    known, file = _known(world)
    if point not in known:
        known[point] = float(_fresh(world).evaluate(point).scores.mean())
        with file.open("a") as lines:
            lines.write(json.dumps([point, known[point]]) + "\n")
    return known[point]


def optimum(world: int) -> Point:
    """The best point that local search has found."""
    return _read(json.loads(OPTIMA.read_text())[str(world)])


def regret(world: int, point: Point) -> float:
    """In points of accuracy, below the best point; may be slightly negative."""
    return 100 * (truth(world, optimum(world)) - truth(world, point))


def draw_point(random: np.random.Generator) -> Point:
    """A feasible one, each choice uniform."""
    while True:
        point = SPACE.point({p.name: int(random.integers(len(p.options))) for p in SPACE.parameters})
        if SPACE.feasible(point):
            return point


def neighbours(point: Point) -> Iterator[Point]:
    """Feasible points that differ in one choice; where it opens others, with each of their options."""
    chosen, near = dict(point), {point: None}
    for parameter in SPACE.parameters:
        for index in range(len(parameter.options)):
            first = SPACE.point(chosen | {parameter.name: index})
            near[first] = None
            for opened in SPACE.parameters:
                if opened.name in dict(first) and opened.name not in chosen:
                    for other in range(len(opened.options)):
                        near[SPACE.point(dict(first) | {opened.name: other})] = None
    del near[point]
    return filter(SPACE.feasible, near)


@lru_cache(maxsize=1)
def _fresh(world: int) -> Questions:
    return Questions(World(world), QUESTIONS, _FRESH_SEED)


@cache
def _known(world: int) -> tuple[dict[Point, float], Path]:
    file = CACHE / digest(source("world.py"), source("architectures.py")) / f"truth-{world}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = file.read_text().splitlines() if file.exists() else []
    return {_read(point): score for point, score in map(json.loads, lines)}, file


def _read(point: list[tuple[str, int]]) -> Point:
    return tuple((name, index) for name, index in point)


def _find(world: int) -> Point:
    """Climbs from the best 6 of 400 random points on 5,000 questions; compares the best 25 met on 40,000 others."""
    random = np.random.default_rng(1)
    climbed = Questions(World(world), 5000, _CLIMB_SEED)
    met: dict[Point, float] = {}

    def score(point: Point) -> float:
        if point not in met:
            met[point] = float(climbed.evaluate(point).scores.mean())
        return met[point]

    for point in heapq.nlargest(6, [draw_point(random) for _ in range(400)], key=score):
        best = point
        while score(higher := max(neighbours(best), key=score)) > score(best):
            best = higher
    final = Questions(World(world), 40_000, _FINAL_SEED)
    return max(heapq.nlargest(25, met, key=score), key=lambda p: float(final.evaluate(p).scores.mean()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--worlds", type=int, default=24)
    found = {}
    for world in range(parser.parse_args().worlds):
        found[str(world)] = _find(world)
        print(f"world {world}: {truth(world, found[str(world)]):.4f}", dict(found[str(world)]), flush=True)
    lines = [f'  "{world}": {json.dumps(point)}' for world, point in found.items()]
    OPTIMA.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
