"""Operators that draw candidates at random: `Resample` and `Pick`.

Invariant: draws come from the run's seed, the question and where the node is, as the seeds of samples do; they need no
model and do not depend on what came before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from math import ceil, exp, fsum, log
from typing import assert_never

from pnyx.compiler.operators import Operator, Pick, Resample, Scheme, Weights
from pnyx.runtime.candidates import Candidate, Pool
from pnyx.runtime.operators.numbers import number, real
from pnyx.runtime.operators.step import Begin, Scope, Step

__all__ = ["chance_of", "prepare_pick", "prepare_resample"]

# Odds are finite for values from here on; the same bound as in the authors' particle filters.
_NEAR = 1e-7
_ROUNDING = 1e-9

Chance = Callable[[int], float]
"""The i-th draw of a node, from 0 to 1, 1 left out."""


def chance_of(scope: Scope, step: Step[Operator]) -> Chance:
    """The draws of a node, where it runs."""
    # Of 62 random bits a float holds 53.
    return lambda i: (scope.seed_for(step, "", i) >> 9) / 2**53


def prepare_resample(step: Step[Resample]) -> Begin:
    resample = step.operator

    def begin(scope: Scope, values: tuple[Pool]) -> Pool:
        (pool,) = values
        if not pool:
            return ()
        weights = _weights([number(c, resample.by) for c in pool], resample.weights, resample.temperature)
        counts = _counts(resample, weights, chance_of(scope, step))
        stream = scope.stream(step)
        copied = [candidate for candidate, count in zip(pool, counts, strict=True) for _ in range(count)]
        return tuple(Candidate(f"{stream}:{i}", candidate.fields) for i, candidate in enumerate(copied))

    return begin


def prepare_pick(step: Step[Pick]) -> Begin:
    pick = step.operator

    def begin(scope: Scope, values: tuple[Pool]) -> Pool:
        left = list(values[0])
        chance = chance_of(scope, step)
        picked = []
        for i in range(min(pick.k, len(left))):
            if pick.by is None:
                place = int(chance(i) * len(left))
            else:
                weights = _weights([number(c, pick.by) for c in left], Weights.SOFTMAX, pick.temperature)
                (place,) = _drawn(weights, [chance(i)])
            picked.append(left.pop(place))
        return tuple(picked)

    return begin


def _weights(values: Sequence[float | None], kind: Weights, temperature: float) -> list[float]:
    """Weights that are 0 or more, of which one is more: where nothing weighs, all weigh alike. Temperature 0 leaves the
    greatest."""
    match kind:
        case Weights.LINEAR:
            greatest = max((real(v) for v in values if v is not None), default=0.0)
            # Relative to the greatest, so that the sum is finite.
            weights = [max(real(v or 0), 0.0) / greatest if greatest > 0 else 0.0 for v in values]
        case Weights.SOFTMAX:
            weights = _softmax([None if v is None else real(v) for v in values], temperature)
        case Weights.ODDS:
            inner = [None if v is None else min(max(v, _NEAR), 1 - _NEAR) for v in values]
            weights = _softmax([None if v is None else log(v / (1 - v)) for v in inner], temperature)
        case _:
            assert_never(kind)
    return weights if any(weights) else [1.0] * len(weights)


def _softmax(values: Sequence[float | None], temperature: float) -> list[float]:
    most = max((v for v in values if v is not None), default=0.0)
    if temperature == 0:
        return [float(v == most) for v in values]
    return [0.0 if v is None else exp((v - most) / temperature) for v in values]


def _counts(resample: Resample, weights: Sequence[float], chance: Chance) -> list[int]:
    """How often each candidate is copied."""
    n = resample.n
    match resample.scheme:
        case Scheme.BALANCED:
            return _balanced(weights, n)
        case Scheme.MULTINOMIAL:
            drawn = _drawn(weights, [chance(i) for i in range(n)])
        case Scheme.SYSTEMATIC:
            start = chance(0)
            drawn = _drawn(weights, [(i + start) / n for i in range(n)])
        case _:
            assert_never(resample.scheme)
    counts = [0] * len(weights)
    for place in drawn:
        counts[place] += 1
    return counts


def _drawn(weights: Sequence[float], chances: Sequence[float]) -> list[int]:
    """The places at which these shares of the whole weight lie."""
    sums = list(accumulate(weights))
    last = max(i for i, weight in enumerate(weights) if weight > 0)
    return [min(bisect_right(sums, chance * sums[-1]), last) for chance in chances]


def _balanced(weights: Sequence[float], n: int) -> list[int]:
    """The greatest first, each its share of what is left, rounded up: as in the code of REBASE."""
    counts = [0] * len(weights)
    order = sorted(range(len(weights)), key=lambda i: -weights[i])
    left = n
    for turn, i in enumerate(order):
        rest = fsum(weights[j] for j in order[turn:])
        if left == 0 or rest == 0:
            break
        counts[i] = min(left, ceil(left * weights[i] / rest - _ROUNDING))
        left -= counts[i]
    return counts
