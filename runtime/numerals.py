"""Numbers in prose, as exact canonical text.

A number is a run of digits with thousands commas, a decimal part, an exponent, a fraction (`3/4`, `1 1/2`, LaTeX), a
sign that is not a subtraction, and a currency sign before it. Nothing is rounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["Numeral", "numerals"]

# Longer runs of digits are noise, and arithmetic on them is slow.
_MOST_DIGITS = 200
_LARGEST_EXPONENT = 300

_NUMERAL = re.compile(
    r"""
    (?=[-$€£¥\\.\d])                            # cheap to rule out
    (?<![\w./])                                 # not inside a word, a version or a date
    (?P<sign>(?<![\w)\]}])-)?                   # a sign, not a subtraction
    [$€£¥]?(?P<late>-)?                         # $-5
    (?:
        \\[dt]?frac\s*\{\s*(?P<ltop>-?\d+)\s*\}\s*\{\s*(?P<lbottom>\d+)\s*\}
      | (?P<whole>\d{1,3}(?:,\d{3})+(?!\d)|\d+)?
        (?:(?<=\d)[ ](?P<mtop>\d+)/(?P<mbottom>\d+)(?![\w/])
          | (?<=\d)[ ]?/[ ]?(?P<bottom>\d+)(?![\w/.]*\d)
          | (?P<part>\.\d+)?(?P<exponent>(?<=\d)[eE][-+]?\d+(?!\w))?
        )
    )
    """,
    re.VERBOSE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Numeral:
    """A number at `start` … `end` of the text. `value` is None for one that is too long, or divides by 0."""

    start: int
    end: int
    value: str | None


def numerals(text: str) -> Iterator[Numeral]:
    """The numbers of the text, in order."""
    for found in _NUMERAL.finditer(text):
        if any(c.isdigit() for c in found[0][-_MOST_DIGITS:]):
            yield Numeral(found.start(), found.end(), _canonical(found))


def _canonical(found: re.Match[str]) -> str | None:
    if len(found[0]) > _MOST_DIGITS:
        return None
    part = found.groupdict(default="")
    negative = bool(part["sign"]) != bool(part["late"])
    whole = part["whole"].replace(",", "")
    if part["ltop"]:
        value = _fraction(part["ltop"], part["lbottom"])
    elif part["mtop"]:
        share = _fraction(part["mtop"], part["mbottom"])
        value = None if share is None else int(whole) + share
    elif part["bottom"]:
        value = _fraction(whole, part["bottom"])
    elif len(part["exponent"]) > 5 or abs(int(part["exponent"][1:] or 0)) > _LARGEST_EXPONENT:
        value = None
    else:
        value = Fraction((whole or "0") + part["part"] + part["exponent"])
    return None if value is None else _text(-value if negative else value)


def _fraction(top: str, bottom: str) -> Fraction | None:
    return Fraction(int(top), int(bottom)) if int(bottom) else None


def _text(value: Fraction) -> str:
    """An exact decimal where there is one, else the fraction in lowest terms."""
    bottom, twos, fives = value.denominator, 0, 0
    while bottom % 2 == 0:
        bottom, twos = bottom // 2, twos + 1
    while bottom % 5 == 0:
        bottom, fives = bottom // 5, fives + 1
    if bottom != 1:
        return f"{value.numerator}/{value.denominator}"
    places = max(twos, fives)
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[: len(digits) - places]}.{digits[len(digits) - places :]}" if places else sign + digits
