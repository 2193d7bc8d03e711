"""Prompts that show the name of a value in place of the value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Final

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Edit, Fix
from pnyx.compiler.elaborate.templates import templates_of, variables_in
from pnyx.compiler.lint.subject import Finding, Subject
from pnyx.compiler.source import Span

__all__ = ["single_braces"]

_SINGLE: Final = re.compile(r"(?<![{\\])\{ *(?P<path>(?P<name>[A-Za-z_]\w*)(?:\.\w+)?) *\}(?!\})")


def single_braces(subject: Subject) -> Iterator[Finding]:
    """W717: `{query}` in a template that reads no `query`, as Python's texts would have it."""
    for declaration in subject.declarations:
        if not isinstance(declaration, syntax.PromptDecl):
            continue
        unread = {p.name for p in declaration.params} - variables_in(declaration)
        for template in templates_of(declaration) if unread else ():
            for found in _SINGLE.finditer(template.span.text):
                if found["name"] in unread:
                    start = template.span.start
                    span = Span(template.span.source, start + found.start(), start + found.end())
                    yield _finding(declaration, found["name"], f"{{{{ {found['path']} }}}}", span)


def _finding(declaration: syntax.PromptDecl, name: str, meant: str, span: Span) -> Finding:
    return Finding(
        "W717",
        f"the prompt `{declaration.name}` shows `{span.text}` as it stands, and its `{name}` nowhere",
        span,
        f"write `{meant}`",
        fixes=partial(_written, meant, span),
    )


def _written(meant: str, span: Span) -> tuple[Fix, ...]:
    return (Fix(f"write `{meant}`", (Edit(span, meant),)),)
