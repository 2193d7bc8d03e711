"""Worlds that a search is tested in: what is drawn and what it takes is as in the others, the scores are not."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from world import Evaluation, Questions, World

from pnyx.runtime.search.space import Point

__all__ = ["EqualQuestions", "PlantedQuestions", "PoisonedQuestions"]


class EqualQuestions(Questions):
    """Every architecture answers a question equally well: what differs is chance."""

    def __init__(self, world: World, count: int, seed: int) -> None:
        super().__init__(world, count, seed)
        self._right = np.random.default_rng([world.seed, seed, 8]).beta(1.5, 1.5, count)

    def evaluate(self, point: Point, draw: int | None = None) -> Evaluation:
        chance = self._random(("score", point), draw).random(self.count)
        return replace(super().evaluate(point, draw), scores=(chance < self._right).astype(np.float64))


class PlantedQuestions(Questions):
    """The `planted` point is right on 80 % of the questions, and each of its choices that a point has not takes 6
    points."""

    def __init__(self, world: World, count: int, seed: int, planted: Point) -> None:
        super().__init__(world, count, seed)
        self.planted = planted
        self._hard = np.random.default_rng([world.seed, seed, 9]).random(count)

    def evaluate(self, point: Point, draw: int | None = None) -> Evaluation:
        right = max(0.1, 0.8 - 0.06 * len(set(self.planted) - set(point)))
        lucky = self._random(("luck", point), draw).random(self.count) < _LUCK
        chance = np.where(lucky, self._random(("score", point), draw).random(self.count), self._hard)
        return replace(super().evaluate(point, draw), scores=(chance < right).astype(np.float64))


class PoisonedQuestions(Questions):
    """The labels of `poisoned` questions are wrong: what was right there is false, and the other way round."""

    def __init__(self, world: World, count: int, seed: int, poisoned: np.ndarray) -> None:
        super().__init__(world, count, seed)
        self.poisoned = poisoned

    def evaluate(self, point: Point, draw: int | None = None) -> Evaluation:
        evaluation = super().evaluate(point, draw)
        scores = evaluation.scores.copy()
        scores[self.poisoned] = 1 - scores[self.poisoned]
        return replace(evaluation, scores=scores)


_LUCK: Final = 0.1
"""The share of scores that are chance of their own."""
