"""A trial: one pipeline, or two, answer the problems of a benchmark, and the answers are scored.

Invariants
- Two pipelines answer the same problems with the same seed.
- Whatever ends a trial early, what was done until then is reported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from time import perf_counter
from typing import Protocol, TypeAlias

from pnyx.compiler.declarations import Benchmark
from pnyx.compiler.plan import Plan, PlanNode
from pnyx.runtime.benchmarks.judging import judged, to_judge
from pnyx.runtime.benchmarks.problems import Problem, Problems
from pnyx.runtime.benchmarks.report import Evaluation, Outcome, Report
from pnyx.runtime.benchmarks.scoring import Scoring
from pnyx.runtime.errors import ENGINE_CODES, BudgetReached, RuntimeFailure, StoreFailure
from pnyx.runtime.externs import Externs
from pnyx.runtime.results import ErrorRecord, Result, Summary
from pnyx.runtime.rows import Row
from pnyx.runtime.session import Session
from pnyx.runtime.workshop import workers

__all__ = ["Opener", "Trial", "Watch", "joined"]


Opener: TypeAlias = Callable[[Plan, Externs | None], Session]
"""Opens a session for a plan. The functions are a judge's; None: those that the plan names."""


class Watch(Protocol):
    """Hears of every problem that a pipeline has answered (`judge`: that the judge has judged). `mean` is of the scores
    so far."""

    def __call__(self, plan: Plan, *, judge: bool, mean: float | None) -> None: ...


def joined(plans: Sequence[Plan]) -> Plan:
    """One plan that needs what all of them need, for opening their engines once. It cannot be run."""
    models = {model.name: model for plan in plans for model in plan.models}
    nodes: list[PlanNode] = []
    for plan in plans:
        before = len(nodes)
        nodes += (n.model_copy(update={"inputs": tuple(before + index for index in n.inputs)}) for n in plan.nodes)
    return plans[0].model_copy(update={"models": tuple(models.values()), "nodes": tuple(nodes)})


@dataclass(slots=True, kw_only=True)
class Trial:
    """`scoring` None: the plan `judge` judges, against the answers of `baseline` where the score compares; `known` are
    these answers to the problems, where others have asked for them."""

    benchmark: Benchmark
    problems: Problems
    plan: Plan
    against: Plan | None = None
    baseline: Plan | None = None
    known: Sequence[Outcome] | None = None
    judge: Plan | None = None
    scoring: Scoring | None = None
    _session: Session | None = field(default=None, init=False)
    _drained: bool = field(default=False, init=False)
    _stopped: RuntimeFailure | None = field(default=None, init=False)
    _simulated: bool = field(default=False, init=False)

    @property
    def pipelines(self) -> tuple[Plan, ...]:
        """The plans that answer."""
        return tuple(plan for plan in (self.plan, self.against, self.baseline) if plan is not None)

    @property
    def plans(self) -> tuple[Plan, ...]:
        return self.pipelines if self.judge is None else (*self.pipelines, self.judge)

    @property
    def steps(self) -> int:
        """How often `watch` is called, at most."""
        compared = [self.plan] if self.against is None else [self.plan, self.against]
        answering = compared if self.known is not None else self.pipelines
        judging = len(compared) if self.judge is not None else 0
        return len(self.problems.problems) * (len({plan.digest for plan in answering}) + judging)

    def drain(self) -> None:
        """Ends the trial in order: what engines are at work on is kept."""
        self._drained = True
        if self._session is not None:
            self._session.drain()

    async def run(self, opener: Opener, watch: Watch | None = None) -> Report:
        """Whatever ends it early is in the report."""
        watch = watch or _nobody
        compared = [self.plan] if self.against is None else [self.plan, self.against]
        answered: dict[str, _Answers] = {}
        try:
            for plan in compared:
                if plan.digest not in answered:
                    answered[plan.digest] = await self._answer(plan, opener, watch)
            if self.baseline is not None and self.baseline.digest not in answered:
                given = None if self.known is None else _Answers(outcomes=list(self.known))
                answered[self.baseline.digest] = given or await self._answer(self.baseline, opener, watch)
            evaluations = [await self._evaluate(plan, answered, opener, watch) for plan in compared]
        finally:
            if self.scoring is not None:
                self.scoring.close()
        return Report(
            benchmark=self.benchmark.name,
            score=self.benchmark.score,
            problems=self.problems,
            evaluations=tuple(evaluations),
            simulated=self._simulated,
            stopped=self._stopped,
        )

    # Answering

    async def _answer(self, plan: Plan, opener: Opener, watch: Watch) -> _Answers:
        """What the pipeline answers, each answer scored as it comes, unless a judge does it."""
        answers = _Answers()
        session = self._open(plan, None, opener, answers)
        if session is None:
            return answers
        started = perf_counter()
        rows = [Row(number, problem.asked, problem.id) for number, problem in enumerate(self.problems.problems, 1)]
        rating: list[asyncio.Future[Outcome]] = []

        def rated(outcome: asyncio.Future[Outcome]) -> None:
            if not outcome.cancelled() and outcome.exception() is None:
                answers.rated(outcome.result().score)
                watch(plan, judge=False, mean=answers.mean)

        try:
            async with aclosing(session.map(rows)) as results:
                async for result in results:
                    answers.cost.add(result)
                    coming = asyncio.ensure_future(self._rate(self.problems.problems[result.index], result))
                    coming.add_done_callback(rated)
                    rating.append(coming)
        except (BudgetReached, StoreFailure) as failure:
            self._stopped = failure
        finally:
            answers.outcomes = await _all(rating)
            answers.seconds = perf_counter() - started
        return answers

    def _open(self, plan: Plan, externs: Externs | None, opener: Opener, answers: _Answers) -> Session | None:
        if self._drained or self._stopped is not None:
            return None
        self._session = opener(plan, externs)
        answers.seed = self._session.seed
        self._simulated |= self._session.simulated
        return self._session

    async def _rate(self, problem: Problem, result: Result) -> Outcome:
        error = result.error
        if error is not None:
            return Outcome(problem, result, None if error.code in ENGINE_CODES else 0.0, None, error)
        answer = result.answer or ""
        if not answer.strip():
            return Outcome(problem, result, 0.0)
        if self.scoring is None:
            return Outcome(problem, result, None, answer)
        try:
            if self.scoring.slow:
                loop = asyncio.get_running_loop()
                scored = await loop.run_in_executor(workers(), self.scoring.rate, answer, problem)
            else:
                scored = self.scoring.rate(answer, problem)
        except RuntimeFailure as failure:
            place = failure.place or problem.place
            record = ErrorRecord(failure.code, failure.message, place, failure.help)
            return Outcome(problem, result, None, answer, record)
        return Outcome(problem, result, scored.score if scored.read is not None else 0.0, scored.read)

    # Judging

    async def _evaluate(self, plan: Plan, answered: dict[str, _Answers], opener: Opener, watch: Watch) -> Evaluation:
        answers = answered[plan.digest]
        baseline = answered[self.baseline.digest] if self.baseline is not None else None
        outcomes, judging = answers.outcomes, None
        if self.judge is not None:
            outcomes, judging = await self._judge(self.judge, answers, baseline, opener, watch)
        return Evaluation(
            pipeline=plan.pipeline,
            digest=plan.digest,
            seed=answers.seed,
            outcomes=tuple(outcomes),
            cost=answers.cost,
            judging=judging,
            seconds=answers.seconds,
        )

    async def _judge(
        self, judge: Plan, answers: _Answers, baseline: _Answers | None, opener: Opener, watch: Watch
    ) -> tuple[list[Outcome], Summary]:
        outcomes = list(answers.outcomes)
        if baseline is not None:  # what was left undone is not compared
            outcomes = outcomes[: len(baseline.outcomes)]
        given: list[Sequence[str] | None] = []
        for index, outcome in enumerate(outcomes):
            theirs = None if baseline is None else baseline.outcomes[index]
            outcomes[index], shown = _before_judging(outcome, theirs)
            given.append(shown)
        judgement = to_judge([outcome.problem for outcome in outcomes], given)
        heard = _Answers()
        session = self._open(judge, judgement.externs, opener, heard)
        done = 0
        try:
            if session is not None:
                async with aclosing(session.map(judgement.rows)) as results:
                    async for result in results:
                        heard.cost.add(result)
                        place = judgement.places[result.index]
                        outcomes[place] = _after_judging(outcomes[place], judged(judge, result))
                        heard.rated(outcomes[place].score)
                        watch(judge, judge=True, mean=heard.mean)
                        done = result.index + 1
        except (BudgetReached, StoreFailure) as failure:
            self._stopped = failure
        left = set(judgement.places[done:])
        return [outcome for index, outcome in enumerate(outcomes) if index not in left], heard.cost


def _nobody(plan: Plan, *, judge: bool, mean: float | None) -> None:
    """Hears nothing."""


@dataclass(slots=True)
class _Answers:
    """Of one pipeline to all problems; or what a judge said of them."""

    outcomes: list[Outcome] = field(default_factory=list)
    cost: Summary = field(default_factory=Summary)
    seconds: float = 0.0
    seed: int = 0
    _total: float = 0.0
    _count: int = 0

    def rated(self, score: float | None) -> None:
        if score is not None:
            self._total += score
            self._count += 1

    @property
    def mean(self) -> float | None:
        return self._total / self._count if self._count else None


def _before_judging(outcome: Outcome, theirs: Outcome | None) -> tuple[Outcome, Sequence[str] | None]:
    """The outcome, and the answers to show the judge where it has something to judge."""
    if outcome.error is not None or outcome.read is None:
        return outcome, None
    if theirs is None:
        return outcome, [outcome.read]
    if theirs.read == outcome.read:
        return _scored(outcome, 0.5), None
    if theirs.read is not None:
        return outcome, [outcome.read, theirs.read]
    if theirs.score is None:  # an engine failed the baseline
        return Outcome(outcome.problem, outcome.result, None, outcome.read, theirs.error), None
    return _scored(outcome, 1.0), None


def _after_judging(outcome: Outcome, score: float | ErrorRecord) -> Outcome:
    if isinstance(score, float | int):
        return _scored(outcome, score)
    error = ErrorRecord(score.code, score.message, score.place or outcome.problem.place, score.help)
    return Outcome(outcome.problem, outcome.result, None, outcome.read, error)


def _scored(outcome: Outcome, score: float) -> Outcome:
    return Outcome(outcome.problem, outcome.result, score, outcome.read)


async def _all(rating: Sequence[asyncio.Future[Outcome]]) -> list[Outcome]:
    try:
        return list(await asyncio.gather(*rating))
    except BaseException:
        for coming in rating:
            coming.cancel()
        await asyncio.gather(*rating, return_exceptions=True)
        raise
