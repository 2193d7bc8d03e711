"""Whether the estimate that is reported of a winner is free of the optimism of having chosen it. Exits with 1 if not.

    python benchmarks/search/debiasing.py [--searches 40] [--rms 30] [--tokens 3000000]

For each of eight worlds, `--searches` searches race 60 random points on 200 questions and take the best mean; `--rms`
are those of RMS with so many `--tokens`. What `debias` says of the winner is held against its share of 16,000 fresh
questions. The bars: on average within 1 point of it, and 90 to 98 % of the intervals hold it. The raw mean must miss
them. With much fewer searches, such as 64, the coverage itself is known to no better than 5 points.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator

import numpy as np
from architectures import SPACE
from driver import drive
from trials import BLOCK, Workbench
from truth import draw_point, truth
from world import Questions, World

from pnyx.runtime.search.debias import debias
from pnyx.runtime.search.race import raced_out
from pnyx.runtime.search.rows import Rows
from pnyx.runtime.search.space import Point
from pnyx.runtime.search.strategies.rms import RMS

__all__ = ["MOST_BIAS", "WANTED_COVERAGE", "Judged", "judge", "main", "raced", "searched"]

MOST_BIAS = 0.01
WANTED_COVERAGE = (0.90, 0.98)
_WORLDS, _QUESTIONS, _POINTS = 8, 200, 60

Searched = tuple[int, Rows, Point]


def raced(searches: int, worlds: int = _WORLDS) -> Iterator[Searched]:
    """World, rows and winner of searches among random points."""
    for world in range(worlds):
        for seed in range(searches):
            random = np.random.default_rng([world, seed, 5])
            bench = Workbench(Questions(World(world), _QUESTIONS, 70_000 + seed), np.inf, seed=seed)
            rows, best = Rows(_QUESTIONS), None
            for point in dict.fromkeys(draw_point(random) for _ in range(_POINTS)):
                trial, kept = bench.trial(point), True
                for start in range(0, _QUESTIONS, BLOCK):
                    asked = bench.order[start : start + BLOCK]
                    trial.ask(asked)
                    rows.settle(point, trial.settled(asked))
                    if best and raced_out(rows.scores(point), rows.scores(best)):
                        kept = False
                        break
                if kept and (best is None or rows.scores(point).mean() > rows.scores(best).mean()):
                    best = point
            assert best is not None
            yield world, rows, best


def searched(searches: int, tokens: float, worlds: int = _WORLDS) -> Iterator[Searched]:
    """The same of searches by RMS."""
    for world in range(worlds):
        for seed in range(searches):
            bench = Workbench(Questions(World(world), _QUESTIONS, 80_000 + seed), tokens, seed=seed)
            rows = drive(RMS(SPACE, seed=seed), bench)
            yield world, rows, bench.course[-1][1]


class Judged:
    """How far estimates are off on average, its standard error, and how many intervals hold what is true."""

    def __init__(self, off: Iterable[float], held: Iterable[bool]) -> None:
        errors = np.array(list(off))
        self.bias, self.error = float(errors.mean()), float(errors.std() / np.sqrt(len(errors)))
        self.coverage = float(np.mean(list(held)))

    @property
    def sound(self) -> bool:
        return abs(self.bias) <= MOST_BIAS and WANTED_COVERAGE[0] <= self.coverage <= WANTED_COVERAGE[1]

    def __str__(self) -> str:
        return f"{100 * self.bias:+.2f} ± {100 * self.error:.2f} points off, {self.coverage:.1%} of the intervals hold"


def judge(all_searched: Iterable[Searched]) -> tuple[Judged, Judged]:
    """The estimate without optimism, and the raw mean with an interval as wide."""
    estimates = []
    for seed, (world, rows, winner) in enumerate(all_searched):
        estimated = debias(rows, winner, seed=seed)
        assert estimated is not None
        estimates.append((estimated, truth(world, winner)))
    low_high = [(e.interval[0] <= true <= e.interval[1]) for e, true in estimates]
    half = [(e.interval[1] - e.interval[0]) / 2 for e, _ in estimates]
    raw = [abs(e.raw - true) <= h for (e, true), h in zip(estimates, half, strict=True)]
    return Judged((e.value - t for e, t in estimates), low_high), Judged((e.raw - t for e, t in estimates), raw)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--searches", type=int, default=40)
    parser.add_argument("--rms", type=int, default=30)
    parser.add_argument("--tokens", type=float, default=3e6)
    options = parser.parse_args()
    held = True
    for name, made in (("races", raced(options.searches)), ("RMS", searched(options.rms, options.tokens))):
        debiased, raw = judge(made)
        print(f"{name}: {debiased}; raw mean: {raw}", flush=True)
        held &= debiased.sound and not raw.sound
    print("every bar holds" if held else "missed")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
