"""The world: every text, read as a question, has one true answer, a difficulty, and mistakes that tempt everybody.

Arithmetic and the world's own word problems are computed; a question that lists options has one of their letters, every
other question a whole number from 0 to 99, both by a hash of its text.

Invariant: a truth depends on the world's seed and the question's words alone, so all models share their misconceptions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TypeVar

from pnyx.runtime.engines.simulated.arithmetic import number_text, value_in
from pnyx.runtime.engines.simulated.chance import digest, unit
from pnyx.runtime.engines.simulated.word_problems import solve_problem

__all__ = ["MISTAKE_WEIGHTS", "Truth", "World"]

MISTAKE_WEIGHTS = (0.5, 0.3, 0.2)
_OPTION = re.compile(r"(?:^|(?<=[\s(]))([A-J])[).:]\s*([^\n]*?)(?=\s\(?[B-J][).:]|\n|$)")
_LETTERS = "ABCDEFGHIJ"
_OFFSETS = (1, -1, 10, -10, 2, -2, 9, 100)
_REMEMBERED = 4096
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Truth:
    """`difficulty` strictly between 0 and 1; one to three `mistakes`, the most tempting first."""

    answer: str
    difficulty: float
    mistakes: tuple[str, ...]


class World:
    """Worlds with one seed are equal; another seed gives hashed questions other answers and all other difficulties."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._remembered = lru_cache(_REMEMBERED)(self._truth)

    def truth(self, question: str) -> Truth:
        return self._remembered(question)

    def _truth(self, question: str) -> Truth:
        words = " ".join(question.split())
        source = digest("question", self.seed, words)
        value = _computed(words)
        options = _options(question)
        if options:
            answer = _option_of(value, options) or list(options)[int(unit(source, 1) * len(options))]
            return Truth(answer, unit(source), _rotated([letter for letter in options if letter != answer], source))
        number = int(unit(source, 1) * 100) if value is None else value.numerator if value.denominator == 1 else value
        offsets = _rotated([offset for offset in _OFFSETS if number < 0 or number + offset >= 0], source)
        return Truth(number_text(number), unit(source), tuple([number_text(number + offset) for offset in offsets]))


def _rotated(items: list[_T], source: bytes) -> tuple[_T, ...]:
    start = int(unit(source, 2) * len(items))
    return tuple((items[start:] + items[:start])[: len(MISTAKE_WEIGHTS)])


def _computed(words: str) -> Fraction | None:
    told = solve_problem(words)
    return Fraction(told) if told is not None else value_in(words)


def _options(question: str) -> dict[str, str]:
    """Letter to text of the options A, B, … that the question lists in order; empty where there are fewer than two."""
    options: dict[str, str] = {}
    for letter, text in _OPTION.findall(question):
        if len(options) < len(_LETTERS) and letter == _LETTERS[len(options)]:
            options[letter] = text.strip(" ,;.")
    return options if len(options) > 1 else {}


def _option_of(value: Fraction | None, options: dict[str, str]) -> str | None:
    wanted = None if value is None else number_text(value)
    return next((letter for letter, text in options.items() if text == wanted), None)
