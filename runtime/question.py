"""The question of one example, the chats that models are asked in, and what makes a question unfit to be asked.

Invariant: a `Question` made by `checked` has text that is not blank and is valid Unicode.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from pnyx.runtime.errors import EmptyQuestion, ExampleFailure
from pnyx.runtime.request import Message, Subject

__all__ = ["Chat", "Question", "RowId", "UnfitText", "checked"]

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
        return _asked(self.messages)


@dataclass(frozen=True, slots=True)
class Chat:
    """A question as a value of the graph: what a model is asked in. `text` is its last message of the user; where there
    is none, a transcript of all messages."""

    messages: tuple[Message, ...]
    text: str = field(init=False, compare=False)
    subject: Subject = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", _asked(self.messages))
        object.__setattr__(self, "subject", Subject(self.text))

    def asking(self, text: str) -> Chat:
        """`text` in the place of the last message of the user; what was said before it stays."""
        last = next((i for i in reversed(range(len(self.messages))) if self.messages[i].role == "user"), None)
        return Chat((*self.messages[:last], Message("user", text)))

    def under(self, system: Message | None) -> tuple[Message, ...]:
        """The messages, with this system message instead of their own where there is one."""
        return self.messages if system is None else (system, *(m for m in self.messages if m.role != "system"))


def _asked(messages: Sequence[Message]) -> str:
    for message in reversed(messages):
        if message.role == "user":
            return message.content
    return "\n\n".join(f"{m.role}: {m.content}" for m in messages if m.content.strip())


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
