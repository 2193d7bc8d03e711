"""Which strategy carries out the algorithm of a search."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from pnyx.runtime.budgets import KINDS, Limits
from pnyx.runtime.search.reach import affordable
from pnyx.runtime.search.rows import Rows
from pnyx.runtime.search.space import Point
from pnyx.runtime.search.strategies.front import FrontRMS
from pnyx.runtime.search.strategies.rms import RMS
from pnyx.runtime.search.strategy import Proposal, Standing, Stop, Strategy
from pnyx.runtime.search.subject import Subject

__all__ = ["Choice", "Unraced", "choose"]


@dataclass(frozen=True, slots=True)
class Choice:
    """`note`: why it is not the algorithm that was asked for, where it is not."""

    algorithm: str
    strategy: Strategy
    note: str | None = None


def choose(subject: Subject, budget: Limits) -> Choice:
    """`budget`: for searching. Where it reaches to ask everything, nothing is left to be guessed by `rms`."""
    algorithm, note = subject.algorithm, None
    if _costs(subject) and algorithm in ("tpe", "random"):
        note = f"`{algorithm}` goes by accuracy alone: the front is of what it came by"
    if algorithm == "rms" and affordable(subject.space, len(subject.questions), subject.judging, budget):
        algorithm = "grid"
        note = "the budget reaches to ask every configuration every question, so all of them are asked"
        if not _costs(subject):
            note += ", each until it is beaten"
    return Choice(algorithm, _strategy(algorithm, subject), note)


def _strategy(algorithm: str, subject: Subject) -> Strategy:
    space, seed, given = subject.space, subject.seed, subject.tried
    if algorithm == "rms":
        if costs := _costs(subject):
            return FrontRMS(space, seed=seed, costs=costs, given=given)
        return RMS(space, seed=seed, given=given)
    from pnyx.runtime.search.strategies.optuna_strategies import TPE, Grid, Random

    match algorithm:
        case "tpe":
            return TPE(space, seed=seed, given=given)
        case "random":
            return Random(space, seed=seed, given=given)
        case "grid":
            grid = Grid(space, seed=seed, given=given)
            return Unraced(grid) if _costs(subject) else grid
    raise ValueError(algorithm)


def _costs(subject: Subject) -> tuple[int, ...]:
    """What is minimised, by its place in what a question spends."""
    return tuple(KINDS.index(o.metric) for o in subject.declared.objectives if o.metric != "accuracy")


@dataclass(frozen=True, slots=True)
class Unraced:
    """Nothing is given up: what scores less than another one may be on the front for what it costs."""

    strategy: Strategy

    def next(self, rows: Rows, pending: Collection[Point]) -> tuple[Proposal, ...] | Stop:
        decided = self.strategy.next(rows, pending)
        return decided if isinstance(decided, Stop) else tuple(replace(one, rival=None) for one in decided)

    def standings(self, rows: Rows) -> tuple[Standing, ...]:
        return self.strategy.standings(rows)
