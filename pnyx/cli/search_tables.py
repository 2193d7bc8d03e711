"""The result of a search for a person: the ten best, the front, the confirmation, what it took."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pnyx.cli.configurations import Configured, named, print_configured
from pnyx.cli.summary import duration
from pnyx.cli.tables import print_table
from pnyx.cli.terminal import count, folded

if TYPE_CHECKING:
    from pnyx.runtime.search.results import Amounts, Configuration, Confirmation, Confirmed, Objective, SearchResult

__all__ = ["print_result"]

_TOP = 10
_SHARED = 1.05


def print_result(result: SearchResult) -> None:
    """On standard output."""
    from pnyx.runtime.search.space import short_names

    short = short_names(result.parameters)
    _say(_title(result))
    for note in result.notes:
        _say(f"note: {note}")
    if result.best is None:
        _say(f"no winner: {result.why}")
    else:
        print()
        _print_best(result, short)
    if result.front:
        print()
        _print_front(result, short)
    if result.estimated is not None:
        low, high = result.estimated.interval
        _say(
            f"\nthe {_first(result)}, on the questions of the search: {_percent(result.estimated.value)} without the "
            f"optimism of having been chosen by them ({_percent(result.estimated.raw)} with it), 95 % interval "
            f"{_span(low, high)}"
        )
    print()
    if result.confirmation is not None:
        _print_confirmation(result.confirmation, short)
    else:
        _say(f"not confirmed: {result.unconfirmed}")
    print()
    for line in _account(result):
        _say(line)


def _say(text: str) -> None:
    print(folded(text, sys.stdout))


def _title(result: SearchResult) -> str:
    simulated = " (SIMULATED)" if result.simulated else ""
    asked = count(len(result.configurations), "configuration")
    if result.size is not None:
        asked = f"{len(result.configurations)} of {count(result.size, 'configuration')}"
    return (
        f"{result.name}{simulated}: {asked} asked on {count(result.questions, 'question')} of {result.benchmark}, "
        f"by {result.algorithm}"
    )


def _print_best(result: SearchResult, short: Mapping[str, str]) -> None:
    believed = sorted(
        (c for c in result.configurations if c.number != result.winner and c.mean is not None),
        key=lambda c: -(c.mean or 0.0),
    )
    shown = [c for c in (result.best, *believed[: _TOP - 1]) if c is not None]
    metrics: list[str] = ["tokens", *(o.metric for o in result.objectives if o.metric not in ("accuracy", "tokens"))]
    head = ("", "believed ± 95 %", "near best", "asked", *metrics)
    _print_table(head, [(_figures(result, c, metrics), c.pipeline, c.choices) for c in shown], short)


def _figures(result: SearchResult, configuration: Configuration, metrics: list[str]) -> tuple[str, ...]:
    c = configuration
    return (
        _first(result) if c.number == result.winner else "raced out" if c.raced_out else "",
        _believed(c.mean, c.sd),
        "—" if c.near_best is None else f"{100 * c.near_best:.0f}\N{NO-BREAK SPACE}%",
        str(len(c.scores)),
        *("—" if c.cost is None else _cost(metric, _of(c.cost, metric)) for metric in metrics),
    )


def _print_front(result: SearchResult, short: Mapping[str, str]) -> None:
    *metrics, last = (objective.metric for objective in result.objectives)
    _say(
        f"the front: no configuration is better than one of these in {', '.join(metrics)} and {last}; the "
        f"{_first(result)} is the most accurate of those that were asked enough\n"
    )
    rows: list[Configured] = []
    for point in result.front:
        c = result.configurations[point.number]
        values = zip(result.objectives, point.values, point.sds, strict=True)
        figures = [_objective(objective, value, sd) for objective, value, sd in values]
        rows.append(((_first(result) if c.number == result.winner else "", *figures), c.pipeline, c.choices))
    heads = ("accuracy ± 95 %" if o.metric == "accuracy" else o.metric for o in result.objectives)
    _print_table(("", *heads), rows, short)


def _first(result: SearchResult) -> str:
    return "winner" if result.complete else "best yet"


def _objective(objective: Objective, value: float, sd: float) -> str:
    return _believed(value, sd) if objective.metric == "accuracy" else _cost(objective.metric, value)


def _print_table(head: tuple[str, ...], rows: list[Configured], short: Mapping[str, str]) -> None:
    same = print_configured(head, rows, short)
    if same is not None:
        _say(f"all of these: {same}")


def _print_confirmation(found: Confirmation, short: Mapping[str, str]) -> None:
    asked = found.pipelines[0]
    part = "" if found.complete else f", the first {len(asked.scores)} of {found.questions}: the budget ended there"
    _say(f"on {count(len(asked.scores), 'question')} that were held out, with a fresh seed{part}")
    print()
    rows = [_confirmed(pipeline, short) for pipeline in found.pipelines]
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


def _confirmed(pipeline: Confirmed, short: Mapping[str, str]) -> tuple[str, ...]:
    low_high = pipeline.interval
    return (
        pipeline.role,
        "—" if pipeline.accuracy is None else _percent(pipeline.accuracy),
        "—" if low_high is None else _span(*low_high),
        str(pipeline.n),
        f"{pipeline.cost.tokens:.0f}",
        named(pipeline.pipeline, pipeline.choices, short),
    )


def _whom(pipeline: Confirmed) -> str:
    return "defaults" if pipeline.role == "defaults" else pipeline.pipeline


def _account(result: SearchResult) -> Iterator[str]:
    budget = result.budget
    spent = [_spent(kind, _of(budget.charged, kind), limit) for kind, limit in budget.limits.items()]
    if "seconds" not in budget.limits:
        spent.append(duration(result.seconds))
    yield f"spent: {', '.join(spent)}"
    if _of(budget.lost, "calls"):
        yield f"of it {budget.lost.calls:.0f} calls were under way in a process that was killed, and count in full"
    if result.reuse is not None and result.reuse >= _SHARED:
        yield f"answers took {result.reuse:.1f} times the tokens that were drawn for them: the others were shared"
    yield f"ended: {result.stopped}"


def _spent(kind: str, used: float, limit: float) -> str:
    noun = "" if kind in ("money", "seconds") else f" {kind}"
    return f"{_cost(kind, used)} of {_cost(kind, limit)}{noun}"


def _of(amounts: Amounts, kind: str) -> float:
    return float(getattr(amounts, kind))


def _cost(kind: str, amount: float) -> str:
    from pnyx.compiler.cost.interval import show_number

    if kind == "money":
        return f"${amount:.4g}"
    return duration(amount) if kind == "seconds" else show_number(amount)


def _believed(mean: float | None, sd: float | None) -> str:
    if mean is None or sd is None:
        return "—"
    return f"{100 * mean:.1f} ± {196 * sd:.1f}".replace(" ", "\N{NO-BREAK SPACE}")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _span(low: float, high: float) -> str:
    return f"{100 * low:.1f} … {100 * high:.1f}"
