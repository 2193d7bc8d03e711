"""The confirmation: the winner and what it is held against, on questions that no search has seen, drawn with a fresh
seed.

Invariants
- All pipelines answer the same questions with the same seed; a budget that ends leaves them at equally many.
- Nothing that is confirmed here has an influence on what won.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from typing import Literal, TypeAlias

from pnyx.compiler.plan import Plan
from pnyx.runtime.benchmarks import Comparison, Problem
from pnyx.runtime.benchmarks.statistics import interval_of
from pnyx.runtime.errors import BudgetReached
from pnyx.runtime.search.amounts import mean_amounts
from pnyx.runtime.search.book.book import Book
from pnyx.runtime.search.evaluate import Drained, Evaluator
from pnyx.runtime.search.results import Confirmation, Confirmed, Gain
from pnyx.runtime.search.rows import Settled
from pnyx.runtime.search.space import Point
from pnyx.runtime.search.spaces.program_space import ProgramSpace
from pnyx.runtime.search.subject import Subject, options_of

__all__ = ["BLOCK", "Contestant", "Role", "concluded", "confirm", "contestants_of", "fresh_seed", "significant"]

BLOCK = 10
_LOOKED_AT = 2000
_ALPHA = 0.05

Role: TypeAlias = Literal["winner", "defaults", "baseline"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """`near`: it has choices of its own, which were closed such that it costs about what the winner does."""

    role: Role
    choices: tuple[tuple[str, str], ...]
    plan: Plan
    near: bool = False


def fresh_seed(seed: int) -> int:
    """Another one, so that no sample of the search is drawn again."""
    return int.from_bytes(blake2b(f"confirmation {seed}".encode(), digest_size=4).digest(), "big")


def contestants_of(subject: Subject, winner: Point) -> tuple[Contestant, ...]:
    """The winner, the program's defaults and the baselines, each plan once."""
    space = subject.space
    found = [_contestant("winner", space, winner)]
    if space.feasible(space.default):
        found.append(_contestant("defaults", space, space.default))
    for own in subject.baselines:
        point = own.default if not own.parameters else _nearest(own, space.cost(winner))
        if point is not None:
            found.append(_contestant("baseline", own, point, near=bool(own.parameters)))
    once: dict[str, Contestant] = {}
    for contestant in found:
        once.setdefault(contestant.plan.digest, contestant)
    return tuple(once.values())


def _contestant(role: Role, space: ProgramSpace, point: Point, *, near: bool = False) -> Contestant:
    return Contestant(role=role, choices=options_of(space, point), plan=space.plan(point), near=near)


def _nearest(space: ProgramSpace, cost: float) -> Point | None:
    """The point that is predicted to cost most nearly as much."""
    points = islice(space.points(), _LOOKED_AT)
    return min(points, key=lambda point: abs(math.log(space.cost(point) / cost)), default=None)


async def confirm(
    contestants: Sequence[Contestant], problems: Sequence[Problem], evaluator: Evaluator, seed: int, book: Book
) -> Confirmation:
    """The winner comes first. Ends early, with what is complete, where the budget does. Raises Drained, NotAnswered,
    NothingScored, StoreFailure and BookFailure; what is in the book then is not asked again."""
    rows: list[list[Settled]] = [[] for _ in contestants]
    complete = True
    for first in range(0, len(problems), BLOCK):
        block = problems[first : first + BLOCK]
        asked = (_ask(contestant.plan, first, block, evaluator, seed, book) for contestant in contestants)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        failures = [answer for answer in answers if isinstance(answer, BaseException)]
        for lighter in ((BudgetReached, Drained), (BudgetReached,)):
            for failure in failures:
                if not isinstance(failure, lighter):
                    raise failure
        if failures:
            complete = False
            break
        for kept, answer in zip(rows, answers, strict=True):
            assert not isinstance(answer, BaseException)
            kept.extend(answer)
    return concluded(contestants, rows, seed, len(problems), complete=complete)


async def _ask(
    plan: Plan, first: int, block: Sequence[Problem], evaluator: Evaluator, seed: int, book: Book
) -> Sequence[Settled]:
    """What the book has of it is not asked again."""
    name = f"confirmed {plan.digest} {seed} {first}"
    known = book.decided(name)
    if known is None:
        answers = await evaluator.ask(plan, block)
        known = book.decide(name, [[row.score, list(row.spent), row.seconds] for row in answers])
    return [
        Settled(score, (spent[0], spent[1], spent[2], spent[3], spent[4]), seconds) for score, spent, seconds in known
    ]


def concluded(
    contestants: Sequence[Contestant], rows: Sequence[Sequence[Settled]], seed: int, questions: int, *, complete: bool
) -> Confirmation:
    """What the rows say, one sequence for each contestant, all equally long."""
    pipelines = tuple(_confirmed(c, r, seed) for c, r in zip(contestants, rows, strict=True))
    gains = tuple(
        gain
        for index in range(1, len(pipelines))
        if (gain := _gain(index, pipelines[0].scores, pipelines[index].scores, seed)) is not None
    )
    return Confirmation(
        seed=seed,
        questions=questions,
        complete=complete,
        pipelines=pipelines,
        gains=gains,
        verdict=_verdict(pipelines, gains),
    )


def _confirmed(contestant: Contestant, rows: Sequence[Settled], seed: int) -> Confirmed:
    scores = [row.score for row in rows if row.score is not None]
    return Confirmed(
        role=contestant.role,
        pipeline=contestant.plan.pipeline,
        choices=contestant.choices,
        digest=contestant.plan.digest,
        accuracy=sum(scores) / len(scores) if scores else None,
        interval=interval_of(scores, seed=seed),
        n=len(scores),
        cost=mean_amounts(rows),
        scores=tuple(row.score for row in rows),
        near=contestant.near,
    )


def _gain(against: int, ours: Sequence[float | None], theirs: Sequence[float | None], seed: int) -> Gain | None:
    pairs = zip(ours, theirs, strict=True)
    differences = tuple(a - b for a, b in pairs if a is not None and b is not None)
    if not differences:
        return None
    compared = Comparison(differences=differences, seed=seed)
    return Gain(
        against=against,
        n=len(differences),
        difference=compared.mean,
        interval=compared.interval,
        wins=compared.wins,
        ties=compared.ties,
        losses=compared.losses,
        p=compared.p,
        verdict=_in_words(compared),
    )


def significant(compared: Comparison) -> bool:
    """At 5 %: by the exact sign test where scores are 0 and 1, else by the interval, which then sees how large the
    differences are."""
    if all(difference in (-1, 0, 1) for difference in compared.differences):
        return compared.p < _ALPHA
    low, high = compared.interval
    return low > 0 or high < 0


def _in_words(compared: Comparison) -> str:
    if not significant(compared):
        return "no significant gain"
    return "significantly better" if compared.mean > 0 else "significantly worse"


def _verdict(pipelines: Sequence[Confirmed], gains: Sequence[Gain]) -> str:
    if len(pipelines) == 1:
        return "the winner is what the program does by default, and there is no other baseline"
    if not gains:
        return "no question was answered by both, so nothing is confirmed"
    return "; ".join(f"{gain.verdict} than {_name(pipelines[gain.against])}" if "significantly" in gain.verdict
                     else f"{gain.verdict} over {_name(pipelines[gain.against])}" for gain in gains)  # fmt: skip


def _name(confirmed: Confirmed) -> str:
    return "the defaults" if confirmed.role == "defaults" else f"`{confirmed.pipeline}`"
