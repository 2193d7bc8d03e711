"""Which points are worth asking next: candidates, and what is to be gained by them for what they take.

Invariant: candidates are canonical, feasible, eligible and not known, each there once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from pnyx.runtime.search.space import Point, Space

__all__ = ["Sampler", "expected_improvement"]

Floats = NDArray[np.float64]

_RANDOM: Final = 300
_MUTATIONS: Final = 240
_FEWEST_MUTATIONS: Final = 8
"""Of each of the best points, however many there are."""
_TRIES: Final = 20
"""Draws per point that is wanted, at most: most spaces allow more than a tenth of their points."""


class Sampler:
    """Draws points of a space. `eligible` may rule out more than what the space itself does."""

    def __init__(self, space: Space, eligible: Callable[[Point], bool]) -> None:
        self._space = space
        self._eligible = eligible
        self._names = [p.name for p in space.parameters]
        self._sizes = np.array([len(p.options) for p in space.parameters], dtype=np.int64)
        self._options = dict(zip(self._names, self._sizes.tolist(), strict=True))
        self._allowed: dict[Point, bool] = {}

    def allowed(self, point: Point) -> bool:
        """Whether it may be asked. The space's answer, which takes a compilation, is kept."""
        if point not in self._allowed:
            self._allowed[point] = self._space.feasible(point)
        return self._allowed[point] and self._eligible(point)

    def random(self, random: np.random.Generator, known: Collection[Point], number: int) -> list[Point]:
        """Up to `number` points, drawn uniformly by choices. Fewer where the draws meet little that is new."""
        drawn = (self._space.point(self._draw(random)) for _ in range(_TRIES * number))
        return list(islice(self._fresh(drawn, known), number))

    def candidates(self, random: np.random.Generator, known: Collection[Point], best: Sequence[Point]) -> list[Point]:
        """Random points, and mutations of the best ones; every point that is left where neither meets any."""
        found = self.random(random, known, _RANDOM)
        each = max(_MUTATIONS // max(len(best), 1), _FEWEST_MUTATIONS)
        mutated = (self._mutated(random, point, 1 + i % 3) for point in best for i in range(each))
        found.extend(self._fresh(mutated, {*known, *found}))
        return found or list(islice(self._fresh(self._space.points(), known), _RANDOM))

    def near(self, point: Point, known: Collection[Point]) -> list[Point]:
        """All points that take one of its choices otherwise."""
        chosen = dict(point)
        changed = (
            self._space.point(chosen | {name: other})
            for name, option in point
            for other in range(self._options[name])
            if other != option
        )
        return list(self._fresh(changed, known))

    def _draw(self, random: np.random.Generator) -> dict[str, int]:
        return dict(zip(self._names, random.integers(self._sizes).tolist(), strict=True))

    def _mutated(self, random: np.random.Generator, point: Point, changes: int) -> Point:
        """The point with a few of its choices drawn anew; choices that it meets only then are drawn too."""
        wanted = self._draw(random) | dict(point)
        for _ in range(changes):
            name, _ = point[random.integers(len(point))] if point else ("", 0)
            if self._options.get(name, 0) > 1:
                wanted[name] = int((wanted[name] + random.integers(1, self._options[name])) % self._options[name])
        return self._space.point(wanted)

    def _fresh(self, points: Iterable[Point], known: Collection[Point]) -> Iterator[Point]:
        met = set(known)
        for point in points:
            if point not in met:
                met.add(point)
                if self.allowed(point):
                    yield point


def expected_improvement(means: Floats, sds: Floats, over: Floats | float) -> Floats:
    """The mean of what a value, normally distributed, exceeds `over` by, where falling short counts 0."""
    sds = np.maximum(sds, 1e-9)
    z = (means - over) / sds
    gain: Floats = sds * (np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi) + z * ndtr(z))
    return gain
