"""Quantities that are known between bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Estimate", "show", "show_number"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """At least, about, at most; never negative. `most` is infinite where nothing bounds it.

    >>> Estimate(1, 2, 4) * Estimate.exactly(3) + Estimate.exactly(1)
    Estimate(least=4, expected=7, most=13)
    """

    least: float
    expected: float
    most: float

    @classmethod
    def exactly(cls, value: float) -> Estimate:
        return cls(value, value, value)

    @property
    def exact(self) -> bool:
        return self.least == self.most

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(self.least + other.least, self.expected + other.expected, self.most + other.most)

    def __mul__(self, other: Estimate | float) -> Estimate:
        if not isinstance(other, Estimate):
            other = Estimate.exactly(other)
        return Estimate(self.least * other.least, self.expected * other.expected, _product(self.most, other.most))

    def latest(self, other: Estimate) -> Estimate:
        """The greater of each."""
        return Estimate(max(self.least, other.least), max(self.expected, other.expected), max(self.most, other.most))

    def between(self, low: float, high: float) -> Estimate:
        """With every figure moved into the bounds."""
        return Estimate(*(min(max(value, low), high) for value in (self.least, self.expected, self.most)))


def _product(left: float, right: float) -> float:
    return 0 if left == 0 or right == 0 else left * right


def show_number(value: float) -> str:
    """For people, in about three digits; `—` for what has no bound.

    >>> [show_number(x) for x in (3, 2.5, 1234, 45_678, 2.5e9, 0.00042, 1e31, math.inf)]
    ['3', '2.5', '1234', '45.7k', '2.5G', '0.00042', '1e+31', '—']
    """
    if math.isinf(value):
        return "—"
    if value >= 1e30:
        return f"{value:.3g}"
    for unit, name in (
        (1e27, "R"),
        (1e24, "Y"),
        (1e21, "Z"),
        (1e18, "E"),
        (1e15, "P"),
        (1e12, "T"),
        (1e9, "G"),
        (1e6, "M"),
    ):
        if value >= unit:
            return f"{value / unit:.3g}{name}"
    if value >= 10_000:
        return f"{value / 1000:.3g}k"
    if value >= 100 or float(value).is_integer():
        return f"{value:.0f}"
    return f"{value:.2g}"


def show(estimate: Estimate | None) -> str:
    """`8`, or `5 (2–8)`: expected, and in brackets least to most; `—` where it is not known.

    >>> show(Estimate.exactly(8)), show(Estimate(2, 5, math.inf)), show(None)
    ('8', '5 (2–—)', '—')
    """
    if estimate is None:
        return "—"
    if estimate.exact:
        return show_number(estimate.expected)
    expected, least, most = (show_number(v) for v in (estimate.expected, estimate.least, estimate.most))
    return f"{expected} ({least}–{most})"
