"""The forms that replies are guided into, from what the caller will read.

A guide must not keep a model from thinking where the prompt asks it to: a reply with room for reasoning may have any
text before its form, but so little that the form still fits. Only a reply without that room is the form alone. What
cannot be said by a small expression (any number, a list) is not guided, nor what every reply is (text).
"""

from __future__ import annotations

import re
from itertools import permutations
from typing import Final, assert_never

from pnyx.compiler.operators import Reads
from pnyx.runtime.request import Guide, Regex, Request, Subject

__all__ = ["guide_of"]

_REASONING: Final = 128
"""Tokens beyond the form that a reply must have room for to hold any reasoning."""

_CHARACTERS: Final = 2
"""Characters a token that the text before the form may have: English has about 4, so the form fits with room to
spare."""

_MOST_LISTED: Final = 5
"""Candidates whose orders are all listed: 120 orders. Of more, the form is kept, not that each comes once."""


def guide_of(request: Request) -> Guide | None:
    """The guide of a request's samples; None where there is none."""
    if request.guide is not None:
        return request.guide
    form, longest = _form(request.reads, request.subject or Subject(""))
    if not form:
        return None
    room = request.sampling.max_tokens - longest
    if room < _REASONING:
        return Regex(form)
    return Regex(rf"([\s\S]{{0,{_CHARACTERS * room}}}\n)?{form}")


def _form(reads: Reads, subject: Subject) -> tuple[str, int]:
    """An expression, empty for none, and the most tokens that a text of it has: no more than characters."""
    match reads:
        case Reads.VERDICT:
            return "Verdict: (correct|incorrect)", 20
        case Reads.GRADE:
            return "Grade: (10|[1-9])", 9
        case Reads.WINNER:
            return "Better: (A|B)", 9
        case Reads.PASSES:
            count = len(subject.tests)
            return r"\n".join(f"{number}: (pass|fail)" for number in range(1, count + 1)), 10 * count
        case Reads.ORDER:
            return _order(len(subject.candidates))
        case Reads.CHOICE:
            longest = max((len(option) for option in subject.options), default=0)
            return ("(" + "|".join(map(re.escape, subject.options)) + ")" if longest else ""), longest
        case Reads.TEXT | Reads.NUMBER | Reads.YES | Reads.LIST:
            return "", 0
        case other:
            assert_never(other)


def _order(size: int) -> tuple[str, int]:
    if size < 2:
        return "", 0
    longest = size * (len(str(size)) + 5)
    if size <= _MOST_LISTED:
        orders = [" > ".join(f"[{number}]" for number in order) for order in permutations(range(1, size + 1))]
        return "(" + "|".join(map(re.escape, orders)) + ")", longest
    numbers = "|".join(str(number) for number in range(size, 0, -1))
    return rf"\[({numbers})\]( > \[({numbers})\]){{{size - 1}}}", longest
