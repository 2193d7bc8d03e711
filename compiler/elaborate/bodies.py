"""Bodies of loops, branches and per-candidate blocks: from the nodes made inside to a graph with parameters.

While a body is elaborated, its nodes read those outside directly. Closing it puts parameters in their place: the graph
that comes out reads nothing from outside, and the node that has it gets what it captured as further inputs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pnyx.compiler.graph import Graph, Node, node
from pnyx.compiler.operators import Param
from pnyx.compiler.types import Type

__all__ = ["BodyFrame", "close_bodies", "parameter", "salted"]


@dataclass(slots=True)
class BodyFrame:
    """A body under construction. `made`: digests of the nodes that belong to it. `salt`: what tells its streams from
    those of the same expressions outside; empty where nothing is drawn anew."""

    salt: str
    made: set[str] = field(default_factory=set)


def salted(kind: str, outer: str, streams: Iterable[str]) -> str:
    """The salt of a body that runs more than once: by what it starts from, not by where it stands."""
    text = "\n".join((kind, outer, *streams))
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def parameter(frame: BodyFrame, index: int, type: Type, label: str) -> Node:
    """A parameter that changes from run to run of the body."""
    made = node(Param(index=index), (), type, label=label, salt=f"{frame.salt}:{index}")
    frame.made.add(made.digest)
    return made


def close_bodies(
    bodies: Sequence[tuple[BodyFrame, Sequence[Node], Sequence[Node]]],
) -> tuple[tuple[Graph, ...], tuple[Node, ...]]:
    """The graphs of bodies with their own parameters and outputs, and what they capture, which each of them gets behind
    its own parameters."""
    captured: dict[str, Node] = {}
    orders = [_order(frame, outputs, captured) for frame, _, outputs in bodies]
    outside = tuple(captured.values())
    graphs = []
    for (_, own, outputs), order in zip(bodies, orders, strict=True):
        params = [*own, *(_stand_in(len(own) + i, given) for i, given in enumerate(outside))]
        done = {given.digest: stand_in for given, stand_in in zip((*own, *outside), params, strict=True)}
        for current in order:
            if current.digest not in done:
                done[current.digest] = _again(current, [done[i.digest] for i in current.inputs])
        graphs.append(Graph(tuple(params), tuple(done[output.digest] for output in outputs)))
    return tuple(graphs), outside


def _stand_in(index: int, captured: Node) -> Node:
    """A parameter for a node outside, whose meaning is that node's."""
    operator = Param(index=index)
    return node(operator, (), captured.type, label=captured.label, span=captured.span, stream=captured.stream)


def _again(current: Node, inputs: Sequence[Node]) -> Node:
    return node(
        current.operator,
        inputs,
        current.type,
        label=current.label,
        span=current.span,
        stream=current.stream,
        bodies=current.bodies,
    )


def _order(frame: BodyFrame, outputs: Sequence[Node], captured: dict[str, Node]) -> list[Node]:
    """The nodes of the body that the outputs need, inputs first. Adds to `captured` what lies outside."""
    order: dict[str, Node] = {}
    stack: list[tuple[Node, bool]] = [(output, False) for output in reversed(outputs)]
    while stack:
        current, ready = stack.pop()
        if current.digest in order:
            continue
        if current.digest not in frame.made:
            captured.setdefault(current.digest, current)
        elif ready:
            order[current.digest] = current
        else:
            stack.append((current, True))
            stack.extend((i, False) for i in reversed(current.inputs))
    return list(order.values())
