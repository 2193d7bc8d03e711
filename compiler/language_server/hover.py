"""Hover: what stands at a place, what it is worth, what it costs."""

from __future__ import annotations

from collections.abc import Iterator

from lsprotocol import types as lsp

from pnyx.compiler import syntax
from pnyx.compiler.elaborate.values import Value
from pnyx.compiler.language_server.describe import KEYWORDS, code, document, worth
from pnyx.compiler.language_server.document import View
from pnyx.compiler.language_server.occurrences import Occurrence, Origin, children
from pnyx.compiler.source import Span

__all__ = ["hover"]

_MOST_SHOWN = 4


def hover(view: View, position: lsp.Position) -> lsp.Hover | None:
    offset = view.text.offset(position)
    found = view.at(offset)
    if found is None:
        return None
    declaration, inside = found
    occurrence = view.occurrence(offset)
    path = list(_nodes_at(declaration, inside))
    if occurrence is not None:
        span = occurrence.span
        value = _value(view, declaration, _valued(path, occurrence)) or _used(view, declaration, occurrence)
        parts = [value, _cost(view, declaration, path, occurrence)]
        parts.append(document(occurrence.target, view.analysis.scope, view.analysis.placement) or "")
    else:
        word = _word(view, offset)
        if word is not None:
            return lsp.Hover(_markdown(f"`{word[0]}`: {KEYWORDS[word[0]]}"), view.text.range(*word[1:]))
        node = next((n for n in reversed(path) if isinstance(n, _SHOWN)), None)
        if node is None:
            return None
        span = node.span
        parts = [_value(view, declaration, node)]
    text = "\n\n".join(part for part in parts if part)
    return lsp.Hover(_markdown(text), view.range(span)) if text else None


_SHOWN = (syntax.Call, syntax.Pipe, syntax.Binary, syntax.Unary, syntax.Field, syntax.Tune, syntax.Range)


def _nodes_at(declaration: syntax.Declaration, offset: int) -> Iterator[object]:
    """The syntax nodes that hold an offset, from the declaration to the smallest."""
    current: object | None = declaration
    while current is not None:
        yield current
        current = next((child for child in children(current) if _holds(child, offset)), None)


def _holds(node: object, offset: int) -> bool:
    span = getattr(node, "span", None)
    return isinstance(span, Span) and span.start <= offset <= span.end


def _valued(path: list[object], occurrence: Occurrence) -> object:
    """The node whose worth the name tells: of a stage the pipe that it ends, of an assigned name its value."""
    place = occurrence.span
    for outer in path:
        match outer:
            case syntax.Pipe(stage=stage) if _callee(stage).span == place:
                return outer
            case syntax.Call(callee=callee) if callee.span == place:
                return outer
            case syntax.Assign() | syntax.LetDecl() if outer.name_span == place:
                return outer.value
            case syntax.PipelineDecl() | syntax.OpDecl() if outer.name_span == place:
                return outer.body
            case syntax.Name() if occurrence.target.origin is not Origin.WORD:
                return outer
    return None


def _callee(stage: syntax.Expr) -> syntax.Expr:
    return stage.callee if isinstance(stage, syntax.Call) else stage


def _value(view: View, declaration: syntax.Declaration, node: object) -> str:
    span = getattr(node, "span", None)
    if not isinstance(span, Span):
        return ""
    values: list[Value] = view.worth(declaration).at(span)
    shown = list(dict.fromkeys(worth(value) for value in values))
    if not shown:
        return ""
    more = f"\n# {len(shown) - _MOST_SHOWN} more" if len(shown) > _MOST_SHOWN else ""
    return code("\n".join(shown[:_MOST_SHOWN]) + more)


def _used(view: View, declaration: syntax.Declaration, occurrence: Occurrence) -> str:
    """What a parameter is worth where it is used."""
    if occurrence.target.origin is not Origin.PARAMETER or occurrence.target.owner != getattr(
        declaration, "name", None
    ):
        return ""
    return next((shown for o in view.uses(occurrence.target) if (shown := _value(view, declaration, o))), "")


def _cost(view: View, declaration: syntax.Declaration, path: list[object], occurrence: Occurrence) -> str:
    """What the stage that a name begins costs."""
    if not isinstance(declaration, syntax.PipelineDecl):
        return ""
    calls = [n for n in path if isinstance(n, syntax.Call | syntax.Name) and n.span.start == occurrence.span.start]
    if not calls:
        return ""
    cost = view.costs(declaration).get((calls[0].span.start, calls[0].span.end))
    return "" if cost is None else f"predicted: {cost.long}"


def _word(view: View, offset: int) -> tuple[str, int, int] | None:
    """The keyword at an offset."""
    text = view.text.text
    start = end = offset
    while start > 0 and (text[start - 1].isalnum() or text[start - 1] == "_"):
        start -= 1
    while end < len(text) and (text[end].isalnum() or text[end] == "_"):
        end += 1
    return (text[start:end], start, end) if text[start:end] in KEYWORDS else None


def _markdown(text: str) -> lsp.MarkupContent:
    return lsp.MarkupContent(lsp.MarkupKind.Markdown, text)
