"""The surrogate: what is believed of points that were asked little or nothing, from those that were asked.

It is an additive Gaussian process over choices, as in an analysis of variance: a point's value is a sum of an effect of
each choice, an effect of each pair of choices, and one of all choices together (Durrande et al., ANOVA kernels and RKHS
of zero mean functions, 2013; Duvenaud et al., Additive Gaussian processes, 2011). Architectures are like that: a ranker
adds something almost everywhere, more where there are many candidates.

Invariants
- A choice that a point does not meet is a level of its own, which resembles no option.
- The options of an ordered choice resemble each other the more the nearer they are; those of another do not.
- What is fitted is a function of the data alone: the hyperparameters are the best of a fixed sample of their prior.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular

from pnyx.runtime.search.space import Parameter, Point

__all__ = ["Encoding", "Posterior", "Surrogate", "fit_surrogate", "most_telling"]

Floats = NDArray[np.float64]

_REACH: Final = 1.75
"""Steps between options of an ordered choice over which their likeness falls to 1/e."""
_UNLIKE: Final = 0.35
"""What is left of the likeness of two points, as wholes, for each choice that they do not share."""
_PRIOR: Final = np.log([0.02, 0.01, 0.004])
"""Variances of scores that come from single choices, pairs and all: standard deviations of 14, 10 and 6 points."""
_PRIOR_SPREAD: Final = 0.9
_TRIES: Final = 32
_JITTER: Final = 1e-8
_NOISE_OF_MEAN: Final = 0.01
_NOISE_OF_FEW: Final = 0.004
"""The variance of a mean of some 40 scores."""


class Encoding:
    """Points of a space as rows of numbers, and how alike they are."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self._columns: dict[str, tuple[int, int]] = {}
        likeness = []
        width = 0
        # A choice of one option says nothing.
        for parameter in (p for p in parameters if len(p.options) > 1):
            absent = width + len(parameter.options)
            self._columns[parameter.name] = (width, absent)
            width = absent + 1
            likeness.append(_likeness(parameter))
        self._choices = len(likeness)
        self._width = width
        single, whole = np.zeros((2, width, width))
        for (first, absent), one in zip(self._columns.values(), likeness, strict=True):
            block = slice(first, absent + 1)
            single[block, block] = one
            whole[block, block] = np.log(_UNLIKE + (1 - _UNLIKE) * one)
        self._likeness = np.hstack([single, single**2, whole])

    def encode(self, points: Sequence[Point]) -> Floats:
        """A 1 for the option that each choice takes, or for its absence."""
        encoded = np.zeros((len(points), self._width))
        encoded[:, [absent for _, absent in self._columns.values()]] = 1.0
        for row, point in zip(encoded, points, strict=True):
            for name, option in point:
                if name in self._columns:
                    first, absent = self._columns[name]
                    row[first + option], row[absent] = 1.0, 0.0
        return encoded

    def components(self, ones: Floats, others: Floats) -> Floats:
        """How alike encoded points are, from 0 to 1: in single choices, in pairs, and as wholes. Shape (3, n, m)."""
        width, choices = self._width, self._choices
        weighted = ones @ self._likeness
        single, squares, whole = (weighted[:, i * width : (i + 1) * width] @ others.T for i in range(3))
        pairs = (single**2 - squares) / (choices * (choices - 1)) if choices > 1 else single
        return np.stack([single / max(choices, 1), pairs, np.exp(whole)])


def _likeness(parameter: Parameter) -> Floats:
    options = len(parameter.options)
    alike = np.eye(options + 1)
    if parameter.ordered:
        steps = np.arange(options)
        alike[:options, :options] = np.exp(-np.abs(steps[:, None] - steps) / _REACH)
    return alike


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """`sds` are of the values themselves, without the noise of asking."""

    means: Floats
    sds: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Surrogate:
    """`variances`: of single choices, of pairs, of all together."""

    encoding: Encoding
    variances: Floats
    mean: float
    _encoded: Floats
    _factor: Floats
    _weights: Floats

    def posterior(self, points: Sequence[Point]) -> Posterior:
        means, unexplained = self._predict(self.encoding.encode(points))
        left = self.variances.sum() - (unexplained**2).sum(axis=0)
        return Posterior(means, np.sqrt(np.maximum(left, 1e-9)))

    def covariance(self, points: Sequence[Point]) -> Floats:
        """Of the values of points, given the data; shape (n, n)."""
        encoded = self.encoding.encode(points)
        prior = np.tensordot(self.variances, self.encoding.components(encoded, encoded), 1)
        _, explained = self._predict(encoded)
        left: Floats = prior - explained.T @ explained
        return left

    def _predict(self, encoded: Floats) -> tuple[Floats, Floats]:
        """The means, and a matrix whose squares, summed, are the variance that the data explains."""
        alike = np.tensordot(self.variances, self.encoding.components(self._encoded, encoded), 1)
        explained = solve_triangular(self._factor, alike, lower=True, check_finite=False)
        return self.mean + alike.T @ self._weights, explained


def fit_surrogate(encoding: Encoding, points: Sequence[Point], values: Floats, noise: Floats) -> Surrogate:
    """`noise`: the variance of each value. The hyperparameters maximise the posterior."""
    encoded = encoding.encode(points)
    components = encoding.components(encoded, encoded)
    mean = float(np.average(values, weights=1 / (noise + _NOISE_OF_MEAN)))
    centred = values - mean
    best: tuple[float, Floats, Floats, Floats] | None = None
    for variances in _sample():
        covariance = np.tensordot(variances, components, 1)
        covariance[np.diag_indices_from(covariance)] += noise + _JITTER
        try:
            factor = cholesky(covariance, lower=True, check_finite=False)
        except LinAlgError:  # pragma: no cover - the jitter keeps it positive, but for rounding
            continue
        weights = cho_solve((factor, True), centred, check_finite=False)
        likelihood = -0.5 * float(centred @ weights) - float(np.log(np.diag(factor)).sum())
        density = likelihood - 0.5 * float((((np.log(variances) - _PRIOR) / _PRIOR_SPREAD) ** 2).sum())
        if best is None or density > best[0]:
            best = (density, variances, factor, weights)
    assert best is not None
    return Surrogate(encoding, best[1], mean, encoded, best[2], best[3])


def _sample() -> Floats:
    """Hyperparameters to try, of which the first is the prior's median."""
    spread = np.random.default_rng(0).normal(0, _PRIOR_SPREAD, (_TRIES, 3))
    spread[0] = 0
    sample: Floats = np.exp(_PRIOR + spread)
    return sample


def most_telling(encoding: Encoding, points: Sequence[Point], begun: Sequence[Point], number: int) -> list[Point]:
    """Up to `number` of the points, each of which, when it is asked, takes away the most variance of all of them, once
    `begun` and those before it were asked. Before any data: only the prior matters."""
    everything = [*begun, *points]
    encoded = encoding.encode(everything)
    covariance = np.tensordot(np.exp(_PRIOR), encoding.components(encoded, encoded), 1)
    chosen = list(range(len(begun)))
    for position in chosen:
        covariance = _observed(covariance, position)
    while len(chosen) < min(len(begun) + number, len(everything)):
        told = (covariance[len(begun) :] ** 2).sum(axis=0) / (np.diag(covariance) + _NOISE_OF_FEW)
        told[chosen] = -np.inf
        best = int(told.argmax())
        covariance = _observed(covariance, best)
        chosen.append(best)
    return [everything[i] for i in chosen[len(begun) :]]


def _observed(covariance: Floats, position: int) -> Floats:
    """Once the point there was asked a few questions."""
    column = covariance[:, position]
    left: Floats = covariance - np.outer(column, column) / (column[position] + _NOISE_OF_FEW)
    return left
