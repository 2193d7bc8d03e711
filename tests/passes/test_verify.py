"""The verifier finds every broken invariant and names who broke it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pnyx.compiler.graph import Graph, Node, node
from pnyx.compiler.operators import Ask, Concat, Input, Operator, Over, PromptText, Sample, Take
from pnyx.compiler.passes import PassContext, optimise
from pnyx.compiler.passes.context import typed
from pnyx.compiler.types import CHAT, Pool, Size, Type
from pnyx.compiler.verify import GraphFault, verify
from tests.passes.pipelines import archon, layered

QUERY = typed(Input(), [], label="query")
ANOTHER = node(Input(), [], CHAT, label="q", stream="x")
DRAFTS = typed(Sample(model="m", n=2), [QUERY], label="generate")


def unchecked(operator: Operator, inputs: list[Node], type: Type) -> Graph:
    return Graph((QUERY,), (node(operator, inputs, type, label="wrong"),))


def ask(text: str, **attributes: object) -> Graph:
    prompt = PromptText(name="p", params=(), user=text)
    operator = Ask(model="m", prompt=prompt, over=Over.EACH, **attributes)  # type: ignore[arg-type]
    return Graph((QUERY,), (typed(operator, [QUERY, DRAFTS], label="wrong"),))


def test_accepts_what_is_right() -> None:
    verify(archon(), "elaboration")
    verify(layered(), "elaboration")


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (unchecked(Take(k=1), [DRAFTS], DRAFTS.type), r"its type is Pool\[2\].* instead of Pool\[1\]"),
        (unchecked(Take(k=1), [QUERY], DRAFTS.type), "Chat instead of a pool"),
        (unchecked(Input(), [], Pool(Size(1, 1))), "are equal"),
        (Graph((QUERY,), (replace(DRAFTS, stream="other"),)), "digest"),
        (Graph((QUERY,), (typed(Sample(model="m", joined=True), [QUERY], label="wrong"),)), "cannot be joined"),
        (ask("{{ candidates }}"), "reads `candidates`"),
        (ask("{% if %}"), "cannot be used"),
        (Graph((QUERY,), (typed(Sample(model="m"), [ANOTHER], label="g"),)), "second"),
    ],
)
def test_faults(graph: Graph, words: str) -> None:
    with pytest.raises(GraphFault, match=words) as caught:
        verify(graph, "some_pass")
    assert caught.value.after == "some_pass"
    assert "some_pass" in str(caught.value)


def test_equal_nodes_have_one_type() -> None:
    twin = replace(DRAFTS, type=Pool(Size(1, 1), frozenset({"text", "logprob", "model"})))
    both = Graph((QUERY,), (typed(Concat(), [DRAFTS, twin], label="+"),))
    with pytest.raises(GraphFault, match="equal"):
        verify(both, "some_pass")


def test_checking_names_the_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_types(graph: Graph, context: PassContext) -> Graph:
        return unchecked(Take(k=1), [graph.output], graph.output.type)

    monkeypatch.setattr("pnyx.compiler.passes.PASSES", (break_types,))
    with pytest.raises(GraphFault, match="after break_types"):
        optimise(Graph((QUERY,), (DRAFTS,)), check=True)
