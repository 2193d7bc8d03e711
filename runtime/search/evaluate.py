"""A configuration answers questions, and the answers are scored and counted.

Invariants
- What is settled of a question is a function of plan, question and seed, but for its seconds: not of the store, of what
  else runs, or of how often it was tried.
- A question that an engine failed on is not settled, and one that the pipeline failed on scores 0.
- All of a block is settled, or nothing of it.
- The baseline that answers are compared with is asked each question once, also where there is no call store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pnyx.compiler.declarations import Benchmark
from pnyx.compiler.plan import Plan, PlanModel
from pnyx.runtime.benchmarks import Outcome, Problem, Problems, Scoring, Trial
from pnyx.runtime.benchmarks.sessions import Opening
from pnyx.runtime.budgets import Charge
from pnyx.runtime.errors import ENGINE_CODES, QueryLimitReached
from pnyx.runtime.results import Result
from pnyx.runtime.search.failures import NotAnswered, NothingScored
from pnyx.runtime.search.rows import Settled

__all__ = ["Drained", "Evaluator"]


class Drained(Exception):  # not a failure: somebody said so
    """The evaluation was told to end before all was answered."""


@dataclass(slots=True, kw_only=True)
class Evaluator:
    """`judge` and `baseline` are what the score needs; `scoring` None: the judge does it. Its owner closes it. Blocks
    are the same for every plan, or have no question in common."""

    benchmark: Benchmark
    opening: Opening
    scoring: Scoring | None
    judge: Plan | None = None
    baseline: Plan | None = None
    simulated: bool = field(default=False, init=False)
    """Whether some answer came from a simulated engine."""
    over_limit: str | None = field(default=None, init=False)
    """Where all that was asked went past the limits of a question, what was said of the first; None else."""
    _within: bool = field(default=False, init=False)
    _running: dict[int, Trial] = field(default_factory=dict, init=False)
    _compared: dict[tuple[str, ...], asyncio.Task[tuple[Outcome, ...]]] = field(default_factory=dict, init=False)
    """What the baseline answers, or is answering, to the questions of a block."""
    _drained: bool = field(default=False, init=False)

    def drain(self) -> None:
        """Ends what runs, keeping what the engines are at work on."""
        self._drained = True
        for trial in list(self._running.values()):
            trial.drain()

    async def ask(self, plan: Plan, problems: Sequence[Problem]) -> tuple[Settled, ...]:
        """One for each of the problems. Raises Drained, NotAnswered, NothingScored (E684), BudgetReached and
        StoreFailure; nothing is settled then."""
        known = None if self.baseline is None else await self._answers_of(self.baseline, problems)
        outcomes = await self._try(plan, problems, known, judge=self.judge, scoring=self.scoring)
        self._note_limits(outcomes)
        models = {model.name: model for model in self.opening.models(plan)}
        return tuple(Settled(o.score, spent(plan, models, o.result), o.result.usage.seconds) for o in outcomes)

    def _note_limits(self, outcomes: Sequence[Outcome]) -> None:
        errors = [o.error for o in outcomes if o.error is not None and o.error.code == QueryLimitReached.code]
        self._within = self._within or len(errors) < len(outcomes)
        self.over_limit = None if self._within else self.over_limit or errors[0].message

    async def _answers_of(self, baseline: Plan, problems: Sequence[Problem]) -> tuple[Outcome, ...]:
        """Asked once, by whoever needs them first."""
        block = tuple(problem.text for problem in problems)
        if block not in self._compared:
            self._compared[block] = asyncio.create_task(self._try(baseline, problems))
        asking = self._compared[block]
        try:
            return await asyncio.shield(asking)
        except Exception:
            self._compared.pop(block, None)
            raise

    async def _try(
        self,
        plan: Plan,
        problems: Sequence[Problem],
        known: Sequence[Outcome] | None = None,
        *,
        judge: Plan | None = None,
        scoring: Scoring | None = None,
    ) -> tuple[Outcome, ...]:
        if self._drained:
            raise Drained
        trial = Trial(
            benchmark=self.benchmark,
            problems=Problems("search", tuple(problems), len(problems)),
            plan=plan,
            baseline=None if known is None else self.baseline,
            known=known,
            judge=judge,
            # It is used by the next trial too.
            scoring=None if scoring is None else replace(scoring, close=lambda: None),
        )
        self._running[id(trial)] = trial
        try:
            report = await trial.run(self.opening)
        finally:
            del self._running[id(trial)]
        self.simulated = self.simulated or report.simulated
        outcomes = report.evaluations[0].outcomes
        if report.stopped is not None:
            raise report.stopped
        _check(outcomes)
        if len(outcomes) < len(problems):
            raise Drained
        return outcomes


def _check(outcomes: Sequence[Outcome]) -> None:
    errors = [(o.error, o.problem.place) for o in outcomes if o.score is None and o.error is not None]
    for error, place in errors:
        if error.code in ENGINE_CODES:
            raise NotAnswered(error, place)
    if errors and len(errors) == len(outcomes):
        (error, place), count = errors[0], len(errors)
        raise NothingScored(
            f"none of {count} answers could be scored: {error.message}",
            place=error.place or place,
            help=error.help,
        )


def spent(plan: Plan, models: dict[str, PlanModel], result: Result) -> Charge:
    """What an answer takes if nothing is shared. What is not known of a model counts as nothing."""
    operators = [node.operator for node in plan.everywhere()]
    flops = money = 0.0
    for used in result.nodes:
        model = models[getattr(operators[used.node], "model")]  # noqa: B009
        tokens = used.prompt_tokens + used.generated_tokens
        flops += 2 * (model.parameters or 0.0) * tokens
        money += (model.price_in or 0.0) * used.prompt_tokens / 1e6
        money += (model.price_out or 0.0) * used.generated_tokens / 1e6
    usage = result.usage
    tokens = usage.prompt_tokens + usage.generated_tokens
    return (float(usage.calls), float(usage.samples), float(tokens), flops, money)
