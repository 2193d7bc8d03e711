"""From what is in the book to the result of a search.

Invariant: a function of the rows, the seed, and what is handed in; nothing is asked here.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import unified_diff
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import numpy as np

from pnyx.compiler.diagnostics import CompileError
from pnyx.runtime.budgets import Limits
from pnyx.runtime.search.amounts import amounts, mean_amounts, standard_error
from pnyx.runtime.search.book.book import Book
from pnyx.runtime.search.debias import debias
from pnyx.runtime.search.results import (
    Amounts,
    Budget,
    Configuration,
    Confirmation,
    FrontPoint,
    Objective,
    Round,
    SearchResult,
)
from pnyx.runtime.search.rows import Rows
from pnyx.runtime.search.search import Driver, history_of, raced_out_points
from pnyx.runtime.search.space import Point
from pnyx.runtime.search.strategies.beliefs import Beliefs, believe
from pnyx.runtime.search.strategies.choice_effects import UNIFORM_POINTS, choice_effects
from pnyx.runtime.search.strategies.surrogate import Encoding
from pnyx.runtime.search.strategy import Origin, Standing
from pnyx.runtime.search.subject import Subject, options_of

__all__ = ["Ended", "conclude"]

_DRAWS: Final = 4000
_NEAR: Final = 0.01
_PACKAGES: Final = ("pnyx", "numpy", "scipy", "optuna")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a search ended. `algorithm`: the one that was used; `confirming`: what the confirmation was charged; `drawn`:
    tokens that engines drew for the search."""

    algorithm: str
    stopped: str
    complete: bool
    simulated: bool
    confirmation: Confirmation | None
    unconfirmed: str | None
    confirming: Amounts
    drawn: float
    kept: float
    least: Mapping[str, float]
    models: Mapping[str, str]
    seconds: float
    workers: int
    notes: tuple[str, ...]


def conclude(subject: Subject, book: Book, driver: Driver, standings: Sequence[Standing], ended: Ended) -> SearchResult:
    """`standings`: of the strategy, the winner first."""
    declared, space = subject.declared, subject.space
    rows, virtual = driver.rows, driver.virtual
    account = book.account()
    charged = amounts(account.total, book.seconds)
    encoding = Encoding(space.parameters)
    beliefs = believe(encoding, rows)
    configurations = _configurations(subject, book, rows, beliefs)
    winner = list(rows).index(standings[0].point) if standings else None
    size = space.size
    objectives = tuple(Objective(o.metric, o.maximize) for o in declared.objectives)
    return SearchResult(
        file=subject.program.source.name,
        name=declared.name,
        program=_digest(space.fingerprint()),
        algorithm=ended.algorithm,
        seed=subject.seed,
        benchmark=subject.benchmark.name,
        score=type(subject.benchmark.score).__name__,
        simulated=ended.simulated,
        complete=ended.complete,
        objectives=objectives,
        per_query=_said(subject.per_query),
        parameters=space.parameters,
        size=int(size.points) if size.exact else None,
        questions=len(subject.questions),
        held_out=len(subject.held_out),
        configurations=configurations,
        infeasible=subject.infeasible,
        winner=winner,
        why=_why(subject, rows, standings),
        difference=_difference(subject, standings[0].point) if standings else (),
        front=_front(objectives, configurations, rows) if len(objectives) > 1 else (),
        effects=choice_effects(space.parameters, beliefs.surrogate, _uniform(subject)) if beliefs else (),
        estimated=debias(rows, standings[0].point, seed=subject.seed) if standings else None,
        confirmation=ended.confirmation,
        unconfirmed=ended.unconfirmed,
        history=_with_end(history_of(book), rows, charged, virtual, winner, standings, configurations),
        budget=Budget(
            limits=_said(subject.budget),
            charged=charged,
            confirming=ended.confirming,
            lost=amounts(account.lost),
            kept=ended.kept,
            least=dict(ended.least),
        ),
        virtual=virtual,
        reuse=virtual.tokens / ended.drawn if ended.drawn else None,
        stopped=ended.stopped,
        versions=_versions(),
        models=dict(ended.models),
        seconds=ended.seconds,
        workers=ended.workers,
        notes=ended.notes,
    )


def _configurations(subject: Subject, book: Book, rows: Rows, beliefs: Beliefs | None) -> tuple[Configuration, ...]:
    tasks = book.tasks()
    origins: dict[Point, Origin] = {}
    for task in tasks:
        origins.setdefault(task.proposal.point, task.proposal.origin)
    beaten = raced_out_points(tasks)
    near = _near_best(beliefs) if beliefs is not None else {}
    believed = {point: beliefs.standing(i) for i, point in enumerate(beliefs.points)} if beliefs is not None else {}
    return tuple(
        Configuration(
            number=number,
            point=point,
            pipeline=subject.space.pipeline(point),
            choices=options_of(subject.space, point),
            digest=subject.space.plan(point).digest,
            origin=origins.get(point, "default"),
            raced_out=point in beaten,
            scores=tuple(row.score for row in rows.settled(point)),
            cost=mean_amounts(rows.settled(point)) if rows.count(point) else None,
            mean=believed[point].mean if point in believed else None,
            sd=believed[point].sd if point in believed else None,
            near_best=near.get(point),
        )
        for number, point in enumerate(rows)
    )


def _near_best(beliefs: Beliefs) -> dict[Point, float]:
    """By draws from what is believed of all points together."""
    covariance = beliefs.surrogate.covariance(beliefs.points)
    values = np.random.default_rng(0).multivariate_normal(beliefs.means, covariance, _DRAWS, "ignore", method="eigh")
    near = (values >= values.max(axis=1, keepdims=True) - _NEAR).mean(axis=0)
    return dict(zip(beliefs.points, near.tolist(), strict=True))


def _why(subject: Subject, rows: Rows, standings: Sequence[Standing]) -> str:
    if not standings:
        return "nothing was asked"
    best = standings[0]
    if subject.only is not None:
        return "there is no other configuration"
    said = (
        f"of {len(standings)} configurations that were asked it is believed to score best: "
        f"{100 * best.mean:.1f} % ± {100 * best.sd:.1f}, after {rows.count(best.point)} questions"
    )
    if len(standings) > 1:
        second = standings[1]
        said += f"; the next one {100 * second.mean:.1f} % ± {100 * second.sd:.1f}"
    return said


def _difference(subject: Subject, winner: Point) -> tuple[str, ...]:
    """Empty also where one of the two cannot be written as source."""
    try:
        before, after = _source(subject, subject.space.default), _source(subject, winner)
    except CompileError:
        return ()
    return tuple(unified_diff(before, after, "the defaults", "the winner", lineterm="", n=2))


def _source(subject: Subject, point: Point) -> list[str]:
    """Without the lines that say what was chosen."""
    space = subject.space
    lines = subject.program.closed_source(space.pipeline(point), space.choices(point)).splitlines()
    return lines[len(space.closed(point)) :]


def _front(
    objectives: Sequence[Objective], configurations: Sequence[Configuration], rows: Rows
) -> tuple[FrontPoint, ...]:
    """Means of the costs, and for accuracy what is believed; those that no other one is better than."""
    found = []
    for configuration in configurations:
        cost = configuration.cost
        if configuration.mean is None or configuration.sd is None or cost is None:
            continue
        values = tuple(configuration.mean if o.metric == "accuracy" else getattr(cost, o.metric) for o in objectives)
        settled = rows.settled(configuration.point)
        sds = tuple(
            configuration.sd if o.metric == "accuracy" else standard_error(settled, o.metric) for o in objectives
        )
        found.append(FrontPoint(configuration.number, values, sds))
    signs = [1 if o.maximize else -1 for o in objectives]

    def beats(one: FrontPoint, other: FrontPoint) -> bool:
        pairs = [(s * a, s * b) for s, a, b in zip(signs, one.values, other.values, strict=True)]
        return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)

    front = [point for point in found if not any(beats(other, point) for other in found)]
    return tuple(sorted(front, key=lambda point: tuple(-s * v for s, v in zip(signs, point.values, strict=True))))


def _uniform(subject: Subject) -> list[Point]:
    from random import Random

    random, space = Random(subject.seed), subject.space
    drawn = (space.draw(random) for _ in range(UNIFORM_POINTS))
    return [point for point in drawn if space.feasible(point)]


def _with_end(
    history: tuple[Round, ...],
    rows: Rows,
    charged: Amounts,
    virtual: Amounts,
    winner: int | None,
    standings: Sequence[Standing],
    configurations: Sequence[Configuration],
) -> tuple[Round, ...]:
    """With what came after the last round that was noted, where something did."""
    if not rows.total or (history and history[-1].rows == rows.total):
        return history
    last = Round(
        number=len(history) + 1,
        rows=rows.total,
        charged=charged,
        virtual=virtual,
        incumbent=winner,
        mean=standings[0].mean if standings else None,
        sd=standings[0].sd if standings else None,
        configurations=len(configurations),
        raced_out=sum(configuration.raced_out for configuration in configurations),
    )
    return (*history, last)


def _said(limits: Limits) -> dict[str, float]:
    return {kind: amount for kind, amount in asdict(limits).items() if amount is not None}


def _digest(fingerprint: Mapping[str, str]) -> str:
    from hashlib import blake2b

    return blake2b(repr(sorted(fingerprint.items())).encode(), digest_size=16).hexdigest()


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
