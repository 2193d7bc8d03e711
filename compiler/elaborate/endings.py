"""Blocks that end without a value: what was probably meant."""

from __future__ import annotations

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Edit, Fix
from pnyx.compiler.source import Span

__all__ = ["no_value_help", "value_at_end"]


def no_value_help(block: syntax.Block) -> str:
    """For a block whose last statement is no expression."""
    last = block.statements[-1] if block.statements else None
    if isinstance(last, syntax.Assign):
        return f"end it with its result: a line that says `{last.name}`"
    return "end it with the expression that is its result"


def value_at_end(block: syntax.Block) -> tuple[Fix, ...]:
    """The name that was assigned last, on a line behind, where the assignment begins its line."""
    last = block.statements[-1] if block.statements else None
    if not isinstance(last, syntax.Assign):
        return ()
    source, start, end = last.span.source, last.span.start, last.span.end
    before = source.text[source.text.rfind("\n", 0, start) + 1 : start]
    if before.strip() or source.name.endswith((".yaml", ".yml")):
        return ()
    return (Fix(f"end with `{last.name}`", (Edit(Span(source, end, end), f"\n{before}{last.name}"),)),)
