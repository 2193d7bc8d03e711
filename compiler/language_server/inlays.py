"""Inlay hints: what each stage of a pipeline will cost, at the end of its line."""

from __future__ import annotations

from lsprotocol import types as lsp

from pnyx.compiler import syntax
from pnyx.compiler.cost.estimate import Cost
from pnyx.compiler.language_server.costs import StageCost
from pnyx.compiler.language_server.document import View

__all__ = ["inlay_hints"]


def inlay_hints(view: View, wanted: lsp.Range) -> list[lsp.InlayHint]:
    """Those of the pipelines that a range touches."""
    hints = []
    first, last = view.text.offset(wanted.start), view.text.offset(wanted.end)
    for declaration in view.declarations:
        span = view.here(declaration.span)
        if not isinstance(declaration, syntax.PipelineDecl) or span.start > last or span.end < first:
            continue
        shift = span.start - declaration.span.start
        lines: dict[int, Cost] = {}
        for (_, end), stage in view.costs(declaration).items():
            line = view.text.line_end(end + shift)
            lines[line] = lines.get(line, Cost()) + stage.cost
        for end, cost in lines.items():
            stage = StageCost(cost)
            position = view.text.position(end)
            hints.append(lsp.InlayHint(position, stage.short, padding_left=True, tooltip=stage.long))
    return hints
