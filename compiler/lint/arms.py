"""Alternatives that are the same."""

from __future__ import annotations

from collections.abc import Iterator

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Label
from pnyx.compiler.lint.subject import Finding, Subject, walk

__all__ = ["equal_arms"]


def equal_arms(subject: Subject) -> Iterator[Finding]:
    """W712: arms of an `if` or a `match`, or options of a `tune`, that say the same."""
    for item in walk(subject.declarations):
        match item:
            case syntax.If(then=then, orelse=syntax.Block() as orelse) if then == orelse:
                yield _finding("both arms of this `if` are the same", then, orelse, "write it once, without the `if`")
            case syntax.Match(arms=arms) if len(arms) > 1 and all(arm.value == arms[0].value for arm in arms):
                message = "all arms of this `match` are the same"
                yield _finding(message, arms[0].value, arms[1].value, "write it once, without the `match`")
            case syntax.Tune(options=options):
                yield from _twice(options)
            case _:
                pass


def _twice(options: tuple[syntax.Expr, ...]) -> Iterator[Finding]:
    for index, option in enumerate(options):
        first = options.index(option)
        if first < index:
            message = f"the option `{' '.join(option.span.text.split())}` is there twice"
            yield _finding(message, options[first], option, "leave one out")


def _finding(message: str, first: syntax.Expr | syntax.Block, other: syntax.Expr | syntax.Block, help: str) -> Finding:
    return Finding("W712", message, other.span, help, secondary=(Label(first.span, "the same as this"),))
