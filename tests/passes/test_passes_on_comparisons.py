"""The passes on comparisons, log-probabilities and trees."""

from __future__ import annotations

from pnyx.compiler.graph import Graph, Node
from pnyx.compiler.operators import (
    AnswerKind,
    Ask,
    Choose,
    Concat,
    Extract,
    Group,
    Grow,
    Input,
    Loglik,
    Over,
    PromptText,
    Reads,
    Sample,
    ShuffleOptions,
    Sort,
    Take,
)
from pnyx.compiler.passes import PassContext
from pnyx.compiler.passes.context import typed
from pnyx.compiler.passes.drop_dead_nodes import drop_dead_nodes
from pnyx.compiler.passes.merge_identical_calls import merge_identical_calls
from pnyx.compiler.passes.short_circuit_single import short_circuit_single

QUERY = typed(Input(), [], label="query")
SHOWN = PromptText(name="two", params=("a", "b"), user="{{ a.text }} {{ b.critique }}")
FUSE = PromptText(name="fuse", params=("candidates",), user="{% for c in candidates %}{{ c.text }}{% endfor %}")


def drafts(n: int) -> Node:
    return typed(Sample(model="m", n=n), [QUERY], label="generate")


def asked(operator: Ask | Loglik, pool: Node, label: str = "ask") -> Node:
    return typed(operator, [QUERY, pool], label=label)


def compared(pool: Node) -> Node:
    return asked(Ask(model="m", prompt=SHOWN, over=Over.NEIGHBOURS, reads=Reads.WINNER), pool, "compare")


def fused(pool: Node) -> Node:
    return asked(Ask(model="m", prompt=FUSE, over=Over.ALL), pool, "fuse")


def field(pool: Node, name: str) -> Node:
    return asked(Ask(model="m", prompt=FUSE, over=Over.EACH, into=name), pool, name)


def labels(output: Node) -> list[str]:
    return [node.label for node in Graph((QUERY,), (output,))]


def left(output: Node) -> list[str]:
    """Once nothing more goes."""
    graph = Graph((QUERY,), (output,))
    after = drop_dead_nodes(graph, PassContext())
    return labels(output) if after is graph else left(after.output)


def test_a_comparison_reads_what_it_shows_of_either_and_hands_on_the_rest() -> None:
    pool = field(field(field(drafts(3), "critique"), "notes"), "label")
    by_label = typed(Sort(by="label"), [compared(pool)], label="sort")
    assert left(fused(by_label)) == ["query", "generate", "critique", "label", "compare", "sort", "fuse"]


def test_a_likelihood_that_nothing_reads_goes_and_with_it_what_only_it_read() -> None:
    answers = typed(Extract(answer=AnswerKind.NUMBER), [drafts(3)], label="extract")
    likely = asked(Loglik(model="m", of="answer"), answers, "loglik")
    assert left(fused(likely)) == ["query", "generate", "fuse"]
    best = typed(Sort(by="loglik"), [likely], label="sort")
    assert left(fused(best)) == ["query", "generate", "extract", "loglik", "sort", "fuse"]
    assert left(likely) == ["query", "generate", "extract", "loglik"]


def test_a_node_only_says_where_children_stand() -> None:
    """Fields of the node are not handed on; those of the tree are, and the policy reads some of its own."""
    tree = field(drafts(2), "score")
    node = field(typed(Choose(), [tree], label="choose"), "critique")
    grown = typed(Grow(), [tree, drafts(3), node], label="grow")
    assert sorted(left(grown)) == ["choose", "generate", "generate", "grow", "query", "score"]
    again = typed(Choose(), [typed(Grow(), [tree, tree, node], label="grow")], label="again")
    assert left(fused(again)) == ["query", "generate", "score", "choose", "grow", "again", "fuse"]


def test_one_candidate_is_not_compared() -> None:
    one, two = compared(drafts(1)), compared(drafts(2))
    assert labels(short_circuit_single(Graph((QUERY,), (one,)), PassContext()).output) == ["query", "generate"]
    assert labels(short_circuit_single(Graph((QUERY,), (two,)), PassContext()).output) == [
        "query",
        "generate",
        "compare",
    ]


def test_groups_are_merged_and_choices_by_chance_are_not() -> None:
    pool = drafts(3)

    def joined(one: Node, other: Node) -> bool:
        both = typed(Concat(), [one, other], label="+")
        merged = merge_identical_calls(Graph((QUERY,), (both,)), PassContext()).output
        return merged.inputs[0] is merged.inputs[1]

    assert joined(*(typed(Group(by="text"), [pool], label="group", stream=s) for s in "ab"))
    assert not joined(*(typed(Choose(by="logprob"), [pool], label="choose", stream=s) for s in "ab"))


def test_more_orders_are_the_same_stream() -> None:
    few, many = (typed(ShuffleOptions(n=n), [QUERY], label="shuffle") for n in (2, 9))
    assert few.stream == many.stream
    assert few.digest != many.digest
    assert typed(Take(k=2), [few], label="take").digest != typed(Take(k=2), [many], label="take").digest
