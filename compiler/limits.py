"""Limits: how much a pipeline, or a search, may spend at most, as a program writes it: `20 calls, 40k tokens, $0.01`.

Invariant: a limit is positive; what is counted is limited by a whole number, money by dollars, time by seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from pnyx.compiler.diagnostics import Diagnostics, Label, rename
from pnyx.compiler.nearest import nearest
from pnyx.compiler.source import Span
from pnyx.compiler.syntax import Number, PipelineDecl

__all__ = ["NO_LIMITS", "Limits", "limits_of", "read_limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most of each; None is no limit. `tokens` counts prompts and samples, `money` dollars."""

    calls: int | None = None
    samples: int | None = None
    tokens: int | None = None
    flops: int | None = None
    money: float | None = None
    seconds: float | None = None


NO_LIMITS: Final = Limits()

_COUNTED: Final = {
    "call": "calls", "calls": "calls", "sample": "samples", "samples": "samples", "token": "tokens",
    "tokens": "tokens", "flop": "flops", "flops": "flops",
}  # fmt: skip
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600}
_UNITS_HELP: Final = "a limit is so many `calls`, `samples`, `tokens` or `flops`, `$5`, or a time: `30s`, `5m`, `1h`"


def limits_of(declaration: PipelineDecl) -> Limits:
    """What a pipeline says behind `limit`. Faulty limits count as none: they are reported by checking the program."""
    return read_limits(declaration.limits, Diagnostics())


def read_limits(written: Iterable[Number], diagnostics: Diagnostics) -> Limits:
    """The limits that these numbers with their units stand for; faults are reported."""
    values: dict[str, float] = {}
    first: dict[str, Span] = {}
    for number in written:
        name = _limited(number, diagnostics)
        if name is None:
            continue
        if name in first:
            message = f"`{name}` are limited twice" if name != "money" else "`money` is limited twice"
            earlier = [Label(first[name], "first here")]
            diagnostics.report("E513", message, number.span, secondary=earlier, help="remove one of the two")
            continue
        first[name] = number.span
        values[name] = number.value * _SECONDS.get(number.unit or "", 1)
    limits: dict[str, Any] = {name: int(value) if name in _COUNTED else float(value) for name, value in values.items()}
    return Limits(**limits)


def _limited(number: Number, diagnostics: Diagnostics) -> str | None:
    """What the number limits; None where it cannot."""
    unit = number.unit
    name = "money" if unit == "$" else "seconds" if unit in _SECONDS else _COUNTED.get(unit or "")
    if name is None:
        likely = nearest(unit or "", set(_COUNTED.values()))
        message = f"`{unit}` is no unit of a limit" if unit else f"`{number.span.text}` has no unit"
        help = f"did you mean `{likely}`?" if likely else _UNITS_HELP
        diagnostics.report("E512", message, number.span, help=help, fixes=rename(number.span, unit, likely))
    elif number.value <= 0:
        help = "leave the limit out, or raise it: nothing could run within it"
        diagnostics.report("E514", "a limit is more than zero", number.span, help=help)
    elif name in _COUNTED and number.value != int(number.value):
        diagnostics.report("E514", f"there are no fractions of {name}", number.span, help="write a whole number")
    else:
        return name
    return None
