"""The question of one example, and what makes a question unfit to be asked.

Invariant: a `Question` made by `checked` has text that is not blank and is valid Unicode.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pnyx.runtime.errors import EmptyQuestion, ExampleFailure
from pnyx.runtime.request import Message

__all__ = ["Question", "RowId", "UnfitText", "checked"]

RowId: TypeAlias = str | int | float | bool | None

_SURROGATE = re.compile("[\ud800-\udfff]")


class UnfitText(ExampleFailure):
    """Half of a surrogate pair: text that no encoding can carry."""

    code = "R808"


@dataclass(frozen=True, slots=True)
class Question:
    """`index` counts the examples of a run from 0; `id` is the caller's own name for it."""

    messages: tuple[Message, ...]
    index: int = 0
    id: RowId = None

    @property
    def text(self) -> str:
        """The last message of the user; where there is none, a transcript of all messages."""
        for message in reversed(self.messages):
            if message.role == "user":
                return message.content
        return "\n\n".join(f"{m.role}: {m.content}" for m in self.messages if m.content.strip())


def checked(question: str | Sequence[Message], *, index: int = 0, id: RowId = None) -> Question:
    """The question as messages. Raises EmptyQuestion (R803) and UnfitText (R808)."""
    messages = (Message("user", question),) if isinstance(question, str) else tuple(question)
    made = Question(messages, index, id)
    if not made.text.strip():
        raise EmptyQuestion("the question is empty", help="write the question, or leave the row out")
    if any(_SURROGATE.search(m.content) for m in messages):
        raise UnfitText(
            "the question holds half of a surrogate pair, which is not text", help="save the text as UTF-8 again"
        )
    return made
