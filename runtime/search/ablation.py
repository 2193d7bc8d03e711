"""Ablation: what each part of a pipeline earns, measured by leaving it out.

Invariants
- Every variant answers the same questions as the whole pipeline, with the same seed, and what they share is drawn once
  where there is a call store. A baseline that a judge compares them with answers once.
- A verdict is given with care for how many comparisons there are: p values are adjusted by Holm's method, so that
  among all parts that earn nothing one is found to matter in 5 % of the cases at most.
- Whatever ends it early, what was measured until then is reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import fmean
from typing import Any, Final, Literal

from pnyx.compiler.ablations import Ablated, Ablations, Variant
from pnyx.compiler.declarations import Benchmark
from pnyx.compiler.plan import Plan
from pnyx.compiler.program import Program
from pnyx.compiler.trials import compile_trial
from pnyx.runtime.benchmarks import (
    Comparison,
    Evaluation,
    Opener,
    Outcome,
    Part,
    Problems,
    Report,
    Scoring,
    Trial,
    Watch,
    load_problems,
    open_scoring,
)  # fmt: skip
from pnyx.runtime.errors import RuntimeFailure
from pnyx.runtime.results import ResultUsage

__all__ = ["Ablation", "AblationReport", "Earning", "Verdict", "ablation_of", "holm"]

Verdict = Literal["yes", "no", "saves", "not shown", "not measured"]
"""Whether a part earns its tokens: accuracy falls without it; it rises, or the part takes more without being shown to
help; no tokens are saved without it; nothing is shown by so few questions; nothing was asked."""

_ALPHA: Final = 0.05
_WORTH: Final = 0.01
"""Points of accuracy under which a difference is nobody's concern: what the interval keeps below it does not matter."""


def holm(values: Sequence[float]) -> list[float]:
    """p values adjusted for there being several (Holm, 1979), in their order.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(values)), key=values.__getitem__)
    adjusted, least = [0.0] * len(values), 0.0
    for rank, index in enumerate(order):
        least = max(least, min(1.0, (len(values) - rank) * values[index]))
        adjusted[index] = least
    return adjusted


@dataclass(frozen=True, kw_only=True)
class Earning:
    """One part of the pipeline. `comparison`: the whole pipeline's scores less those without the part; None where no
    question was scored with both. `saved`: tokens of a question, on average of those that both have answered; `p` is
    adjusted."""

    variant: Variant
    evaluation: Evaluation | None
    comparison: Comparison | None
    saved: float | None
    p: float | None

    @property
    def verdict(self) -> Verdict:
        if self.comparison is None or self.saved is None or self.p is None:
            return "not measured"
        shown = self.p < _ALPHA
        if shown and self.comparison.mean > 0:
            return "yes"
        if shown:
            return "no"
        if self.saved <= 0:
            return "saves"
        # Where no question tells the two apart, resampling sees no chance that one might: 95 % confidence that fewer
        # than so many do (the rule of three).
        unseen = 1 - 0.05 ** (1 / len(self.comparison.differences))
        return "no" if max(self.comparison.interval[1], unseen) < _WORTH else "not shown"

    def to_data(self) -> dict[str, Any]:
        return {
            "name": self.variant.name,
            "kind": self.variant.kind,
            "place": str(self.variant.span),
            "evaluation": None if self.evaluation is None else self.evaluation.to_data(),
            "comparison": None if self.comparison is None else self.comparison.to_data(),
            "tokens_saved": self.saved,
            "p_adjusted": self.p,
            "earns_its_tokens": self.verdict,
        }


@dataclass(frozen=True, kw_only=True)
class AblationReport:
    """`evaluation` is of the whole pipeline. `unmeasured`: changes that give nothing to measure. `stopped`: why it
    ended early, where it did."""

    benchmark: str
    pipeline: str
    problems: Problems
    evaluation: Evaluation
    parts: tuple[Earning, ...]
    unmeasured: tuple[Ablated, ...]
    simulated: bool
    stopped: RuntimeFailure | None = field(default=None, compare=False)

    @property
    def evaluations(self) -> tuple[Evaluation, ...]:
        """The whole pipeline's, then those of the variants that were asked something."""
        return (self.evaluation, *(part.evaluation for part in self.parts if part.evaluation is not None))

    @property
    def ended_early(self) -> bool:
        """Whether questions were left undone: a limit was reached, the store failed, or it was told to end."""
        asked = len(self.problems.problems)
        incomplete = any(len(evaluation.outcomes) < asked for evaluation in self.evaluations)
        return self.stopped is not None or incomplete or any(part.evaluation is None for part in self.parts)

    @cached_property
    def tokens(self) -> float | None:
        """Of a question to the whole pipeline."""
        spent = [_tokens(outcome.result.usage) for outcome in self.evaluation.outcomes]
        return fmean(spent) if spent else None

    def to_data(self) -> dict[str, Any]:
        return {
            "benchmark": self.benchmark,
            "pipeline": self.pipeline,
            "split": self.problems.part,
            "problems": len(self.problems.problems),
            "simulated": self.simulated,
            "ended_early": self.ended_early,
            "stopped": None if self.stopped is None else self.stopped.message,
            "whole": self.evaluation.to_data(),
            "tokens": self.tokens,
            "parts": [part.to_data() for part in self.parts],
            "unmeasured": [{"name": a.name, "place": str(a.span), "reason": a.reason} for a in self.unmeasured],
        }


@dataclass(slots=True, kw_only=True)
class Ablation:
    """`scoring` None: the plan `judge` judges, against the answers of `baseline` where the score compares."""

    benchmark: Benchmark
    problems: Problems
    ablations: Ablations
    baseline: Plan | None = None
    judge: Plan | None = None
    scoring: Scoring | None = None
    _known: tuple[Outcome, ...] | None = field(default=None, init=False)
    """What the baseline has answered."""
    _trial: Trial | None = field(default=None, init=False)
    _drained: bool = field(default=False, init=False)

    @property
    def pipelines(self) -> tuple[Plan, ...]:
        """The plans that answer."""
        given = (self.ablations.whole, *(variant.plan for variant in self.ablations.variants), self.baseline)
        return tuple(plan for plan in given if plan is not None)

    @property
    def plans(self) -> tuple[Plan, ...]:
        return self.pipelines if self.judge is None else (*self.pipelines, self.judge)

    @property
    def steps(self) -> int:
        """How often `watch` is called, at most."""
        every = (self.ablations.whole, *(variant.plan for variant in self.ablations.variants))
        comparing = len(self.problems.problems) if self.baseline is not None else 0
        return comparing + sum(replace(self._made(plan), known=()).steps for plan in every)

    def drain(self) -> None:
        """Ends it in order: what engines are at work on is kept."""
        self._drained = True
        if self._trial is not None:
            self._trial.drain()

    async def run(self, opener: Opener, watch: Watch | None = None) -> AblationReport:
        """The baseline, the whole pipeline, then the variants, one after the other. Whatever ends it early is in the
        report."""
        try:
            if self.baseline is not None:
                self._known = await self._answers_of(self.baseline, opener, watch)
            whole = await self._try(self.ablations.whole, opener, watch)
            reports: list[Report] = []
            for variant in self.ablations.variants:
                if self._drained or whole.stopped is not None or (reports and reports[-1].stopped is not None):
                    break
                reports.append(await self._try(variant.plan, opener, watch))
        finally:
            if self.scoring is not None:
                self.scoring.close()
        return AblationReport(
            benchmark=self.benchmark.name,
            pipeline=self.ablations.whole.pipeline,
            problems=self.problems,
            evaluation=whole.evaluations[0],
            parts=_parts(self.ablations.variants, whole, reports),
            unmeasured=self.ablations.unmeasured,
            simulated=whole.simulated or any(report.simulated for report in reports),
            stopped=next((report.stopped for report in (whole, *reports) if report.stopped is not None), None),
        )

    async def _answers_of(self, baseline: Plan, opener: Opener, watch: Watch | None) -> tuple[Outcome, ...]:
        self._trial = Trial(benchmark=self.benchmark, problems=self.problems, plan=baseline)
        report = await self._trial.run(opener, watch)
        return report.evaluations[0].outcomes

    async def _try(self, plan: Plan, opener: Opener, watch: Watch | None) -> Report:
        self._trial = self._made(plan)
        if self._drained:
            self._trial.drain()
        return await self._trial.run(opener, watch)

    def _made(self, plan: Plan) -> Trial:
        return Trial(
            benchmark=self.benchmark,
            problems=self.problems,
            plan=plan,
            baseline=self.baseline,
            known=self._known,
            judge=self.judge,
            # The next trial uses it too.
            scoring=None if self.scoring is None else replace(self.scoring, close=_keep),
        )


def ablation_of(
    program: Program,
    benchmark: Benchmark,
    ablations: Ablations,
    *,
    split: Part = "all",
    limit: int | None = None,
    trust: bool = False,
) -> Ablation:
    """Everything that can be wrong before an engine is opened is raised here: CompileError, RuntimeFailure."""
    plans = compile_trial(program, benchmark, ablations.whole.pipeline, None, ablations.whole.choices)
    return Ablation(
        benchmark=benchmark,
        problems=load_problems(benchmark, split, limit),
        ablations=ablations,
        baseline=plans.baseline,
        judge=plans.judge,
        scoring=open_scoring(benchmark, trust=trust),
    )


def _keep() -> None:
    """Closes nothing."""


def _parts(variants: Sequence[Variant], whole: Report, reports: Sequence[Report]) -> tuple[Earning, ...]:
    parts = []
    for position, variant in enumerate(variants):
        evaluation = reports[position].evaluations[0] if position < len(reports) else None
        comparison = None
        if evaluation is not None:
            both = (whole.evaluations[0], evaluation)
            comparison = replace(whole, evaluations=both).comparison
        saved = None if evaluation is None else _saved(whole.evaluations[0], evaluation)
        parts.append(Earning(variant=variant, evaluation=evaluation, comparison=comparison, saved=saved, p=None))
    compared = [part.comparison for part in parts if part.comparison is not None]
    adjusted = iter(holm([comparison.p for comparison in compared]))
    return tuple(part if part.comparison is None else replace(part, p=next(adjusted)) for part in parts)


def _saved(whole: Evaluation, without: Evaluation) -> float | None:
    """Tokens of a question that the part takes: as if nothing were shared."""
    taken = {outcome.problem.text: _tokens(outcome.result.usage) for outcome in without.outcomes}
    pairs = [(_tokens(o.result.usage), taken[o.problem.text]) for o in whole.outcomes if o.problem.text in taken]
    return fmean(mine - its for mine, its in pairs) if pairs else None


def _tokens(usage: ResultUsage) -> int:
    return usage.prompt_tokens + usage.generated_tokens
