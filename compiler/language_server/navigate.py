"""Going around: definitions, references, the outline of a document, and what can be folded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from lsprotocol import types as lsp

from pnyx.compiler import syntax
from pnyx.compiler.elaborate.scope import Named
from pnyx.compiler.language_server.document import View
from pnyx.compiler.language_server.occurrences import Occurrence, Origin, Target, children, occurrences
from pnyx.compiler.source import Span

__all__ = ["definition", "folds", "highlights", "outline", "references"]

_KINDS = lsp.SymbolKind


def definition(view: View, position: lsp.Position) -> lsp.Location | None:
    """Where the name at a place is introduced; a built-in operator is not written anywhere."""
    offset = view.text.offset(position)
    imported = _imported(view, offset)
    if imported is not None:
        return imported
    found = view.occurrence(offset)
    return None if found is None else _introduced(view, found.target)


def _imported(view: View, offset: int) -> lsp.Location | None:
    """The file that the `import` at a place names."""
    found = view.at(offset)
    if found is None or not isinstance(found[0], syntax.Import):
        return None
    source = view.analysis.imported(found[0])
    return None if source is None else view.location(Span(source, 0, 0))


def _introduced(view: View, target: Target) -> lsp.Location | None:
    match target.origin:
        case Origin.PROGRAM | Origin.LIBRARY:
            declaration = view.analysis.scope.find(target.name, from_library=target.origin is Origin.LIBRARY)
            return None if declaration is None else view.location(declaration.name_span)
        case Origin.PARAMETER:
            owner = view.analysis.scope.find(target.owner)
            params: tuple[syntax.Param, ...] = getattr(owner, "params", ())
            return next((view.location(p.name_span) for p in params if p.name == target.name), None)
        case Origin.LOCAL:
            first = next((o for o in view.uses(target) if o.definition), None)
            return None if first is None else view.location(first.span)
        case Origin.BUILTIN | Origin.WORD:
            return None
        case _:
            assert_never(target.origin)


def references(view: View, position: lsp.Position, *, definitions: bool) -> list[lsp.Location]:
    """Every place in the document that names the same thing."""
    found = view.occurrence(view.text.offset(position))
    if found is None:
        return []
    uses = (o for o in view.uses(found.target) if definitions or not o.definition)
    places = [view.location(o.span) for o in _distinct(uses)]
    return [place for place in places if place is not None]


def highlights(view: View, position: lsp.Position) -> list[lsp.DocumentHighlight]:
    found = view.occurrence(view.text.offset(position))
    if found is None:
        return []
    kinds = {True: lsp.DocumentHighlightKind.Write, False: lsp.DocumentHighlightKind.Read}
    return [lsp.DocumentHighlight(view.range(o.span), kinds[o.definition]) for o in _distinct(view.uses(found.target))]


def _distinct(found: Iterator[Occurrence]) -> list[Occurrence]:
    return list({(o.span.start, o.span.end): o for o in found}.values())


def outline(view: View) -> list[lsp.DocumentSymbol]:
    """The declarations, and in each its parameters and the names that it gives."""
    return [_symbol(view, d) for d in view.declarations if not isinstance(d, syntax.Import)]


def _symbol(view: View, declaration: Named) -> lsp.DocumentSymbol:
    inner = [
        lsp.DocumentSymbol(o.target.name, _KINDS.Variable, view.range(o.span), view.range(o.span))
        for o in occurrences(declaration, view.analysis.scope)
        if o.definition and o.target.origin in (Origin.LOCAL, Origin.PARAMETER) and _is_first(o, declaration)
    ]
    plain = type(declaration).__name__.removesuffix("Decl").lower()
    return lsp.DocumentSymbol(
        declaration.name,
        _kind_of(declaration),
        view.range(declaration.span),
        view.range(declaration.name_span),
        detail=declaration.kind if isinstance(declaration, syntax.SettingsDecl) else plain,
        children=inner,
    )


def _is_first(found: Occurrence, declaration: Named) -> bool:
    """Whether a name is introduced there, and not given another value."""
    return (found.target.origin is Origin.PARAMETER and found.span.end <= _body_start(declaration)) or (
        found.target.place == found.span.start
    )


def _body_start(declaration: Named) -> int:
    match declaration:
        case syntax.OpDecl() | syntax.PipelineDecl():
            return declaration.body.span.start
        case _:
            return declaration.span.end


def _kind_of(declaration: Named) -> lsp.SymbolKind:
    match declaration:
        case syntax.ModelDecl():
            return _KINDS.Module
        case syntax.PromptDecl():
            return _KINDS.Interface
        case syntax.OpDecl() | syntax.ExternDecl():
            return _KINDS.Function
        case syntax.PipelineDecl():
            return _KINDS.Class
        case syntax.LetDecl() | syntax.StateDecl():
            return _KINDS.Constant
        case syntax.SettingsDecl():
            return _KINDS.Object
        case _:
            assert_never(declaration)


def folds(view: View) -> list[lsp.FoldingRange]:
    """Declarations, blocks and long texts of several lines, and comments that follow one another."""
    ranges = {_lines(view, span): None for declaration in view.declarations for span in _foldable(declaration)}
    folded = [lsp.FoldingRange(first, last) for first, last in ranges if last > first]
    return folded + [lsp.FoldingRange(a, b, kind=lsp.FoldingRangeKind.Comment) for a, b in _comments(view)]


def _foldable(item: object) -> Iterator[Span]:
    if isinstance(item, syntax.Block | syntax.Text | syntax.Declaration):
        yield item.span
    for child in children(item):
        yield from _foldable(child)


def _lines(view: View, span: Span) -> tuple[int, int]:
    """The lines that go: a closing bracket stays."""
    found = view.range(span)
    return found.start.line, found.end.line - span.text.endswith(("}", '"""'))


def _comments(view: View) -> Iterator[tuple[int, int]]:
    lines = [view.text.position(span.start).line for span in view.analysis.module.comments
             if not view.text.line_before(span.start).strip()]  # fmt: skip
    first = previous = None
    for line in [*lines, None]:
        if previous is not None and line != previous + 1:
            if first is not None and previous > first:
                yield first, previous
            first = line
        first = line if first is None else first
        previous = line
