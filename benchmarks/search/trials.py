"""What a search method has in a simulated world: it asks questions of points, and pays for what is drawn.

Invariants
- The budget is never exceeded: what would not fit is not asked, and `Exhausted` is raised.
- What is shared is paid for once; what every answer takes if nothing were shared is told in `Settled.spent`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from architectures import Key
from numpy.typing import NDArray
from world import Evaluation, Floats, Questions

from pnyx.runtime.search.rows import Settled
from pnyx.runtime.search.space import Point

__all__ = ["BLOCK", "Exhausted", "Indices", "Trial", "Workbench"]

BLOCK = 10
_MOST_TRIALS = 3000

Indices = NDArray[np.intp]


class Exhausted(Exception):
    """The budget does not allow what is wanted, or there have been 3,000 trials."""


class Workbench:
    """Where a method works: `budget` in generated tokens; `shared`: whether trials share what they draw.

    `order` is the random order in which questions are to be asked, less the last of them, which are `held_out`.
    `course` is the best point in the method's view, each with what had been spent when it became that.
    """

    def __init__(
        self, questions: Questions, budget: float, *, shared: bool = True, seed: int = 0, held_out: int = 0
    ) -> None:
        self.questions, self.budget, self.shared = questions, budget, shared
        shuffled: Indices = np.random.default_rng([seed, 99]).permutation(questions.count)
        self.order, self.held_out = shuffled[: questions.count - held_out], shuffled[questions.count - held_out :]
        self.spent = 0
        self.alone = 0
        self.trials = 0
        self.course: list[tuple[int, Point]] = []
        self._have: dict[Key, NDArray[np.int16]] = {}

    def trial(self, point: Point) -> Trial:
        if self.trials == _MOST_TRIALS:
            raise Exhausted
        self.trials += 1
        return Trial(self, point, self.questions.evaluate(point, None if self.shared else self.trials))

    def best_is(self, point: Point) -> None:
        if not self.course or self.course[-1][1] != point:
            self.course.append((self.spent, point))

    def best_at(self, spent: float) -> Point | None:
        """What the method took for the best one when it had spent this much."""
        return next((point for at, point in reversed(self.course) if at <= spent), None)

    def charge(self, evaluation: Evaluation, asked: Indices) -> None:
        """Raises `Exhausted`, and charges nothing, where it is too much."""
        cost = sum(self._fresh(drawn.key, drawn.tokens[:, asked], asked) for drawn in evaluation.drawn)
        if self.spent + cost > self.budget:
            raise Exhausted
        self.spent += cost
        self.alone += sum(int(drawn.tokens[:, asked].sum()) for drawn in evaluation.drawn)
        if self.shared:
            for drawn in evaluation.drawn:
                have = self._have.setdefault(drawn.key, np.zeros(self.questions.count, np.int16))
                have[asked] = np.maximum(have[asked], len(drawn.tokens))

    def _fresh(self, key: Key, tokens: NDArray[np.int32], asked: Indices) -> int:
        have = self._have.get(key)
        if have is None or not self.shared:
            return int(tokens.sum())
        return int((tokens * (np.arange(len(tokens))[:, None] >= have[asked])).sum())


class Trial:
    """One point, and the questions that it was asked."""

    def __init__(self, bench: Workbench, point: Point, evaluation: Evaluation) -> None:
        self.point = point
        self._bench, self._evaluation = bench, evaluation
        self._spent = sum(drawn.tokens.sum(axis=0) for drawn in evaluation.drawn)
        self._calls = sum(len(drawn.tokens) for drawn in evaluation.drawn)
        self.asked = np.zeros(bench.questions.count, bool)

    def ask(self, questions: Indices) -> None:
        """Those of them that were not asked before. Raises `Exhausted`."""
        fresh = questions[~self.asked[questions]]
        if len(fresh):
            self._bench.charge(self._evaluation, fresh)
            self.asked[fresh] = True

    @property
    def count(self) -> int:
        return int(self.asked.sum())

    @property
    def mean(self) -> float:
        return float(self._evaluation.scores[self.asked].mean())

    def scores(self, questions: Indices) -> Floats:
        """Of questions that were asked."""
        assert self.asked[questions].all()
        return self._evaluation.scores[questions]

    def settled(self, questions: Indices) -> Sequence[Settled]:
        scores, calls = self.scores(questions), float(self._calls)
        return [
            Settled(float(score), (calls, calls, float(tokens), 0.0, 0.0))
            for score, tokens in zip(scores, self._spent[questions], strict=True)
        ]
