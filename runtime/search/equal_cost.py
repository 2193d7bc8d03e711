"""Which configuration of a baseline takes what the winner takes, by what both were seen to take.

A candidate's share is what it took, of what the winner took on the same questions, if nothing is shared. Of one that
was not asked yet it is estimated: what the cost model predicts, put right by the shares of those beside it.

Invariants
- A function of predictions and shares, so the same rows close a baseline alike.
- Scores have no part in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np

from pnyx.runtime.budgets import KINDS
from pnyx.runtime.search.results import CostKind
from pnyx.runtime.search.space import Point
from pnyx.runtime.search.spaces.program_space import ProgramSpace

__all__ = ["Candidates", "candidates_of", "off"]

_LOOKED_AT: Final = 2000
_LEAST: Final = 1e-12
_ENOUGH: Final = 0.05
"""How much nearer, as a part of the winner's cost, another candidate must be hoped to come for it to be asked."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Points of a pipeline, with what a question is `predicted` to take of `kind`, rising. Of those that are predicted
    to take the same there is only the one that is most like the defaults."""

    space: ProgramSpace
    kind: CostKind
    points: tuple[Point, ...]
    predicted: tuple[float, ...]

    def nearest(self, shares: Mapping[Point, float]) -> Point:
        """The candidate that comes nearest to the winner, by ratio: one of those with a share, if no other is hoped to
        come clearly nearer. The cheapest, where no share is known."""
        if not shares:
            return self.points[0]
        estimated = self._estimated(shares)
        known = min((p for p in self.points if p in shares), key=lambda p: off(shares[p]))
        hoped = min(estimated, key=lambda p: off(estimated[p]))
        return hoped if off(estimated[hoped]) < off(shares[known]) - _ENOUGH else known

    def _estimated(self, shares: Mapping[Point, float]) -> dict[Point, float]:
        """On lines through what is known, in proportion to what is predicted where only one is; then not of those that
        are predicted to take more than twice as much, since a prompt counts once however many samples are drawn."""
        known = [(x, shares[p]) for p, x in zip(self.points, self.predicted, strict=True) if p in shares]
        (before, least), (last, most) = ([(0.0, 0.0), *known])[-2:]
        slope = (most - least) / (last - before) if most > least else most / last
        reach = math.inf if len(known) > 1 else 2 * last
        found: dict[Point, float] = {}
        for point, x in zip(self.points, self.predicted, strict=True):
            if x <= last:
                found[point] = float(np.interp(x, [at for at, _ in known], [share for _, share in known]))
            elif x <= reach or not found.keys() - shares.keys():
                found[point] = most + slope * (x - last)
        return found


def candidates_of(space: ProgramSpace, kind: CostKind) -> Candidates | None:
    """None where no point can be asked."""
    at, plain = KINDS.index(kind), set(space.default)
    found: dict[float, Point] = {}
    for point in islice(space.points(), _LOOKED_AT):
        # Sums of the same may differ in the last digit.
        predicted = float(f"{max(space.expected(point)[at], _LEAST):.9g}")
        if predicted not in found or len(plain.difference(point)) < len(plain.difference(found[predicted])):
            found[predicted] = point
    if not found:
        return None
    rising = sorted(found)
    return Candidates(space, kind, tuple(found[predicted] for predicted in rising), tuple(rising))


def off(share: float) -> float:
    """How far from taking what the winner takes, by ratio."""
    return abs(math.log(max(share, _LEAST)))
