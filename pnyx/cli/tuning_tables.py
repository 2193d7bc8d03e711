"""The report of an engine tuning for a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pnyx.cli.summary import duration
from pnyx.cli.tables import print_table
from pnyx.cli.terminal import count, folded

if TYPE_CHECKING:
    from pnyx.runtime.search.engine_tuning.trials import Trial, TuningReport

__all__ = ["print_tuning"]

_HEAD = ("setting", "runs", "questions/s", "tokens/s", "× default", "95 % interval", "failed because")


def print_tuning(report: TuningReport) -> None:
    """On standard output."""
    simulated = " (SIMULATED)" if report.simulated else ""
    title = f"{report.pipeline}{simulated}: {count(report.questions, 'question')} a run, {duration(report.seconds)}"
    print(f"{folded(title, sys.stdout)}\n")
    failed = any(trial.failure is not None for trial in report.trials)
    width = len(_HEAD) - (not failed)
    print_table(_HEAD[:width], (_row(trial)[:width] for trial in report.trials), right=range(1, 6))
    for line in _notes(report):
        print(f"\n{folded(line, sys.stdout)}")


def _row(trial: Trial) -> tuple[str, ...]:
    interval = "" if trial.interval is None else "{:.2f} … {:.2f}".format(*trial.interval)
    reason = "" if trial.failure is None else f"{trial.failure.code}: {trial.failure.message}"
    figures = (_figure(trial.questions_per_second), _figure(trial.tokens_per_second))
    return (trial.name, str(trial.runs), *figures, _ratio(trial.ratio), interval, reason)


def _notes(report: TuningReport) -> Iterator[str]:
    """The verdict last: lines for pnyx.toml may follow it."""
    if not report.complete:
        yield "ended before all settings were tried"
    if report.largest:
        more = "more questions" if report.questions == report.given else "a larger `--budget`, and so longer runs,"
        yield f"{count(report.questions, 'question')} a run allow to try no larger windows; {more} may find better ones"
    best = report.best
    if best is None:
        yield "no setting is clearly faster than the default"
    elif report.verdict == "not confirmed":
        yield (
            f"no setting is confirmed to be faster: `{best.name}` looks {_ratio(best.ratio)} times as fast, but there "
            "was no time to compare the two in pairs; give it more with `--budget`"
        )
    elif report.verdict == "not clearly faster":
        yield f"no setting is clearly faster than the default: {count(report.pairs, 'pair')} with `{best.name}`"
    else:
        yield f"`{best.name}` is {_ratio(best.ratio)} times as fast as the default ({count(report.pairs, 'pair')}):"


def _figure(value: float | None) -> str:
    return "—" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _ratio(value: float | None) -> str:
    return "—" if value is None else f"{value:.2f}"
