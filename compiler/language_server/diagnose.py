"""Diagnostics and their fixes as the protocol has them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from lsprotocol import types as lsp

from pnyx.compiler.diagnostics import Diagnostic, Fix
from pnyx.compiler.language_server.document import Checked
from pnyx.compiler.language_server.text import Text

__all__ = ["code_actions", "diagnostics", "local_documentation"]

_UNUSED = frozenset({"W702", "W705", "W711"})


def local_documentation() -> str | None:
    """The address of the folder of the diagnostics' pages, where the package runs from its repository."""
    folder = Path(__file__).resolve().parents[2] / "docs" / "diagnostics"
    return folder.as_uri() if folder.is_dir() else None


def diagnostics(view: Checked, pages: str | None) -> list[lsp.Diagnostic]:
    """`pages`: the address of the folder where each code has its page."""
    return [_shown(view, diagnostic, pages) for diagnostic in view.found]


def _shown(view: Checked, diagnostic: Diagnostic, pages: str | None = None) -> lsp.Diagnostic:
    """What has no place of its own stands at the start of the document."""
    span = diagnostic.span
    related = []
    if span is not None and span.source is not view.source:
        related.append((span, diagnostic.message))
        span = None
    related += [(label.span, label.text or "here") for label in diagnostic.secondary]
    places = [(view.location(place), text) for place, text in related]
    text = diagnostic.message
    if diagnostic.primary is not None and diagnostic.primary.text:
        text += f"\n{diagnostic.primary.text}"
    if diagnostic.help:
        text += f"\nhelp: {diagnostic.help}"
    return lsp.Diagnostic(
        range=view.range(span) if span is not None else view.text.range(0, 0),
        message=text,
        severity=lsp.DiagnosticSeverity.Error if diagnostic.is_error else lsp.DiagnosticSeverity.Warning,
        code=diagnostic.code,
        code_description=lsp.CodeDescription(f"{pages}/{diagnostic.code}.md") if pages else None,
        source="pnyx",
        tags=[lsp.DiagnosticTag.Unnecessary] if diagnostic.code in _UNUSED else None,
        related_information=[
            lsp.DiagnosticRelatedInformation(place, about) for place, about in places if place is not None
        ],
    )


def code_actions(view: Checked, wanted: lsp.Range, only: Sequence[str] | None = None) -> list[lsp.CodeAction]:
    """A quick fix for each fix of the diagnostics that a range touches."""
    if only and not any(lsp.CodeActionKind.QuickFix.value.startswith(kind) for kind in only):
        return []
    first, last = view.text.offset(wanted.start), view.text.offset(wanted.end)
    return [
        lsp.CodeAction(
            title=fix.title,
            kind=lsp.CodeActionKind.QuickFix,
            diagnostics=[_shown(view, diagnostic)],
            is_preferred=fix.safe or len(diagnostic.fixes) == 1,
            edit=lsp.WorkspaceEdit(changes={view.uri: list(edits(view.text, [fix]))}),
        )
        for diagnostic in view.found
        if diagnostic.span is not None and diagnostic.span.source is view.source
        if diagnostic.span.start <= last and first <= diagnostic.span.end
        for fix in diagnostic.fixes
        if all(edit.span.source is view.source for edit in fix.edits)
    ]


def edits(text: Text, fixes: Iterable[Fix]) -> Iterable[lsp.TextEdit]:
    for fix in fixes:
        for edit in fix.edits:
            yield lsp.TextEdit(text.range(edit.span.start, edit.span.end), edit.text)
