"""Limits in calls, samples, tokens, FLOPs, money and seconds, and how they are written: `2M tokens`, `calls=500`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pnyx.compiler.nearest import nearest

__all__ = ["KINDS", "Limits", "parse_limits"]

KINDS = ("calls", "samples", "tokens", "flops", "money", "seconds")

_NAMES = {
    "call": "calls", "sample": "samples", "token": "tokens", "flop": "flops", "dollars": "money", "dollar": "money",
    "usd": "money", "$": "money", "second": "seconds", "s": "seconds",
} | {kind: kind for kind in KINDS}  # fmt: skip
_UNITS = {"min": 60.0, "minute": 60.0, "minutes": 60.0, "h": 3600.0, "hour": 3600.0, "hours": 3600.0}
_SCALES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9, "t": 1e12, "p": 1e15, "e": 1e18}
_AMOUNT = re.compile(r"(\$?)\s*(\d[\d_]*(?:\.\d+)?(?:e[+-]?\d+)?)([kmgbtpe]?)\s*([a-z$]*)", re.IGNORECASE)
_WAY_OUT = "write `tokens=2M`, `2M tokens`, `$5` or `30 min`; of calls, samples, tokens, flops, money, seconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """None is no limit. `money` in dollars, `seconds` of the clock; prompt and generated tokens count alike."""

    calls: float | None = None
    samples: float | None = None
    tokens: float | None = None
    flops: float | None = None
    money: float | None = None
    seconds: float | None = None

    def __bool__(self) -> bool:
        return any(getattr(self, kind) is not None for kind in KINDS)

    def within(self, other: Limits) -> Limits:
        """The lower one of each."""

        def lower(kind: str) -> float | None:
            given = [value for value in (getattr(self, kind), getattr(other, kind)) if value is not None]
            return min(given, default=None)

        return Limits(**{kind: lower(kind) for kind in KINDS})

    @property
    def caps(self) -> tuple[float, ...]:
        """What is spent by calls, in the order of a charge: all but the seconds."""
        return tuple(math.inf if (cap := getattr(self, kind)) is None else cap for kind in KINDS[:-1])

    def show(self, kind: str) -> str:
        """`2000000 tokens`, `$0.50`."""
        amount = getattr(self, kind)
        return f"${amount:.4g}" if kind == "money" else f"{amount:.15g} {_singular(kind) if amount == 1 else kind}"


def _singular(kind: str) -> str:
    return kind.removesuffix("s")


def parse_limits(texts: Iterable[str]) -> Limits:
    """Raises ValueError, with what is wrong and a way out. What is said twice is said last."""
    limits = Limits()
    for text in texts:
        kind, amount = _parse(text.strip())
        limits = replace(limits, **{kind: amount})
    return limits


def _parse(text: str) -> tuple[str, float]:
    name, equals, written = (part.strip() for part in text.rpartition("="))
    found = _AMOUNT.fullmatch(written)
    if not found:
        raise ValueError(f"`{text}` is no limit; {_WAY_OUT}")
    dollar, number, scale, unit = found.groups()
    unit = unit.lower()
    if (scale + unit).lower() in _UNITS:  # the `m` of `30min`
        scale, unit = "", (scale + unit).lower()
    seconds = _UNITS.get(unit)
    said = {_NAMES.get(word) for word in (name.lower(), "$" if dollar else "", unit) if word and word not in _UNITS}
    said |= {"seconds"} if seconds is not None else set()
    if None in said or len(said) != 1:
        meant = nearest(name.lower() if equals else unit, _NAMES)
        raise ValueError(f"`{text}` is no limit; " + (f"did you mean `{meant}`? " if meant else "") + _WAY_OUT)
    amount = float(number.replace("_", "")) * _SCALES[scale.lower()] * (seconds or 1.0)
    if not math.isfinite(amount):
        raise ValueError(f"`{text}` is too large")
    (kind,) = said
    assert kind is not None
    return kind, amount
