"""The confirmation: the winner and what it is held against, on questions that no search has seen, drawn with a fresh
seed.

Invariants
- All pipelines answer the same questions with the same seed; a budget that ends leaves them at equally many.
- Nothing that is confirmed here has an influence on what won.
- How a baseline is closed depends on what it and the winner take, not on what they score.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal, TypeAlias

from pnyx.compiler.plan import Plan
from pnyx.runtime.benchmarks import Comparison, Problem
from pnyx.runtime.benchmarks.statistics import interval_of
from pnyx.runtime.budgets import KINDS
from pnyx.runtime.errors import BudgetReached
from pnyx.runtime.search.amounts import mean_amounts
from pnyx.runtime.search.book.book import Book
from pnyx.runtime.search.equal_cost import Candidates, candidates_of, off
from pnyx.runtime.search.evaluate import Drained, Evaluator
from pnyx.runtime.search.results import Closed, Confirmation, Confirmed, CostKind, Gain
from pnyx.runtime.search.rows import Settled
from pnyx.runtime.search.space import Point
from pnyx.runtime.search.spaces.program_space import ProgramSpace
from pnyx.runtime.search.subject import Subject, options_of

__all__ = ["BLOCK", "Contestant", "Role", "concluded", "confirm", "contestants_of", "fresh_seed", "significant"]

BLOCK = 10
_CLOSED_BY = 30
"""Questions by which a baseline is closed: with few, what they happen to take decides; each change asks them again."""
_ALPHA = 0.05

Role: TypeAlias = Literal["winner", "defaults", "baseline"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """`closed`: it was an open baseline."""

    role: Role
    choices: tuple[tuple[str, str], ...]
    plan: Plan
    closed: Closed | None = None


def fresh_seed(seed: int) -> int:
    """Another one, so that no sample of the search is drawn again."""
    return int.from_bytes(blake2b(f"confirmation {seed}".encode(), digest_size=4).digest(), "big")


def contestants_of(subject: Subject, winner: Point) -> tuple[Contestant | Candidates, ...]:
    """The winner, the program's defaults and the baselines; of a baseline with choices of its own what it may be closed
    to."""
    space = subject.space
    found: list[Contestant | Candidates] = [_contestant("winner", space, winner)]
    if space.feasible(space.default):
        found.append(_contestant("defaults", space, space.default))
    for own in subject.baselines:
        if not own.parameters:
            found.append(_contestant("baseline", own, own.default))
        elif (candidates := candidates_of(own, _kind(space, winner))) is not None:
            found.append(candidates)
    return tuple(found)


def _contestant(role: Role, space: ProgramSpace, point: Point, closed: Closed | None = None) -> Contestant:
    return Contestant(role=role, choices=options_of(space, point), plan=space.plan(point), closed=closed)


def _kind(space: ProgramSpace, winner: Point) -> CostKind:
    """What is to be equal: tokens, also where the budget is of calls, for a vote of many samples is one call; and where
    the winner is free."""
    if space.currency in ("flops", "money") and space.expected(winner)[KINDS.index(space.currency)] > 0:
        return space.currency
    return "tokens"


async def confirm(
    contestants: Sequence[Contestant | Candidates],
    problems: Sequence[Problem],
    evaluator: Evaluator,
    seed: int,
    book: Book,
    hear: Callable[[int], None] = lambda _: None,
) -> Confirmation:
    """The winner comes first. A plan that is there twice is shown once, unless a baseline was closed to it; `hear` is
    told how many questions all have answered. Ends early, with what is complete, where the budget does. Raises Drained,
    NotAnswered, NothingScored, StoreFailure and BookFailure; what is in the book then is not asked again."""
    asked = _Asked(problems, evaluator, seed, book)
    entered = [_Baseline(c, c.nearest({})) if isinstance(c, Candidates) else c for c in contestants]
    winner = entered[0].plan
    done, complete = 0, True
    try:
        while done < len(problems):
            upto = min(done + BLOCK, len(problems))
            await asked.ask([one.plan for one in entered], upto)
            done = upto
            for one in entered:
                if isinstance(one, _Baseline) and done <= _CLOSED_BY:
                    await one.close(asked, winner)
            hear(done)
    except BudgetReached:
        complete = False
    named = [one.contestant() if isinstance(one, _Baseline) else one for one in entered]
    first = {one.plan.digest: one for one in reversed(named)}
    shown = [one for one in named if one.closed is not None or first[one.plan.digest] is one]
    rows = [asked.rows[one.plan.digest][:done] for one in shown]
    return concluded(shown, rows, seed, len(problems), complete=complete)


@dataclass(slots=True)
class _Baseline:
    """A baseline that is being closed, `at` one of its candidates."""

    candidates: Candidates
    at: Point
    closed: Closed | None = None
    _tried: dict[Point, None] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        return self._plan(self.at)

    def _plan(self, point: Point) -> Plan:
        return self.candidates.space.plan(point)

    def contestant(self) -> Contestant:
        return _contestant("baseline", self.candidates.space, self.at, self.closed)

    async def close(self, asked: _Asked, winner: Plan) -> None:
        """By what was answered so far. Whatever it is closed to has answered as many questions as the winner, also
        where this raises what asking does."""
        questions = asked.count(winner)
        shares = self._shares(asked, winner, self.at)
        self._settle(self.at, shares, questions)
        while asked.count(self._plan(nearest := self.candidates.nearest(shares))) < questions:
            await asked.ask([self._plan(nearest)], questions)
            shares = self._shares(asked, winner, nearest)
            self._settle(min(self.at, nearest, key=lambda point: off(shares[point])), shares, questions)
        self._settle(nearest, shares, questions)

    def _settle(self, at: Point, shares: Mapping[Point, float], questions: int) -> None:
        self.at, self.closed = at, Closed(self.candidates.kind, shares.get(at), questions)

    def _shares(self, asked: _Asked, winner: Plan, at: Point) -> dict[Point, float]:
        """Of what the winner took, by way of `at`, which answered all that the winner did: others may have answered
        fewer. Empty where the winner took nothing."""
        self._tried.setdefault(at)
        kind, questions = self.candidates.kind, asked.count(winner)
        whole = asked.took(winner, questions, kind)
        if not whole:
            return {}
        share = asked.took(self._plan(at), questions, kind) / whole
        shares = {at: share}
        for point in self._tried:
            both = asked.count(self._plan(point))
            beside = asked.took(self._plan(at), both, kind)
            shares[point] = share * asked.took(self._plan(point), both, kind) / beside if beside else share
        return shares


@dataclass(slots=True)
class _Asked:
    """`rows` by the digest of a plan: what it has answered, from the first question on."""

    problems: Sequence[Problem]
    evaluator: Evaluator
    seed: int
    book: Book
    rows: dict[str, list[Settled]] = field(default_factory=dict)

    def count(self, plan: Plan) -> int:
        return len(self.rows.get(plan.digest, ()))

    def took(self, plan: Plan, upto: int, kind: CostKind) -> float:
        """On the first questions in all, if nothing is shared."""
        return sum(row.spent[KINDS.index(kind)] for row in self.rows[plan.digest][:upto])

    async def ask(self, plans: Iterable[Plan], upto: int) -> None:
        """Side by side, all questions up to this one that are not answered yet."""
        once = {plan.digest: plan for plan in plans}
        answers = await asyncio.gather(*(self._ask(plan, upto) for plan in once.values()), return_exceptions=True)
        failures = [answer for answer in answers if answer is not None]
        for lighter in ((BudgetReached, Drained), (BudgetReached,), ()):
            for failure in failures:
                if not isinstance(failure, lighter):
                    raise failure

    async def _ask(self, plan: Plan, upto: int) -> None:
        rows = self.rows.setdefault(plan.digest, [])
        while (first := len(rows)) < upto:
            rows.extend(await self._block(plan, first))

    async def _block(self, plan: Plan, first: int) -> Sequence[Settled]:
        """What the book has of it is not asked again."""
        name = f"confirmed {plan.digest} {self.seed} {first}"
        known = self.book.decided(name)
        if known is None:
            answers = await self.evaluator.ask(plan, self.problems[first : first + BLOCK])
            known = self.book.decide(name, [[row.score, list(row.spent), row.seconds] for row in answers])
        return [
            Settled(score, (spent[0], spent[1], spent[2], spent[3], spent[4]), seconds)
            for score, spent, seconds in known
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
        closed=contestant.closed,
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
