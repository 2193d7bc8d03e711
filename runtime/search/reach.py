"""What a search takes at least, before anything is asked, and how its budget is divided.

Predictions are the cost model's, and nothing counts as shared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from pnyx.compiler.cost import estimate
from pnyx.compiler.cost.interval import show_number
from pnyx.runtime.budgets import KINDS, Limits
from pnyx.runtime.search.failures import BudgetTooSmall
from pnyx.runtime.search.space import Point
from pnyx.runtime.search.spaces.program_space import ProgramSpace

if TYPE_CHECKING:
    from pnyx.compiler.plan import Plan, PlanModel

__all__ = ["KEPT", "Judging", "Least", "affordable", "check_reach", "judging_of", "kept_of", "least_of", "share"]

KEPT = 0.12
"""The share of the budget that only the confirmation may spend."""
_MOST_KEPT = 0.5

_BLOCK = 10
_MOST_POINTS = 200


@dataclass(frozen=True, slots=True)
class Judging:
    """What a judge is predicted to take: calls, samples, tokens, FLOPs, dollars. `answer`: for each answer; `question`:
    for what all answers to a question are compared with."""

    answer: tuple[float, ...]
    question: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Least:
    """By kind: a block of questions for each configuration that is asked first, and one for the winner and each that it
    is held against."""

    searching: Mapping[str, float]
    confirming: Mapping[str, float]

    @property
    def total(self) -> dict[str, float]:
        return {kind: self.searching[kind] + self.confirming[kind] for kind in self.searching}


def share(limits: Limits, part: float) -> Limits:
    given = {kind: getattr(limits, kind) for kind in KINDS}
    return replace(limits, **{kind: amount * part for kind, amount in given.items() if amount is not None})


def judging_of(judge: Plan | None, baseline: Plan | None, describe: Callable[[Plan], Sequence[PlanModel]]) -> Judging:
    """`describe` says what is known of a plan's models. What is not known is NaN."""

    def expected(plan: Plan | None) -> tuple[float, ...]:
        if plan is None:
            return (0.0,) * len(KINDS[:-1])
        total = estimate(plan.model_copy(update={"models": tuple(describe(plan))})).total
        tokens = total.prompt_tokens + total.generated_tokens
        figures = (total.calls, total.samples, tokens, total.flops, total.money)
        return tuple(math.nan if figure is None else figure.expected for figure in figures)

    return Judging(expected(judge), expected(baseline))


def least_of(
    space: ProgramSpace, first: Sequence[Point], baselines: Iterable[ProgramSpace], judging: Judging, *, confirms: bool
) -> Least:
    """`first`: what is to be asked first. The winner is taken to cost what the dearest of these does, and so is a
    baseline that is closed to cost what the winner does, after its default was asked."""
    asked = [space.expected(point) for point in first or [space.default]]
    winner = tuple(max(column) for column in zip(*asked, strict=True))
    defaults = [space.expected(space.default)]
    for own in baselines:
        defaults += [own.expected(own.default), winner] if own.parameters else [own.expected(own.default)]
    searching = _judged(asked, judging)
    confirming = _judged([winner, *defaults], judging) if confirms else [0.0] * len(searching)
    return Least(_by_kind(searching), _by_kind(confirming))


def kept_of(budget: Limits, least: Least) -> float:
    """The share of the budget for the confirmation alone: as is usual, or what the least of it takes."""
    if not any(least.confirming.values()):
        return 0.0
    shares = [
        amount / limit
        for kind, amount in least.confirming.items()
        if (limit := getattr(budget, kind)) is not None and limit > 0
    ]
    return min(max(KEPT, *shares), _MOST_KEPT) if shares else KEPT


def check_reach(budget: Limits, least: Mapping[str, float], configurations: int, place: str) -> None:
    """Raises BudgetTooSmall (E682)."""
    short = [kind for kind, amount in least.items() if (limit := getattr(budget, kind)) is not None and limit < amount]
    if not short:
        return
    said = " and ".join(_amount(least[kind], kind) for kind in short)
    asked = f"{configurations} configurations" if configurations > 1 else "a configuration"
    raise BudgetTooSmall(
        f"a budget of {' and '.join(budget.show(kind) for kind in short)} does not reach: to ask {asked} ten questions "
        f"and to confirm the best one takes about {said}",
        place=place,
        help=f"give it {said} at least; what is drawn for one configuration is shared by others",
    )


def _amount(amount: float, kind: str) -> str:
    return f"${amount:.2g}" if kind == "money" else f"{show_number(math.ceil(amount))} {kind}"


def _judged(answers: Sequence[Sequence[float]], judging: Judging) -> list[float]:
    return _summed([*answers, *[judging.answer] * len(answers), judging.question])


def _summed(charges: Sequence[Sequence[float]]) -> list[float]:
    """What is not known, or cannot be asked, counts for nothing."""
    return [sum(amount for amount in column if math.isfinite(amount)) for column in zip(*charges, strict=True)]


def _by_kind(charge: Sequence[float]) -> dict[str, float]:
    return {kind: _BLOCK * amount for kind, amount in zip(KINDS, charge, strict=False)}


def affordable(space: ProgramSpace, questions: int, judging: Judging, budget: Limits) -> bool:
    """Whether every point can be asked every question, also if nothing is shared."""
    size = space.size
    limited = [kind for kind in KINDS[:-1] if getattr(budget, kind) is not None]
    if not limited or budget.seconds is not None or not size.exact or size.points > _MOST_POINTS:
        return False
    charges = [space.expected(point) for point in islice(space.points(), _MOST_POINTS)]
    known = [*charges, judging.answer, judging.question]
    if not all(math.isfinite(charge[KINDS.index(kind)]) for charge in known for kind in limited):
        return False
    total: dict[str, float] = dict(zip(KINDS, _judged(charges, judging), strict=False))
    return all(questions * total[kind] <= getattr(budget, kind) for kind in limited)
