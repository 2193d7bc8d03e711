"""Values that get lost: overwritten before they are read, or written for nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Diagnostic, Edit, Fix, Label
from pnyx.compiler.lint.subject import Finding, Subject, walk
from pnyx.compiler.source import Span

__all__ = ["lost_values", "removable"]


def lost_values(subject: Subject) -> Iterator[Finding]:
    """W711: a name that gets another value before its first is read, a value that stands for itself in mid-block."""
    for item in walk(subject.declarations):
        if isinstance(item, syntax.Block):
            yield from _overwritten(item)
            yield from _dropped(item.statements[:-1])
        elif isinstance(item, syntax.Repeat | syntax.For | syntax.Loop):
            yield from _dropped(item.body.statements[-1:])


def _overwritten(block: syntax.Block) -> Iterator[Finding]:
    waiting: dict[str, syntax.Assign] = {}
    for statement in block.statements:
        for name in {item.name for item in walk(statement) if isinstance(item, syntax.Name)}:
            waiting.pop(name, None)
        if not isinstance(statement, syntax.Assign):
            # What a block inside assigns may or may not happen.
            for inner in {item.name for item in walk(statement) if isinstance(item, syntax.Assign)}:
                waiting.pop(inner, None)
            continue
        earlier = waiting.get(statement.name)
        waiting[statement.name] = statement
        if earlier is not None and not statement.name.startswith("_"):
            yield Finding(
                "W711",
                f"`{earlier.name}` gets another value before anything reads this one",
                earlier.name_span,
                "remove the first, or give one of the two another name",
                secondary=(Label(statement.name_span, "overwritten here"),),
                fixes=partial(_without, earlier),
            )


def _dropped(statements: Iterable[syntax.Statement]) -> Iterator[Finding]:
    for statement in statements:
        if isinstance(statement, syntax.Discard) and not _assigns(statement.value):
            yield Finding(
                "W711",
                "nothing gets the value of this statement",
                statement.span,
                "give it a name, `NAME = …`, or remove it",
                fixes=partial(_without, statement),
            )


def _assigns(value: syntax.Expr) -> bool:
    """Whether a value is not all that there is to it: the blocks of an `if` may assign names from outside."""
    return any(isinstance(item, syntax.Assign) for item in walk(value))


def removable(subject: Subject, warnings: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """The warnings of local names that nothing uses, with the fix that removes their statement."""
    assigns = {item.name_span: item for item in walk(subject.declarations) if isinstance(item, syntax.Assign)}
    for warning in warnings:
        statement = assigns.get(warning.span) if warning.span is not None else None
        yield warning if statement is None else replace(warning, fixes=_without(statement))


def _without(statement: syntax.Assign | syntax.Discard) -> tuple[Fix, ...]:
    """Removing a statement that stands on lines of its own; not where it holds a choice, whose number others follow."""
    source, span = statement.span.source, statement.span
    if source.name.endswith((".yaml", ".yml")) or _assigns(statement.value):
        return ()
    if any(isinstance(item, syntax.Tune) for item in walk(statement)):
        return ()
    start, end = source.text.rfind("\n", 0, span.start) + 1, source.text.find("\n", span.end) + 1
    whole = Span(source, start, end)
    alone = not source.text[start : span.start].strip() and end and not source.text[span.end : end].strip()
    if not alone or "#" in whole.text:
        return ()
    return (Fix("remove the statement", (Edit(whole, ""),), safe=True),)
