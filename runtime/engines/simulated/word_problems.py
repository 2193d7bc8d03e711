"""Small word problems: one table gives their wording and how they are solved.

Invariant: every problem that can be told can be read back, and its solution is a whole number that is not negative.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

__all__ = ["solve_problem", "tell_problem"]

_NAMES = ("Ada", "Ben", "Chloe", "Dan", "Elif", "Farid", "Grace", "Hugo")
_THINGS = ("apples", "books", "coins", "marbles", "pencils", "shells", "stamps", "tickets")
_LOW, _HIGH = 2, 40
_QUESTION = "How many "  # in every wording; looked for first because it is cheap


@dataclass(frozen=True, slots=True)
class _Kind:
    """`wording` with `{name}`, `{thing}` and the numbers `{a}`, `{b}`, `{c}`; `solution` of the numbers."""

    wording: str
    solution: Callable[[Mapping[str, int]], int]

    @property
    def pattern(self) -> re.Pattern[str]:
        seen: set[str] = set()
        parts = []
        for piece in re.split(r"(\{\w+\})", self.wording):
            hole = piece[1:-1] if piece.startswith("{") else None
            if hole is None:
                parts.append(re.escape(piece))
            elif hole in seen:
                parts.append(f"(?P={hole})")
            else:
                seen.add(hole)
                parts.append(rf"(?P<{hole}>\w{{1,12}})")
        return re.compile("".join(parts))


_KINDS = (
    _Kind(
        "{name} has {a} {thing} and buys {b} bags with {c} {thing} each. How many {thing} does {name} have now?",
        lambda n: n["a"] + n["b"] * n["c"],
    ),
    _Kind(
        "{name} packs {a} boxes with {b} {thing} each and keeps {c} {thing} aside. How many {thing} are there in all?",
        lambda n: n["a"] * n["b"] + n["c"],
    ),
    _Kind(
        "{name} finds {a} {thing} on each of {b} days. How many {thing} does {name} find?",
        lambda n: n["a"] * n["b"],
    ),
    _Kind(
        "{name} shares {thing} with {a} friends. Everyone, {name} too, gets {b} {thing}, and {c} {thing} are left. "
        "How many {thing} were there?",
        lambda n: (n["a"] + 1) * n["b"] + n["c"],
    ),
)
_PATTERNS = tuple(kind.pattern for kind in _KINDS)


def tell_problem(random: Random) -> str:
    kind = random.choice(_KINDS)
    numbers = {key: random.randint(_LOW, _HIGH) for key in "abc"}
    return kind.wording.format(name=random.choice(_NAMES), thing=random.choice(_THINGS), **numbers)


def solve_problem(text: str) -> int | None:
    """The solution of the problem told in the text (its words one space apart), None where it tells none of ours."""
    if _QUESTION not in text:
        return None
    for kind, pattern in zip(_KINDS, _PATTERNS, strict=True):
        if found := pattern.search(text):
            numbers = {key: value for key, value in found.groupdict().items() if key in "abc"}
            if all(value.isdecimal() for value in numbers.values()):
                return kind.solution({key: int(value) for key, value in numbers.items()})
    return None
