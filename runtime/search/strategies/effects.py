"""How good points are, and how hard questions, where each point was asked only some of them.

The model is score = point + question + residual. A question's effect is shrunken towards 0 as if three more points had
answered it like the average one, so that few answers say little about a question.

Invariant: a missing score (NaN) counts for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pnyx.runtime.search.rows import Rows
from pnyx.runtime.search.space import Point

__all__ = ["Effects", "estimate_effects", "responses"]

Floats = NDArray[np.float64]

_SHRINKAGE: Final = 3.0
_SWEEPS: Final = 5
_LEAST_VARIANCE: Final = 0.02
"""Of a residual: scores that happen to agree on a few questions are still samples."""


@dataclass(frozen=True, slots=True, eq=False)
class Effects:
    """`means[point]`: its mean score if it had been asked all questions, NaN where it has no score. `counts[point]`: of
    scores. `questions[question]`: how much more than a point's mean it is scored. `variance`: of the residual of one
    score, so a mean has the variance `variance / count`."""

    means: Floats
    counts: Floats
    questions: Floats
    variance: float


def responses(rows: Rows, points: Sequence[Point]) -> Floats:
    """One row for each point, one column for each question; NaN where there is no score."""
    matrix = np.full((len(points), rows.questions), np.nan)
    for row, point in zip(matrix, points, strict=True):
        row[: rows.count(point)] = rows.scores(point)
    return matrix


def estimate_effects(matrix: Floats) -> Effects:
    """By alternating between the points' means and the questions' effects."""
    scored = ~np.isnan(matrix)
    scores = np.where(scored, matrix, 0.0)
    counts, asked = scored.sum(axis=1).astype(np.float64), scored.sum(axis=0)
    questions = np.zeros(matrix.shape[1])
    means = scores.sum(axis=1) / np.maximum(counts, 1)
    for _ in range(_SWEEPS):
        questions = (scores - scored * means[:, None]).sum(axis=0) / (asked + _SHRINKAGE)
        means = (scores - scored * questions).sum(axis=1) / np.maximum(counts, 1)
    residuals = (matrix - questions - means[:, None])[scored]
    variance = max(float(residuals.var()), _LEAST_VARIANCE) if len(residuals) else _LEAST_VARIANCE
    return Effects(np.where(counts > 0, means, np.nan), counts, questions, variance)
