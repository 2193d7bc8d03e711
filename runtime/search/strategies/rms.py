"""Response-matrix search: the strategy of choice.

After the warm start, each round fits the surrogate to the rows and proposes the points whose expected improvement over
the incumbent is largest for what they are predicted to take, new ones and such that are still in the race, to be raced
against it. The last one of a round is the best point of one draw from all that is believed (Thompson, 1933): what the
surrogate is sure of too early is doubted there, as expected improvement alone never does. When no round is expected to
gain much any more, what differs from the incumbent in one choice and may still gain a little is asked before the search
is over: many small doubts are one that is not. The incumbent is asked the more questions the more points are known:
while few are, most of what there is to learn lies in others, and asking each of a row of incumbents everything would
spend most of a small budget.

Invariant: what it answers is a function of its settings and of the rows. Random numbers are drawn afresh at every call,
from the seed and from how much was asked; nothing is remembered but what can be computed again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pnyx.runtime.search.race import raced_out
from pnyx.runtime.search.rows import Rows
from pnyx.runtime.search.space import Point, Space
from pnyx.runtime.search.strategies.acquisition import Sampler, expected_improvement
from pnyx.runtime.search.strategies.beliefs import Beliefs, believe
from pnyx.runtime.search.strategies.surrogate import Encoding
from pnyx.runtime.search.strategies.warm_start import WarmStart
from pnyx.runtime.search.strategy import Proposal, Standing, Stop

__all__ = ["RMS"]

Floats = NDArray[np.float64]

_LEAST_GAIN: Final = 0.007
_LEAST_GAIN_NEARBY: Final = 0.1
"""Of what is expected in one choice from the incumbent, as a share of the least gain."""
_PATIENCE: Final = 3
_THRIFT: Final = 0.25
"""The power of the cost by which an expected improvement is divided. A low one: what a point takes spans two orders of
magnitude once samples are shared, and with the first power only what is nearly free would be asked."""
_QUESTIONS_PER_POINT: Final = 4
_FEWEST_QUESTIONS: Final = 40
_STRIDE: Final = 20
_SHARED_BY: Final = 60
"""Questions from which a point's samples are taken for drawn when a price is predicted: on those of the first blocks,
which all points were asked, everything looks cheap."""
_QUESTIONS_OF_RANDOM: Final = 20
_BEST: Final = 10


class RMS:
    """`given`: points that a person wants, asked first. `eligible` may rule out points that the space allows.
    `least_gain`: the expected improvement, in scores, under which the search is over."""

    def __init__(
        self,
        space: Space,
        *,
        seed: int,
        given: Sequence[Point] = (),
        eligible: Callable[[Point], bool] = lambda _: True,
        least_gain: float = _LEAST_GAIN,
    ) -> None:
        self.space = space
        self.encoding = Encoding(space.parameters)
        self.sampler = Sampler(space, eligible)
        self._seed = seed
        self._least_gain = least_gain
        self._warm = WarmStart(space, self.encoding, self.sampler, seed=seed, given=given)
        self._believed: tuple[Rows, int, int, Beliefs | None] | None = None

    def next(self, rows: Rows, pending: Collection[Point]) -> tuple[Proposal, ...] | Stop:
        if begun := self._warm.next(rows, pending):
            return begun
        beliefs = self.beliefs(rows)
        if beliefs is None or not self.ranked(beliefs):
            return self._blindly(rows, pending)
        over = self._is_over(rows)
        if first := self.incomplete(rows, beliefs, pending, rows.questions if over else self.depth(rows)):
            return first
        if over and (nearby := self.nearby(rows, beliefs, pending)):
            return nearby
        if over:
            return Stop(f"no configuration is expected to gain {100 * self._least_gain:g} points over the best one")
        proposals = self.proposals(rows, beliefs, pending) or self.incomplete(rows, beliefs, pending, rows.questions)
        return proposals or Stop("every configuration was asked")

    def ask(self, rows: Rows, pending: Collection[Point]) -> Point | None:
        """One point that was not asked before, for those who ask each all that they ask; None where there is none."""
        if begun := self._warm.next(rows, pending):
            return begun[0].point
        beliefs = self.beliefs(rows)
        if beliefs is None or not self.ranked(beliefs):
            blind = self._blindly(rows, pending)
            return None if isinstance(blind, Stop) else blind[0].point
        new = {point: gain for point, gain in self.gains(rows, beliefs, pending).items() if point not in rows}
        return next(iter(self.most_worth(rows, beliefs, new)), None)

    def standings(self, rows: Rows) -> tuple[Standing, ...]:
        beliefs = self.beliefs(rows)
        return tuple(beliefs.standing(i) for i in self.ranked(beliefs)) if beliefs else ()

    def beliefs(self, rows: Rows) -> Beliefs | None:
        """Rows only grow, so as many of them are the same ones."""
        if self._believed is None or self._believed[0] is not rows or self._believed[1:3] != (len(rows), rows.total):
            self._believed = (rows, len(rows), rows.total, believe(self.encoding, rows))
        return self._believed[3]

    def ranked(self, beliefs: Beliefs) -> list[int]:
        """The positions of the points that may win, the best first."""
        return beliefs.ranked([self.sampler.allowed(point) for point in beliefs.points])

    def depth(self, rows: Rows) -> int:
        """How many questions a point must have been asked that others are raced against."""
        wanted = max(_FEWEST_QUESTIONS, _QUESTIONS_PER_POINT * len(rows))
        return min(rows.questions, -(-wanted // _STRIDE) * _STRIDE)

    def incomplete(self, rows: Rows, beliefs: Beliefs, pending: Collection[Point], upto: int) -> tuple[Proposal, ...]:
        """The incumbent, where it was asked less."""
        incumbent = beliefs.points[self.ranked(beliefs)[0]]
        if rows.count(incumbent) >= upto or incumbent in pending:
            return ()
        return (Proposal(incumbent, "incumbent", upto),)

    def proposals(self, rows: Rows, beliefs: Beliefs, pending: Collection[Point]) -> tuple[Proposal, ...]:
        return self.raced(rows, beliefs, pending, self.most_worth(rows, beliefs, self.gains(rows, beliefs, pending)))

    def raced(
        self,
        rows: Rows,
        beliefs: Beliefs,
        pending: Collection[Point],  # noqa: ARG002
        points: Sequence[Point],
    ) -> tuple[Proposal, ...]:
        """These points against the incumbent."""
        incumbent = self.leaders(rows, beliefs)[0]
        return tuple(Proposal(point, "proposed", rows.count(incumbent), incumbent) for point in points)

    def leaders(self, rows: Rows, beliefs: Beliefs) -> list[Point]:  # noqa: ARG002
        """What others are raced against: the incumbent."""
        return [beliefs.points[self.ranked(beliefs)[0]]]

    def gains(self, rows: Rows, beliefs: Beliefs, pending: Collection[Point]) -> dict[Point, float]:
        """Candidates, and by how much each is expected to exceed the leaders."""
        pool = self.pool(rows, beliefs, pending)
        return dict(zip(pool, self.gained(rows, beliefs, pool).tolist(), strict=True))

    def gained(self, rows: Rows, beliefs: Beliefs, points: Sequence[Point]) -> Floats:  # noqa: ARG002
        """By how much each is expected to exceed the incumbent."""
        posterior = beliefs.surrogate.posterior(points)
        return expected_improvement(posterior.means, posterior.sds, float(beliefs.means[self.ranked(beliefs)[0]]))

    def pool(self, rows: Rows, beliefs: Beliefs, pending: Collection[Point]) -> list[Point]:
        """Candidates: new points, some of them near the best ones, and those that are still in the race."""
        best = [beliefs.points[i] for i in np.argsort(-beliefs.means, kind="stable")[:_BEST]]
        new = self.sampler.candidates(self.random(rows), {*rows, *pending}, best)
        incumbent, *others = (beliefs.points[i] for i in self.ranked(beliefs))
        return new + [p for p in others if p not in pending and _in_race(rows, p, incumbent)]

    def nearby(self, rows: Rows, beliefs: Beliefs, pending: Collection[Point]) -> tuple[Proposal, ...]:
        """What is new, differs from a leader in one choice, and may gain a little."""
        known = {*rows, *pending}
        leaders = self.leaders(rows, beliefs)
        near = list(dict.fromkeys(point for leader in leaders for point in self.sampler.near(leader, known)))
        if not near:
            return ()
        gains = self.gained(rows, beliefs, near)
        likely = [i for i in np.argsort(-gains, kind="stable") if gains[i] >= _LEAST_GAIN_NEARBY * self._least_gain]
        return self.raced(rows, beliefs, pending, [near[i] for i in likely[: _at_once(len(rows))]])

    def most_worth(self, rows: Rows, beliefs: Beliefs, gains: Mapping[Point, float]) -> list[Point]:
        """Those that gain most for what they take, as many as a round proposes."""
        price = self.space.marginal(point for point in beliefs.points if rows.count(point) >= _SHARED_BY)
        worth = {point: gain / price(point) ** _THRIFT for point, gain in gains.items()}
        chosen = sorted(worth, key=worth.__getitem__, reverse=True)[: _at_once(len(rows))]
        new = [point for point in gains if point not in rows and point not in chosen]
        if len(chosen) > 1 and new:
            chosen[-1] = new[self._drawn_best(rows, beliefs, new)]
        return chosen

    def _drawn_best(self, rows: Rows, beliefs: Beliefs, points: Sequence[Point]) -> int:
        """The position of the best of these points, by one draw of the values of all of them together."""
        means = beliefs.surrogate.posterior(points).means
        covariance = beliefs.surrogate.covariance(points)
        draw = self.random(rows).multivariate_normal(means, covariance, method="eigh", check_valid="ignore")
        return int(draw.argmax())

    def random(self, rows: Rows) -> np.random.Generator:
        return np.random.default_rng([self._seed, len(rows), rows.total])

    def _blindly(self, rows: Rows, pending: Collection[Point]) -> tuple[Proposal, ...] | Stop:
        """Where nothing that was asked has a score."""
        points = self.sampler.candidates(self.random(rows), {*rows, *pending}, ())[: _at_once(len(rows))]
        upto = min(_QUESTIONS_OF_RANDOM, rows.questions)
        return tuple(Proposal(point, "random", upto) for point in points) or Stop("every configuration was asked")

    def _is_over(self, rows: Rows) -> bool:
        """Whether little is to be gained, and neither was before the last rounds. What was believed then is believed
        again of today's rows of the points that were known then, so nothing need be remembered."""
        known = list(rows)
        for _ in range(_PATIENCE):
            before = rows if len(known) == len(rows) else _restricted(rows, known)
            beliefs = self.beliefs(rows) if before is rows else believe(self.encoding, before)
            if beliefs is None or not self.ranked(beliefs):
                return False
            if max(self.gains(before, beliefs, ()).values(), default=0.0) >= self._least_gain:
                return False
            del known[len(known) - _at_once(len(known)) :]
        return True


def _in_race(rows: Rows, point: Point, incumbent: Point) -> bool:
    """Whether it has questions left to be raced on, and was not given up."""
    return rows.count(point) < rows.count(incumbent) and not raced_out(rows.scores(point), rows.scores(incumbent))


def _restricted(rows: Rows, points: Sequence[Point]) -> Rows:
    """The rows of these points."""
    found = Rows(rows.questions)
    for point in points:
        found.settle(point, rows.settled(point))
    return found


def _at_once(known: int) -> int:
    """How many points to propose: more of them the less one of them adds to what is known."""
    return max(4, known // 25) // 2
