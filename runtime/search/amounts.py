"""Charges and rows as amounts that are reported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import stdev

from pnyx.runtime.budgets import KINDS, Charge
from pnyx.runtime.search.results import Amounts
from pnyx.runtime.search.rows import Settled

__all__ = ["added", "amounts", "less", "mean_amounts", "standard_error", "summed_amounts"]


def amounts(charge: Charge, seconds: float = 0.0) -> Amounts:
    return Amounts(**dict(zip(KINDS, (*charge, seconds), strict=True)))


def summed_amounts(rows: Iterable[Settled]) -> Amounts:
    columns = list(zip(*((*row.spent, row.seconds) for row in rows), strict=True))
    return Amounts(**dict(zip(KINDS, map(sum, columns), strict=False)))


def mean_amounts(rows: Sequence[Settled]) -> Amounts:
    total = summed_amounts(rows)
    return Amounts(**{kind: getattr(total, kind) / max(1, len(rows)) for kind in KINDS})


def standard_error(rows: Sequence[Settled], kind: str) -> float:
    """Of the mean of this kind; 0 where there are not two."""
    at = KINDS.index(kind)
    taken = [(*row.spent, row.seconds)[at] for row in rows]
    return stdev(taken) / len(taken) ** 0.5 if len(taken) > 1 else 0.0


def added(one: Amounts, other: Amounts) -> Amounts:
    return Amounts(**{kind: getattr(one, kind) + getattr(other, kind) for kind in KINDS})


def less(one: Amounts, other: Amounts) -> Amounts:
    return Amounts(**{kind: max(0.0, getattr(one, kind) - getattr(other, kind)) for kind in KINDS})
