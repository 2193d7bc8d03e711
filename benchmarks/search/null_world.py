"""Whether a search says that there is no significant gain where no architecture is better than another. Exits with 1
where it does in less than 93 % of the searches.

    python benchmarks/search/null_world.py [--searches 300] [--tokens 1000000]

The winner is compared with the program's defaults on held-out questions, with fresh draws, by the test that
`pnyx search` makes. The raw scores of the search are compared by the same test, and must miss the bar.
"""

from __future__ import annotations

import argparse
import sys

from architectures import SPACE
from driver import drive
from special_worlds import EqualQuestions
from trials import Workbench
from world import Floats, World

from pnyx.runtime.benchmarks import Comparison
from pnyx.runtime.search.confirm import significant
from pnyx.runtime.search.strategies.rms import RMS

__all__ = ["LEAST_QUIET", "gains", "main"]

LEAST_QUIET = 0.93
_QUESTIONS, _HELD_OUT = 200, 90
_CONFIRMATION = -1


def gains(seed: int, tokens: float) -> tuple[bool, bool]:
    """Whether a search says that its winner gains on the defaults: by held-out questions, and by its own."""
    questions = EqualQuestions(World(seed % 8), _QUESTIONS, 60_000 + seed)
    bench = Workbench(questions, tokens, seed=seed, held_out=_HELD_OUT)
    rows = drive(RMS(SPACE, seed=seed), bench)
    winner, defaults = bench.course[-1][1], SPACE.point({})
    if winner == defaults:
        return False, False
    fresh = [questions.evaluate(point, _CONFIRMATION).scores[bench.held_out] for point in (winner, defaults)]
    own = [questions.evaluate(point).scores[bench.order[: rows.count(winner)]] for point in (winner, defaults)]
    return _gain(*fresh, seed), _gain(*own, seed)


def _gain(ours: Floats, theirs: Floats, seed: int) -> bool:
    compared = Comparison(differences=tuple((ours - theirs).tolist()), seed=seed)
    return compared.mean > 0 and significant(compared)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--searches", type=int, default=300)
    parser.add_argument("--tokens", type=float, default=1e6)
    options = parser.parse_args()
    held_out, own = zip(*(gains(seed, options.tokens) for seed in range(options.searches)), strict=True)
    quiet = [1 - sum(found) / len(found) for found in (held_out, own)]
    print(f"no significant gain: {quiet[0]:.1%} by held-out questions, {quiet[1]:.1%} by those of the search")
    held = quiet[0] >= LEAST_QUIET > quiet[1]
    print("every bar holds" if held else f"missed: {LEAST_QUIET:.0%} is wanted of the first alone")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
