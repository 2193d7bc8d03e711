"""What strategies have in common that draw points in some way and race them: all but response-matrix search.

After the warm start, if there is one, the leader answers all questions, points that are still in the race go on, and
new ones are drawn, each raced against the leader.

Invariant: what is answered is a function of the settings and of the rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from math import sqrt
from typing import ClassVar, Final

import numpy as np

from pnyx.runtime.search.race import paired_estimate, raced_out
from pnyx.runtime.search.rows import Rows
from pnyx.runtime.search.space import Point, Space
from pnyx.runtime.search.strategies.acquisition import Sampler
from pnyx.runtime.search.strategies.surrogate import Encoding
from pnyx.runtime.search.strategies.warm_start import WarmStart
from pnyx.runtime.search.strategy import Origin, Proposal, Standing, Stop

__all__ = ["Racing"]

_AT_ONCE: Final = 2
_LEAST_VARIANCE: Final = 0.02


class Racing(ABC):
    """`given`: points that a person wants, asked first. `eligible` may rule out points that the space allows."""

    origin: ClassVar[Origin] = "proposed"
    warm: ClassVar[bool] = True
    """Whether the warm start comes first."""

    def __init__(
        self,
        space: Space,
        *,
        seed: int,
        given: Sequence[Point] = (),
        eligible: Callable[[Point], bool] = lambda _: True,
    ) -> None:
        self.space = space
        self.seed = seed
        self.sampler = Sampler(space, eligible)
        self._given = tuple(given)
        encoding = Encoding(space.parameters)
        self._warm = WarmStart(space, encoding, self.sampler, seed=seed, given=given) if self.warm else None

    @abstractmethod
    def draw(self, rows: Rows, pending: Collection[Point]) -> Iterator[Point]:
        """New points that may be asked, each once; ends where there are no more."""

    def next(self, rows: Rows, pending: Collection[Point]) -> tuple[Proposal, ...] | Stop:
        if begun := self._begun(rows, pending):
            return begun
        leader = self.leader(rows)
        if leader is not None and rows.count(leader) < rows.questions and leader not in pending:
            return (Proposal(leader, "incumbent", rows.questions),)
        running = [point for point in rows if point not in pending and self._in_race(rows, point, leader)]
        upto = rows.questions if leader is None else rows.count(leader)
        chosen = running[:_AT_ONCE] or list(islice(self.draw(rows, pending), _AT_ONCE))
        proposals = tuple(Proposal(point, self.origin, upto, leader) for point in chosen)
        return proposals or Stop("every configuration was asked")

    def standings(self, rows: Rows) -> tuple[Standing, ...]:
        """The leader first; of each point its paired estimate, and the standard error of its own mean."""
        leader = self.leader(rows)
        if leader is None:
            return ()
        others = [self._standing(rows, p, leader) for p in self._scored(rows) if p != leader]
        return (self._standing(rows, leader, leader), *sorted(others, key=lambda standing: -standing.mean))

    def leader(self, rows: Rows) -> Point | None:
        """The best mean of the points that were asked most."""
        scored = list(self._scored(rows))
        return max(scored, key=lambda p: (rows.count(p), float(np.nanmean(rows.scores(p)))), default=None)

    def _begun(self, rows: Rows, pending: Collection[Point]) -> tuple[Proposal, ...]:
        if self._warm is not None:
            return self._warm.next(rows, pending)
        wanted = [p for p in self._given if p not in rows and p not in pending and self.sampler.allowed(p)]
        return tuple(Proposal(point, "given", rows.questions) for point in dict.fromkeys(wanted))

    def _in_race(self, rows: Rows, point: Point, leader: Point | None) -> bool:
        if leader is None or rows.count(point) >= rows.count(leader) or not self.sampler.allowed(point):
            return False
        return not raced_out(rows.scores(point), rows.scores(leader))

    def _scored(self, rows: Rows) -> Iterator[Point]:
        return (p for p in rows if self.sampler.allowed(p) and not np.isnan(rows.scores(p)).all())

    @staticmethod
    def _standing(rows: Rows, point: Point, leader: Point) -> Standing:
        scores = rows.scores(point)
        own = scores[~np.isnan(scores)]
        sd = sqrt(max(float(own.var()), _LEAST_VARIANCE) / len(own))
        return Standing(point, paired_estimate(scores, rows.scores(leader)), sd)
