"""The course of a search: what has to be open for it, searching, confirming, and its result.

Invariants
- What is kept for the confirmation is not spent on searching.
- The confirmation begins when nobody searches any more; one process makes it, and the others wait for it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any
from uuid import uuid4

from pnyx.runtime.benchmarks import Scoring, open_scoring
from pnyx.runtime.benchmarks.sessions import Opening, Terms, opened
from pnyx.runtime.budgets import KINDS, Limits
from pnyx.runtime.config import Config
from pnyx.runtime.search.algorithms import Choice, choose
from pnyx.runtime.search.amounts import amounts, less
from pnyx.runtime.search.book.book import Book, open_book
from pnyx.runtime.search.book.failures import BookFailure
from pnyx.runtime.search.book.ledger import Ledger, LedgerPurse
from pnyx.runtime.search.conclude import Ended, conclude
from pnyx.runtime.search.confirm import confirm, contestants_of, fresh_seed
from pnyx.runtime.search.evaluate import Drained, Evaluator
from pnyx.runtime.search.mirroring import Mirror
from pnyx.runtime.search.reach import KEPT, Least, check_reach, kept_of, least_of, share
from pnyx.runtime.search.results import Amounts, Confirmation, SearchResult
from pnyx.runtime.search.rows import Rows
from pnyx.runtime.search.search import Driver, Phase, Progress, Watch
from pnyx.runtime.search.strategy import Standing, Stop
from pnyx.runtime.search.subject import Subject, never_right
from pnyx.runtime.store import CallStore
from pnyx.runtime.store.keys import identity_of

__all__ = ["Course", "Manner", "opened_course"]

_FEW, _SOME = 50, 100
_WAIT_SECONDS = 0.2
_WATCHED_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a search is run, beside what it is. `place`: where its book is. `new` begins another one of its name, `join`
    takes part in one that others began."""

    place: str
    engine: str | None = None
    window: int | None = None
    trust: bool = False
    new: bool = False
    join: bool = False


@asynccontextmanager
async def opened_course(
    subject: Subject, manner: Manner, config: Config, open_store: Callable[[], CallStore | None]
) -> AsyncIterator[Course]:
    """Raises RuntimeFailure where an engine, a function, a score, the book or the store cannot be had; nothing has been
    asked then."""
    scoring = open_scoring(subject.benchmark, trust=manner.trust)
    async with AsyncExitStack() as stack:
        if scoring is not None:
            stack.callback(scoring.close)
        terms = Terms(
            seed=subject.seed,
            window=manner.window,
            engine=manner.engine,
            budget=Limits(),
            limits=subject.per_query,
            trust=manner.trust,
        )
        opening = await stack.enter_async_context(opened(subject.covering, config, terms, None, judge=subject.judge))
        models = {name: str(identity_of(engine.info)) for name, engine in sorted(opening.engines.items())}
        place, name = manner.place, subject.declared.name
        begun = await asyncio.to_thread(
            open_book, place, name, subject.fingerprint(models), new=manner.new, join=manner.join
        )
        book = stack.enter_context(begun)
        mirror = Mirror(subject, book)
        stack.callback(mirror.close)
        ledger = await stack.enter_async_context(Ledger(book))
        store = await asyncio.to_thread(open_store)
        if store is not None:
            await stack.enter_async_context(store)
        yield Course(
            subject=subject,
            book=book,
            mirror=mirror,
            ledger=ledger,
            opening=replace(opening, store=store),
            scoring=scoring,
            models=models,
        )


@dataclass(slots=True, kw_only=True)
class Course:
    """One process's part in a search."""

    subject: Subject
    book: Book
    mirror: Mirror
    ledger: Ledger
    opening: Opening
    scoring: Scoring | None
    models: dict[str, str]
    _evaluator: Evaluator | None = field(default=None, init=False)
    _drained: bool = field(default=False, init=False)

    def drain(self) -> None:
        """Ends the search in order: what engines are at work on is kept."""
        self._drained = True
        if self._evaluator is not None:
            self._evaluator.drain()

    async def run(self, watch: Watch) -> SearchResult:
        """Goes on where the search is. Raises BudgetTooSmall (E682), NothingFeasible (E683), NothingScored (E684),
        NotAnswered, StoreFailure and BookFailure; what was settled is kept, and it can go on then."""
        subject = self.subject
        choice = choose(subject, share(subject.budget, 1 - KEPT))
        least, first = self._least(choice)
        kept = kept_of(subject.budget, least)
        searching = share(subject.budget, 1 - kept)
        evaluator = self._evaluating(searching, subject.seed)
        driver = Driver(subject, self.book, choice.strategy, evaluator, searching, watch, self.mirror.tell)
        driver.read()
        if not driver.rows.total:
            check_reach(subject.budget, least.total, first, str(subject.declared.span))
        ending = _Ending(choice=choice, kept=kept, least=least.total, processes=self._count_processes())
        ticking = asyncio.create_task(self._tick(driver, watch, ending))
        try:
            await self._search(driver, ending)
            await self._wait_for_others(driver, ending)
            await self._confirm(driver, watch, ending)
        except Drained:
            if not ending.stopped:
                ending.stopped = "it was told to end"
        finally:
            ticking.cancel()
        return self._concluded(driver, ending)

    async def _tick(self, driver: Driver, watch: Watch, ending: _Ending) -> None:
        """Time passes also while engines are at work on a block."""
        while True:
            await asyncio.sleep(_WATCHED_SECONDS)
            with suppress(BookFailure):  # whoever changes something hears of it
                watch(self._progress(driver, ending))

    def _progress(self, driver: Driver, ending: _Ending) -> Progress:
        progress = driver.progress()
        if ending.phase == "searching":
            return progress
        limits = self.subject.budget if ending.phase == "confirming" else progress.limits
        return replace(progress, phase=ending.phase, limits=limits, confirmed=ending.confirmed)

    def _evaluating(self, limits: Limits, seed: int) -> Evaluator:
        """Within these limits, of which the clock of the book has used some."""
        seconds = None if limits.seconds is None else max(0.0, limits.seconds - self.book.seconds)
        terms = replace(
            self.opening.terms,
            seed=seed,
            budget=replace(limits, seconds=seconds),
            purse=LedgerPurse(self.ledger, limits),
        )
        self._evaluator = Evaluator(
            benchmark=self.subject.benchmark,
            opening=self.opening.on(terms),
            scoring=self.scoring,
            judge=self.subject.judge,
            baseline=self.subject.baseline,
        )
        if self._drained:
            self._evaluator.drain()
        return self._evaluator

    def _least(self, choice: Choice) -> tuple[Least, int]:
        """And how many configurations are asked first."""
        subject = self.subject
        first = [subject.only] if subject.only is not None else []
        if not first:
            begun = choice.strategy.next(Rows(len(subject.questions)), ())
            first = [] if isinstance(begun, Stop) else [proposal.point for proposal in begun]
        confirms = bool(subject.held_out)
        return least_of(subject.space, first, subject.baselines, subject.judging, confirms=confirms), len(first)

    # Searching

    async def _search(self, driver: Driver, ending: _Ending) -> None:
        if self.subject.only is not None:
            driver.rows.propose(self.subject.only)
            ending.stopped = "there is only one configuration, so there was nothing to search"
        else:
            ending.stopped = await driver.run()

    async def _wait_for_others(self, driver: Driver, ending: _Ending) -> None:
        """Until nobody searches any more and it is this process that confirms, or another one has: then all that the
        confirmation asks is in the book."""
        ending.phase = "waiting"
        while True:
            driver.read()
            if self.book.decided(_concluding(driver)):
                return
            if self.book.leads() and not any(task.taken and task.ending is None for task in self.book.tasks()):
                return
            if self._drained:
                raise Drained
            await asyncio.sleep(_WAIT_SECONDS)

    def _count_processes(self) -> int:
        """How many processes took part up to now, this one included."""
        me = uuid4().hex
        free = (n for n in count(1) if self.book.decided(f"process {n}") is None)
        return next(n for n in free if self.book.decide(f"process {n}", me) == me)

    # Confirming

    async def _confirm(self, driver: Driver, watch: Watch, ending: _Ending) -> None:
        subject, standings = self.subject, self._standings(driver, ending)
        ending.phase = "confirming"
        if not standings:
            ending.unconfirmed = "nothing was asked"
        elif not subject.held_out:
            ending.unconfirmed = "no questions are held out, so nothing confirms it"
        else:
            rows = driver.rows.total
            before = self._agreed(f"searched {rows}", lambda: [*self.book.account().total, self.book.seconds])
            ending.before = Amounts(**dict(zip(KINDS, before, strict=True)))
            ending.drawn = self._agreed(f"drawn {rows}", lambda: amounts(self.book.account().charged).tokens)
            ending.confirmed = (0, len(subject.held_out))
            watch(self._progress(driver, ending))
            seed = fresh_seed(subject.seed)
            contestants = contestants_of(subject, standings[0].point)
            evaluator = self._evaluating(subject.budget, seed)
            ending.confirmation = await confirm(contestants, subject.held_out, evaluator, seed, self.book, ending.hear)
        ending.complete = True
        self._agreed(_concluding(driver), lambda: True)

    def _agreed(self, name: str, value: Callable[[], object]) -> Any:
        """What is decided under this name; nothing is written where something is."""
        known = self.book.decided(name)
        return self.book.decide(name, value()) if known is None else known

    # The end

    def _standings(self, driver: Driver, ending: _Ending) -> tuple[Standing, ...]:
        if self.subject.only is not None:
            return (Standing(self.subject.only, math.nan, math.nan),)
        return ending.choice.strategy.standings(driver.rows)

    def _concluded(self, driver: Driver, ending: _Ending) -> SearchResult:
        unconfirmed = None
        if ending.confirmation is None:
            unconfirmed = ending.unconfirmed or "the search is not over"
        total = amounts(self.book.account().total, self.book.seconds)
        ended = Ended(
            algorithm=ending.choice.algorithm,
            stopped=ending.stopped,
            complete=ending.complete,
            simulated=any(engine.info.simulated for engine in self.opening.engines.values()),
            confirmation=ending.confirmation,
            unconfirmed=unconfirmed,
            confirming=Amounts() if ending.before is None else less(total, ending.before),
            drawn=amounts(self.book.account().charged).tokens if ending.drawn is None else ending.drawn,
            kept=ending.kept,
            least=ending.least,
            models=self.models,
            seconds=self.book.seconds,
            workers=ending.processes,
            notes=(*([ending.choice.note] if ending.choice.note else []), *self._notes(driver.rows)),
        )
        return conclude(self.subject, self.book, driver, self._standings(driver, ending), ended)

    def _notes(self, rows: Rows) -> Iterator[str]:
        subject, few = self.subject, len(self.subject.questions)
        if subject.only is not None:
            yield "there is only one configuration: nothing was searched"
        if few < _FEW:
            yield f"there are only {few} questions to search on: with fewer than {_FEW}, which is best is mostly chance"
        elif few < _SOME:
            yield f"there are only {few} questions to search on: small differences cannot be seen with them"
        if not subject.held_out:
            yield "no questions are held out: nothing confirms the winner, and its score is too high for being chosen"
        if subject.problems.faults:
            yield f"{len(subject.problems.faults)} rows of the benchmark cannot be used, and are left out"
        for letter, questions in never_right(subject, rows).items():
            yield (
                f"no configuration was ever right where it is {letter} ({questions} questions): see with `pnyx bench` "
                "whether the prompt, or how answers are read, rules it out"
            )


def _concluding(driver: Driver) -> str:
    """What is decided when all that there is to ask after these rows was asked."""
    return f"concluded {driver.rows.total}"


@dataclass(slots=True, kw_only=True)
class _Ending:
    """What becomes known while a search runs. `confirmed`: of how many questions so many were answered by all."""

    choice: Choice
    kept: float
    least: Mapping[str, float]
    processes: int
    stopped: str = ""
    phase: Phase = "searching"
    complete: bool = False
    confirmed: tuple[int, int] | None = None
    confirmation: Confirmation | None = None
    unconfirmed: str | None = None
    before: Amounts | None = None
    drawn: float | None = None

    def hear(self, confirmed: int) -> None:
        assert self.confirmed is not None
        self.confirmed = (confirmed, self.confirmed[1])
