"""Samples that are the same, where several opinions were meant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pnyx.compiler.diagnostics import Label
from pnyx.compiler.graph import Node
from pnyx.compiler.lint.subject import Finding, Subject
from pnyx.compiler.lint.view import View, stage_of
from pnyx.compiler.operators import Ask, Concat, Reads, Sample

__all__ = ["equal_samples", "same_samples"]


def same_samples(subject: Subject, view: View) -> Iterator[Finding]:  # noqa: ARG001
    """W703: one stream joined with itself."""
    for current in view.nodes:
        if not isinstance(current.operator, Concat):
            continue
        seen: dict[str, Node] = {}
        for part in current.inputs:
            earlier = seen.setdefault(part.stream, part)
            if earlier is not part and current.span is not None:
                spans = dict.fromkeys(s for s in (earlier.span, part.span) if s is not None)
                yield Finding(
                    "W703",
                    "both sides are the same candidates",
                    current.span,
                    "raise `n`, or read another stream: `generate(…, stream = 1)`",
                    (current,),
                    tuple(Label(s) for s in spans),
                )


def equal_samples(subject: Subject, view: View) -> Iterator[Finding]:  # noqa: ARG001
    """W708: several samples of one prompt at temperature 0, which are one sample several times."""
    for current in view.nodes:
        n = _greedy(current)
        if n > 1 and current.span is not None:
            yield Finding(
                "W708",
                f"all {n} samples of `{stage_of(current)}` are the same at temperature 0",
                current.span,
                "give it a temperature, such as `temperature = 0.7`, or leave out `n`",
                (current,),
            )
        if isinstance(current.operator, Concat) and current.span is not None:
            twins = _twins(current.inputs)
            if twins is not None:
                yield Finding(
                    "W708",
                    "these streams are the same at temperature 0",
                    current.span,
                    "give them a temperature, such as `temperature = 0.7`, or leave one out",
                    (current,),
                    tuple(Label(s) for s in (n.span for n in twins) if s is not None),
                )


def _greedy(current: Node) -> int:
    match current.operator:
        case Sample(n=n, sampling=sampling) if sampling.temperature == 0:
            return n
        case Ask(n=n, sampling=sampling, reads=Reads.TEXT, into=None) if sampling.temperature == 0:
            return n
        case _:
            return 0


def _twins(parts: tuple[Node, ...]) -> tuple[Node, Node] | None:
    """Two greedy samples that differ only in the number of their stream."""
    seen: dict[object, Node] = {}
    for part in parts:
        if isinstance(part.operator, Sample) and _greedy(part):
            meaning = replace(part.operator, stream=0, n=1), part.inputs
            earlier = seen.setdefault(meaning, part)
            if earlier is not part and earlier.stream != part.stream:
                return earlier, part
    return None
