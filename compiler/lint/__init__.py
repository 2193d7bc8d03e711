"""Lints: a sound program means what it says, and perhaps not what was meant.

A lint looks at a `Subject` and yields findings. Invariants: no lint changes anything; a finding about a place in the
source holds for everything made from that place, in every variant that was looked at; a fix is `safe` only where the
optimised plans stay the same but for the names of streams.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeAlias

from pnyx.compiler.diagnostics import Diagnostic, Label
from pnyx.compiler.lint.arms import equal_arms
from pnyx.compiler.lint.bindings import lost_values, removable
from pnyx.compiler.lint.braces import single_braces
from pnyx.compiler.lint.budgets import exceeded_limits
from pnyx.compiler.lint.choices import idle_choices
from pnyx.compiler.lint.effects import idle_work, unread_fields
from pnyx.compiler.lint.everywhere import GraphLint, everywhere
from pnyx.compiler.lint.judges import own_samples
from pnyx.compiler.lint.readings import ordered_texts, useless_retries, voting_texts
from pnyx.compiler.lint.repeats import overwritten_fields, repeated_work
from pnyx.compiler.lint.room import no_room
from pnyx.compiler.lint.samples import equal_samples, same_samples
from pnyx.compiler.lint.subject import Finding, Subject, Variant

__all__ = ["GRAPH_LINTS", "LINTS", "Lint", "Subject", "Variant", "lint"]

Lint: TypeAlias = Callable[[Subject], Iterator[Finding]]

GRAPH_LINTS: tuple[GraphLint, ...] = (
    idle_work,
    unread_fields,
    same_samples,
    equal_samples,
    repeated_work,
    overwritten_fields,
    ordered_texts,
    voting_texts,
    useless_retries,
    own_samples,
    no_room,
)

LINTS: tuple[Lint, ...] = (
    lost_values,
    single_braces,
    equal_arms,
    idle_choices,
    exceeded_limits,
    *(partial(everywhere, check) for check in GRAPH_LINTS),
)


def lint(subject: Subject, unused: Iterable[Diagnostic] = ()) -> Iterator[Diagnostic]:
    """The warnings of all lints, in their order, with what the work costs that they speak of; and those of names that
    nothing uses, with their fixes."""
    yield from removable(subject, unused)
    for check in LINTS:
        for finding in check(subject):
            yield Diagnostic(
                finding.code,
                finding.message,
                Label(finding.span),
                finding.secondary,
                finding.help,
                finding.fixes(),
            )
