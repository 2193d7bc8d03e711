"""Answers that a model judges: by plans that the compiler makes of `judge` and `pairwise` (`pnyx.compiler.trials`).

The plan of a judge is asked the question and calls one function, `ANSWERS`, that hands it the answers to judge. So a
judge goes the way of every pipeline: the same sessions, seeds, store and budgets.

A grade from 1 to 10 becomes (grade - 1) / 9. A comparison is made in both orders; the score is the share of them that
the answer won (Zheng et al., 2023). Without being compared, an answer wins where the baseline has none, and half wins
where both are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pnyx.compiler.plan import Plan
from pnyx.runtime.benchmarks.problems import Problem
from pnyx.runtime.externs import Externs
from pnyx.runtime.results import ErrorRecord, Result
from pnyx.runtime.rows import Row

__all__ = ["ANSWERS", "Judgement", "judged", "to_judge"]

ANSWERS = "pnyx:answers"
"""What the judge's plan calls its function."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge is asked: a row for each problem with something to judge, and the function its plan calls."""

    rows: tuple[Row, ...]
    places: tuple[int, ...]
    """Of the rows, among the problems."""
    externs: Externs


def to_judge(problems: Sequence[Problem], answers: Sequence[Sequence[str] | None]) -> Judgement:
    """`answers`: for each problem those to judge, one to grade or two to compare; None where there is nothing."""
    places = tuple(index for index, given in enumerate(answers) if given is not None)
    known: dict[str, list[str]] = {problems[i].text: list(answers[i] or ()) for i in places}

    def answers_to(query: str) -> list[str]:
        return known[query]

    rows = tuple(Row(number, problems[i].text, problems[i].id) for number, i in enumerate(places, 1))
    return Judgement(rows, places, Externs({ANSWERS: answers_to}))


def judged(plan: Plan, result: Result) -> float | ErrorRecord:
    """The score that a judge's result gives its first answer, or why there is none."""
    if result.error is not None:
        return result.error
    first: Mapping[str, object] = result.candidates[0]
    wins, grade = first.get("wins"), first.get("score")
    if isinstance(wins, float):
        return wins
    if isinstance(grade, int | float):
        return (grade - 1) / 9
    reply = result.failures[0].reply if result.failures else ""
    shown = " ".join(reply.split())
    shown = shown if len(shown) <= 60 else shown[:59] + "…"
    model = ", ".join(model.name for model in plan.models)
    return ErrorRecord("R834", f"the reply of the judge `{model}` could not be read: `{shown}`",
                       help="a larger judge, or a prompt of one's own, may help")  # fmt: skip
