"""What a pass may know beyond the graph, and the ways in which passes make nodes and graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pnyx.compiler.graph import Graph, Node, node
from pnyx.compiler.inference import result_type
from pnyx.compiler.operators import Operator
from pnyx.compiler.source import Span

__all__ = ["PassContext", "rewritten", "typed"]


@dataclass(frozen=True, slots=True)
class PassContext:
    """The same for every pass of a run. Nothing that the present passes need stands outside the graph."""


def typed(
    operator: Operator, inputs: Sequence[Node], *, label: str, span: Span | None = None, stream: str | None = None
) -> Node:
    """A node with the type that its operator gives for these inputs."""
    type = result_type(operator, [i.type for i in inputs])
    return node(operator, inputs, type, label=label, span=span, stream=stream)


def rewritten(graph: Graph, change: Callable[[Node, Node], Node]) -> Graph:
    """Replaces nodes, inputs first: `change(old, current)` gets the node as it was, and over its replaced inputs with
    its type inferred anew and its stream kept; it gives `current` or another in its place.

    The same graph comes back when nothing changed. Nodes that are equal become one object.
    """
    done: dict[str, Node] = {}
    for old in graph.nodes():
        inputs = [done[i.digest] for i in old.inputs]
        current = old
        if any(new is not given for new, given in zip(inputs, old.inputs, strict=True)):
            current = typed(old.operator, inputs, label=old.label, span=old.span, stream=old.stream)
        done[old.digest] = change(old, current)
    query, output = done[graph.query.digest], done[graph.output.digest]
    if query is graph.query and output is graph.output:
        return graph
    return Graph(query, output)
