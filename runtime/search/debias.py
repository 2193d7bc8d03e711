"""What the winner is worth on the questions of the search, without the optimism of having been chosen by them.

Bootstrap bias correction (Tsamardinos, Greasidou & Borboudakis, Bootstrapping the out-of-sample predictions for
efficient and accurate cross-validation, 2018): questions are drawn with replacement, the best point is chosen by them,
and what it scores on those that were not drawn is averaged. A point that was given up after some questions takes part
with those, and the effects of questions make up for which ones they were. A sample holds 63 % of the questions, so it
chooses a little worse than the search did, and the estimate errs on the low side.

Invariant: a function of the rows and the seed.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pnyx.runtime.search.results import Estimated
from pnyx.runtime.search.rows import Rows
from pnyx.runtime.search.space import Point
from pnyx.runtime.search.strategies.beliefs import EVIDENCE
from pnyx.runtime.search.strategies.effects import estimate_effects, responses

__all__ = ["debias"]

Floats = NDArray[np.float64]

_RESAMPLES: Final = 500
_NORMAL_95: Final = 1.96


def debias(rows: Rows, winner: Point, *, seed: int) -> Estimated | None:
    """Of the point that the search took for the best; None where it has no score. The interval is as wide as its own
    scores make it."""
    points = [point for point in rows if not np.isnan(rows.scores(point)).all()]
    if winner not in points:
        return None
    matrix = responses(rows, points)
    own = matrix[points.index(winner)]
    own = own[~np.isnan(own)]
    value = float(_out_of_sample(matrix, np.random.default_rng(seed)).mean())
    half = _NORMAL_95 * float(own.std(ddof=1)) / len(own) ** 0.5 if len(own) > 1 else 1.0
    return Estimated(float(own.mean()), value, (max(0.0, value - half), min(1.0, value + half)))


def _out_of_sample(matrix: Floats, random: np.random.Generator) -> Floats:
    """For each resample, what the point that is chosen by it scores on the questions that are not in it."""
    effects = estimate_effects(matrix)
    scored = (~np.isnan(matrix)).astype(np.float64)
    values = np.where(scored > 0, matrix - effects.questions, 0.0)
    questions = matrix.shape[1]
    drawn = random.multinomial(questions, np.full(questions, 1 / questions), _RESAMPLES)
    inside = _means(drawn, values, scored)
    enough = effects.counts >= min(EVIDENCE, effects.counts.max() / 2)
    chosen = np.where(enough & ~np.isnan(inside), inside, -np.inf).argmax(axis=1)
    outside = _means(drawn == 0, values, scored)[np.arange(_RESAMPLES), chosen]
    known: Floats = np.where(np.isnan(outside), effects.means[chosen], outside)
    known += effects.questions.mean()
    return known


def _means(weights: NDArray[np.generic], values: Floats, scored: Floats) -> Floats:
    """By resample and point; NaN where the point has no score with weight."""
    weighted = weights.astype(np.float64)
    total: Floats = weighted @ scored.T
    means: Floats = np.where(total > 0, weighted @ values.T, np.nan) / np.maximum(total, 1)
    return means
