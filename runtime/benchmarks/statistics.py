"""How sure a mean of scores is, and whether two differ.

Invariant: everything is a function of its arguments; resampling is seeded.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from random import Random
from statistics import fmean, stdev
from typing import TypeAlias

__all__ = ["Interval", "bootstrap", "interval_of", "sign_test", "wilson"]

Interval: TypeAlias = tuple[float, float]

_Z = 1.959963984540054
"""The 97.5 % point of the standard normal distribution."""
_RESAMPLES = 2000
_MANY = 2000
"""Values from which on a mean is as good as normal."""


def interval_of(scores: Sequence[float], *, seed: int = 0) -> Interval | None:
    """95 % interval of the mean: Wilson's where every score is 0 or 1, else the bootstrap's. None without scores."""
    if not scores:
        return None
    if all(score in (0, 1) for score in scores):
        return wilson(round(sum(scores)), len(scores))
    return bootstrap(scores, seed=seed)


def wilson(successes: float, n: float) -> Interval:
    """95 % score interval of a proportion (Wilson, 1927); `n` is positive, and need be no whole number."""
    share, square = successes / n, _Z * _Z
    middle = share + square / (2 * n)
    reach = _Z * sqrt(share * (1 - share) / n + square / (4 * n * n))
    low, high = ((middle + sign * reach) / (1 + square / n) for sign in (-1, 1))
    return (0.0 if successes == 0 else low, 1.0 if successes == n else high)


def bootstrap(values: Sequence[float], *, seed: int = 0) -> Interval:
    """95 % interval of the mean: percentiles of 2000 resamples (Efron, 1979), and of more than 2000 values the normal
    one. Of differences it is the paired one."""
    random, n = Random(seed), len(values)
    if n > _MANY:
        reach = _Z * stdev(values) / sqrt(n)
        return fmean(values) - reach, fmean(values) + reach
    means = sorted(fmean(random.choices(values, k=n)) for _ in range(_RESAMPLES))
    tail = _RESAMPLES // 40
    return means[tail], means[-tail - 1]


def sign_test(wins: int, losses: int) -> float:
    """Two-sided p value that wins and losses are equally likely, exact (ties count for nothing). Where scores are 0 and
    1 it is the exact test of McNemar (1947)."""
    n, fewer = wins + losses, min(wins, losses)
    if n == 0:
        return 1.0
    term = total = 1  # C(n, 0)
    for k in range(fewer):
        term = term * (n - k) // (k + 1)
        total += term
    return min(1.0, 2 * total / (1 << n))
