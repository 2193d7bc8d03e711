"""A graph as the lints read it: who uses what, what a node hands on, and what the passes take out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from pnyx.compiler.graph import Graph, Node
from pnyx.compiler.operators import (
    Ask,
    Dedupe,
    Extract,
    Filter,
    Group,
    Loglik,
    Reads,
    RestoreOption,
    RunCode,
    RunTests,
    Sort,
    Take,
    Vote,
)
from pnyx.compiler.source import Span
from pnyx.compiler.types import Pool

__all__ = ["View", "before", "most", "pool_of", "stage_of", "written"]

_FAR = 64


@dataclass
class View:
    graph: Graph

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Those that somebody wrote, in bodies too."""
        return tuple(n for n in self.graph.everywhere() if n.span is not None)

    @cached_property
    def _places(self) -> dict[tuple[str, int, int], list[Node]]:
        places: dict[tuple[str, int, int], list[Node]] = {}
        for current in self.nodes:
            assert current.span is not None
            places.setdefault(_key(current.span), []).append(current)
        return places

    def at(self, span: Span) -> tuple[Node, ...]:
        """The nodes that are made there."""
        return tuple(self._places.get(_key(span), ()))

    @cached_property
    def users(self) -> dict[str, list[Node]]:
        """By digest, who reads a node; a result is read by itself."""
        users: dict[str, list[Node]] = {}
        for graph in _graphs(self.graph):
            for result in graph.outputs:
                users.setdefault(result.digest, []).append(result)
            for current in graph.nodes():
                for given in current.inputs:
                    users.setdefault(given.digest, []).append(current)
        return users

    @cached_property
    def kept(self) -> frozenset[str]:
        """Streams of the nodes that are left when the graph is optimised: no pass changes the stream of a node."""
        from pnyx.compiler.passes import optimise

        return frozenset(n.stream for n in optimise(self.graph).everywhere())

    @cached_property
    def unread(self) -> frozenset[str]:
        """Streams of the nodes whose fields nothing reads."""
        from pnyx.compiler.passes.context import PassContext
        from pnyx.compiler.passes.drop_dead_nodes import drop_dead_nodes

        left = drop_dead_nodes(self.graph, PassContext())
        if left is self.graph:
            return frozenset()
        return frozenset(n.stream for n in self.graph.everywhere()) - {n.stream for n in left.everywhere()}

    def without_effect(self, nodes: tuple[Node, ...]) -> bool:
        """Whether the optimised graph holds none of them."""
        return all(n.stream not in self.kept for n in nodes)

    def chain(self, start: Node) -> Iterator[Node]:
        """From a node back along the pool whose candidates it hands on, as long as nothing else uses it between."""
        for current in before(start):
            if len(self.users[current.digest]) != 1:
                return
            yield current


def _graphs(graph: Graph) -> Iterator[Graph]:
    yield graph
    for current in graph.nodes():
        for body in current.bodies:
            yield from _graphs(body)


def stage_of(current: Node) -> str:
    """What a person wrote: `verify`, for the node `verify.reasoning`."""
    return current.label.partition(".")[0]


def _key(span: Span) -> tuple[str, int, int]:
    return span.source.name, span.start, span.end


def before(start: Node) -> Iterator[Node]:
    """From a node back along the pool whose candidates it hands on, as far as a reader would look."""
    current = pool_of(start)
    for _ in range(_FAR):
        if current is None:
            return
        yield current
        current = pool_of(current)


def pool_of(current: Node) -> Node | None:
    """The input whose candidates are those of the result, less some perhaps, or in another order."""
    match current.operator:
        case Ask(into=into, reads=reads) if into is not None or reads in (Reads.ORDER, Reads.WINNER):
            return current.inputs[1]
        case Loglik():
            return current.inputs[1]
        case Extract() | Vote() | Group() | Sort() | Filter() | Take() | Dedupe() | RestoreOption():
            return current.inputs[0]
        case RunCode() | RunTests():
            return current.inputs[0]
        case _:
            return None


def written(current: Node) -> str | None:
    """The field that the node fills."""
    match current.operator:
        case Ask(into=into) | Loglik(into=into) | RunCode(into=into) | RunTests(into=into):
            return into
        case Extract():
            return "answer"
        case Vote() | Group():
            return "votes"
        case RestoreOption(by=by):
            return by
        case _:
            return None


def most(pool: Node) -> int:
    """The most candidates there can be."""
    return pool.type.size.high if isinstance(pool.type, Pool) else 1
