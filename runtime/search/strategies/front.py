"""Response-matrix search of several objectives: accuracy, and what a question costs in one or more ways.

A point is worth asking by how much it is expected to raise the front, the best score within each cost, over all costs
(of several costs, each for itself). It is raced against the best point of the front that costs no more. Answers to "the
best within this cost" are read off the front.

Invariant: costs of known points are what their rows say; those of others are predicted by the space, corrected by what
the known ones cost against their predictions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pnyx.runtime.search.rows import Rows
from pnyx.runtime.search.space import Point, Space
from pnyx.runtime.search.strategies.acquisition import expected_improvement
from pnyx.runtime.search.strategies.beliefs import EVIDENCE, Beliefs
from pnyx.runtime.search.strategies.rms import RMS
from pnyx.runtime.search.strategies.surrogate import Surrogate, fit_surrogate
from pnyx.runtime.search.strategy import Proposal, Standing

__all__ = ["TOKENS", "FrontRMS"]

Floats = NDArray[np.float64]

TOKENS: Final = 2
"""The place of tokens in what a question spends."""

_CHEAPER_THAN_ALL: Final = 0.15
"""How far below the front's least score a point counts from that costs less than the whole front."""
_BEYOND: Final = 0.7
"""How far beyond the highest cost the front counts: to about twice that."""
_LEAST_COST: Final = 1e-9
_NOISE_OF_COST: Final = 0.01


class FrontRMS(RMS):
    """`costs`: places in what a question spends (calls, samples, tokens, FLOPs, dollars, seconds). For the rest, see
    RMS; `standings` begins with the front, the best score first."""

    def __init__(
        self,
        space: Space,
        *,
        seed: int,
        costs: Sequence[int] = (TOKENS,),
        given: Sequence[Point] = (),
        eligible: Callable[[Point], bool] = lambda _: True,
    ) -> None:
        super().__init__(space, seed=seed, given=given, eligible=eligible)
        self._costs = tuple(costs)
        self._errors: tuple[Beliefs, list[Surrogate]] | None = None

    def standings(self, rows: Rows) -> tuple[Standing, ...]:
        beliefs = self.beliefs(rows)
        if beliefs is None:
            return ()
        front = self._front(rows, beliefs)
        ahead = set(front)
        others = [i for i in self.ranked(beliefs) if i not in ahead]
        return tuple(beliefs.standing(i) for i in (*reversed(front), *others))

    def incomplete(
        self,
        rows: Rows,  # noqa: ARG002
        beliefs: Beliefs,  # noqa: ARG002
        pending: Collection[Point],  # noqa: ARG002
        upto: int,  # noqa: ARG002
    ) -> tuple[Proposal, ...]:
        """None: what a point of the front lacks, it is asked when another is raced against it."""
        return ()

    def pool(self, rows: Rows, beliefs: Beliefs, pending: Collection[Point]) -> list[Point]:
        """Candidates, some of them near the front."""
        front = [beliefs.points[i] for i in self._front(rows, beliefs)]
        return self.sampler.candidates(self.random(rows), {*rows, *pending}, front)

    def proposals(self, rows: Rows, beliefs: Beliefs, pending: Collection[Point]) -> tuple[Proposal, ...]:
        pool = self.pool(rows, beliefs, pending)
        if not pool:
            return ()
        raised = self._raised(rows, beliefs, pool)
        chosen = self.most_worth(rows, beliefs, dict(zip(pool, raised.tolist(), strict=True)))
        return self.raced(rows, beliefs, pending, chosen)

    def leaders(self, rows: Rows, beliefs: Beliefs) -> list[Point]:
        """The front."""
        return [beliefs.points[i] for i in self._front(rows, beliefs)]

    def raced(
        self, rows: Rows, beliefs: Beliefs, pending: Collection[Point], points: Sequence[Point]
    ) -> tuple[Proposal, ...]:
        """Each against the best point of the front that costs no more."""
        front = self._front(rows, beliefs)
        below = self._below(rows, beliefs, front, points)
        rivals = [beliefs.points[front[int(np.flatnonzero(under)[-1])]] if under.any() else None for under in below]
        depth = self.depth(rows)
        lacking = dict.fromkeys(r for r in rivals if r and rows.count(r) < depth and r not in pending)
        if lacking:
            return tuple(Proposal(rival, "incumbent", depth) for rival in lacking)
        return tuple(
            Proposal(point, "proposed", rows.count(rival) if rival else depth, rival)
            for point, rival in zip(points, rivals, strict=True)
        )

    def _front(self, rows: Rows, beliefs: Beliefs) -> list[int]:
        """Positions of the points that no other one beats in every way, the least score first. Of points that cost the
        same the better one; only such with enough evidence, where there are any."""
        ranked = self.ranked(beliefs)
        enough = min(EVIDENCE, float(beliefs.counts[ranked].max(initial=0)) / 2)
        costs = self._measured(rows, beliefs.points)
        front: list[int] = []
        for i in sorted((i for i in ranked if beliefs.counts[i] >= enough), key=lambda i: -beliefs.means[i]):
            if not any((costs[j] <= costs[i]).all() for j in front):
                front.append(i)
        return front[::-1]

    def gained(self, rows: Rows, beliefs: Beliefs, points: Sequence[Point]) -> Floats:
        """By how much each is expected to exceed the front at its cost."""
        front = self._front(rows, beliefs)
        below = self._below(rows, beliefs, front, points)
        scores = beliefs.means[front]
        over = np.where(below, scores, scores.min() - _CHEAPER_THAN_ALL).max(axis=1)
        posterior = beliefs.surrogate.posterior(points)
        return expected_improvement(posterior.means, posterior.sds, over)

    def _below(self, rows: Rows, beliefs: Beliefs, front: Sequence[int], pool: Sequence[Point]) -> NDArray[np.bool_]:
        """Which points of the front cost no more than each of the pool; shape (pool, front)."""
        costs = self._measured(rows, [beliefs.points[i] for i in front])
        below: NDArray[np.bool_] = np.logical_and.reduce(costs <= self._predicted(rows, beliefs, pool)[:, None], axis=2)
        return below

    def _raised(self, rows: Rows, beliefs: Beliefs, pool: Sequence[Point]) -> Floats:
        """By how much each is expected to raise the front, on average over all costs (their logarithms): a point that
        is better at a low cost is better at all higher ones too, up to where the front is better still."""
        front = self._front(rows, beliefs)
        posterior = beliefs.surrogate.posterior(pool)
        known = self._measured(rows, [beliefs.points[i] for i in front])
        raised = np.zeros(len(pool))
        for own, costs in zip(self._predicted(rows, beliefs, pool).T, known.T, strict=True):
            order = np.argsort(costs, kind="stable")
            scores = np.maximum.accumulate(beliefs.means[front][order])
            least, most = min(own.min(), costs.min()), max(own.max(), costs.max()) + _BEYOND
            steps = np.array([least, *costs[order], most])
            levels = np.array([scores[0] - _CHEAPER_THAN_ALL, *scores])
            for level, begin, end in zip(levels, steps, steps[1:], strict=False):
                reach = np.clip(end - np.maximum(own, begin), 0, None) / (most - least)
                raised += reach * expected_improvement(posterior.means, posterior.sds, level)
        return raised

    def _measured(self, rows: Rows, points: Sequence[Point]) -> Floats:
        """The logarithms of what a question cost; shape (points, costs)."""
        spent = np.array([rows.spent(point) for point in points])[:, self._costs]
        logarithms: Floats = np.log(np.maximum(spent, _LEAST_COST))
        return logarithms

    def _predicted(self, rows: Rows, beliefs: Beliefs, pool: Sequence[Point]) -> Floats:
        """The logarithms of what a question is expected to cost; shape (pool, costs)."""
        priced = np.log([self.space.cost(point) for point in pool])
        errors = [error.posterior(pool).means for error in self._mistaken(rows, beliefs)]
        return np.stack([priced + error for error in errors], axis=1)

    def _mistaken(self, rows: Rows, beliefs: Beliefs) -> list[Surrogate]:
        """For each cost, by how much its logarithm exceeds that of the prediction."""
        if self._errors is None or self._errors[0] is not beliefs:
            known = np.log([self.space.cost(point) for point in beliefs.points])
            noise = np.full(len(beliefs.points), _NOISE_OF_COST)
            measured = self._measured(rows, beliefs.points).T
            fitted = [fit_surrogate(self.encoding, beliefs.points, column - known, noise) for column in measured]
            self._errors = (beliefs, fitted)
        return self._errors[1]
