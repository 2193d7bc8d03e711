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
    operator: Operator,
    inputs: Sequence[Node],
    *,
    label: str,
    span: Span | None = None,
    stream: str | None = None,
    bodies: Sequence[Graph] = (),
) -> Node:
    """A node with the type that its operator gives for these inputs."""
    type = result_type(operator, [i.type for i in inputs], bodies)
    return node(operator, inputs, type, label=label, span=span, stream=stream, bodies=bodies)


def rewritten(graph: Graph, change: Callable[[Node, Node], Node]) -> Graph:
    """Replaces nodes, inputs first: `change(old, current)` gets the node as it was, and over its replaced inputs with
    its type inferred anew and its stream kept; it gives `current` or another in its place. Bodies stay as they are.

    The same graph comes back when nothing changed. Nodes that are equal become one object.
    """
    done: dict[str, Node] = {parameter.digest: parameter for parameter in graph.params}
    for old in graph.nodes():
        if old.digest in done:
            continue
        current = old
        for given in old.inputs:
            if done[given.digest] is not given:
                inputs = [done[i.digest] for i in old.inputs]
                current = typed(
                    old.operator, inputs, label=old.label, span=old.span, stream=old.stream, bodies=old.bodies
                )
                break
        done[old.digest] = change(old, current)
    outputs = tuple(done[output.digest] for output in graph.outputs)
    if all(new is old for new, old in zip(outputs, graph.outputs, strict=True)):
        return graph
    return Graph(graph.params, outputs)
