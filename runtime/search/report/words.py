"""Figures as people read them."""

from __future__ import annotations

from collections.abc import Iterable

from pnyx.compiler.cost.interval import show_number
from pnyx.runtime.budgets import KINDS
from pnyx.runtime.search.results import Amounts, Interval

__all__ = ["amounts", "choices_of", "duration", "interval", "percent", "points", "points_interval", "probability"]

_NONE = "–"


def percent(share: float | None) -> str:
    return _NONE if share is None else f"{100 * share:.1f} %"


def interval(between: Interval | None) -> str:
    return _NONE if between is None else f"{100 * between[0]:.1f} … {100 * between[1]:.1f}"


def points(difference: float) -> str:
    return f"{100 * difference:+.1f}"


def points_interval(between: Interval) -> str:
    return f"{points(between[0])} … {points(between[1])}"


def probability(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def amounts(amounts: Amounts, kinds: Iterable[str] = KINDS) -> str:
    """Those that are not nothing: `120 calls, 4.5k tokens, $0.12, 3 min 4 s`."""
    shown = [_amount(kind, getattr(amounts, kind)) for kind in kinds if getattr(amounts, kind)]
    return ", ".join(shown) or "nothing"


def _amount(kind: str, amount: float) -> str:
    if kind == "money":
        return f"${amount:.4g}"
    return duration(amount) if kind == "seconds" else f"{show_number(amount)} {kind}"


def choices_of(choices: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{name} = {option}" for name, option in choices) or "no choices"
