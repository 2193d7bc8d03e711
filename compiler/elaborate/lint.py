"""Warnings about work that has no effect: the program means what it says, and probably not what was meant."""

from __future__ import annotations

from pnyx.compiler.diagnostics import Diagnostics, Label
from pnyx.compiler.graph import Graph, Node
from pnyx.compiler.operators import Ask, Concat, Dedupe, Extract, Filter, Over, Reads, Single, Sort, Take, Vote
from pnyx.compiler.types import Pool

__all__ = ["lint"]


def lint(graph: Graph, diagnostics: Diagnostics) -> None:
    """Reports W701, W703 and W704."""
    for found in graph.nodes():
        _lone(found, diagnostics)
        _same_samples(found, diagnostics)
        _ordered_texts(found, diagnostics)


def _lone(found: Node, diagnostics: Diagnostics) -> None:
    if found.span is None or len(found.inputs) == 0:
        return
    pool = found.inputs[-1].type if not isinstance(found.operator, Ask) else _asked(found)
    if not isinstance(pool, Pool):
        return
    match found.operator:
        case Ask(reads=Reads.ORDER) if pool.size.high <= 1:
            what = "ranks at most one candidate"
        case Ask(over=Over.ALL, single=Single.KEEP, reads=Reads.TEXT) if pool.size.high <= 1:
            what = "has at most one candidate to work on"
        case Vote() if pool.size.high <= 1:
            what = "counts at most one vote"
        case Take(k=k) if k > pool.size.high:
            what = f"takes {k} of at most {pool.size.high} candidates"
        case _:
            return
    source = next((i.span for i in reversed(found.inputs) if i.span is not None and isinstance(i.type, Pool)), None)
    diagnostics.report(
        "W701",
        f"`{found.label}` {what}",
        found.span,
        secondary=[Label(source, f"this gives {pool.size}")] if source else (),
        help="remove it, or give it more candidates",
    )


def _asked(found: Node) -> object:
    return found.inputs[1].type if isinstance(found.operator, Ask) and found.operator.over is not Over.QUERY else None


def _same_samples(found: Node, diagnostics: Diagnostics) -> None:
    if not isinstance(found.operator, Concat) or found.span is None:
        return
    seen: dict[str, Node] = {}
    for part in found.inputs:
        earlier = seen.get(part.stream)
        seen[part.stream] = part
        if earlier is not None:
            diagnostics.report(
                "W703",
                "both sides are the same candidates",
                found.span,
                secondary=[Label(s, "") for s in dict.fromkeys((earlier.span, part.span)) if s is not None],
                help="raise `n`, or read another stream: `generate(…, stream = 1)`",
            )


def _ordered_texts(found: Node, diagnostics: Diagnostics) -> None:
    """Texts have an order, by the alphabet, that says nothing of quality: "9" comes after "10"."""
    match found.operator:
        case Sort(by=by):
            what = f"puts texts in order: `{by}` is read as text"
        case Filter(by=by, at_least=float()) | Vote(weight=str() as by):
            what = f"needs numbers, and `{by}` is read as text"
        case _:
            return
    reply = _read_into(by, found.inputs[0])
    if reply is None or found.span is None:
        return
    diagnostics.report(
        "W704",
        f"`{found.label}` {what}",
        found.span,
        secondary=[Label(reply.span, "read here")] if reply.span else (),
        help="say how the reply is read: `reads = grade`, or `reads = number`",
    )


def _read_into(field: str, start: Node) -> Node | None:
    """The nearest question whose reply becomes that field as it stands."""
    current: Node | None = start
    while current is not None:
        match current.operator:
            case Ask(into=into, reads=reads) if into == field:
                return current if reads is Reads.TEXT else None
            case Ask(into=str()) | Ask(reads=Reads.ORDER):
                current = current.inputs[1]
            case Sort() | Filter() | Take() | Dedupe() | Extract():
                current = current.inputs[0]
            case _:
                current = None
    return None
