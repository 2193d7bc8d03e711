"""The report of an ablation: for a terminal, and as Markdown."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pnyx.cli.tables import print_table
from pnyx.cli.terminal import count, folded

if TYPE_CHECKING:
    from pnyx.runtime.search.ablation import AblationReport, Earning

__all__ = ["markdown", "print_ablation"]

_HEAD = ("variant", "accuracy", "whole − variant", "95 % interval", "p", "tokens saved", "earns its tokens?")
_VERDICTS = {
    "yes": "yes",
    "no": "no",
    "saves": "takes none",
    "not shown": "not shown",
    "not measured": "not measured",
}


def print_ablation(report: AblationReport) -> None:
    """On standard output."""
    print(folded(_title(report), sys.stdout))
    print()
    print_table(_HEAD, _rows(report), right=range(1, len(_HEAD) - 1))
    for line in _notes(report):
        print(f"\n{folded(line, sys.stdout)}")


def markdown(report: AblationReport) -> str:
    rows = [_HEAD, ("---", *["---:"] * (len(_HEAD) - 2), "---"), *_rows(report)]
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    table = "\n".join(f"| {' | '.join(row)} |" for row in escaped)
    notes = "".join(f"\n\n{line}" for line in _notes(report))
    return f"# Ablation of `{report.pipeline}`\n\n{_title(report)}\n\n{table}{notes}\n"


def _title(report: AblationReport) -> str:
    problems = report.problems
    part = {"all": "", "search": ", for searching", "held-out": ", held out"}[problems.part]
    simulated = " (SIMULATED)" if report.simulated else ""
    return f"{report.pipeline} on {report.benchmark}{simulated}: {count(len(problems.problems), 'question')}{part}"


def _rows(report: AblationReport) -> Iterator[tuple[str, ...]]:
    tokens = "" if report.tokens is None else f"of {report.tokens:.0f}"
    yield ("the whole pipeline", _percent(report.evaluation.accuracy), "", "", "", tokens, "")
    for part in report.parts:
        yield (part.variant.name, *_figures(part), _VERDICTS[part.verdict])


def _figures(part: Earning) -> tuple[str, ...]:
    accuracy = "—" if part.evaluation is None else _percent(part.evaluation.accuracy)
    saved = "—" if part.saved is None else f"{part.saved:.0f}"
    if part.comparison is None or part.p is None:
        return (accuracy, "—", "—", "—", saved)
    low, high = part.comparison.interval
    p = "< 0.001" if part.p < 0.001 else f"{part.p:.3f}"
    return (accuracy, f"{100 * part.comparison.mean:+.1f}", f"{100 * low:+.1f} … {100 * high:+.1f}", p, saved)


def _notes(report: AblationReport) -> Iterator[str]:
    if report.ended_early:
        yield "ended early: the figures are of what was done until then"
    verdicts = {part.verdict for part in report.parts}
    compared = sum(part.comparison is not None for part in report.parts)
    yield (
        "Each variant is the pipeline with one change, on the same questions with the same seed. Differences are in "
        f"points, paired; p of the sign test, adjusted for {count(compared, 'comparison')} (Holm)."
    )
    if "yes" in verdicts or "no" in verdicts:
        yield (
            "yes: it is worse without. no: it is better without, or the difference is under one point at most, and the "
            "tokens are spent for nothing."
        )
    if "saves" in verdicts:
        yield "takes none: without it the pipeline takes no fewer tokens."
    if "not shown" in verdicts:
        yield "not shown: so few questions cannot tell; more of them may."
    if report.unmeasured:
        yield "Not measured: " + "; ".join(f"{a.name} ({a.reason})" for a in report.unmeasured) + "."


def _percent(share: float | None) -> str:
    return "—" if share is None else f"{100 * share:.1f} %"
