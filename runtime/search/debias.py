"""What the winner is worth on the questions of the search, without the optimism of having been chosen by them.

As in bootstrap bias correction (Tsamardinos, Greasidou & Borboudakis, Bootstrapping the out-of-sample predictions for
efficient and accurate cross-validation, 2018) the choice is made again and again by some of the questions, and what the
chosen point scores on the others is averaged. They are drawn without replacement (Burman, A comparative study of
ordinary cross-validation, v-fold cross-validation and the repeated learning-testing methods, 1989), since a bootstrap
sample repeats questions, and so chooses no better than half of them do. Six tenths choose a little worse than all of
them, so the estimate errs on the low side; with more it would scatter more.

A point that was given up after some questions takes part with those, and the effects of questions make up for which
ones they were. The interval is Wilson's, for as many questions as the chosen points were asked.

Invariant: a function of the rows and the seed.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pnyx.runtime.benchmarks.statistics import Interval, wilson
from pnyx.runtime.search.results import Estimated
from pnyx.runtime.search.rows import Rows
from pnyx.runtime.search.space import Point
from pnyx.runtime.search.strategies.beliefs import EVIDENCE
from pnyx.runtime.search.strategies.effects import estimate_effects, responses

__all__ = ["debias"]

Floats = NDArray[np.float64]

_SAMPLES: Final = 500
_CHOOSING: Final = 0.6
_LEAST_SPREAD: Final = 0.05
"""Of scores that are all alike, of what scores of 0 and 1 have."""


def debias(rows: Rows, winner: Point, *, seed: int) -> Estimated | None:
    """Of the point that the search took for the best; None where it has no score."""
    points = [point for point in rows if not np.isnan(rows.scores(point)).all()]
    if winner not in points:
        return None
    matrix = responses(rows, points)
    own = matrix[points.index(winner)]
    own = own[~np.isnan(own)]
    value, asked = _out_of_sample(matrix, np.random.default_rng(seed))
    return Estimated(float(own.mean()), value, _interval(value, own, min(asked, float(len(own)))))


def _out_of_sample(matrix: Floats, random: np.random.Generator) -> tuple[float, float]:
    """What points that are chosen by some questions score on others; and how many questions these points were asked, as
    a harmonic mean."""
    effects = estimate_effects(matrix)
    scored = (~np.isnan(matrix)).astype(np.float64)
    values = np.where(scored > 0, matrix - effects.questions, 0.0)
    inside = random.random((_SAMPLES, matrix.shape[1])).argsort(axis=1) < round(_CHOOSING * matrix.shape[1])
    means = _means(inside, values, scored)
    enough = effects.counts >= min(EVIDENCE, effects.counts.max() / 2)
    chosen = np.where(enough & ~np.isnan(means), means, -np.inf).argmax(axis=1)
    count = (~inside * scored[chosen]).sum()
    outside = (~inside * values[chosen]).sum() / count if count else effects.means[chosen].mean()
    value = float(np.clip(outside + effects.questions.mean(), 0, 1))
    return value, float(1 / (1 / effects.counts[chosen]).mean())


def _interval(value: float, own: Floats, questions: float) -> Interval:
    """Scores between 0 and 1 scatter less, as if there were more of them."""
    if len(own) == 1:
        return 0.0, 1.0
    raw = float(own.mean())
    spread = max(_LEAST_SPREAD, float(own.var()) / (raw * (1 - raw))) if 0 < raw < 1 else 1.0
    n = questions / spread
    return wilson(value * n, n)


def _means(weights: NDArray[np.generic], values: Floats, scored: Floats) -> Floats:
    """By resample and point; NaN where the point has no score with weight."""
    weighted = weights.astype(np.float64)
    total: Floats = weighted @ scored.T
    means: Floats = np.where(total > 0, weighted @ values.T, np.nan) / np.maximum(total, 1)
    return means
