"""Numbers in answers, exact: `1,000` is 1000, `50%` is 50, `2/6` is one third."""

from __future__ import annotations

from fractions import Fraction

from pnyx.compiler.operators import AnswerKind
from pnyx.runtime.answers import extract

__all__ = ["number_in"]


def number_in(text: str) -> Fraction | None:
    """The number that `extract(number)` reads."""
    found = extract(AnswerKind.NUMBER, text)
    return None if found is None else Fraction(found)
