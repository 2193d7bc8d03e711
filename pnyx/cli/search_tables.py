"""The result of a search for a person: the confirmation, the ten best, what it took."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pnyx.cli.summary import duration
from pnyx.cli.tables import print_table
from pnyx.cli.terminal import count, folded

if TYPE_CHECKING:
    from pnyx.runtime.search.results import Amounts, Configuration, Confirmation, Confirmed, SearchResult

__all__ = ["print_result"]

_TOP = 10


def print_result(result: SearchResult) -> None:
    """On standard output."""
    _say(_title(result))
    for note in result.notes:
        _say(f"note: {note}")
    if result.best is None:
        _say(f"no winner: {result.why}")
    else:
        print()
        _print_best(result)
    if result.estimated is not None:
        low, high = result.estimated.interval
        _say(
            f"\nthe winner, on the questions of the search: {_percent(result.estimated.value)} without the optimism of "
            f"having been chosen by them ({_percent(result.estimated.raw)} with it), 95 % interval {_span(low, high)}"
        )
    print()
    if result.confirmation is not None:
        _print_confirmation(result.confirmation)
    else:
        _say(f"not confirmed: {result.unconfirmed}")
    print()
    for line in _account(result):
        _say(line)


def _say(text: str) -> None:
    print(folded(text, sys.stdout))


def _title(result: SearchResult) -> str:
    simulated = " (SIMULATED)" if result.simulated else ""
    size = f" of {result.size}" if result.size is not None else ""
    return (
        f"{result.name}{simulated}: {len(result.configurations)}{size} configurations asked on "
        f"{count(result.questions, 'question')} of {result.benchmark}, by {result.algorithm}"
    )


def _print_best(result: SearchResult) -> None:
    believed = sorted(
        (c for c in result.configurations if c.number != result.winner and c.mean is not None),
        key=lambda c: -(c.mean or 0.0),
    )
    shown = [result.best, *believed[: _TOP - 1]]
    rows = [_row(result, configuration) for configuration in shown if configuration is not None]
    head = ("", "believed", "± 95 %", "near the best", "asked", "tokens", "configuration")
    print_table(head, rows, right=range(1, 6))


def _row(result: SearchResult, configuration: Configuration) -> tuple[str, ...]:
    number, mean, sd = configuration.number, configuration.mean, configuration.sd
    marks = "winner" if number == result.winner else "raced out" if configuration.raced_out else ""
    return (
        marks,
        "—" if mean is None else _percent(mean),
        "—" if sd is None else f"{196 * sd:.1f}",
        "—" if configuration.near_best is None else f"{100 * configuration.near_best:.0f} %",
        str(len(configuration.scores)),
        "—" if configuration.cost is None else f"{configuration.cost.tokens:.0f}",
        _named(configuration.pipeline, configuration.choices),
    )


def _named(pipeline: str, choices: tuple[tuple[str, str], ...]) -> str:
    said = ", ".join(f"{name.removeprefix(f'{pipeline}.')} = {option}" for name, option in choices)
    return f"{pipeline}: {said}" if said else pipeline


def _print_confirmation(found: Confirmation) -> None:
    asked = found.pipelines[0]
    part = "" if found.complete else f", the first {len(asked.scores)} of {found.questions}: the budget ended there"
    _say(f"on {count(len(asked.scores), 'question')} that were held out, with a fresh seed{part}")
    print()
    rows = [_confirmed(pipeline) for pipeline in found.pipelines]
    print_table(("", "accuracy", "95 % interval", "scored", "tokens", "pipeline"), rows, right=range(1, 5))
    print()
    for gain in found.gains:
        low, high = gain.interval
        p, paired = "p < 0.001" if gain.p < 0.001 else f"p = {gain.p:.3f}", count(gain.n, "question")
        _say(
            f"winner − {_whom(found.pipelines[gain.against])}: {100 * gain.difference:+.1f} points, 95 % interval "
            f"{100 * low:+.1f} … {100 * high:+.1f} (paired, {paired}); {p} (sign test): {gain.verdict}"
        )
    if not found.gains:
        _say(found.verdict)


def _confirmed(pipeline: Confirmed) -> tuple[str, ...]:
    low_high = pipeline.interval
    return (
        pipeline.role,
        "—" if pipeline.accuracy is None else _percent(pipeline.accuracy),
        "—" if low_high is None else _span(*low_high),
        str(pipeline.n),
        f"{pipeline.cost.tokens:.0f}",
        _named(pipeline.pipeline, pipeline.choices),
    )


def _whom(pipeline: Confirmed) -> str:
    return "defaults" if pipeline.role == "defaults" else pipeline.pipeline


def _account(result: SearchResult) -> Iterator[str]:
    budget = result.budget
    spent = ", ".join(
        f"{_amount(kind, _of(budget.charged, kind))} of {_amount(kind, limit)}" for kind, limit in budget.limits.items()
    )
    yield f"spent: {spent}; {duration(result.seconds)}"
    if _of(budget.lost, "calls"):
        yield f"of it {budget.lost.calls:.0f} calls were under way in a process that was killed, and count in full"
    if result.reuse is not None:
        yield f"answers took {result.reuse:.1f} times the tokens that were drawn for them: the others were shared"
    yield f"ended: {result.stopped}"


def _of(amounts: Amounts, kind: str) -> float:
    return float(getattr(amounts, kind))


def _amount(kind: str, amount: float) -> str:
    from pnyx.compiler.cost.interval import show_number

    if kind == "money":
        return f"${amount:.4g}"
    return duration(amount) if kind == "seconds" else f"{show_number(amount)} {kind}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _span(low: float, high: float) -> str:
    return f"{100 * low:.1f} … {100 * high:.1f}"
