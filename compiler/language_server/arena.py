"""One address space for all the declarations of a document, whatever version of it they were read in.

A declaration that an edit does not touch moves, and every span in its tree would have to move with it. Instead, the
text of a declaration is written once to the end of a source that only grows, and its tree points there. Where that
stands in the document now is known for each piece of text, so only what is shown is translated.

Invariants: what was written keeps its offset; a declaration starts at the same column in the arena as in the document.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pnyx.compiler.diagnostics import Diagnostic, Edit, Fix, Label
from pnyx.compiler.source import Source, Span

__all__ = ["Arena", "Placement"]


class Arena(Source):
    """A source that only grows. Two arenas are never equal."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "")

    def append(self, text: str) -> int:
        """Writes at the end, on a line of its own; where it begins."""
        base = len(self.text) + 1
        starts = [base, *(base + i + 1 for i, char in enumerate(text) if char == "\n")]
        object.__setattr__(self, "text", f"{self.text}\n{text}")
        object.__setattr__(self, "_starts", (*self._starts, *starts))
        return base

    def take_back(self, base: int) -> None:
        """Undoes the last `append`, to which nothing points yet."""
        object.__setattr__(self, "text", self.text[: base - 1])
        object.__setattr__(self, "_starts", self._starts[: bisect_right(self._starts, base - 1)])

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the pieces of an arena stand in one version of the document. `pieces`, in the order of the arena: where
    each begins there, where in the document, and its length."""

    arena: Arena
    source: Source
    pieces: tuple[tuple[int, int, int], ...]

    @classmethod
    def of(cls, arena: Arena, source: Source, pieces: Iterable[tuple[int, int, int]]) -> Placement:
        return cls(arena, source, tuple(sorted(pieces)))

    def holds(self, span: Span) -> bool:
        """Whether the place is still there."""
        return span.source is not self.arena or self._piece(span) is not None

    def span(self, span: Span) -> Span:
        """The span in the document; one of another source stays as it is."""
        if span.source is not self.arena:
            return span
        piece = self._piece(span)
        assert piece is not None, f"no declaration of the document holds {span.start}..{span.end}"
        shift = piece[1] - piece[0]
        return Span(self.source, span.start + shift, span.end + shift)

    def _piece(self, span: Span) -> tuple[int, int, int] | None:
        index = bisect_right(self.pieces, span.start, key=lambda piece: piece[0]) - 1
        if index < 0:
            return None
        base, _, length = self.pieces[index]
        return self.pieces[index] if span.end <= base + length else None

    def diagnostic(self, diagnostic: Diagnostic) -> Diagnostic:
        """The diagnostic with every place in the document."""
        primary = diagnostic.primary
        return replace(
            diagnostic,
            primary=None if primary is None else self._label(primary),
            secondary=tuple(self._label(label) for label in diagnostic.secondary),
            fixes=tuple(self._fix(fix) for fix in diagnostic.fixes),
        )

    def _label(self, label: Label) -> Label:
        return Label(self.span(label.span), label.text)

    def _fix(self, fix: Fix) -> Fix:
        return replace(fix, edits=tuple(Edit(self.span(edit.span), edit.text) for edit in fix.edits))
