"""Whether held-out questions have an influence on a search. Exits with 1 where one has.

    python benchmarks/search/held_out.py [--searches 8] [--tokens 3000000]

Each search is made twice, the second time with the label of every held-out question poisoned. Both must settle the very
same rows in the same order, and name the same best points. A poisoned label of the search itself must change them.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from architectures import SPACE
from driver import drive
from special_worlds import PoisonedQuestions
from trials import Indices, Workbench
from world import World

from pnyx.runtime.search.strategies.rms import RMS

__all__ = ["decisions", "influence", "main"]

_QUESTIONS, _HELD_OUT = 200, 60


def decisions(seed: int, tokens: float, poisoned: Indices) -> tuple[object, ...]:
    """What a search asked, what was answered, and what it took for the best."""
    questions = PoisonedQuestions(World(seed % 8), _QUESTIONS, 90_000 + seed, poisoned)
    bench = Workbench(questions, tokens, seed=seed, held_out=_HELD_OUT)
    rows = drive(RMS(SPACE, seed=seed), bench)
    return (*((point, tuple(rows.settled(point))) for point in rows), tuple(bench.course), bench.spent)


def influence(seed: int, tokens: float) -> tuple[bool, bool]:
    """Whether all held-out labels change a decision, and whether those of ten other questions do."""
    none = np.array([], dtype=np.intp)
    bench = Workbench(PoisonedQuestions(World(0), _QUESTIONS, 0, none), 0, seed=seed, held_out=_HELD_OUT)
    assert not set(bench.held_out) & set(bench.order)
    sound = decisions(seed, tokens, none)
    return decisions(seed, tokens, bench.held_out) != sound, decisions(seed, tokens, bench.order[:10]) != sound


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--searches", type=int, default=8)
    parser.add_argument("--tokens", type=float, default=3e6)
    options = parser.parse_args()
    found = [influence(seed, options.tokens) for seed in range(options.searches)]
    by_held_out, by_others = (sum(changed) for changed in zip(*found, strict=True))
    print(f"of {len(found)} searches, poisoned held-out labels change {by_held_out}, other labels {by_others}")
    print("every bar holds" if (held := by_held_out == 0 and by_others == len(found)) else "missed")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
