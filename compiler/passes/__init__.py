"""The optimiser: passes over the graph, in the order in which they run.

A pass is pure, total and deterministic, and gives the same graph object when it changed nothing. Every pass preserves
the output under one seed: its candidates, their keys, order and fields, and whether a policy fails the example. Engine
errors of calls that are no longer made, and how often replies could not be read, are not part of that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from pnyx.compiler.graph import Graph, Node
from pnyx.compiler.passes.coalesce_samples import coalesce_samples
from pnyx.compiler.passes.context import PassContext, rewritten, typed
from pnyx.compiler.passes.drop_dead_nodes import drop_dead_nodes
from pnyx.compiler.passes.merge_identical_calls import merge_identical_calls
from pnyx.compiler.passes.short_circuit_single import short_circuit_single
from pnyx.compiler.verify import verify

__all__ = ["PASSES", "Pass", "PassContext", "optimise"]

Pass: TypeAlias = Callable[[Graph, PassContext], Graph]

PASSES: tuple[Pass, ...] = (merge_identical_calls, short_circuit_single, drop_dead_nodes, coalesce_samples)


def optimise(graph: Graph, *, check: bool = False) -> Graph:
    """The graph after all passes, run again and again until none changes it.

    A fixpoint because passes feed each other: a rank of one that goes leaves a critique nobody reads, and a critique
    that goes leaves two sorts of one pool. It is reached: no pass adds a call, and each change lowers the number of
    nodes, of draws, or of draws not yet joined. The last round only looks; two rounds are usual.

    Bodies are graphs too, and are optimised first: each for itself, since what it gets from outside it gets anew every
    time it runs.

    With `check`, the verifier runs first and after every pass, and a GraphFault names the pass.
    """
    if check:
        verify(graph, "elaboration")
    return _optimised(graph, PassContext(), check)


def _optimised(graph: Graph, context: PassContext, check: bool) -> Graph:
    if any(current.bodies for current in graph.nodes()):
        graph = rewritten(graph, lambda _, current: _with_bodies(current, context, check))
    while True:
        before = graph
        for run in PASSES:
            graph = run(graph, context)
            if check:
                verify(graph, run.__name__)
        if graph is before:
            return graph


def _with_bodies(current: Node, context: PassContext, check: bool) -> Node:
    bodies = [_optimised(body, context, check) for body in current.bodies]
    if all(new is old for new, old in zip(bodies, current.bodies, strict=True)):
        return current
    return typed(
        current.operator, current.inputs, label=current.label, span=current.span, stream=current.stream, bodies=bodies
    )
