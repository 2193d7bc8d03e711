"""Drops work whose result nothing can see.

A graph holds only what its output reaches, so what can be dead is a field: a critique that no prompt reads before its
candidates give way to new ones, an answer that nobody compares.
"""

from __future__ import annotations

from pnyx.compiler.graph import Graph, Node
from pnyx.compiler.operators import (
    Action,
    Ask,
    Extend,
    Extract,
    Loglik,
    ModelOperator,
    RunCode,
    RunTests,
)
from pnyx.compiler.passes.context import PassContext, rewritten
from pnyx.compiler.passes.failing import hides_failure
from pnyx.compiler.prompt_reads import ALL_FIELDS, Fields, union
from pnyx.compiler.readers import hands_on, reads
from pnyx.compiler.types import Pool

__all__ = ["drop_dead_nodes"]


def drop_dead_nodes(graph: Graph, context: PassContext) -> Graph:  # noqa: ARG001
    """Replaces what only fills fields (`Extract`, `Ask` or `Loglik` into one, programs that are run) by its pool where
    nothing reads them.

    Preserves the output: its candidates and all of their fields. Lowers calls, with every token of them. It does not
    fire where a failed reading is itself observable (`on_fail` drops the candidate or fails the example), or where the
    question takes with it something that may fail the example.

    Liveness goes backwards. A field is live in a pool when the pool is the output, a user reads it, or a user passes
    its candidates on and the field is live there. Writing a field does not end its life, since a reading that fails may
    leave the older value; and a field counts whether or not the pool's type shows it, since `+` hides fields without
    removing them.

    >>> from pnyx.compiler.operators import AnswerKind, Input, Over, PromptText, Sample
    >>> from pnyx.compiler.passes.context import typed
    >>> query = typed(Input(), [], label="query")
    >>> drafts = typed(Sample(model="m", n=2), [query], label="generate")
    >>> answers = typed(Extract(answer=AnswerKind.NUMBER), [drafts], label="extract")
    >>> shown = "{% for c in candidates %}{{ c.text }}{% endfor %}"
    >>> prompt = PromptText(name="fuse", params=("candidates",), user=shown)
    >>> fused = typed(Ask(model="m", prompt=prompt, over=Over.ALL), [query, answers], label="fuse")
    >>> [node.label for node in drop_dead_nodes(Graph((query,), (fused,)), PassContext())]
    ['query', 'generate', 'fuse']
    """
    live = _live_fields(graph)
    return rewritten(graph, lambda old, new: _pool_of(new) if _is_dead(old, live[old.digest]) else new)


def _live_fields(graph: Graph) -> dict[str, Fields]:
    """For the result of every node, by digest, the fields that something may see."""
    order = graph.nodes()
    live: dict[str, Fields] = {current.digest: frozenset() for current in order}
    live.update((output.digest, ALL_FIELDS) for output in graph.outputs)
    for current in reversed(order):
        for index, given in enumerate(current.inputs):
            seen = reads(current.operator, index)
            if hands_on(current.operator, index, _fewest(given)):
                seen = union(seen, live[current.digest])
            live[given.digest] = union(live[given.digest], seen)
    return live


def _is_dead(current: Node, live: Fields) -> bool:
    match current.operator:
        case Extract():
            field = "answer"
        case Extend(into=str() as field) | Loglik(into=field):
            pass
        case RunCode(into=field) if live is None or "error" not in live:
            pass
        case RunTests(into=field) if live is None or "passed" not in live:
            pass
        case Ask(into=str() as field, on_fail=policy) if policy.then is Action.KEEP:
            pass
        case _:
            return False
    return live is not None and field not in live and not hides_failure(current, _pool_of(current))


def _pool_of(current: Node) -> Node:
    return current.inputs[1 if isinstance(current.operator, ModelOperator) else 0]


def _fewest(given: Node) -> int:
    return given.type.size.low if isinstance(given.type, Pool) else 1
