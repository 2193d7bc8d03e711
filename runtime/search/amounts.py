"""Charges and rows as amounts that are reported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pnyx.runtime.budgets import KINDS, Charge
from pnyx.runtime.search.results import Amounts
from pnyx.runtime.search.rows import Settled

__all__ = ["added", "amounts", "less", "mean_amounts", "summed_amounts"]


def amounts(charge: Charge, seconds: float = 0.0) -> Amounts:
    return Amounts(**dict(zip(KINDS, (*charge, seconds), strict=True)))


def summed_amounts(rows: Iterable[Settled]) -> Amounts:
    columns = list(zip(*((*row.spent, row.seconds) for row in rows), strict=True))
    return Amounts(**dict(zip(KINDS, map(sum, columns), strict=False)))


def mean_amounts(rows: Sequence[Settled]) -> Amounts:
    total = summed_amounts(rows)
    return Amounts(**{kind: getattr(total, kind) / max(1, len(rows)) for kind in KINDS})


def added(one: Amounts, other: Amounts) -> Amounts:
    return Amounts(**{kind: getattr(one, kind) + getattr(other, kind) for kind in KINDS})


def less(one: Amounts, other: Amounts) -> Amounts:
    return Amounts(**{kind: max(0.0, getattr(one, kind) - getattr(other, kind)) for kind in KINDS})
