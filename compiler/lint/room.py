"""Replies longer than what fits."""

from __future__ import annotations

from collections.abc import Iterator

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Label
from pnyx.compiler.lint.subject import Finding, Subject
from pnyx.compiler.lint.view import View, stage_of
from pnyx.compiler.operators import Ask, Reads, Sample

__all__ = ["no_room"]


def no_room(subject: Subject, view: View) -> Iterator[Finding]:
    """W716: the tokens asked for fill the whole context that the model declares, and leave none to the prompt."""
    for current in view.nodes:
        operator = current.operator
        if not isinstance(operator, Sample | Ask) or (isinstance(operator, Ask) and operator.reads is Reads.YES):
            continue
        context = _context(subject.models.get(operator.model))
        if context is None or operator.sampling.max_tokens < context.value or current.span is None:
            continue
        yield Finding(
            "W716",
            f"`{stage_of(current)}` asks for {operator.sampling.max_tokens} tokens, and `{operator.model}` holds "
            f"{int(context.value)} with the prompt",
            current.span,
            "lower `max_tokens`, so that the prompt fits beside the reply",
            (current,),
            (Label(context.span, "declared here"),),
        )


def _context(model: syntax.ModelDecl | None) -> syntax.Number | None:
    options = model.options if model is not None else ()
    given = [o.value for o in options if o.name == "context" and isinstance(o.value, syntax.Number)]
    return given[0] if given else None
