"""Toy worlds: small spaces, and what their points would score, for tests of strategies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

import numpy as np

from pnyx.runtime.search.race import raced_out
from pnyx.runtime.search.rows import Rows, Settled
from pnyx.runtime.search.space import Parameter, Point
from pnyx.runtime.search.strategy import Proposal, Standing, Stop, Strategy

__all__ = ["Forgetful", "Toy", "ask", "drive", "parameter"]

BLOCK = 10


def parameter(
    name: str, *values: int | str, default: int = 0, ordered: bool = False, models: bool = False
) -> Parameter:
    return Parameter(name, tuple(map(str, values)), values, default, ordered=ordered, models=models)


class Toy:
    """A model draws samples; a judge, of a model too, may rank them, with or without care.

    Large is better than small and dearer, more samples are better, judging helps, and care helps the large judge only.
    """

    parameters = (
        parameter("model", "small", "large", models=True),
        parameter("samples", 1, 2, 4, 8, default=1, ordered=True),
        parameter("judge", "no", "yes"),
        parameter("judged by", "small", "large", models=True),
        parameter("care", "little", "much"),
    )

    def __init__(self, cap: float = 1000) -> None:
        self.cap = cap

    def point(self, wanted: Mapping[str, int]) -> Point:
        chosen = {p.name: wanted.get(p.name, p.default) for p in self.parameters}
        met = [p.name for p in self.parameters[: 5 if chosen["judge"] else 3]]
        return tuple((name, chosen[name]) for name in met)

    def feasible(self, point: Point) -> bool:
        return self.cost(point) <= self.cap

    def cost(self, point: Point) -> float:
        return sum(self._parts(point).values())

    def marginal(self, drawn: Iterable[Point]) -> Callable[[Point], float]:
        have = {key for point in drawn for key in self._parts(point)}

        def cost(point: Point) -> float:
            fresh = sum(cost for key, cost in self._parts(point).items() if key not in have)
            return max(fresh, 0.02 * self.cost(point))

        return cost

    def points(self) -> Iterator[Point]:
        made = (self._numbered(number) for number in range(2 * 4 * 2 * 2 * 2))
        return filter(self.feasible, dict.fromkeys(made))

    def value(self, point: Point) -> float:
        """The probability of a right answer."""
        met = dict(point)
        judged = met["judge"] * (0.06 + 0.04 * met.get("judged by", 0) * (1 + met.get("care", 0)))
        return 0.3 + 0.15 * met["model"] + 0.05 * met["samples"] + judged

    @property
    def best(self) -> Point:
        return max(self.points(), key=self.value)

    def _numbered(self, number: int) -> Point:
        wanted = {}
        for p in self.parameters:
            number, wanted[p.name] = divmod(number, len(p.options))
        return self.point(wanted)

    def _parts(self, point: Point) -> dict[Point, float]:
        met = dict(point)
        samples = 2 ** met["samples"] * (10.0 + 20 * met["model"])
        judging = 20.0 * (1 + met.get("judged by", 0)) * met["judge"]
        return {point[:2]: samples, point: judging}


def ask(space: Toy, point: Point, questions: range, *, seed: int = 0) -> list[Settled]:
    """Questions differ in difficulty; each answer is a function of point, question and seed."""
    found = []
    for question in questions:
        hard = np.random.default_rng([seed, question]).normal(0, 0.15)
        luck = np.random.default_rng([seed, question, *(option for _, option in point), len(point)]).random()
        score = float(luck < space.value(point) + hard)
        found.append(Settled(score, (1.0, 1.0, space.cost(point), 0.0, 0.0)))
    return found


def drive(
    strategy: Strategy, space: Toy, *, questions: int = 60, rounds: int = 30, rows: Rows | None = None, seed: int = 0
) -> tuple[Rows, list[tuple[Proposal, ...] | Stop]]:
    """Carries out the rounds of a strategy as the search does, and checks what a strategy promises."""
    rows = Rows(questions) if rows is None else rows
    said: list[tuple[Proposal, ...] | Stop] = []
    for _ in range(rounds):
        proposals = strategy.next(rows, ())
        said.append(proposals)
        if isinstance(proposals, Stop):
            break
        assert proposals
        assert len({p.point for p in proposals}) == len(proposals)
        for proposal in proposals:
            assert space.feasible(proposal.point)
            assert space.point(dict(proposal.point)) == proposal.point
            assert rows.count(proposal.point) < proposal.upto <= questions
            assert proposal.rival is None or rows.count(proposal.rival) >= proposal.upto
            rows.propose(proposal.point)
        for proposal in proposals:
            _race(proposal, space, rows, seed)
    return rows, said


class Forgetful:
    """A strategy that is made afresh whenever it is asked."""

    def __init__(self, make: Callable[[], Strategy]) -> None:
        self._make = make

    def next(self, rows: Rows, pending: Collection[Point]) -> tuple[Proposal, ...] | Stop:
        return self._make().next(rows, pending)

    def standings(self, rows: Rows) -> tuple[Standing, ...]:
        return self._make().standings(rows)


def _race(proposal: Proposal, space: Toy, rows: Rows, seed: int) -> None:
    while (seen := rows.count(proposal.point)) < proposal.upto:
        asked = range(seen, min(seen + BLOCK, proposal.upto))
        rows.settle(proposal.point, ask(space, proposal.point, asked, seed=seed))
        rival = proposal.rival
        if rival is not None and raced_out(rows.scores(proposal.point), rows.scores(rival)):
            return
