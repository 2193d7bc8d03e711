"""The report of a benchmark for a person: scores with intervals, what they cost, the worst answers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pnyx.cli.summary import duration
from pnyx.cli.tables import print_table
from pnyx.cli.terminal import count, folded

if TYPE_CHECKING:
    from pnyx.runtime.benchmarks import Comparison, Evaluation, Outcome, Report
    from pnyx.runtime.results import Summary

__all__ = ["print_report"]

_ANSWER, _QUESTION = 24, 60
_FIGURES = ("", "accuracy", "95 % interval", "scored", "no answer", "failed", "calls", "tokens", "time")


def print_report(report: Report, *, worst: int) -> None:
    """On standard output; `worst`: so many answers at most."""
    print(folded(_title(report), sys.stdout))
    print()
    print_table(_FIGURES, [row for e in report.evaluations for row in _figures(e)], right=range(1, len(_FIGURES)))
    for line in _notes(report):
        print(f"\n{folded(line, sys.stdout)}")
    if worst and any(e.outcomes for e in report.evaluations):
        print()
        _print_worst(report, worst)


def _title(report: Report) -> str:
    problems = report.problems
    part = {"all": "", "search": ", for searching", "held-out": ", held out"}[problems.part]
    held = f", {problems.held_out} of them held out" if problems.part == "all" and problems.held_out else ""
    simulated = " (SIMULATED)" if report.simulated else ""
    rows = f" from {count(problems.rows, 'row')}" if problems.rows != len(problems.problems) else ""
    return f"{report.benchmark}{simulated}: {count(len(problems.problems), 'question')}{rows}{part}{held}"


def _figures(evaluation: Evaluation) -> Iterator[tuple[str, ...]]:
    low_high = evaluation.interval
    yield (
        evaluation.pipeline,
        "—" if evaluation.accuracy is None else _percent(evaluation.accuracy),
        "—" if low_high is None else f"{100 * low_high[0]:.1f} … {100 * low_high[1]:.1f}",
        str(len(evaluation.scores)),
        str(evaluation.unanswered),
        str(evaluation.failed),
        *_cost(evaluation.cost),
        duration(evaluation.seconds),
    )
    if evaluation.judging is not None:
        yield ("  judging it", "", "", "", "", "", *_cost(evaluation.judging), "")


def _cost(summary: Summary) -> tuple[str, str]:
    return str(summary.calls), str(summary.tokens)


def _notes(report: Report) -> Iterator[str]:
    if report.ended_early:
        done = ", ".join(f"{e.pipeline} {len(e.outcomes)}" for e in report.evaluations)
        yield f"ended early: of {count(len(report.problems.problems), 'question')} these were done: {done}"
    for evaluation in report.evaluations:
        if evaluation.not_scored:
            yield f"{evaluation.pipeline}: {count(evaluation.not_scored, 'question')} not scored, and left out"
    cached = sum(e.cost.cached_calls + (e.judging.cached_calls if e.judging else 0) for e in report.evaluations)
    if cached:
        yield f"{count(cached, 'call')} of these were there already and cost nothing"
    if report.comparison is not None:
        first, second = (evaluation.pipeline for evaluation in report.evaluations)
        yield _difference(report.comparison, first, second)


def _difference(comparison: Comparison, first: str, second: str) -> str:
    low, high = comparison.interval
    many = count(len(comparison.differences), "question")
    times = f"{count(comparison.wins, 'win')}, {count(comparison.ties, 'tie')}"
    losses = f"{comparison.losses} {'loss' if comparison.losses == 1 else 'losses'}"
    p = "p < 0.001" if comparison.p < 0.001 else f"p = {comparison.p:.3f}"
    return (
        f"{first} − {second}: {100 * comparison.mean:+.1f} points, 95 % interval {100 * low:+.1f} … {100 * high:+.1f} "
        f"(paired, {many}); {times}, {losses}; {p} (sign test)"
    )


def _print_worst(report: Report, worst: int) -> None:
    first = report.evaluations[0]
    if len(report.evaluations) == 1:
        outcomes = sorted(first.outcomes, key=_order)[:worst]
        rows = [(_score(o), _answer(o), _target(o), _short(o.problem.text, _QUESTION)) for o in outcomes]
        print_table(("score", "answer", "target", "question"), rows, right=(0,))
        return
    second = report.evaluations[1]
    theirs = {outcome.problem.text: outcome for outcome in second.outcomes}
    pairs = [(o, theirs[o.problem.text]) for o in first.outcomes if o.problem.text in theirs]
    pairs.sort(key=lambda pair: ((pair[0].score or 0) - (pair[1].score or 0), _order(pair[0])))
    rows2 = [
        (_score(a), _score(b), _answer(a), _answer(b), _target(a), _short(a.problem.text, _QUESTION))
        for a, b in pairs[:worst]
    ]
    head = (first.pipeline, second.pipeline, first.pipeline, second.pipeline, "target", "question")
    print_table(head, rows2, right=(0, 1))


def _order(outcome: Outcome) -> float:
    """Lowest scores first; what has none comes before."""
    return -1.0 if outcome.score is None else outcome.score


def _score(outcome: Outcome) -> str:
    return "—" if outcome.score is None else f"{outcome.score:.2f}".removesuffix(".00")


def _answer(outcome: Outcome) -> str:
    if outcome.result.error is not None:
        return outcome.result.error.code
    if outcome.error is not None:
        return f"{outcome.error.code}: {_short(outcome.result.answer or '', _ANSWER)}"
    if outcome.read is None:
        return f"(none) {_short(outcome.result.answer or '', _ANSWER)}"
    return _short(outcome.read, _ANSWER)


def _target(outcome: Outcome) -> str:
    return _short(" | ".join(outcome.problem.targets), _ANSWER)


def _short(text: str, most: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
