"""A space counted: how many points it has, how many of them are pruned and why, what a question takes.

A small space is counted whole. Of a larger one points are drawn, each weighed by how many it stands for, so what is
said of it is an estimate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from pnyx.runtime.search.space import Parameter, Point
from pnyx.runtime.search.spaces.program_space import ProgramSpace, Size

__all__ = ["CURRENCIES", "Census", "Condition", "census_of", "to_data"]

CURRENCIES: Final = ("calls", "samples", "tokens", "flops", "money")
_COUNTED = 500
_DRAWN = 300


@dataclass(frozen=True, slots=True)
class Condition:
    """A parameter is met only where `name` takes one of `options`."""

    name: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Census:
    """`looked_at` points were looked at. `pruned`: about how many points stand over each kind of limit; `unfit`: whose
    choices do not go together, with one `reason`. `costs`: the least and the most that a question of a feasible point
    is predicted to take of each kind, where that is known. `met`: on what it depends whether a parameter is met;
    nothing for one that always is."""

    size: Size
    looked_at: int
    pruned: Mapping[str, float]
    unfit: float
    reason: str | None
    costs: Mapping[str, tuple[float, float]]
    met: Mapping[str, tuple[Condition, ...]]

    @property
    def feasible(self) -> float:
        return max(0.0, self.size.points - self.unfit - sum(self.pruned.values()))


def census_of(space: ProgramSpace) -> Census:
    size = space.size
    whole = size.exact and size.points <= _COUNTED
    points = dict.fromkeys(space.all_points(), 1.0) if whole else _drawn(space)
    scale = size.points / sum(points.values())
    pruned: dict[str, float] = defaultdict(float)
    unfit, reason = 0.0, None
    feasible: list[Point] = []
    for point, weight in points.items():
        against = space.pruned(point)
        if against is None:
            feasible.append(point)
        elif against.limit is None:
            unfit, reason = unfit + weight * scale, reason or against.message
        else:
            pruned[against.limit] += weight * scale
    return Census(
        size=size,
        looked_at=len(points),
        pruned=dict(pruned),
        unfit=unfit,
        reason=reason,
        costs=_costs(space, feasible),
        met={p.name: _conditions(p, space.parameters, [dict(point) for point in points]) for p in space.parameters},
    )


def _drawn(space: ProgramSpace) -> dict[Point, float]:
    random = Random(0)
    points: dict[Point, float] = defaultdict(float)
    for _ in range(_DRAWN):
        point, weight = space.weighed(random)
        points[point] += weight
    return points


def _costs(space: ProgramSpace, feasible: Sequence[Point]) -> dict[str, tuple[float, float]]:
    if not feasible:
        return {}
    columns = zip(CURRENCIES, zip(*map(space.expected, feasible), strict=True), strict=True)
    # What is not known of some point is NaN, which equals nothing.
    return {kind: (min(column), max(column)) for kind, column in columns if all(v == v for v in column)}  # noqa: PLR0124


def _conditions(
    parameter: Parameter, parameters: Sequence[Parameter], points: Sequence[Mapping[str, int]]
) -> tuple[Condition, ...]:
    """The fewest conditions, each on one other parameter, that tell the points that meet it from the others, as far as
    such conditions can."""
    having = [point for point in points if parameter.name in point]
    others = [point for point in points if parameter.name not in point]
    chosen: list[Condition] = []
    while others and having:
        best = None
        for other in parameters:
            if other.name == parameter.name or any(other.name not in point for point in having):
                continue
            taken = {point[other.name] for point in having}
            left = [point for point in others if point.get(other.name) in taken]
            if best is None or len(left) < len(best[1]):
                best = (Condition(other.name, tuple(other.options[i] for i in sorted(taken))), left)
        if best is None or len(best[1]) == len(others):
            break
        chosen.append(best[0])
        others = best[1]
    return tuple(chosen)


def to_data(space: ProgramSpace, census: Census) -> dict[str, Any]:
    """As JSON data; what is not known is left out."""
    return {
        "pipelines": list(space.pipelines),
        "choices": [
            {
                "name": p.name,
                "options": list(p.options),
                "default": p.options[p.default],
                "models": p.models,
                "met": [{"name": c.name, "options": list(c.options)} for c in census.met[p.name]],
                "place": space.place(p),
            }
            for p in space.parameters
        ],
        "points": census.size.points,
        "exact": census.size.exact,
        "looked_at": census.looked_at,
        "feasible": census.feasible,
        "pruned": dict(census.pruned),
        "unfit": census.unfit,
        "costs": {kind: {"least": low, "most": high} for kind, (low, high) in census.costs.items()},
    }
