"""What a benchmark has found: scores with their intervals, what answers cost, and how two pipelines differ.

Invariants: an answer that is missing or cannot be read scores 0; what an engine, a scorer or a judge failed on is not
scored, and is counted apart; two pipelines are compared on the problems that both have a score for.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean
from typing import Any

from pnyx.compiler.declarations import ChoiceScore, Score
from pnyx.runtime.benchmarks.choices import LETTERS
from pnyx.runtime.benchmarks.problems import Problem, Problems
from pnyx.runtime.benchmarks.statistics import Interval, bootstrap, interval_of, sign_test
from pnyx.runtime.errors import RuntimeFailure
from pnyx.runtime.results import ErrorRecord, Result, Summary

__all__ = ["Comparison", "Evaluation", "Outcome", "Report"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One problem. `score` None: not scored, `error` says why. `read`: what was taken for the answer, None where there
    is none; a judge reads none, then it is the answer."""

    problem: Problem
    result: Result
    score: float | None
    read: str | None = None
    error: ErrorRecord | None = None

    def to_data(self) -> dict[str, Any]:
        usage = self.result.usage
        return {
            "place": self.problem.place,
            "id": self.problem.id,
            "question": self.problem.text,
            "held_out": self.problem.held_out,
            "targets": list(self.problem.targets),
            "answer": self.result.answer,
            "read": self.read,
            "score": self.score,
            "error": None if self.error is None else {"code": self.error.code, "message": self.error.message},
            "calls": usage.calls,
            "samples": usage.samples,
            "prompt_tokens": usage.prompt_tokens,
            "generated_tokens": usage.generated_tokens,
        }


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One pipeline. `judging` is what its judge took, which `cost` does not hold; `seconds` are of the clock."""

    pipeline: str
    digest: str
    seed: int
    outcomes: tuple[Outcome, ...]
    cost: Summary
    judging: Summary | None = None
    seconds: float = 0.0

    @cached_property
    def scores(self) -> tuple[float, ...]:
        return tuple(outcome.score for outcome in self.outcomes if outcome.score is not None)

    @property
    def accuracy(self) -> float | None:
        """The mean score."""
        return fmean(self.scores) if self.scores else None

    @cached_property
    def interval(self) -> Interval | None:
        """95 %."""
        return interval_of(self.scores, seed=self.seed)

    @property
    def unanswered(self) -> int:
        """Questions that score 0 because no answer could be read, by the pipeline or by the score."""
        return sum(o.read is None and o.score is not None and o.result.ran for o in self.outcomes)

    @property
    def failed(self) -> int:
        """Questions that score 0 because the pipeline failed on them otherwise."""
        return sum(o.score is not None and not o.result.ran for o in self.outcomes)

    @property
    def not_scored(self) -> int:
        return sum(outcome.score is None for outcome in self.outcomes)

    def to_data(self) -> dict[str, Any]:
        errors = Counter(o.error.code for o in self.outcomes if o.error is not None)
        return {
            "pipeline": self.pipeline,
            "digest": self.digest,
            "accuracy": self.accuracy,
            "interval": self.interval,
            "scored": len(self.scores),
            "not_scored": self.not_scored,
            "unanswered": self.unanswered,
            "failed": self.failed,
            "errors": dict(sorted(errors.items())),
            "seconds": round(self.seconds, 6),
            "cost": self.cost.to_data(),
            "judging": None if self.judging is None else self.judging.to_data(),
        }


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two pipelines, paired: `differences` of their scores, the first one's less the second one's."""

    differences: tuple[float, ...]
    seed: int

    @property
    def mean(self) -> float:
        return fmean(self.differences)

    @cached_property
    def interval(self) -> Interval:
        """95 %, by a paired bootstrap."""
        return bootstrap(self.differences, seed=self.seed)

    @property
    def wins(self) -> int:
        return sum(difference > 0 for difference in self.differences)

    @property
    def losses(self) -> int:
        return sum(difference < 0 for difference in self.differences)

    @property
    def ties(self) -> int:
        return len(self.differences) - self.wins - self.losses

    @property
    def p(self) -> float:
        """Two-sided, of the sign test; of McNemar's where scores are 0 and 1."""
        return sign_test(self.wins, self.losses)

    def to_data(self) -> dict[str, Any]:
        return {
            "problems": len(self.differences),
            "difference": self.mean,
            "interval": self.interval,
            "wins": self.wins,
            "ties": self.ties,
            "losses": self.losses,
            "p": self.p,
        }


@dataclass(frozen=True, kw_only=True)
class Report:
    """`evaluations`: of the pipeline, and of the one it is compared with. `stopped`: why it ended early, where it did;
    the problems are then those that were done."""

    benchmark: str
    score: Score
    problems: Problems
    evaluations: tuple[Evaluation, ...]
    simulated: bool
    stopped: RuntimeFailure | None = field(default=None, compare=False)

    @property
    def ended_early(self) -> bool:
        """Whether questions were left undone: a limit was reached, the store failed, or it was told to end."""
        return self.stopped is not None or any(len(e.outcomes) < len(self.problems.problems) for e in self.evaluations)

    @property
    def accuracy(self) -> float | None:
        """Of the pipeline."""
        return self.evaluations[0].accuracy

    @property
    def interval(self) -> Interval | None:
        return self.evaluations[0].interval

    @cached_property
    def comparison(self) -> Comparison | None:
        """None for one pipeline, or where no problem has two scores."""
        if len(self.evaluations) < 2:
            return None
        first, second = self.evaluations
        scored = {o.problem.text: o.score for o in second.outcomes if o.score is not None}
        pairs = ((o.score, scored.get(o.problem.text)) for o in first.outcomes)
        differences = tuple(a - b for a, b in pairs if a is not None and b is not None)
        return Comparison(differences=differences, seed=first.seed) if differences else None

    @property
    def never_given(self) -> dict[str, int]:
        """Of multiple choice: letters that are right for so many problems, three at least, and that no pipeline has
        answered, where it has answered others."""
        if not isinstance(self.score, ChoiceScore):
            return {}
        outcomes = [o for evaluation in self.evaluations for o in evaluation.outcomes]
        given = {o.read for o in outcomes if o.read is not None}
        right = Counter(letter for o in self.evaluations[0].outcomes for letter in o.problem.targets)
        return {letter: right[letter] for letter in LETTERS if given and right[letter] >= 3 and letter not in given}

    def to_data(self) -> dict[str, Any]:
        problems = self.problems
        return {
            "benchmark": self.benchmark,
            "score": type(self.score).__name__,
            "split": problems.part,
            "problems": len(problems.problems),
            "held_out": problems.held_out,
            "rows": problems.rows,
            "faults": [{"code": f.code, "message": f.message, "place": f.place} for f in problems.faults],
            "duplicates": list(problems.duplicates),
            "never_given": self.never_given,
            "simulated": self.simulated,
            "ended_early": self.ended_early,
            "stopped": None if self.stopped is None else self.stopped.message,
            "evaluations": [evaluation.to_data() for evaluation in self.evaluations],
            "comparison": None if self.comparison is None else self.comparison.to_data(),
        }

    def to_jsonl(self) -> str:
        """A line for each problem and pipeline."""
        lines = [
            json.dumps({"pipeline": evaluation.pipeline} | outcome.to_data())
            for evaluation in self.evaluations
            for outcome in evaluation.outcomes
        ]
        return "".join(f"{line}\n" for line in lines)
