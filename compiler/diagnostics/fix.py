"""Changes of the source that answer a diagnostic, as data that an editor or `pnyx check --fix` applies.

Invariant: the edits of one fix do not overlap and lie in one source. A fix is `safe` where the program it leaves asks
its models the same, but for questions that had no effect.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pnyx.compiler.source import Span

__all__ = ["Edit", "Fix", "apply_fixes", "rename"]


@dataclass(frozen=True, slots=True)
class Edit:
    """`text` takes the place of the characters of `span`."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Fix:
    """What to do, in words, and the edits that do it."""

    title: str
    edits: tuple[Edit, ...]
    safe: bool = False


def rename(span: Span, written: str | None, meant: str | None) -> tuple[Fix, ...]:
    """The fix that puts the name that was probably meant in the place of the written one; none where there is no likely
    name, or where the span does not show the written one exactly once."""
    if meant is None or not written:
        return ()
    found = [*re.finditer(rf"(?<!\w){re.escape(written)}(?!\w)", span.text)]
    if len(found) != 1:
        return ()
    place = Span(span.source, span.start + found[0].start(), span.start + found[0].end())
    return (Fix(f"write `{meant}`", (Edit(place, str(meant)),)),)


def apply_fixes(text: str, fixes: Iterable[Fix]) -> tuple[str, tuple[Fix, ...]]:
    """The text after as many of the fixes as do not overlap, in their order, and those that were applied.

    >>> from pnyx.compiler.source import Source
    >>> source = Source("<text>", "rnk(x)")
    >>> apply_fixes(source.text, rename(Span(source, 0, 3), "rnk", "rank"))[0]
    'rank(x)'
    """
    taken: list[Edit] = []
    applied: list[Fix] = []
    for fix in fixes:
        if all(_apart(edit, other) for edit in fix.edits for other in taken):
            taken += fix.edits
            applied.append(fix)
    for edit in sorted(taken, key=lambda e: e.span.start, reverse=True):
        text = text[: edit.span.start] + edit.text + text[edit.span.end :]
    return text, tuple(applied)


def _apart(one: Edit, other: Edit) -> bool:
    return one.span.end <= other.span.start or other.span.end <= one.span.start
