"""What comparisons, log-probabilities and trees cost."""

from __future__ import annotations

import pytest

from pnyx.compiler.cost import Cost, Estimate, estimate
from pnyx.compiler.graph import Graph, Node
from pnyx.compiler.operators import (
    AnswerKind,
    Ask,
    Extract,
    Filter,
    Input,
    Loglik,
    OnFail,
    Over,
    PromptText,
    Reads,
    Sample,
)
from pnyx.compiler.passes.context import typed
from tests.elaborate.programs import body, compiled
from tests.passes.pipelines import plan_of

QUERY = typed(Input(), [], label="query")
TWO = PromptText(name="two", params=("query", "a", "b"), user="{{ query }} {{ a.text }} {{ b.text }}")


def drafts(n: int) -> Node:
    return typed(Sample(model="small", n=n, joined=n > 1), [QUERY], label="generate")


def cost(operator: Ask | Loglik, pool: Node) -> Cost:
    output = typed(operator, [QUERY, pool], label="asked")
    return estimate(plan_of(Graph((QUERY,), (output,)))).nodes[-1].cost


def compare(over: Over, retries: int = 0) -> Ask:
    into = "wins" if over is Over.PAIRS else None
    return Ask(model="judge", prompt=TWO, over=over, reads=Reads.WINNER, into=into, on_fail=OnFail(retries=retries))


@pytest.mark.parametrize(("n", "neighbours", "pairs"), [(1, 0, 0), (2, 1, 2), (3, 1, 6), (6, 3, 30)])
def test_neighbours_are_half_as_many_as_candidates_and_pairs_each_with_each(
    n: int, neighbours: int, pairs: int
) -> None:
    assert cost(compare(Over.NEIGHBOURS), drafts(n)).calls == Estimate.exactly(neighbours)
    assert cost(compare(Over.PAIRS), drafts(n)).calls == Estimate.exactly(pairs)


def test_retries_and_sizes_that_are_not_known_make_an_interval() -> None:
    some = typed(Filter(by="logprob", at_least=-9), [drafts(5)], label="filter")
    assert cost(compare(Over.NEIGHBOURS, retries=2), drafts(5)).calls == Estimate(2, 2, 6)
    for over, most in ((Over.NEIGHBOURS, 2), (Over.PAIRS, 20)):
        calls = cost(compare(over), some).calls
        assert (calls.least, calls.most) == (0, most)
        assert 0 < calls.expected < most


def test_texts_are_looked_at_in_one_call_that_draws_nothing() -> None:
    one, four = (cost(Loglik(model="judge"), drafts(n)) for n in (1, 4))
    for found in (one, four):
        assert found.calls == Estimate.exactly(1)
        assert found.samples == found.generated_tokens == Estimate.exactly(0)
    assert four.prompt_tokens.expected > 2 * one.prompt_tokens.expected
    answers = typed(Extract(answer=AnswerKind.NUMBER), [drafts(4)], label="extract")
    assert cost(Loglik(model="judge", of="answer"), answers).calls == Estimate(0, 1, 1)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 13])
def test_a_knockout_takes_one_comparison_less_than_there_are_candidates(n: int) -> None:
    for optimise in (True, False):
        plan = compiled(body(f"query |> generate(small, n = {n}) |> tournament(judge)"), optimise=optimise)
        total = estimate(plan).total.calls
        assert total == Estimate.exactly(n - 1 + (1 if optimise else n))
        assert (plan.nodes[plan.output].type.low, plan.nodes[plan.output].type.high) == (1, 1)


def test_a_search_without_a_score_that_is_enough_has_a_fixed_price() -> None:
    """Two first answers and five times one child, each scored."""
    search = "tree_search(small, revise(_, small), p_yes(_, judge), budget = 5, width = 2{})"
    fixed = estimate(compiled(body(f"query |> {search.format('')}"), optimise=True)).total.calls
    assert fixed == Estimate.exactly(1 + 2 + 5 * 2)
    ends = estimate(compiled(body(f"query |> {search.format(', enough = 0.9')}"), optimise=True)).total.calls
    assert (ends.least, ends.most) == (1 + 2 + 2, 1 + 2 + 5 * 2)
