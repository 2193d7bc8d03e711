"""Makes one node of those that must give the same."""

from __future__ import annotations

from pnyx.compiler.graph import Graph, Node, constant_types
from pnyx.compiler.operators import (
    AsQuery,
    Compute,
    Concat,
    Constant,
    Dedupe,
    Empty,
    Extract,
    FieldOf,
    Filter,
    Group,
    Grow,
    Measure,
    Part,
    RestoreOption,
    Retrieve,
    RunCode,
    RunTests,
    Sort,
    Take,
    Vote,
)
from pnyx.compiler.passes.context import PassContext, rewritten

__all__ = ["merge_identical_calls"]


def merge_identical_calls(graph: Graph, context: PassContext) -> Graph:  # noqa: ARG001
    """Keeps the first of all nodes with one meaning, whatever they are called and wherever they are written.

    Preserves the output. Lowers calls: those of nodes that were written twice, and those of nodes that only differed in
    which copy they read.

    Nodes that draw, or have bodies that may, are one when their digests are, so that two streams of samples stay two.
    The others draw nothing: operator and inputs decide, even where other passes left them with streams of their own.

    >>> from pnyx.compiler.operators import Concat, Input, Sample
    >>> from pnyx.compiler.passes.context import typed
    >>> query = typed(Input(), [], label="query")
    >>> once, again = (typed(Sample(model="m"), [query], label=label) for label in ("once", "again"))
    >>> both = typed(Concat(), [once, again], label="+")
    >>> merged = merge_identical_calls(Graph((query,), (both,)), PassContext())
    >>> merged.output.inputs[0] is merged.output.inputs[1]
    True
    """
    first: dict[object, Node] = {}
    return rewritten(graph, lambda _, current: first.setdefault(_meaning(current), current))


def _meaning(current: Node) -> object:
    if isinstance(current.operator, _CERTAIN):
        return current.operator, constant_types(current.operator), tuple(i.digest for i in current.inputs)
    return current.digest


_CERTAIN = (
    Extract, Vote, Group, Sort, Filter, Take, Dedupe, Concat, Grow, RestoreOption, Empty, Constant, Compute, FieldOf,
    Measure, Part, AsQuery, RunCode, RunTests, Retrieve,
)  # fmt: skip
"""Operators whose results are decided by what they are and what they get."""
