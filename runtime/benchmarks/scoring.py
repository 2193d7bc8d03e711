"""Scores: from 0 to 1 for an answer, by the score that a benchmark declares.

Invariants
- A score is a function of the answer and the problem alone.
- What could not be read of an answer is absent, and scores 0; nothing is guessed.
- What goes wrong while an answer is scored is a RuntimeFailure of that answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import assert_never

from pnyx.compiler.declarations import (
    F1,
    Benchmark,
    ChoiceScore,
    CodeScore,
    Exact,
    ExternScore,
    Judge,
    MathScore,
    Normalized,
    Numeric,
    OwnScore,
    Pairwise,
    ReasoningGym,
    RegexScore,
)
from pnyx.compiler.operators import AnswerKind
from pnyx.compiler.patterns import compile_pattern
from pnyx.runtime.answers import extract
from pnyx.runtime.benchmarks.choices import letter_of_answer
from pnyx.runtime.benchmarks.numbers import number_in
from pnyx.runtime.benchmarks.problems import Problem
from pnyx.runtime.benchmarks.words import f1, normalized

__all__ = ["Scored", "Scoring", "open_scoring"]


@dataclass(frozen=True, slots=True)
class Scored:
    """`read` is what was taken for the answer; None: there is none, and the score is 0."""

    score: float
    read: str | None


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Scoring:
    """`rate` may raise RuntimeFailure. Where it is `slow` it belongs in a thread. `close` ends what it has started."""

    rate: Callable[[str, Problem], Scored]
    slow: bool = False
    close: Callable[[], None] = _nothing


def open_scoring(benchmark: Benchmark, *, trust: bool) -> Scoring | None:
    """None where a model judges. Raises PackageMissing (E608), SandboxUnusable (E609) and ExternUnusable (E612)."""
    place = str(benchmark.span)
    match benchmark.score:
        case Exact():
            return Scoring(_exact)
        case Normalized():
            return Scoring(_normalized)
        case F1():
            return Scoring(_f1)
        case Numeric(tolerance=tolerance):
            return Scoring(_numeric(tolerance))
        case ChoiceScore():
            return Scoring(_choice)
        case RegexScore(pattern=pattern):
            return Scoring(_regex(pattern))
        case MathScore():
            from pnyx.runtime.benchmarks.mathematics import Verifier

            verifier = Verifier(place)
            return Scoring(verifier.rate, slow=True, close=verifier.close)
        case CodeScore():
            from pnyx.runtime.benchmarks.code import Tester

            return Scoring(Tester(place).rate, slow=True)
        case ExternScore() as score:
            from pnyx.runtime.benchmarks.functions import ScoringFunction

            return Scoring(ScoringFunction(score, benchmark, trust=trust).rate, slow=True)
        case OwnScore():
            assert isinstance(benchmark.data, ReasoningGym)
            from pnyx.runtime.benchmarks.tasks import TaskScorer

            return Scoring(TaskScorer(benchmark.data, place).rate, slow=True)
        case Judge() | Pairwise():
            return None
        case _ as other:
            assert_never(other)


def _exact(answer: str, problem: Problem) -> Scored:
    said = answer.strip()
    return Scored(float(any(said == target.strip() for target in problem.targets)), said or None)


def _normalized(answer: str, problem: Problem) -> Scored:
    said = normalized(answer)
    return Scored(float(any(said == normalized(target) for target in problem.targets)), said or None)


def _f1(answer: str, problem: Problem) -> Scored:
    return Scored(max(f1(answer, target) for target in problem.targets), normalized(answer) or None)


def _numeric(tolerance: float) -> Callable[[str, Problem], Scored]:
    most = Fraction(tolerance)

    def rate(answer: str, problem: Problem) -> Scored:
        said = number_in(answer)
        if said is None:
            return Scored(0.0, None)
        wanted = (number_in(target) for target in problem.targets)
        return Scored(float(any(n is not None and abs(said - n) <= most for n in wanted)), str(said))

    return rate


def _choice(answer: str, problem: Problem) -> Scored:
    letter = letter_of_answer(answer, problem.choices)
    return Scored(float(letter in problem.targets), letter)


def _regex(pattern: str) -> Callable[[str, Problem], Scored]:
    compiled = compile_pattern(pattern)

    def rate(answer: str, problem: Problem) -> Scored:
        if not problem.targets:
            return Scored(float(compiled.search(answer) is not None), answer)
        said = extract(AnswerKind.REGEX, answer, pattern)
        return Scored(float(said is not None and any(said == target.strip() for target in problem.targets)), said)

    return rate
