"""Tokens: what the scanner hands to the layout and the layout to the grammar."""

from __future__ import annotations

from typing import NamedTuple

from pnyx.compiler.source import Source, Span

__all__ = ["Token", "span_of"]


class Token(NamedTuple):
    """A word, mark or literal. `value` is the text, or what a literal stands for. An invented token is empty.

    A string's value is its text with escapes resolved; a number's is a pair of number and unit.
    """

    type: str
    start: int
    end: int
    source: Source
    value: object

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    @property
    def span(self) -> Span:
        return Span(self.source, self.start, self.end)


def span_of(source: Source, start: int, end: int) -> Span:
    """The span of these offsets, kept inside the source."""
    return Span(source, min(start, len(source.text)), min(end, len(source.text)))
