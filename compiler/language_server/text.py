"""Texts as the protocol sees them: lines and units of an encoding instead of character offsets.

Invariant: `offset` never fails; a place outside of the text is the nearest one inside.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import cached_property

from lsprotocol import types as lsp

__all__ = ["Text"]

_LINE_END = re.compile(r"\r\n|\n|\r")
_UNITS: dict[str, Callable[[str], int]] = {
    "utf-8": lambda char: len(char.encode("utf-8", "surrogatepass")),
    "utf-16": lambda char: 2 if char > "\uffff" else 1,
    "utf-32": len,
}


class Text:
    """One version of a document. `encoding` is the one that client and server agreed on."""

    def __init__(self, text: str, encoding: str = "utf-16") -> None:
        self.text = text
        self.encoding = encoding
        self._units = _UNITS[encoding]

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(found.end() for found in _LINE_END.finditer(self.text))]

    @cached_property
    def _plain(self) -> bool:
        """Whether every character is one unit."""
        return self.encoding == "utf-32" or self.text.isascii()

    def position(self, offset: int) -> lsp.Position:
        offset = max(0, min(offset, len(self.text)))
        line = bisect_right(self._starts, offset) - 1
        before = self.text[self._starts[line] : offset]
        return lsp.Position(line, len(before) if self._plain else sum(map(self._units, before)))

    def range(self, start: int, end: int) -> lsp.Range:
        return lsp.Range(self.position(start), self.position(end))

    def offset(self, position: lsp.Position) -> int:
        if position.line >= len(self._starts):
            return len(self.text)
        start, end = self._bounds(position.line)
        if self._plain:
            return min(start + position.character, end)
        units = 0
        for offset in range(start, end):
            units += self._units(self.text[offset])
            if units > position.character:
                return offset
        return end

    def _bounds(self, line: int) -> tuple[int, int]:
        """Where a line starts, and where it ends before its line break."""
        start = self._starts[line]
        end = self._starts[line + 1] if line + 1 < len(self._starts) else len(self.text)
        return start, start + len(self.text[start:end].rstrip("\r\n"))

    def line_before(self, offset: int) -> str:
        """What stands on the line before an offset."""
        return self.text[self._starts[bisect_right(self._starts, offset) - 1] : offset]

    def line_end(self, offset: int) -> int:
        """Where the line of an offset ends, before its line break and blanks."""
        line = bisect_right(self._starts, offset) - 1
        start, end = self._bounds(line)
        return start + len(self.text[start:end].rstrip())

    def edited(self, changes: Sequence[lsp.TextDocumentContentChangeEvent]) -> Text:
        """The text after changes, each of which is about what the one before it left."""
        current = self
        for change in changes:
            if isinstance(change, lsp.TextDocumentContentChangePartial):
                start = current.offset(change.range.start)
                end = max(start, current.offset(change.range.end))
                current = Text(current.text[:start] + change.text + current.text[end:], self.encoding)
            else:
                current = Text(change.text, self.encoding)
        return current
