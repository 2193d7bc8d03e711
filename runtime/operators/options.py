"""`ShuffleOptions` and its inverse, `RestoreOption` (Nori et al., 2023, Medprompt: choice shuffling).

Invariants: what stands around the options stays as it is, letters, brackets and white space too; only their contents
change places. `order[i]` is the letter that the option at place i had, so the letter of place i means `order[i]`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import factorial
from types import MappingProxyType

from pnyx.compiler.operators import RestoreOption, ShuffleOptions
from pnyx.runtime.candidates import Candidate, FieldValue, Pool
from pnyx.runtime.operators.chance import Chance, chance_of
from pnyx.runtime.operators.step import Begin, Scope, Step
from pnyx.runtime.question import Chat

__all__ = ["prepare_restore_option", "prepare_shuffle_options"]

_LETTERS = "ABCDEFGHIJ"
"""Those that `extract(choice)` knows."""

_OPTION = re.compile(
    r"^[ \t]*(?:\((?P<round>[A-Ka-k])\)|\[(?P<square>[A-Ka-k])\]|(?P<bare>[A-Ka-k])[).:])[ \t]+(?=\S)", re.MULTILINE
)
_BLANK_LINE = re.compile(r"\n[ \t]*\n")


@dataclass(frozen=True, slots=True)
class _Options:
    """A text cut into `fixed` pieces and the `contents` between them, one fewer."""

    fixed: tuple[str, ...]
    contents: tuple[str, ...]

    def in_order(self, order: tuple[int, ...]) -> str:
        parts = [self.fixed[0]]
        for place, after in zip(order, self.fixed[1:], strict=True):
            parts += (self.contents[place], after)
        return "".join(parts)


def prepare_shuffle_options(step: Step[ShuffleOptions]) -> Begin:
    n = step.operator.n

    def begin(scope: Scope, values: tuple[Chat]) -> Pool:
        text, stream = values[0].text, scope.stream(step)
        options = _options_of(text)
        made: list[dict[str, FieldValue]]
        if options is None:
            made = [{"text": text}] * n
        else:
            orders = _orders(len(options.contents), n, chance_of(scope, step))
            made = [{"text": options.in_order(o), "order": "".join(_LETTERS[place] for place in o)} for o in orders]
        return tuple(Candidate(f"{stream}:{i}", MappingProxyType(fields)) for i, fields in enumerate(made))

    return begin


def prepare_restore_option(step: Step[RestoreOption]) -> Begin:
    by = step.operator.by

    def begin(_: Scope, values: tuple[Pool, FieldValue | None]) -> Pool:
        pool, order = values
        if order is None:
            return pool
        letters = order if isinstance(order, str) else ""
        return tuple(_restored(candidate, by, letters) for candidate in pool)

    return begin


def _restored(candidate: Candidate, by: str, order: str) -> Candidate:
    letter = candidate.fields.get(by)
    place = _LETTERS.find(letter) if isinstance(letter, str) and len(letter) == 1 else -1
    return candidate.having(by, order[place]) if 0 <= place < len(order) else candidate.without(by)


def _options_of(text: str) -> _Options | None:
    """The last run of two or more options in the order of the alphabet; None without one, or where there are more
    than ten."""
    runs: list[list[re.Match[str]]] = []
    for found in _OPTION.finditer(text):
        if _letter(found) == "A":
            runs.append([found])
        elif runs and _follows(runs[-1], found):
            runs[-1].append(found)
    run = next((run for run in reversed(runs) if len(run) > 1), None)
    if run is None or len(run) > len(_LETTERS):
        return None
    fixed, contents, at = [], [], 0
    for number, marker in enumerate(run):
        end = run[number + 1].start() if number + 1 < len(run) else _end(text, marker.end())
        content = text[marker.end() : end].rstrip()
        fixed.append(text[at : marker.end()])
        contents.append(content)
        at = marker.end() + len(content)
    return _Options((*fixed, text[at:]), tuple(contents))


def _letter(option: re.Match[str]) -> str:
    return str(option[option.lastgroup or 0]).upper()


def _follows(run: list[re.Match[str]], found: re.Match[str]) -> bool:
    """Whether it is the next letter, written like the one before."""
    last = run[-1]
    alike = last.lastgroup == found.lastgroup and last[0].isupper() == found[0].isupper()
    return alike and ord(_letter(found)) == ord(_letter(last)) + 1


def _end(text: str, start: int) -> int:
    """Where the last option ends: at a blank line, or with the text."""
    blank = _BLANK_LINE.search(text, start)
    return blank.start() if blank else len(text)


def _orders(size: int, n: int, chance: Chance) -> Iterator[tuple[int, ...]]:
    """n orders of so many options, the first the plain one; none twice before all have come.

    The numbers of the orders are shuffled as far as they are needed (Fisher & Yates), so the first n do not depend
    on n.
    """
    total = factorial(size)
    moved: dict[int, int] = {}
    for i in range(n):
        turn = i % total
        if turn == 0:
            moved = {}
        place = turn + int(chance(i) * (total - turn)) if i else 0
        yield _order(moved.get(place, place), size)
        moved[place] = moved.get(turn, turn)


def _order(number: int, size: int) -> tuple[int, ...]:
    """The order of that number; 0 is the plain one."""
    left, order = list(range(size)), []
    for rest in range(size - 1, -1, -1):
        place, number = divmod(number, factorial(rest))
        order.append(left.pop(place))
    return tuple(order)
