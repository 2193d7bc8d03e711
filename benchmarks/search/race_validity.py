"""How often the race gives up a point that is as good as its rival, or better, over 2,000 simulated races.

    python benchmarks/search/race_validity.py [--races 2000]

A point races against a second evaluation of itself, or against a point that is worse by about ten points, in simulated
worlds, and is looked at after each block of ten questions. The bar: at no look more than α of the races have been lost.
Two usual tests at the same level, looked at as often, miss it: Wilcoxon's, as Optuna's pruner uses it, and Student's.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from scipy import stats
from trials import BLOCK
from truth import draw_point
from world import Floats, Questions, World

from pnyx.runtime.search.race import raced_out

__all__ = ["ALPHAS", "lost_by_look", "main", "pairs"]

ALPHAS: Final = (0.05, 0.1, 0.3)
_QUESTIONS = 400
_WORSE_BY = 0.1

Test = Callable[[Floats, Floats, float], bool]


def pairs(races: int) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Scores of a random point in a random world, of a second evaluation of it, and of a worse one."""
    for race in range(races):
        random = np.random.default_rng([race, 12])
        questions = Questions(World(race % 8), _QUESTIONS, 30_000 + race)
        point = draw_point(random)
        scores, again = (questions.evaluate(point, draw).scores for draw in (1, 2))
        yield scores, again, again * (random.random(_QUESTIONS) >= _WORSE_BY / 0.45)


def lost_by_look(test: Test, alpha: float, races: list[tuple[Floats, Floats]]) -> Floats:
    """The share of races that are lost by each look."""
    looks = range(BLOCK, _QUESTIONS + 1, BLOCK)
    lost = [[test(ours[:seen], theirs[:seen], alpha) for seen in looks] for ours, theirs in races]
    return np.maximum.accumulate(np.array(lost), axis=1).mean(axis=0)


def wilcoxon(ours: Floats, theirs: Floats, alpha: float) -> bool:
    """As `optuna.pruners.WilcoxonPruner` tests."""
    differences = ours - theirs
    p = stats.wilcoxon(differences, alternative="less", zero_method="zsplit", method="asymptotic").pvalue
    return bool(p < alpha and ours.mean() < theirs.mean())


def student(ours: Floats, theirs: Floats, alpha: float) -> bool:
    differences = ours - theirs
    if differences.std() == 0:
        return False
    return bool(stats.ttest_1samp(differences, 0, alternative="less").pvalue < alpha)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--races", type=int, default=2000)
    drawn = list(pairs(parser.parse_args().races))
    equal, better = [(a, b) for a, b, _ in drawn], [(a, worse) for a, _, worse in drawn]
    worse = [(theirs, ours) for ours, theirs in better]
    missed = False
    print(f"share of {len(drawn)} races lost by any look up to {_QUESTIONS} questions")
    for alpha in ALPHAS:
        of_equal, of_better = (float(lost_by_look(raced_out, alpha, races)[-1]) for races in (equal, better))
        missed |= max(of_equal, of_better) > alpha
        found = lost_by_look(raced_out, alpha, worse)
        half = (int(np.argmax(found >= 0.5)) + 1) * BLOCK if found[-1] >= 0.5 else None
        print(f"α = {alpha}: equal {of_equal:.3f}, better {of_better:.3f}, worse {found[-1]:.3f} (half by {half})")
    some = equal[: max(100, len(equal) // 10)]
    for test in (wilcoxon, student):
        rate = float(lost_by_look(test, 0.1, some)[-1])
        missed |= rate <= 0.1
        print(f"{test.__name__} at 0.1: equal {rate:.3f}")
    print("missed" if missed else "every bar holds")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
