"""The parts of a report: sentences, tables, and which plot belongs to them. How they look is said elsewhere.

Invariants: the figure to quote comes first, and is that of the confirmation; what the search saw itself is marked as
optimistic wherever it is shown; a gain that is none is said to be none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pnyx.compiler.cost.interval import show_number
from pnyx.runtime.budgets import Limits
from pnyx.runtime.search.report.words import (
    amounts,
    choices_of,
    duration,
    interval,
    percent,
    points,
    points_interval,
    probability,
)
from pnyx.runtime.search.results import Configuration, Confirmed, SearchResult

__all__ = ["Plot", "Section", "Table", "most_promising", "sections"]

Plot: TypeAlias = Literal["confirmation", "compute", "effects", "history"]
Row: TypeAlias = tuple[str, ...]
_TOP = 10
_INFEASIBLE_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Table:
    """Texts stand in the first `texts` columns, figures in the others."""

    head: Row
    rows: tuple[Row, ...]
    texts: int = 1


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    said: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    plot: Plot | None = None
    source: str | None = None
    difference: tuple[str, ...] = ()


def sections(result: SearchResult, source: str | None) -> Iterator[Section]:
    """`source`: the winner as a program."""
    yield _confirmation(result)
    if result.best is not None:
        yield _winner(result, result.best, source)
        yield _standings(result)
        yield _compute(result)
    if result.effects:
        yield _effects(result)
    if result.history:
        yield _history(result)
    yield _budget(result)
    if result.infeasible:
        yield _infeasible(result)
    yield _provenance(result)


def most_promising(result: SearchResult, number: int = _TOP) -> list[Configuration]:
    """By what is believed of them, the winner first."""
    believed = [c for c in result.configurations if c.mean is not None and c.number != result.winner]
    believed.sort(key=lambda c: (-(c.mean or 0.0), c.number))
    return ([result.best] if result.best is not None else []) + believed[: number - (result.best is not None)]


def _confirmation(result: SearchResult) -> Section:
    title = "On questions that were held out"
    found = result.confirmation
    if found is None:
        return Section(title, (result.unconfirmed or "nothing was confirmed",))
    said = [found.verdict]
    asked = f"{found.questions} questions that the search has not seen, answered anew with seed {found.seed}"
    said.append(asked + ("" if found.complete else "; the budget ended before all of them were asked"))
    rows = tuple(_confirmed(pipeline) for pipeline in found.pipelines)
    tables = [
        Table(
            ("", "pipeline", "choices", "accuracy", "95 % interval", "questions", "tokens", "calls"),
            rows,
            texts=3,
        )
    ]
    if found.gains:
        gains = tuple(
            (
                f"winner − {_named(found.pipelines[gain.against])}",
                points(gain.difference),
                points_interval(gain.interval),
                f"{gain.wins} / {gain.ties} / {gain.losses}",
                probability(gain.p),
                gain.verdict,
            )
            for gain in found.gains
        )
        head = ("paired", "points", "95 % interval", "wins / ties / losses", "p (sign test)", "verdict")
        tables.append(Table(head, gains))
    return Section(title, tuple(said), tuple(tables), "confirmation")


def _confirmed(pipeline: Confirmed) -> Row:
    return (
        pipeline.role,
        pipeline.pipeline,
        choices_of(pipeline.choices) + _how_closed(pipeline),
        percent(pipeline.accuracy),
        interval(pipeline.interval),
        str(pipeline.n),
        show_number(pipeline.cost.tokens),
        show_number(pipeline.cost.calls),
    )


def _how_closed(pipeline: Confirmed) -> str:
    closed = pipeline.closed
    if closed is None:
        return ""
    if closed.share is None:
        return f" (closed to take the fewest {closed.kind}, for the winner takes none)"
    measured = f"{100 * closed.share:.0f} % of its {closed.kind} on the first {closed.questions} questions"
    return f" (closed to take what the winner does: {measured})"


def _named(pipeline: Confirmed) -> str:
    if pipeline.role == "defaults":
        return "the defaults"
    return f"{pipeline.pipeline} ({choices_of(pipeline.choices)})" if pipeline.closed else pipeline.pipeline


def _winner(result: SearchResult, best: Configuration, source: str | None) -> Section:
    chosen = dict(best.choices)
    rows = tuple(
        (p.name, chosen[p.name], p.options[p.default], ", ".join(p.options))
        for p in result.parameters
        if p.name in chosen
    )
    said = [f"configuration {best.number} of the pipeline {best.pipeline}, plan {best.digest[:12]}: {result.why}"]
    if result.estimated is not None:
        estimated = result.estimated
        said.append(
            f"on the questions of the search {percent(estimated.value)} ({interval(estimated.interval)}), corrected "
            f"for having been chosen by them; its raw mean there, {percent(estimated.raw)}, is optimistic"
        )
    changed = [f"{name} = {option} (default {default})" for name, option, default, _ in rows if option != default]
    said.append("it leaves the defaults in: " + "; ".join(changed) if changed else "it is what the defaults say")
    tables = (Table(("choice", "chosen", "default", "options"), rows, texts=4),) if rows else ()
    return Section("What was found", tuple(said), tables, source=source, difference=result.difference)


def _standings(result: SearchResult) -> Section:
    rows = tuple(
        (
            str(c.number),
            choices_of(c.choices),
            c.origin,
            f"{percent(c.mean)} ± {100 * (c.sd or 0.0):.1f}",
            percent(c.accuracy),
            str(len(c.scores)),
            "–" if c.cost is None else show_number(c.cost.tokens),
            "–" if c.near_best is None else percent(c.near_best),
            "winner" if c.number == result.winner else "raced out" if c.raced_out else "",
        )
        for c in most_promising(result)
    )
    head = ("", "choices", "why asked", "believed ± sd", "raw (optimistic)", "questions", "tokens", "near best", "")
    said = (
        "believed: what the questions asked so far, of all configurations, say of the score on questions like these; "
        "near best: the probability that it is within one point of the best one; tokens: of a question, nothing shared",
    )
    return Section("The most promising configurations", said, (Table(head, rows, texts=3),))


def _compute(result: SearchResult) -> Section:
    tables: tuple[Table, ...] = ()
    said: tuple[str, ...] = (
        "each configuration by what a question takes and what is believed of its score; the bars are one sd",
    )
    if result.front:
        head = ("", "choices", *(objective.metric for objective in result.objectives))
        rows = tuple(
            (
                str(point.number),
                choices_of(result.configurations[point.number].choices),
                *(
                    f"{percent(value)} ± {100 * sd:.1f}" if objective.metric == "accuracy" else _cost(value, sd)
                    for objective, value, sd in zip(result.objectives, point.values, point.sds, strict=True)
                ),
            )
            for point in result.front
        )
        tables = (Table(head, rows, texts=2),)
        said += ("the table is the front: no configuration is better than one of these in everything; ± one sd",)
    return Section("Accuracy and compute", said, tables, "compute")


def _cost(mean: float, sd: float) -> str:
    return f"{show_number(mean)} ± {show_number(sd)}" if sd else show_number(mean)


def _effects(result: SearchResult) -> Section:
    rows = tuple((e.parameter, e.option, points(e.effect), points_interval(e.interval)) for e in result.effects)
    said = (
        "points that an option adds to, or takes from, the mean over configurations drawn uniformly, as the model of "
        "all rows has it; wide intervals mean that the search had no reason to find out",
    )
    head = ("choice", "option", "points", "95 % interval")
    return Section("What each choice does", said, (Table(head, rows, texts=2),), "effects")


def _history(result: SearchResult) -> Section:
    asked = sum(len(c.scores) for c in result.configurations)
    out = sum(c.raced_out for c in result.configurations)
    reuse = "" if result.reuse is None else f"; each token drawn was used {result.reuse:.1f} times"
    said = (
        f"{len(result.configurations)} configurations were asked {asked} questions in {len(result.history)} rounds, "
        f"{out} of them were raced out{reuse}",
        f"it ended because {result.stopped}",
    )
    return Section("How the search went", said, (), "history")


def _budget(result: SearchResult) -> Section:
    budget = result.budget
    limits = Limits(**budget.limits)
    rows = [
        ("limits", ", ".join(limits.show(kind) for kind in budget.limits) or "none"),
        ("charged", amounts(budget.charged)),
        ("of it by the confirmation", amounts(budget.confirming)),
        ("of it lost with killed processes", amounts(budget.lost)),
        ("without sharing it would have taken", amounts(result.virtual)),
        ("kept for the confirmation", percent(budget.kept)),
        ("time of all processes", f"{duration(result.seconds)}, {result.workers} in all"),
    ]
    return Section("The budget", (), (Table(("", ""), tuple(rows), texts=2),))


def _infeasible(result: SearchResult) -> Section:
    shown = result.infeasible[:_INFEASIBLE_SHOWN]
    more = len(result.infeasible) - len(shown)
    said = ("refused at no cost" + (f"; {more} more were" if more else ""),)
    rows = tuple((choices_of(point.choices), point.reason) for point in shown)
    return Section("What was refused before anything was asked", said, (Table(("choices", "why"), rows, texts=2),))


def _confirmed_plans(result: SearchResult) -> Iterator[Row]:
    found = result.confirmation
    if found is not None:
        yield "confirmation", f"seed {found.seed}"
        for pipeline in found.pipelines:
            yield f"plan of {_named(pipeline)}" if pipeline.role != "winner" else "plan of the winner", pipeline.digest


def _provenance(result: SearchResult) -> Section:
    size = "more points than were counted" if result.size is None else f"{result.size} points"
    rows = [
        ("program", f"{result.file}, search {result.name}, digest {result.program[:12]}"),
        ("space", f"{len(result.parameters)} choices, {size}"),
        (
            "benchmark",
            f"{result.benchmark} ({result.score}): {result.questions} to search on, {result.held_out} held out",
        ),
        ("algorithm", f"{result.algorithm}, seed {result.seed}"),
        *_confirmed_plans(result),
        *((f"model {name}", said) for name, said in result.models.items()),
        *((name, version) for name, version in result.versions.items()),
        *(("note", note) for note in result.notes),
    ]
    return Section("Where it comes from", (), (Table(("", ""), tuple(rows), texts=2),))
