"""Drops work whose result nothing can see.

A graph holds only what its output reaches, so what can be dead is a field: a critique that no prompt reads before its
candidates give way to new ones, an answer that nobody compares.
"""

from __future__ import annotations

from pnyx.compiler.graph import Graph, Node
from pnyx.compiler.operators import (
    Action,
    Ask,
    AsQuery,
    Branch,
    Choose,
    Compute,
    Dedupe,
    Each,
    Extend,
    Extern,
    Extract,
    FieldOf,
    Filter,
    Group,
    Grow,
    Loglik,
    Loop,
    Measure,
    ModelOperator,
    Over,
    Pick,
    Reads,
    Resample,
    RestoreOption,
    RunCode,
    RunTests,
    Single,
    Sort,
    Vote,
)
from pnyx.compiler.passes.context import PassContext, rewritten
from pnyx.compiler.passes.failing import hides_failure
from pnyx.compiler.passes.prompt_reads import ALL_FIELDS, Fields, prompt_reads, union
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

    >>> from pnyx.compiler.operators import AnswerKind, Input, PromptText, Sample
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
            seen = _reads(current, index)
            if _passes_on(current, index):
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


def _reads(current: Node, index: int) -> Fields:
    """The fields of its input `index` that the operator itself reads."""
    match current.operator:
        case Extract():
            return frozenset({"text"})
        case Vote(by=by, weight=weight) | Group(by=by, weight=weight):
            return frozenset({by, weight} if weight else {by})
        case Choose(by=by, prior=prior, done=done):
            return frozenset({by, "parent", *(name for name in (prior, done) if name is not None)})
        case RestoreOption(by=by) | Loglik(of=by) | RunCode(by=by):
            return frozenset({by})
        case RunTests(by=by):
            return frozenset({by} if index == 0 else {"text"})
        case Sort(by=by) | Filter(by=by) | Dedupe(by=by) | Measure(by=by) | FieldOf(name=by) | Resample(by=by):
            return frozenset({by})
        case Pick(by=by):
            return frozenset({by} if by else ())
        case Extend():
            return frozenset({"text", "stopped", "finished", "logprob"})
        case AsQuery():
            return frozenset({"text"})
        case Extern() | Loop() | Each() | Branch():
            return ALL_FIELDS
        case Ask() as ask if index > 0:
            return _shown(ask, index)
        case _:
            return frozenset()


def _shown(ask: Ask, index: int) -> Fields:
    """The fields that the prompt can read of input `index`, by the names it has there."""
    subject = int(bool(ask.about))
    names = ask.about if index <= subject else (ask.variables[index - 1 - subject],)
    fields: Fields = frozenset()
    for name in names:
        fields = union(fields, prompt_reads(ask.prompt, name))
    return fields


def _passes_on(current: Node, index: int) -> bool:
    """Whether candidates of the input can be candidates of the result."""
    match current.operator:
        case Ask(over=Over.QUERY) | Measure() | FieldOf() | Compute() | AsQuery():
            return False
        case Grow():
            return index < 2
        case RunTests():
            return index == 0
        case Ask() as ask:
            pool = current.inputs[1].type
            kept = ask.over is Over.ALL and ask.single is Single.KEEP and isinstance(pool, Pool) and pool.size.low <= 1
            return index == 1 and (ask.into is not None or ask.reads in (Reads.ORDER, Reads.WINNER) or kept)
        case _:
            return True
