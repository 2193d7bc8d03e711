"""Draws from one stream once."""

from __future__ import annotations

from dataclasses import replace

from pnyx.compiler.graph import Graph, Node
from pnyx.compiler.operators import Ask, DrawingOperator, Over, Reads, Sample, Take
from pnyx.compiler.passes.context import PassContext, rewritten, typed
from pnyx.compiler.types import Pool, Size

__all__ = ["coalesce_samples"]


def coalesce_samples(graph: Graph, context: PassContext) -> Graph:  # noqa: ARG001
    """Makes one request of several draws for one prompt.

    Of nodes that draw different numbers of samples from one stream for the same inputs, the greatest stays and the
    others take its first. Draws of one node become one request (`joined`), which the engine prefills once.

    Preserves the output, since sample k of a stream is the same however many are drawn. Lowers requests and prompt
    tokens. Nodes that ask about each of several candidates keep their own draws: the first n of each candidate are not
    the first of all. What reads a list keeps its one draw.

    >>> from pnyx.compiler.operators import Concat, Input
    >>> from pnyx.compiler.passes.context import typed
    >>> query = typed(Input(), [], label="query")
    >>> few, many = (typed(Sample(model="m", n=n), [query], label="generate") for n in (2, 8))
    >>> both = coalesce_samples(Graph((query,), (typed(Concat(), [few, many], label="+"),)), PassContext()).output
    >>> [(i.operator.kind, str(i.type)) for i in both.inputs]
    [('take', 'Pool[2]{logprob, model, text}'), ('sample', 'Pool[8]{logprob, model, text}')]
    """
    groups: dict[object, Node] = {}
    for current in graph.nodes():
        if _draws_for_one_prompt(current):
            largest = groups.setdefault(_group(current), current)
            if _draws(current) > _draws(largest):
                groups[_group(current)] = current
    # The greatest may stand behind a node that takes from it, so it is made when the first of its group is reached.
    made: dict[object, Node] = {}

    def coalesced(old: Node, current: Node) -> Node:
        if not _draws_for_one_prompt(old):
            return _joined(current)
        group = _group(old)
        largest = groups[group]
        if largest is old:
            made[group] = made.get(group) or _joined(current)
            return made[group]
        if group not in made:
            made[group] = _joined(
                typed(largest.operator, current.inputs, label=largest.label, span=largest.span, stream=largest.stream)
            )
        return typed(Take(k=_draws(old)), [made[group]], label=old.label, span=old.span)

    return rewritten(graph, coalesced)


def _draws_for_one_prompt(current: Node) -> bool:
    match current.operator:
        case Sample():
            return True
        case Ask(over=Over.EACH, reads=Reads.TEXT, into=None):
            pool = current.inputs[1].type
            return isinstance(pool, Pool) and pool.size == Size(1, 1)
        case Ask(reads=Reads.TEXT, into=None):
            return True
        case _:
            return False


def _group(current: Node) -> object:
    operator = current.operator
    if isinstance(operator, Sample | Ask) and (operator.n > 1 or operator.joined):
        operator = replace(operator, n=1, joined=False)
    return current.stream, operator, tuple(i.digest for i in current.inputs)


def _draws(current: Node) -> int:
    return current.operator.n if isinstance(current.operator, Sample | Ask) else 1


def _joined(current: Node) -> Node:
    operator = current.operator
    if not isinstance(operator, DrawingOperator) or operator.joined or operator.n == 1:
        return current
    return typed(
        replace(operator, joined=True), current.inputs, label=current.label, span=current.span, stream=current.stream
    )
