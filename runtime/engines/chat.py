"""Between messages and tokens. Used by one thread only: a tokenizer is not safe to share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError

from pnyx.runtime.request import Message

__all__ = ["ChatTokenizer"]


class ChatTokenizer:
    """Wraps a tokenizer of transformers."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def prompt(self, messages: Sequence[Message], prefix: str = "") -> list[int]:
        """The tokens after which the reply starts, or goes on after `prefix`.

        Without a chat template of its own, a model gets the contents in order, each followed by an empty line. Where a
        template refuses a system message, its text goes before that of the message after it.
        """
        if self._tokenizer.chat_template is None:
            return self._ids("".join(f"{message.content}\n\n" for message in messages) + prefix, special=True)
        try:
            text = self._template(messages)
        except TemplateError:
            if len(messages) < 2 or messages[0].role != "system":
                raise
            system, following, *rest = messages
            merged = Message(following.role, f"{system.content}\n\n{following.content}")
            text = self._template((merged, *rest))
        return self._ids(text + prefix, special=False)

    def tokens(self, text: str) -> list[int]:
        """Of a text by itself."""
        return self._ids(text, special=False)

    def text(self, tokens: Sequence[int]) -> str:
        """Special tokens leave no text."""
        decoded: str = self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return decoded

    def before_stop(self, tokens: Sequence[int], stop: Sequence[str], least: int = 0) -> tuple[str, str] | None:
        """The text of `tokens` up to the first stop string in it, and that string; None where there is none. Strings
        that end within the first `least` tokens do not count.

        Meant to be asked after every token: only the tail, long enough for every stop string that ends in the last
        token, is decoded each time. A token holds at least one byte, but for special ones, which the margin is for.
        """
        tail = max(len(string.encode()) for string in stop) + 16
        if len(tokens) > tail and _first(self.text(tokens[-tail:]), stop) is None:
            return None
        text = self.text(tokens)
        found = _first(text, stop, len(self.text(tokens[:least])) if least else 0)
        return None if found is None else (text[: found[0]], found[1])

    def first_token(self, choice: str) -> int:
        """Raises ValueError for a string without a token."""
        ids = self._ids(choice, special=False)
        if not ids:
            raise ValueError(f"the choice {choice!r} has no token")
        return ids[0]

    def _template(self, messages: Sequence[Message]) -> str:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        text: str = self._tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        return text

    def _ids(self, text: str, *, special: bool) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"]
        return ids


def _first(text: str, strings: Sequence[str], early: int = 0) -> tuple[int, str] | None:
    """Where the first of `strings` that ends behind `early` begins, and which it is; of several that begin there, the
    shortest ends first."""
    starts = [(max(0, early - len(string) + 1), string) for string in strings if string]
    found = [(at, len(string), string) for start, string in starts if (at := text.find(string, start)) >= 0]
    at, _, string = min(found, default=(-1, 0, ""))
    return (at, string) if at >= 0 else None
