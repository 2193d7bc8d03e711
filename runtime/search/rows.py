"""The response matrix: what every point scored and spent on every question, as far as it was asked.

Invariants
- Questions are asked in one fixed order, so a point has seen the first `count(point)` of them.
- Points are in the order in which they were first proposed, which is the order of their numbers.
- Nothing here depends on when or by whom a row was settled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pnyx.runtime.budgets import Charge
from pnyx.runtime.search.space import Point

__all__ = ["Rows", "Settled"]


@dataclass(frozen=True, slots=True)
class Settled:
    """One question, answered and scored. `score` from 0 to 1; None: it could not be scored. `spent` is what the answer
    takes if nothing is shared (calls, samples, tokens, FLOPs, dollars); `seconds` of the clock, waiting included."""

    score: float | None
    spent: Charge
    seconds: float = 0.0


class Rows:
    """`questions`: how many there are to search on."""

    def __init__(self, questions: int) -> None:
        self.questions = questions
        self._settled: dict[Point, list[Settled]] = {}

    def propose(self, point: Point) -> None:
        """Gives the point its number, where it has none."""
        self._settled.setdefault(point, [])

    def settle(self, point: Point, rows: Iterable[Settled]) -> None:
        """The next questions of a point."""
        self._settled.setdefault(point, []).extend(rows)
        assert len(self._settled[point]) <= self.questions

    def __contains__(self, point: Point) -> bool:
        return point in self._settled

    def __iter__(self) -> Iterator[Point]:
        return iter(self._settled)

    def __len__(self) -> int:
        return len(self._settled)

    @property
    def total(self) -> int:
        """Rows of all points."""
        return sum(map(len, self._settled.values()))

    def count(self, point: Point) -> int:
        return len(self._settled.get(point, ()))

    def settled(self, point: Point) -> Sequence[Settled]:
        return self._settled.get(point, ())

    def scores(self, point: Point) -> NDArray[np.float64]:
        """One for each question that was asked; NaN where there is none."""
        return np.array([np.nan if row.score is None else row.score for row in self.settled(point)], dtype=np.float64)

    def spent(self, point: Point) -> NDArray[np.float64]:
        """What a question took on average: calls, samples, tokens, FLOPs, dollars, seconds; NaN before the first."""
        rows = self.settled(point)
        return np.array([(*row.spent, row.seconds) for row in rows]).mean(axis=0) if rows else np.full(6, np.nan)
