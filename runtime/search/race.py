"""The race: whether a point that is asked question after question may be given up, and what it is worth by then.

The test is a betting e-process (Waudby-Smith & Ramdas, Estimating means of bounded random variables by betting, 2024).
Somebody who bets a share λ of their money, question by question, that the point scores less than its rival has, after
paired differences d, `Π(1 − λ d)` of what they began with. If the point is no worse, the expectation of that never
exceeds 1, so by Ville's inequality it ever reaches 1/α with probability at most α: it may be looked at after every
block. What is mixed over several λ keeps that property.

Invariant: a question that one of the two has not been asked, or on which one could not be scored, counts for nothing.
"""

from __future__ import annotations

from math import log
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["ALPHA", "FEWEST", "paired_estimate", "raced_out"]

Scores = NDArray[np.float64]

ALPHA: Final = 0.3
"""How often a point that is as good as its rival may be given up, at most. High, since a good point that is lost has
neighbours, and one that is no better costs a full evaluation to keep."""
FEWEST: Final = 20
"""Questions that both answered before anything is given up."""

_SHARES: Final = np.array([0.1, 0.2, 0.35, 0.5, 0.7])


def raced_out(scores: Scores, rival_scores: Scores, alpha: float = ALPHA) -> bool:
    """Whether the point of `scores`, from 0 to 1 by question, is worse than its rival as far as both were asked."""
    differences = _differences(scores, rival_scores)
    if len(differences) < FEWEST:
        return False
    wealth = np.log1p(-np.outer(_SHARES, differences)).sum(axis=1)
    return float(np.logaddexp.reduce(wealth)) - log(len(_SHARES)) >= -log(alpha)


def paired_estimate(scores: Scores, rival_scores: Scores) -> float:
    """The mean score over all that the rival was asked: the rival's, plus the mean difference where both have scores.
    The point's own mean where they share nothing; NaN where it has none."""
    differences = _differences(scores, rival_scores)
    if len(differences):
        return float(np.nanmean(rival_scores) + differences.mean())
    own = scores[~np.isnan(scores)]
    return float(own.mean()) if len(own) else float("nan")


def _differences(scores: Scores, rival_scores: Scores) -> Scores:
    both = min(len(scores), len(rival_scores))
    differences = scores[:both] - rival_scores[:both]
    return differences[~np.isnan(differences)]
