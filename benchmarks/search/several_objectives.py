"""Accuracy and cost at once: the front of RMS against TPE and NSGA-II. Exits with 1 where RMS is not better.

    python benchmarks/search/several_objectives.py [--worlds 8] [--seeds 2] [--tokens 10000000]

After a search, the best architecture within each of six caps on what a question may take is read off what the search
knows; what counts is the mean of their shares of 16,000 fresh questions. The bar: RMS has more than either on average,
with an interval of the differences by world that is clear of 0. RMS for accuracy alone is shown beside it.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

import numpy as np
import optuna
from architectures import SPACE
from driver import drive
from optuna_space import ask
from regression import interval, spelled
from trials import Exhausted, Workbench
from truth import truth
from world import Questions, World

from pnyx.runtime.search.space import Point
from pnyx.runtime.search.strategies.front import FrontRMS
from pnyx.runtime.search.strategies.rms import RMS
from pnyx.runtime.search.strategy import Strategy

__all__ = ["CAPS", "SEARCHES", "main", "under_caps"]

CAPS: Final = (300, 600, 1200, 2500, 4500, 7000)
"""Generated tokens of one question."""
_QUESTIONS: Final = 200

Believed = Mapping[Point, float]
"""Points that may be chosen, the best at each cost by this value."""


def _optuna(sampler: Callable[[int], optuna.samplers.BaseSampler]) -> Callable[[Workbench, int], Believed]:
    """Each point on all questions; accuracy and the logarithm of the cost."""

    def search(bench: Workbench, seed: int) -> Believed:
        study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler(seed))
        means: dict[Point, float] = {}
        with suppress(Exhausted):
            while True:
                asked, point = ask(study)
                trial = bench.trial(point)
                trial.ask(bench.order)
                study.tell(asked, [trial.mean, math.log(SPACE.cost(point))])
                means[point] = trial.mean
        return means

    return search


def _strategy(made: Callable[[int], Strategy]) -> Callable[[Workbench, int], Believed]:
    def search(bench: Workbench, seed: int) -> Believed:
        strategy = made(seed)
        rows = drive(strategy, bench)
        standings = strategy.standings(rows)
        return {standing.point: -place for place, standing in enumerate(standings)}

    return search


SEARCHES: Final[dict[str, Callable[[Workbench, int], Believed]]] = {
    "RMS, front": _strategy(lambda seed: FrontRMS(SPACE, seed=seed)),
    "RMS, accuracy alone": _strategy(lambda seed: RMS(SPACE, seed=seed)),
    "TPE": _optuna(lambda seed: optuna.samplers.TPESampler(seed=seed)),
    "NSGA-II": _optuna(lambda seed: optuna.samplers.NSGAIISampler(seed=seed, population_size=20)),
}


def under_caps(world: int, believed: Believed) -> list[float]:
    """The share of fresh questions that the best of them within each cap gets right; 0 where none is."""
    found = []
    for cap in CAPS:
        within = [point for point in believed if SPACE.cost(point) <= cap]
        found.append(truth(world, max(within, key=lambda p: believed[p])) if within else 0.0)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--worlds", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--tokens", type=float, default=10e6)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found = {name: np.zeros((options.worlds, options.seeds, len(CAPS))) for name in SEARCHES}
    for world in range(options.worlds):
        for seed in range(options.seeds):
            for name, search in SEARCHES.items():
                number = 100 * world + seed
                questions = Questions(World(world), _QUESTIONS, 1000 + number)
                believed = search(Workbench(questions, options.tokens, seed=number), number)
                found[name][world, seed] = 100 * np.array(under_caps(world, believed))
        print(f"world {world}: " + ", ".join(f"{n} {f[world].mean():.1f}" for n, f in found.items()), flush=True)
    ours = found["RMS, front"]
    missed = False
    print("| search | " + " | ".join(f"{cap:,}" for cap in CAPS) + " | mean | RMS's front less it |")
    print("|---|" + "---|" * (len(CAPS) + 2))
    for name, theirs in found.items():
        lead = interval((ours - theirs).mean(axis=(1, 2)))
        missed |= name in ("TPE", "NSGA-II") and not lead[1] > 0
        cells = [f"{mean:.1f}" for mean in (*theirs.mean(axis=(0, 1)), theirs.mean())]
        print(f"| {name} | " + " | ".join([*cells, "–" if theirs is ours else spelled(lead)]) + " |")
    print("missed" if missed else "every bar holds")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
