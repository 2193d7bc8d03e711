"""Accuracy against a choice: what each of its options scores, everything else being equal.

Where the choice is how many samples are drawn, the largest number is drawn once, and smaller ones are scored over many
subsets of that pool (`pooling.py`), which asks no model anything.

Invariants
- Every option answers the same problems with the same seed, the one with most samples first.
- What an option costs is what its own run takes; pooling changes accuracies only.
- An option is pooled over all its subsets and problems, or not at all; then its first samples count, and it is said
  why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import fmean
from typing import Any, Final

from pnyx.compiler.declarations import Benchmark
from pnyx.compiler.plan import Plan
from pnyx.runtime.benchmarks.pooling import draws, pooled_streams
from pnyx.runtime.benchmarks.problems import Problem, Problems
from pnyx.runtime.benchmarks.report import Evaluation, Report
from pnyx.runtime.benchmarks.scoring import Scored, Scoring
from pnyx.runtime.benchmarks.sessions import Opening
from pnyx.runtime.benchmarks.statistics import Interval, bootstrap, interval_of
from pnyx.runtime.benchmarks.trial import Opener, Trial
from pnyx.runtime.errors import BudgetReached, RuntimeFailure

__all__ = ["SUBSETS", "Curve", "CurvePoint", "CurveTrial"]

SUBSETS: Final = 32

Advance = Callable[[str], None]
"""Hears of every run over all problems: which option it is of."""

_ASKS_TOGETHER = "models are asked what the run of the pool did not ask, such as about several samples together"
_NO_STORE = "without a call store nothing that was drawn is there again"
_LIMITED = "a question has a limit"
_JUDGED = "answers are judged by a model"


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One option. `evaluation` is its own run; `scores` by the problem's text, each a mean over `subsets` of the pool,
    1 where it is the run itself; `alone` says why it is."""

    option: str
    evaluation: Evaluation
    scores: Mapping[str, float]
    subsets: int
    alone: str | None

    @property
    def accuracy(self) -> float | None:
        return fmean(self.scores.values()) if self.scores else None

    @property
    def interval(self) -> Interval | None:
        """95 %, over problems like these."""
        return interval_of(tuple(self.scores.values()), seed=self.evaluation.seed)

    def more_than(self, other: CurvePoint) -> tuple[float, Interval] | None:
        """How much better it is, paired by problem, with a 95 % interval."""
        both = [score - other.scores[text] for text, score in self.scores.items() if text in other.scores]
        return (fmean(both), bootstrap(both, seed=self.evaluation.seed)) if both else None


@dataclass(frozen=True, kw_only=True)
class Curve:
    """`points` in the order of the options; those that were not reached before it `stopped` are missing."""

    benchmark: str
    pipeline: str
    choice: str
    problems: Problems
    points: tuple[CurvePoint, ...]
    simulated: bool
    stopped: RuntimeFailure | None = None

    @cached_property
    def steps(self) -> tuple[tuple[float, Interval] | None, ...]:
        """How much better each point is than the one before it."""
        pairs = zip(self.points, self.points[1:], strict=False)
        return (None, *(after.more_than(before) for before, after in pairs))[: len(self.points)]

    def to_data(self) -> dict[str, Any]:
        return {
            "benchmark": self.benchmark,
            "pipeline": self.pipeline,
            "choice": self.choice,
            "problems": len(self.problems.problems),
            "simulated": self.simulated,
            "stopped": None if self.stopped is None else self.stopped.message,
            "points": [
                {
                    "option": point.option,
                    "accuracy": point.accuracy,
                    "interval": point.interval,
                    "more_than_before": None if step is None else {"difference": step[0], "interval": step[1]},
                    "subsets": point.subsets,
                    "alone": point.alone,
                    "scored": len(point.scores),
                    "run": point.evaluation.to_data(),
                }
                for point, step in zip(self.points, self.steps, strict=True)
            ],
        }


@dataclass(slots=True, kw_only=True)
class CurveTrial:
    """`plans` by option, in the order of the options. `scoring`, `judge` and `baseline` are as of Trial."""

    benchmark: Benchmark
    problems: Problems
    choice: str
    plans: Mapping[str, Plan]
    scoring: Scoring | None
    judge: Plan | None = None
    baseline: Plan | None = None
    subsets: int = SUBSETS
    _running: Trial | None = field(default=None, init=False)
    _drained: bool = field(default=False, init=False)

    @property
    def needed(self) -> tuple[Plan, ...]:
        """Every plan that may be run."""
        others = tuple(plan for plan in (self.baseline, self.judge) if plan is not None)
        return (*self.plans.values(), *others)

    @property
    def most_steps(self) -> int:
        """How often `advance` is called, at most."""
        return len(self.plans) * (1 + self.subsets)

    def drain(self) -> None:
        """Ends it in order: what engines are at work on is kept."""
        self._drained = True
        if self._running is not None:
            self._running.drain()

    async def run(self, opening: Opening, advance: Advance = lambda _: None) -> Curve:
        """Whatever ends it early is in the curve."""
        found: dict[str, CurvePoint] = {}
        scoring = None if self.scoring is None else _remembering(self.scoring)
        stopped, simulated = None, False
        largest = max(self.plans.values(), key=_samples)
        try:
            for option, plan in sorted(self.plans.items(), key=lambda entry: -_samples(entry[1])):
                report = await self._ask(plan, scoring, opening)
                simulated = simulated or report.simulated
                if report.stopped is not None or self._drained:
                    stopped = report.stopped
                    break
                advance(option)
                found[option] = await self._point(
                    option, plan, largest, report.evaluations[0], scoring, opening, advance
                )
        finally:
            if self.scoring is not None:
                self.scoring.close()
        return Curve(
            benchmark=self.benchmark.name,
            pipeline=largest.pipeline,
            choice=self.choice,
            problems=self.problems,
            points=tuple(found[option] for option in self.plans if option in found),
            simulated=simulated,
            stopped=stopped,
        )

    async def _ask(self, plan: Plan, scoring: Scoring | None, opener: Opener) -> Report:
        self._running = Trial(
            benchmark=self.benchmark,
            problems=self.problems,
            plan=plan,
            baseline=self.baseline,
            judge=self.judge,
            scoring=scoring,
        )
        if self._drained:
            self._running.drain()
        return await self._running.run(opener)

    async def _point(
        self,
        option: str,
        plan: Plan,
        largest: Plan,
        run: Evaluation,
        scoring: Scoring | None,
        opening: Opening,
        advance: Advance,
    ) -> CurvePoint:
        first = {o.problem.text: o.score for o in run.outcomes if o.score is not None}
        streams = pooled_streams(plan, largest)
        alone = self._alone(plan, opening) if streams else None
        if not streams or alone is not None:
            return CurvePoint(option, run, first, 1, alone)
        totals, sets = dict.fromkeys(first, 0.0), draws(streams, self.subsets, seed=run.seed)
        unpooled = plan.model_copy(update={"limits": None})
        for drawn in sets:
            report = await self._ask(unpooled, scoring, opening.from_store(drawn))
            if isinstance(report.stopped, BudgetReached):
                return CurvePoint(option, run, first, 1, _ASKS_TOGETHER)
            scores = {o.problem.text: o.score for o in report.evaluations[0].outcomes}
            if report.stopped is not None or self._drained:
                return CurvePoint(option, run, first, 1, "it was ended")
            totals = {text: total + score for text, total in totals.items() if (score := scores.get(text)) is not None}
            advance(option)
        return CurvePoint(option, run, {text: total / len(sets) for text, total in totals.items()}, len(sets), None)

    def _alone(self, plan: Plan, opening: Opening) -> str | None:
        """Why nothing can be pooled."""
        if opening.store is None:
            return _NO_STORE
        if plan.limits is not None or opening.terms.limits:
            return _LIMITED
        return _JUDGED if self.judge is not None else None


def _samples(plan: Plan) -> int:
    return sum(getattr(node.operator, "n", 0) for node in plan.everywhere())


def _remembering(scoring: Scoring) -> Scoring:
    """Scores an answer to a problem once: subsets mostly give answers that were given before. Its owner closes it."""
    known: dict[tuple[str, str], Scored] = {}

    def rate(answer: str, problem: Problem) -> Scored:
        key = (problem.text, answer)
        if key not in known:
            known[key] = scoring.rate(answer, problem)
        return known[key]

    return replace(scoring, rate=rate, close=lambda: None)
