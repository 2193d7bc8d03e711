"""Right answers, as each score can use them.

Invariant: what is wrong with a target is found before anything is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pnyx.compiler.declarations import ChoiceScore, CodeScore, Numeric, Score
from pnyx.runtime.benchmarks.choices import letter_of_target
from pnyx.runtime.benchmarks.failures import FaultyTarget, NoTarget
from pnyx.runtime.benchmarks.numbers import number_in

__all__ = ["targets_of"]


def targets_of(
    score: Score, values: Sequence[object], choices: Sequence[str], row: Mapping[str, Any]
) -> tuple[str, ...]:
    """`values` are those of the target's fields, none where the benchmark names none: texts, numbers, or lists of them.
    Letters for `choice`, tests for `code`, else texts. Raises NoTarget (R831) and FaultyTarget (R832)."""
    if not values:
        return ()
    given = [item for value in values for item in _items(value)]
    if not given:
        raise NoTarget("the row has no target", help="write the right answer, or leave the row out")
    match score:
        case ChoiceScore():
            targets = [letter_of_target(item, choices) for item in given]
        case CodeScore():
            targets = [_test(item, row) for item in given]
        case Numeric():
            targets = [_number(item) for item in given]
        case _:
            targets = [str(item) for item in given]
    return tuple(dict.fromkeys(targets))


def _items(value: object) -> list[object]:
    items = value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]
    present = [item for item in items if item is not None and (not isinstance(item, str) or item.strip())]
    for item in present:
        if not isinstance(item, str | int | float):
            kind = "an object" if isinstance(item, Mapping) else f"a value of type `{type(item).__name__}`"
            raise FaultyTarget(f"the target is {kind}", help="a target is a text, a number, or a list of these")
    return present


def _number(item: object) -> str:
    text = str(item)
    if number_in(text) is None:
        shown = text if len(text) <= 40 else text[:39] + "…"
        raise FaultyTarget(f"the target `{shown}` has no number", help="`numeric` needs one; use another score")
    return text


def _test(item: object, row: Mapping[str, Any]) -> str:
    """A test as of HumanEval defines `check`; it is called with the function that the row names."""
    test = str(item).replace("\r\n", "\n")
    name = row.get("entry_point")
    if isinstance(name, str) and name.isidentifier() and "def check(" in test and f"check({name})" not in test:
        return f"{test}\n\ncheck({name})\n"
    return test
