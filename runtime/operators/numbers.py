"""Fields as numbers. Texts are none; true and false count as 1 and 0."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from sys import float_info

from pnyx.runtime.candidates import Candidate

__all__ = ["number", "real", "total"]


def number(candidate: Candidate, name: str) -> int | float | None:
    value = candidate.fields.get(name)
    return None if isinstance(value, str) else value


def real(value: float) -> float:
    """Integers that no float can hold are as large as floats get."""
    try:
        return float(value)
    except OverflowError:
        return float_info.max if value > 0 else -float_info.max


def total(values: Sequence[float]) -> float:
    """Sums that no float can hold are as large as floats get."""
    try:
        return fsum(values)
    except OverflowError:
        return real(max(-float_info.max, min(sum(values), float_info.max)))
