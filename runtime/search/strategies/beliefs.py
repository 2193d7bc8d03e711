"""What the rows of a search say: which points are worth how much, and which is best.

Invariant: a function of the space and the rows alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pnyx.runtime.search.rows import Rows
from pnyx.runtime.search.space import Point
from pnyx.runtime.search.strategies.effects import Effects, estimate_effects, responses
from pnyx.runtime.search.strategies.surrogate import Encoding, Surrogate, fit_surrogate
from pnyx.runtime.search.strategy import Standing

__all__ = ["CAUTION", "EVIDENCE", "Beliefs", "believe"]

Floats = NDArray[np.float64]

CAUTION: Final = 0.5
"""Standard deviations below its mean at which a point is valued when the best one is chosen."""
EVIDENCE: Final = 100
"""Scores without which a point is not chosen as the best, where there are others."""

_MOST_POINTS: Final = 300
_MOST_PROMISING: Final = 220
_LATEST: Final = 80
_SPREAD_OF_A_SCORE: Final = 0.4


@dataclass(frozen=True, slots=True, eq=False)
class Beliefs:
    """`means` and `sds` of the values of `points`, of which each has a score. `counts`: of scores."""

    points: tuple[Point, ...]
    counts: Floats
    means: Floats
    sds: Floats
    effects: Effects
    surrogate: Surrogate

    def ranked(self, allowed: Sequence[bool]) -> list[int]:
        """The positions of the allowed points, the one that is best for sure first. Those with little evidence come
        after those with enough, or, where none has enough, after those with half of what the best known one has."""
        positions = [i for i, fits in enumerate(allowed) if fits]
        if not positions:
            return []
        enough = min(EVIDENCE, float(self.counts[positions].max()) / 2)
        cautious = self.means - CAUTION * self.sds
        return sorted(positions, key=lambda i: (self.counts[i] < enough, -cautious[i]))

    def standing(self, position: int) -> Standing:
        return Standing(self.points[position], float(self.means[position]), float(self.sds[position]))


def believe(encoding: Encoding, rows: Rows) -> Beliefs | None:
    """None before the first score."""
    points = [point for point in rows if rows.count(point)]
    effects = estimate_effects(responses(rows, points))
    kept = _kept(effects)
    if not kept:
        return None
    points = [points[i] for i in kept]
    means, counts = effects.means[kept], effects.counts[kept]
    surrogate = fit_surrogate(encoding, points, means, effects.variance / counts)
    posterior = surrogate.posterior(points)
    return Beliefs(tuple(points), counts, posterior.means, posterior.sds, effects, surrogate)


def _kept(effects: Effects) -> list[int]:
    """The points with scores; of many, the most promising and the latest, so that a fit stays quick. What lies far
    below the best says little about where to look next."""
    scored = np.flatnonzero(effects.counts)
    if len(scored) <= _MOST_POINTS:
        return [int(i) for i in scored]
    hope = effects.means[scored] + _SPREAD_OF_A_SCORE / np.sqrt(effects.counts[scored])
    promising = scored[np.argsort(-hope, kind="stable")[:_MOST_PROMISING]]
    return sorted({int(i) for i in promising} | {int(i) for i in scored[-_LATEST:]})
