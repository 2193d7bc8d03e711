"""Comments: which are still to be written, and what belongs to which line.

Invariants: every comment is handed out exactly once, in order; positions of nodes that come from another source (a
tree made by hand, or from YAML) count as unknown, and then nothing is handed out.
"""

from __future__ import annotations

import re
from bisect import bisect_left

from pnyx.compiler.source import Span
from pnyx.compiler.syntax import Module

__all__ = ["Comments"]

_BESIDE = re.compile(r"[ \t,]*")
_BEHIND_OPENING = re.compile(r"[ \t]*=?[ \t]*\{[ \t]*")


class Comments:
    def __init__(self, module: Module) -> None:
        self.source = module.span.source
        self._comments = module.comments
        self._starts = [comment.start for comment in module.comments]
        self._next = 0

    def before(self, offset: int, span: Span | None = None) -> list[Span]:
        """The comments up to an offset that have not been written; none where `span` is of another source."""
        if span is not None and span.source is not self.source:
            return []
        end = max(self._next, bisect_left(self._starts, offset))
        taken = self._comments[self._next : end]
        self._next = end
        return list(taken)

    def rest(self) -> list[Span]:
        return self.before(len(self.source.text) + 1)

    def beside(self, offset: int, span: Span, *, opening: bool = False) -> str:
        """The comment on the same line behind an offset (and a `{`), with the space before it, or nothing."""
        if span.source is not self.source or self._next >= len(self._comments):
            return ""
        comment = self._comments[self._next]
        pattern = _BEHIND_OPENING if opening else _BESIDE
        if comment.start < offset or not pattern.fullmatch(self.source.text, offset, comment.start):
            return ""
        self._next += 1
        return f"  {comment.text.rstrip()}"

    def inside(self, span: Span) -> bool:
        """Whether comments that have not been written stand in a span."""
        if span.source is not self.source:
            return False
        first = max(self._next, bisect_left(self._starts, span.start))
        return first < len(self._starts) and self._starts[first] < span.end

    def blank_between(self, before: Span | None, after: Span) -> bool:
        """Whether the author left an empty line between two things."""
        if before is None or before.source is not self.source or after.source is not self.source:
            return False
        return self.source.text.count("\n", before.end, after.start) > 1
