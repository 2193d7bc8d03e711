"""The driver: carries out what a strategy proposes, round after round, until it stops or the budget does.

Invariants
- Decisions are made of rows that are settled in the book, and everything is in the book before it is used: a process
  may be killed at any moment, and the same search goes on as if it had not been.
- The configurations of a round are asked side by side; which block is done first changes nothing.
- A round that was begun is ended before another one is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from time import monotonic
from typing import Literal, TypeAlias

from pnyx.compiler.cost.interval import show_number
from pnyx.runtime.budgets import KINDS, Limits
from pnyx.runtime.errors import BudgetReached
from pnyx.runtime.search.amounts import added, amounts, summed_amounts
from pnyx.runtime.search.book.book import Book, Task
from pnyx.runtime.search.evaluate import Drained, Evaluator
from pnyx.runtime.search.failures import NothingFeasible
from pnyx.runtime.search.race import raced_out
from pnyx.runtime.search.results import Amounts, Round
from pnyx.runtime.search.rows import Rows
from pnyx.runtime.search.space import Point
from pnyx.runtime.search.strategy import Standing, Stop, Strategy
from pnyx.runtime.search.subject import Subject

__all__ = ["BLOCK", "Driver", "Phase", "Progress", "Watch", "history_of", "raced_out_points"]

BLOCK = 10
_AHEAD = 4
"""Blocks at once of a configuration that is not raced."""
_MOST_TASKS = 1000
_CONFIGURATIONS = 10
"""If so many cannot be asked, none can."""
_WAIT_SECONDS = 0.2
_SHOW_SECONDS = 0.2

Phase: TypeAlias = Literal["searching", "waiting", "confirming"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a search stands. `incumbent` in words; `charged`, with what is set aside for calls under way, of `budget`,
    of which this phase may use up `limits`; `drawn`: tokens that engines have drawn; `virtual`: what all rows would
    take if nothing were shared. `confirmed`: so many of how many held-out questions were answered by all."""

    phase: Phase
    incumbent: str | None
    standing: Standing | None
    rows: int
    configurations: int
    raced_out: int
    charged: Amounts
    drawn: float
    virtual: Amounts
    limits: Limits
    budget: Limits
    confirmed: tuple[int, int] | None = None

    @property
    def reuse(self) -> float | None:
        """None before the first round is over: till then much is drawn for answers that are not complete."""
        return self.virtual.tokens / self.drawn if self.drawn and self.standing is not None else None


Watch: TypeAlias = Callable[[Progress], None]


class Driver:
    """`limits`: what searching may spend; the evaluator's purse holds all of it but the seconds. `tell` hears of every
    round's end."""

    def __init__(
        self,
        subject: Subject,
        book: Book,
        strategy: Strategy,
        evaluator: Evaluator,
        limits: Limits,
        watch: Watch,
        tell: Callable[[Sequence[Task], Rows], None],
    ) -> None:
        self.rows = Rows(len(subject.questions))
        self._subject, self._book, self._strategy = subject, book, strategy
        self._evaluator, self._limits, self._watch, self._tell = evaluator, limits, watch, tell
        self._mark = 0
        self._over = False
        self._waits = False
        self._shown = 0.0
        self._best: Standing | None = None
        self._summed: dict[Point, int] = {}
        self._virtual = Amounts()

    async def run(self) -> str:
        """Gives the reason why the search is over, a sentence without a full stop. Raises Drained, NotAnswered,
        NothingScored, NothingFeasible, StoreFailure and BookFailure; it can go on then."""
        self.read()
        self._best = self._leading()
        try:
            while True:
                self.read()
                self._check_time()
                tasks = self._book.take(_MOST_TASKS)
                if tasks:
                    await self._carry_out(tasks)
                elif (reason := await self._propose()) is not None:
                    return reason
        except BudgetReached as reached:
            self.read()
            self._tell(self._book.tasks(), self.rows)
            self._check_limits()
            return f"the budget for searching is spent: {self._time_is_over() or self._how_spent() or reached.message}"

    def read(self) -> None:
        """Brings the rows up to date."""
        self._mark = self._book.read(self.rows, self._mark)
        for point in self.rows:
            settled = self.rows.settled(point)
            new = settled[self._summed.get(point, 0) :]
            if new:
                self._virtual = added(self._virtual, summed_amounts(new))
                self._summed[point] = len(settled)

    @property
    def virtual(self) -> Amounts:
        """What the rows take if nothing is shared."""
        return self._virtual

    # Rounds

    async def _propose(self) -> str | None:
        """Adds a round to the book; gives the reason where there is nothing more to ask."""
        tasks = self._book.tasks()
        self._best = self._leading()
        self._note_round(tasks)
        self._tell(tasks, self.rows)
        pending = {task.proposal.point for task in tasks if task.taken and task.ending is None}
        decided = self._strategy.next(self.rows, pending)
        self._waits = False
        if isinstance(decided, Stop) or len(self.rows) >= _CONFIGURATIONS:
            self._check_limits()
        if not isinstance(decided, Stop):
            self._book.add(decided, len(tasks))
        elif pending:  # what others find may change that
            self._waits = True
            await asyncio.sleep(_WAIT_SECONDS)
        else:
            return decided.reason
        return None

    def _leading(self) -> Standing | None:
        return next(iter(self._strategy.standings(self.rows)), None)

    def _note_round(self, tasks: Sequence[Task]) -> None:
        name = f"round {len(tasks)}"
        if not tasks or self._book.decided(name) is not None:
            return
        best = self._best
        self._book.decide(
            name,
            asdict(
                Round(
                    number=0,
                    rows=self.rows.total,
                    charged=self._charged(),
                    virtual=self._virtual,
                    incumbent=None if best is None else list(self.rows).index(best.point),
                    mean=None if best is None else best.mean,
                    sd=None if best is None else best.sd,
                    configurations=len(self.rows),
                    raced_out=len(raced_out_points(tasks)),
                )
            ),
        )

    async def _carry_out(self, tasks: Sequence[Task]) -> None:
        self._over = False
        ended = await asyncio.gather(*map(self._carry_out_one, tasks), return_exceptions=True)
        failures = [failure for failure in ended if isinstance(failure, BaseException)]
        for lighter in ((BudgetReached, Drained), (BudgetReached,), ()):
            for failure in failures:
                if not isinstance(failure, lighter):
                    raise failure

    async def _carry_out_one(self, task: Task) -> None:
        proposal = task.proposal
        try:
            while self.rows.count(proposal.point) < proposal.upto:
                if self._over:  # the search cannot go on, and the reason is another task's
                    return
                self._check_time()
                await self._ask(proposal.point, proposal.upto, 1 if proposal.rival is not None else _AHEAD)
                if proposal.rival is not None and self._is_raced_out(proposal.point, proposal.rival):
                    self._book.finish(task.number, "raced out")
                    return
            self._book.finish(task.number, "done")
        except BaseException:
            self._over = True
            raise
        finally:
            self._book.release(task.number)  # nothing changes for one that is over

    async def _ask(self, point: Point, upto: int, blocks: int) -> None:
        """The next blocks of a point, side by side. What is answered up to the first that failed is settled."""
        first, plan = self.rows.count(point), self._subject.space.plan(point)
        starts = range(first, min(upto, first + blocks * BLOCK), BLOCK)
        questions = self._subject.questions
        asked = (self._evaluator.ask(plan, questions[at : min(upto, at + BLOCK)]) for at in starts)
        for at, answers in zip(starts, await asyncio.gather(*asked, return_exceptions=True), strict=True):
            if isinstance(answers, BaseException):
                raise answers
            self._book.settle(point, at, answers)
            self.read()
            self._show()

    def _is_raced_out(self, point: Point, rival: Point) -> bool:
        return raced_out(self.rows.scores(point), self.rows.scores(rival))

    def _check_limits(self) -> None:
        """Raises NothingFeasible (E683) where all configurations have failed on all questions for these."""
        if self._evaluator.over_limit is None or any(row.score for p in self.rows for row in self.rows.settled(p)):
            return
        raise NothingFeasible(
            f"none of {len(self.rows)} configurations that were asked stays within what one question may take: "
            f"{self._evaluator.over_limit}",
            place=str(self._subject.declared.span),
            help="raise `per query`, or the `limit` of the pipeline",
        )

    def _check_time(self) -> None:
        if (over := self._time_is_over()) is not None:
            raise BudgetReached(over)

    def _time_is_over(self) -> str | None:
        if self._limits.seconds is None or self._book.seconds < self._limits.seconds:
            return None
        return f"{_said(self._limits, 'seconds')} are over"

    def _how_spent(self) -> str | None:
        """By the kind of which least is left."""
        charged, budget = self._charged(), self._subject.budget
        used = {kind: getattr(charged, kind) / limit for kind in KINDS[:-1] if (limit := getattr(self._limits, kind))}
        if not used:
            return None
        kind = max(used, key=used.__getitem__)
        kept = "; the rest is for the confirmation" if getattr(budget, kind) > getattr(self._limits, kind) else ""
        return f"the next call could go past {_said(self._limits, kind)} of {_said(budget, kind)}{kept}"

    # Meters

    def _show(self) -> None:
        if monotonic() - self._shown >= _SHOW_SECONDS:
            self._shown = monotonic()
            self._watch(self.progress())

    def progress(self) -> Progress:
        best, account = self._best, self._book.account()
        return Progress(
            phase="waiting" if self._waits else "searching",
            incumbent=None if best is None else self._subject.space.describe(best.point),
            standing=best,
            rows=self.rows.total,
            configurations=len(self.rows),
            raced_out=len(raced_out_points(self._book.tasks())),
            charged=amounts(account.total, self._book.seconds),
            drawn=amounts(account.charged).tokens,
            virtual=self._virtual,
            limits=self._limits,
            budget=self._subject.budget,
        )

    def _charged(self) -> Amounts:
        return amounts(self._book.account().total, self._book.seconds)


def _said(limits: Limits, kind: str) -> str:
    amount = getattr(limits, kind)
    return f"${amount:.4g}" if kind == "money" else f"{show_number(amount)} {kind}"


def raced_out_points(tasks: Sequence[Task]) -> frozenset[Point]:
    """Those that were beaten when they were asked last."""
    last = {task.proposal.point: task.ending for task in tasks}
    return frozenset(point for point, ending in last.items() if ending == "raced out")


def history_of(book: Book) -> tuple[Round, ...]:
    """The rounds that were noted."""
    noted = (book.decided(f"round {number}") for number in range(1, len(book.tasks()) + 1))
    found = [data for data in noted if data is not None]
    return tuple(
        replace(
            Round(**data | {kind: Amounts(**data[kind]) for kind in ("charged", "virtual")}),
            number=number,
        )
        for number, data in enumerate(found, 1)
    )
