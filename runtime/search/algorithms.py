"""Which strategy carries out the algorithm of a search."""

from __future__ import annotations

from dataclasses import dataclass

from pnyx.runtime.budgets import KINDS, Limits
from pnyx.runtime.search.reach import affordable
from pnyx.runtime.search.strategies.front import FrontRMS
from pnyx.runtime.search.strategies.rms import RMS
from pnyx.runtime.search.strategy import Strategy
from pnyx.runtime.search.subject import Subject

__all__ = ["Choice", "choose"]


@dataclass(frozen=True, slots=True)
class Choice:
    """`note`: why it is not the algorithm that was asked for, where it is not."""

    algorithm: str
    strategy: Strategy
    note: str | None = None


def choose(subject: Subject, budget: Limits) -> Choice:
    """`budget`: for searching. Where it reaches to ask everything, nothing is left to be guessed by `rms`."""
    algorithm, note = subject.algorithm, None
    if algorithm == "rms" and affordable(subject.space, len(subject.questions), budget):
        algorithm = "grid"
        note = "the budget reaches to ask every configuration every question, so all of them are asked"
    return Choice(algorithm, _strategy(algorithm, subject), note)


def _strategy(algorithm: str, subject: Subject) -> Strategy:
    space, seed, given = subject.space, subject.seed, subject.tried
    if algorithm == "rms":
        costs = tuple(KINDS.index(o.metric) for o in subject.declared.objectives if o.metric != "accuracy")
        if costs:
            return FrontRMS(space, seed=seed, costs=costs, given=given)
        return RMS(space, seed=seed, given=given)
    from pnyx.runtime.search.strategies.optuna_strategies import TPE, Grid, Random

    match algorithm:
        case "tpe":
            return TPE(space, seed=seed, given=given)
        case "random":
            return Random(space, seed=seed, given=given)
        case "grid":
            return Grid(space, seed=seed, given=given)
    raise ValueError(algorithm)
