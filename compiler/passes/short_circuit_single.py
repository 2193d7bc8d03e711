"""Takes out work on one candidate, or on so few that it cannot change them."""

from __future__ import annotations

from pnyx.compiler.graph import Graph, Node
from pnyx.compiler.operators import (
    Ask,
    Concat,
    Dedupe,
    Filter,
    IfNone,
    Over,
    Pick,
    Reads,
    Single,
    Sort,
    Take,
)
from pnyx.compiler.passes.context import PassContext, rewritten
from pnyx.compiler.passes.failing import hides_failure
from pnyx.compiler.types import Pool, Size

__all__ = ["short_circuit_single"]


def short_circuit_single(graph: Graph, context: PassContext) -> Graph:  # noqa: ARG001
    """Replaces an operator by its pool where the pool's size says that it hands the pool on as it is.

    That is: ordering, comparing, sorting, deduplicating, drawing from or filtering (with `if_none = keep`) at most one
    candidate; taking at least as many as there can be; joining one pool with what is always empty; asking over exactly
    one candidate where that is kept.

    Preserves the output. Lowers calls where the runtime would have asked, and the length of the plan. It does not fire
    on an `ask` over a pool that may be empty, because the example then fails, which is observable, or on one that takes
    with it something that may fail the example.

    >>> from pnyx.compiler.operators import Input, Sample
    >>> from pnyx.compiler.passes.context import typed
    >>> query = typed(Input(), [], label="query")
    >>> one = typed(Sample(model="m"), [query], label="generate")
    >>> first = typed(Take(k=3), [typed(Sort(by="logprob"), [one], label="sort")], label="take")
    >>> short_circuit_single(Graph((query,), (first,)), PassContext()).output.label
    'generate'
    """
    return rewritten(graph, lambda _, current: _short_circuit(current))


def _short_circuit(current: Node) -> Node:
    match current.operator:
        case Take(k=k) if _size(current.inputs[0]).high <= k:
            return current.inputs[0]
        case Sort() | Dedupe() | Filter(if_none=IfNone.KEEP) if _size(current.inputs[0]).high <= 1:
            return current.inputs[0]
        case Pick() if _size(current.inputs[0]).high <= 1:
            return current.inputs[0]
        case Concat() if len(some := [i for i in current.inputs if _size(i).high]) <= 1:
            return (some or current.inputs)[0]
        case Ask(over=Over.ALL, reads=Reads.ORDER) | Ask(over=Over.NEIGHBOURS) if _size(current.inputs[1]).high <= 1:
            return _kept(current)
        case Ask(over=Over.ALL, single=Single.KEEP) if _size(current.inputs[1]) == Size(1, 1):
            return _kept(current)
        case _:
            return current


def _kept(ask: Node) -> Node:
    pool = ask.inputs[1]
    return ask if hides_failure(ask, pool) else pool


def _size(pool: Node) -> Size:
    return pool.type.size if isinstance(pool.type, Pool) else Size(1, 1)
