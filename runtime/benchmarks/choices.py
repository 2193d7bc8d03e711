"""Multiple choice: how choices are shown behind a question, and which of them an answer or a target means.

Choices are shown as lines `A) …`, which `extract(choice)` and `shuffle_options` read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pnyx.compiler.operators import AnswerKind
from pnyx.runtime.answers import extract
from pnyx.runtime.benchmarks.failures import FaultyChoices, FaultyTarget
from pnyx.runtime.benchmarks.words import normalized

__all__ = ["LETTERS", "choices_of", "letter_of_answer", "letter_of_target", "with_choices"]

LETTERS = "ABCDEFGHIJ"


def choices_of(values: Sequence[object]) -> tuple[str, ...]:
    """Of the fields that hold them: a list of texts or numbers, an object of them, or a field for each. Raises
    FaultyChoices."""
    given: object = values[0] if len(values) == 1 else list(values)
    if isinstance(given, Mapping):
        given = list(given.values())
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        raise FaultyChoices("the choices are no list", help='write them as `["…", "…"]`')
    if not all(isinstance(choice, str | int | float) for choice in given):
        raise FaultyChoices("a choice is neither a text nor a number", help='write them as `["…", "…"]`')
    choices = tuple(" ".join(str(choice).split()) for choice in given)
    if not 2 <= len(choices) <= len(LETTERS):
        count = f"{len(choices)} choice{'' if len(choices) == 1 else 's'}"
        raise FaultyChoices(f"the row has {count}", help=f"a question has 2 to {len(LETTERS)} choices")
    if not all(choices):
        raise FaultyChoices("a choice is empty", help="write it, or leave the row out")
    return choices


def with_choices(question: str, choices: Sequence[str]) -> str:
    lines = (f"{letter}) {choice}" for letter, choice in zip(LETTERS, choices, strict=False))
    return "\n".join((question.rstrip() + "\n", *lines))


def letter_of_target(target: object, choices: Sequence[str]) -> str:
    """A number is an index from 0; a text is a choice, else a letter, else such an index. Raises FaultyTarget."""
    text = " ".join(str(target).split())
    index: int | None = None
    if isinstance(target, int) and not isinstance(target, bool):
        index = target
    elif text in choices:
        index = choices.index(text)
    elif len(text.strip("().")) == 1 and text.strip("().").upper() in LETTERS:
        index = LETTERS.index(text.strip("().").upper())
    elif text.isdecimal() and text.isascii():
        index = int(text[:9])
    if index is None or not 0 <= index < len(choices):
        shown = text if len(text) <= 40 else text[:39] + "…"
        raise FaultyTarget(
            f"the target `{shown}` is none of the {len(choices)} choices",
            help="a target is the text of a choice, its letter, or its index from 0",
        )
    return LETTERS[index]


def letter_of_answer(answer: str, choices: Sequence[str]) -> str | None:
    """The letter that the answer gives; else that of the one choice whose words stand in it. None: neither is clear."""
    letter = extract(AnswerKind.CHOICE, answer)
    if letter is not None:
        return letter if letter in LETTERS[: len(choices)] else None
    said = f" {normalized(answer)} "
    named = [i for i, choice in enumerate(choices) if (words := normalized(choice)) and f" {words} " in said]
    # "New York City" names "New York" too: the longer one is meant.
    longest = [i for i in named if not any(_within(choices[i], choices[j]) for j in named if j != i)]
    return LETTERS[longest[0]] if len(longest) == 1 else None


def _within(short: str, long: str) -> bool:
    inner, outer = normalized(short), normalized(long)
    return inner != outer and f" {inner} " in f" {outer} "
