"""The warm start: what is asked before there is anything to learn from.

1. What a person gave, and each model alone: the cheapest point that uses it and no other. That ranks the models, and
   fills the store with samples that later points share.
2. Templates: the program's defaults, the same with the best models, the cheapest point of the two best, and points that
   are like the defaults but for the stages that they have. Optional stages are in a program because somebody thinks
   that they help; which of them do is what tells most about where to look.
3. A few random points, so that what the templates take for granted is in doubt.

Invariants
- A stage depends on the rows of earlier stages alone, as far as the warm start asked them, so it is the same whenever
  it is asked for.
- No point is proposed that has rows or is pending; none is raced, since nothing is known to be good.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from typing import Final

import numpy as np

from pnyx.runtime.search.rows import Rows
from pnyx.runtime.search.space import Parameter, Point, Space
from pnyx.runtime.search.strategies.acquisition import Sampler
from pnyx.runtime.search.strategies.surrogate import Encoding, most_telling
from pnyx.runtime.search.strategy import Origin, Proposal

__all__ = ["WarmStart"]

_QUESTIONS: Final = 40
_QUESTIONS_OF_RANDOM: Final = 20
_RANDOM: Final = 4
_TELLING: Final = 7
_POOL: Final = 200
_DRAWS: Final = 600
_TIMES_AS_DEAR: Final = 4.0
"""What a telling template may take, in times of the defaults with the best models."""
_WORTH_IT: Final = 0.9
"""A choice leaves its default only where that makes a point alone cheaper by a tenth."""
_SECOND_BEST: Final = (0.3, 0.5, 0.5, 0.5, 0.5)
"""How often a template takes the second best model where it could take the best: more often where a stage is not met
if all models are the same."""


class WarmStart:
    def __init__(
        self, space: Space, encoding: Encoding, sampler: Sampler, *, seed: int, given: Sequence[Point] = ()
    ) -> None:
        self._space = space
        self._encoding = encoding
        self._sampler = sampler
        self._seed = seed
        self._given = tuple(given)
        self._roles = tuple(p for p in space.parameters if p.models)
        self._options = {p.name: len(p.options) for p in space.parameters}
        self._templates: dict[tuple[str, ...], list[Point]] = {}

    def next(self, rows: Rows, pending: Collection[Point]) -> tuple[Proposal, ...]:
        """What is missing of the first stage of which something is; empty when the warm start is over."""
        for stage in self._stages(rows):
            asked: dict[Point, Proposal] = {}
            for point, origin, upto in stage:
                if point not in rows and point not in pending and self._sampler.allowed(point):
                    asked.setdefault(point, Proposal(point, origin, min(upto, rows.questions)))
            if asked:
                return tuple(asked.values())
        return ()

    def _stages(self, rows: Rows) -> Iterator[list[tuple[Point, Origin, int]]]:
        given: list[tuple[Point, Origin, int]] = [(point, "given", _QUESTIONS) for point in self._given]
        yield given + [(point, "model", _QUESTIONS) for point in self._alone.values()]
        ranked = self._ranked(rows)
        if ranked not in self._templates:
            self._templates[ranked] = self._make_templates(ranked)
        default: list[tuple[Point, Origin, int]] = [(self._space.point({}), "default", _QUESTIONS)]
        yield default + [(point, "template", _QUESTIONS) for point in self._templates[ranked]]
        yield [(point, "random", _QUESTIONS_OF_RANDOM) for point in self._random]

    @cached_property
    def _alone(self) -> dict[str, Point]:
        """Each model, and the cheapest point that uses no other."""
        models = dict.fromkeys(str(value) for role in self._roles for value in role.values)
        return {model: self._cheapest((model,)) for model in models}

    @cached_property
    def _random(self) -> list[Point]:
        return self._sampler.random(np.random.default_rng([self._seed, 1]), (), _RANDOM)

    def _ranked(self, rows: Rows) -> tuple[str, ...]:
        """The models, the one that did best alone first; those that could not be asked last."""

        def mean(model: str) -> float:
            scores = rows.scores(self._alone[model])[:_QUESTIONS]
            scores = scores[~np.isnan(scores)]
            return float(scores.mean()) if len(scores) else -1.0

        return tuple(sorted(self._alone, key=mean, reverse=True))

    def _make_templates(self, ranked: tuple[str, ...]) -> list[Point]:
        best = self._space.point({role.name: _by_rank(role, ranked)[0] for role in self._roles})
        begun = [best, self._cheapest(ranked[:2])] if ranked else [best]
        pool = self._variants(ranked, _TIMES_AS_DEAR * self._space.cost(best), begun)
        return begun + most_telling(self._encoding, pool, begun, _TELLING)

    def _variants(self, ranked: tuple[str, ...], limit: float, known: Sequence[Point]) -> list[Point]:
        """Points of the best models that have other stages than the defaults, and are the same for the rest."""
        random = np.random.default_rng([self._seed, 2])
        found: dict[Point, None] = {}
        for _ in range(_DRAWS):
            point = self._variant(random, ranked)
            if point not in known and self._sampler.allowed(point) and self._space.cost(point) <= limit:
                found[point] = None
            if len(found) == _POOL:
                break
        return list(found)

    def _variant(self, random: np.random.Generator, ranked: tuple[str, ...]) -> Point:
        """Stages drawn at random, and models such that all of these stages are met, where some are."""
        stages = {name: int(random.integers(self._options[name])) for name in self._structural}
        point = self._space.point(stages)
        for share in _SECOND_BEST:
            models = {role.name: _either(_by_rank(role, ranked), random.random() < share) for role in self._roles}
            point = self._space.point(stages | models)
            if all(stages.get(name, option) == option for name, option in point):
                break
        return point

    @cached_property
    def _structural(self) -> tuple[str, ...]:
        """The choices that are not of a number or a model, or on which it depends what other choices there are: found
        from the fullest point near the defaults, which has the most of them."""
        fullest: Point = ()
        fuller = self._space.point({})
        while len(fuller) > len(fullest):
            fullest = fuller
            fuller = max(self._changed(fullest, {}), key=len, default=fullest)
        return tuple(p.name for p in self._space.parameters if not p.models and self._is_structural(p, fullest))

    def _is_structural(self, parameter: Parameter, fullest: Point) -> bool:
        others = (self._space.point(dict(fullest) | {parameter.name: i}) for i in range(len(parameter.options)))
        return not parameter.ordered or any(_names(other) != _names(fullest) for other in others)

    def _cheapest(self, models: tuple[str, ...]) -> Point:
        """The cheapest point that uses all of these models and, if there is one, no other; found choice by choice from
        the defaults, which stay where they cost little."""
        turns = [models[i:] + models[:i] for i in range(len(models))]
        wanted = {role.name: _by_rank(role, turns[i % len(turns)])[0] for i, role in enumerate(self._roles)}
        point = self._space.point(wanted)
        price = self._price(point, models)
        while True:
            near = {changed: self._price(changed, models) for changed in self._changed(point, wanted)}
            cheaper = min(near, key=near.__getitem__, default=point)
            if cheaper == point or not _better(near[cheaper], price):
                return point
            point, price = cheaper, near[cheaper]

    def _changed(self, point: Point, wanted: dict[str, int]) -> Iterator[Point]:
        """With one choice taken otherwise."""
        for name, taken in point:
            for option in range(self._options[name]):
                if option != taken:
                    yield self._space.point(wanted | dict(point) | {name: option})

    def _price(self, point: Point, models: tuple[str, ...]) -> tuple[int, float]:
        """How far it is from using these models alone, and what a question takes."""
        met = dict(point)
        used = {str(role.values[met[role.name]]) for role in self._roles if role.name in met}
        return len(used ^ set(models)), self._space.cost(point)


def _names(point: Point) -> set[str]:
    return {name for name, _ in point}


def _better(one: tuple[int, float], other: tuple[int, float]) -> bool:
    return one[0] < other[0] or (one[0] == other[0] and one[1] < _WORTH_IT * other[1])


def _by_rank(role: Parameter, ranked: Sequence[str]) -> list[int]:
    """The options of a role, the best model first. Those that are not ranked come last, the default before others."""
    places = {model: place for place, model in enumerate(ranked)}

    def place(option: int) -> tuple[int, bool]:
        return places.get(str(role.values[option]), len(places)), option != role.default

    return sorted(range(len(role.options)), key=place)


def _either(options: Sequence[int], second: bool) -> int:
    return options[min(int(second), len(options) - 1)]
