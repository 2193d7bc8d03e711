"""What plans cost: calls by kind of node, bounds, and money."""

from __future__ import annotations

import math

import pytest
from hypothesis import given

from pnyx.compiler.cost import CostReport, Estimate, Profile, estimate, explain_rows, to_json
from pnyx.compiler.cost.lengths import Lengths
from pnyx.compiler.graph import Graph, Node
from pnyx.compiler.operators import (
    Action,
    Ask,
    Concat,
    Dedupe,
    Filter,
    Input,
    OnFail,
    Over,
    PromptText,
    Reads,
    Sample,
    Sampling,
    Single,
    Take,
    Vote,
)
from pnyx.compiler.passes import optimise
from pnyx.compiler.passes.context import typed
from tests.passes.pipelines import CRITIQUE, FUSE, JUDGE_TESTS, archon, critique, fuse, layered, plan_of
from tests.strategies import graphs

QUERY = typed(Input(), [], label="query")
THREE = typed(Sample(model="small", n=3), [QUERY], label="generate")
ONE = typed(Sample(model="small"), [QUERY], label="generate")
SOME = typed(Filter(by="logprob", at_least=-1), [THREE], label="filter")
VOTED = typed(Vote(by="text"), [THREE], label="vote")


def report(output: Node, profile: Profile | None = None) -> CostReport:
    return estimate(plan_of(Graph((QUERY,), (output,))), profile)


def ask(pool: Node, **attributes: object) -> Node:
    operator = Ask(**{"model": "judge", "prompt": FUSE, "over": Over.ALL, **attributes})  # type: ignore[arg-type]
    return typed(operator, [QUERY, pool], label="ask")


TRIED = typed(
    Ask(model="judge", prompt=JUDGE_TESTS, over=Over.EACH, into="passes", reads=Reads.PASSES, variables=("tests",)),
    [QUERY, THREE, ask(THREE, reads=Reads.LIST, count=4)],
    label="judge_tests",
)


def exactly(value: float) -> Estimate:
    return Estimate.exactly(value)


@pytest.mark.parametrize(
    ("output", "calls", "samples"),
    [
        (THREE, exactly(3), exactly(3)),
        (typed(Sample(model="small", n=3, joined=True), [QUERY], label="g"), exactly(1), exactly(3)),
        (ask(THREE, over=Over.EACH, prompt=CRITIQUE, into="critique"), exactly(3), exactly(3)),
        (ask(THREE, over=Over.EACH, prompt=CRITIQUE, n=2), exactly(6), exactly(6)),
        (ask(THREE, over=Over.EACH, prompt=CRITIQUE, n=2, joined=True), exactly(3), exactly(6)),
        (ask(THREE, over=Over.EACH, prompt=CRITIQUE, into="score", reads=Reads.YES), exactly(3), exactly(0)),
        (ask(SOME, over=Over.EACH, prompt=CRITIQUE, into="critique"), Estimate(0, 1.5, 3), Estimate(0, 1.5, 3)),
        (TRIED, Estimate(0, 3, 3), Estimate(0, 3, 3)),
        (ask(THREE), exactly(1), exactly(1)),
        (ask(THREE, n=2), exactly(2), exactly(2)),
        (ask(THREE, single=Single.KEEP), exactly(1), exactly(1)),
        (ask(ONE, single=Single.KEEP), exactly(0), exactly(0)),
        (ask(SOME, single=Single.KEEP), Estimate(0, 1, 1), Estimate(0, 1, 1)),
        (ask(VOTED, single=Single.KEEP), exactly(0), exactly(0)),
        (ask(VOTED), exactly(1), exactly(1)),
        (ask(ONE, reads=Reads.ORDER), exactly(0), exactly(0)),
        (ask(THREE, reads=Reads.ORDER, on_fail=OnFail(retries=2)), Estimate(1, 1, 3), Estimate(1, 1, 3)),
        (ask(THREE, on_fail=OnFail(retries=2)), exactly(1), exactly(1)),
    ],
)
def test_calls_and_samples_of_a_node(output: Node, calls: Estimate, samples: Estimate) -> None:
    last = report(output).nodes[-1].cost
    assert (last.calls, last.samples) == (calls, samples)


def test_archon_in_full() -> None:
    """2 × 4 drafts, 8 critiques, a rank, a fuse and a verdict; joined, the drafts are two calls."""
    total = estimate(plan_of(archon(4))).total
    assert total.calls == total.samples == exactly(8 + 8 + 3)
    joined = estimate(plan_of(optimise(archon(4))))
    assert joined.total.calls == exactly(2 + 8 + 3)
    assert joined.total.samples == exactly(8 + 8 + 3)
    assert joined.depth == exactly(5)
    assert joined.total.generated_tokens.most == 8 * 256 + 8 * 512 + 64 + 512 + 16


def test_depth_counts_retries_and_the_longest_chain() -> None:
    failing = OnFail(retries=1, then=Action.KEEP)
    scored = ask(THREE, over=Over.EACH, prompt=CRITIQUE, into="score", reads=Reads.GRADE, on_fail=failing)
    joined = typed(Concat(), [scored, ONE], label="+")
    assert report(fuse(QUERY, joined)).depth == Estimate(3, 3, 4)


def test_without_tests_nobody_is_asked_whichever_pool_they_are() -> None:
    """The tests are the pool of that name, not the first one given."""
    empty = typed(Take(k=0), [THREE], label="take")
    for variables, pools, calls in (
        (("others", "tests"), (ONE, empty), 0),
        (("tests", "others"), (ONE, empty), 3),
        (("checks", "others"), (empty, ONE), 0),
    ):
        operator = Ask(
            model="judge", prompt=JUDGE_TESTS, over=Over.EACH, into="passes", reads=Reads.PASSES, variables=variables
        )
        tried = typed(operator, [QUERY, THREE, *pools], label="judge_tests")
        assert report(tried).nodes[-1].cost.calls.expected == calls


def test_flops_and_money() -> None:
    """2 × parameters × tokens; prices for each million tokens."""
    total = report(THREE).total
    tokens = total.prompt_tokens.expected + total.generated_tokens.expected
    assert total.flops is not None
    assert total.flops.expected == pytest.approx(2 * 134.5e6 * tokens)
    assert total.money is not None
    expected = (0.1 * total.prompt_tokens.expected + 0.4 * total.generated_tokens.expected) / 1e6
    assert total.money.expected == pytest.approx(expected)


def test_unknown_sizes_and_prices_stay_unknown() -> None:
    plan = plan_of(archon())
    bare = plan.model_copy(update={"models": tuple(m.model_copy(update={"price_in": None}) for m in plan.models)})
    total = estimate(bare).total
    assert total.money is None
    half = plan.model_copy(update={"models": tuple(m.model_copy(update={"price_out": None}) for m in plan.models)})
    assert estimate(half).total.money is None
    assert total.flops is not None
    assert to_json(bare, estimate(bare))["total"]["money"] is None
    assert explain_rows(bare, estimate(bare))[-1].cells[-2] == "—"
    nothing = report(QUERY).total
    assert nothing.money == nothing.flops == exactly(0)


def test_without_a_context_nothing_bounds_a_prompt() -> None:
    plan = plan_of(Graph((QUERY,), (THREE,)))
    open_ended = plan.model_copy(update={"models": tuple(m.model_copy(update={"context": None}) for m in plan.models)})
    assert math.isinf(estimate(open_ended).total.prompt_tokens.most)
    assert estimate(plan).total.prompt_tokens.most == 3 * 8192
    assert to_json(open_ended, estimate(open_ended))["total"]["prompt_tokens"]["most"] is None


def test_prompt_tokens_follow_the_template() -> None:
    def tokens(user: str) -> Estimate:
        prompt = PromptText(name="p", params=("candidates",), user=user)
        return report(ask(THREE, prompt=prompt, sampling=Sampling(max_tokens=8))).nodes[-1].cost.prompt_tokens

    each = "{% for c in candidates %}{{ c.text }}{% endfor %}"
    assert tokens("x" * 400).expected == pytest.approx(108)
    assert tokens(each).expected == pytest.approx(3 * 256 + 8)
    assert tokens(each).most == 3 * 512 + 64
    assert tokens("x" * 400).least == pytest.approx(50)
    assert tokens("{% if candidates[0].critique %}" + "x" * 400 + "{% endif %}").expected == pytest.approx(8)
    assert tokens("{{ candidates | length // 0 }}").expected > 0


def test_large_pools_are_counted_not_rendered() -> None:
    crowd = typed(Sample(model="small", n=10_000), [QUERY], label="generate")
    few = typed(Sample(model="small", n=10), [QUERY], label="generate")
    many, some = (report(fuse(QUERY, pool)).nodes[-1].cost.prompt_tokens for pool in (crowd, few))
    assert many.expected == 32768
    assert some.expected < 32768
    unbounded = plan_of(Graph((QUERY,), (fuse(QUERY, crowd),)))
    models = tuple(m.model_copy(update={"context": None}) for m in unbounded.models)
    tokens = estimate(unbounded.model_copy(update={"models": models})).nodes[-1].cost.prompt_tokens.expected
    assert tokens == pytest.approx(10_000 * 256, rel=0.05)


def test_sizes_come_from_types_and_rules() -> None:
    assert report(SOME).nodes[-1].size == Estimate(0, 1.5, 3)
    assert report(typed(Dedupe(), [THREE], label="d")).nodes[-1].size == Estimate(1, 2, 3)
    assert report(VOTED).nodes[-1].size == Estimate(0, 1, 1)
    assert report(typed(Take(k=1), [SOME], label="t")).nodes[-1].size == Estimate(0, 1, 1)
    assert report(ask(THREE, reads=Reads.LIST, count=4)).nodes[-1].size == Estimate(0, 4, 4)


def test_measured_sizes_scale_with_the_pool() -> None:
    profile = Profile()
    for kept in (1, 2, 3):
        profile.observe_size(THREE.stream, 4)
        profile.observe_size(SOME.stream, kept)
    assert report(SOME, profile).nodes[-1].size.expected == pytest.approx(1.5)
    eight = typed(Sample(model="small", n=8), [QUERY], label="generate")
    more = typed(SOME.operator, [eight], label="filter")
    assert report(more, profile).nodes[-1].size.expected == pytest.approx(4)


def test_a_list_of_measured_length() -> None:
    listing = ask(THREE, reads=Reads.LIST, count=4)
    profile = Profile()
    profile.observe_size(listing.stream, 2)
    profile.observe_size(listing.stream, 1)
    assert report(listing, profile).nodes[-1].size == Estimate(0, 1.5, 4)


def test_a_policy_that_drops_narrows_what_follows() -> None:
    policy = OnFail(then=Action.DROP)
    scored = ask(THREE, over=Over.EACH, prompt=CRITIQUE, into="score", reads=Reads.GRADE, on_fail=policy)
    assert report(scored).nodes[-1].size == Estimate(0, 3, 3)
    profile = Profile()
    profile.observe_size(THREE.stream, 3)
    profile.observe_size(scored.stream, 2)
    assert report(scored, profile).nodes[-1].size.expected == pytest.approx(2)


def test_a_prompt_measured_shorter_than_any_frame() -> None:
    profile = Profile()
    profile.observe_call(THREE.stream, "small", prompt_chars=4000, prompt_tokens=1000, samples=1, generated_tokens=1)
    profile.observe_call(ONE.stream + "x", "small", prompt_chars=40, prompt_tokens=60, samples=1, generated_tokens=1)
    profile.observe_call(VOTED.stream, "small", prompt_chars=8, prompt_tokens=2, samples=1, generated_tokens=1)
    fit = Lengths(profile).fit("small", VOTED.stream)
    assert (fit.per_char, fit.frame) == (0.25, 0)


def test_measured_replies_replace_the_rules() -> None:
    profile = Profile()
    profile.observe_call(THREE.stream, "small", prompt_chars=100, prompt_tokens=30, samples=4, generated_tokens=80)
    measured = report(THREE, profile)
    assert measured.measured
    assert measured.total.generated_tokens == Estimate(0, 60, 1536)
    other = typed(Sample(model="small", stream=1), [QUERY], label="generate")
    assert report(other, profile).total.generated_tokens.expected == 20


def test_a_question_of_measured_length() -> None:
    profile = Profile()
    profile.observe_question(40)
    profile.observe_question(120)
    assert report(ONE, profile).total.prompt_tokens.expected == pytest.approx(80 / 4 + 8)


@given(graphs())
def test_bounds_hold_expectations(graph: Graph) -> None:
    plan = plan_of(graph)
    made = estimate(plan)
    for entry, current in zip(made.nodes, plan.nodes, strict=True):
        figures = [entry.size, entry.depth, *(getattr(entry.cost, n) for n in ("calls", "samples", "flops", "money"))]
        figures += [entry.cost.prompt_tokens, entry.cost.generated_tokens]
        assert all(f.least - 1e-9 <= f.expected <= f.most + 1e-9 for f in figures)
        if current.type.fields is not None:
            assert current.type.low <= entry.size.expected <= current.type.high


def test_the_table_has_a_row_for_each_node_and_a_total() -> None:
    plan = plan_of(layered())
    made = estimate(plan)
    rows = explain_rows(plan, made)
    assert [row.index for row in rows] == [*range(len(plan.nodes)), None]
    assert rows[0].cells == ("query", "", "Chat", *[""] * 7)
    assert rows[1].cells[:5] == ("generate", "small", "Pool[4]{text}", "4", "4")
    assert rows[-1].cells[0] == "total"
    data = to_json(plan, made)
    assert data["total"]["calls"] == {"least": 18, "expected": 22, "most": 22}
    assert [entry["label"] for entry in data["nodes"]] == [entry.label for entry in plan.nodes]


def test_critique_lengths_reach_the_prompts_that_show_them() -> None:
    plain = report(fuse(QUERY, THREE)).nodes[-1].cost.prompt_tokens.expected
    shown = report(fuse(QUERY, critique(QUERY, THREE))).nodes[-1].cost.prompt_tokens.expected
    assert shown > plain + 3 * 256


def test_replies_are_expected_to_be_as_long_as_they_must_be() -> None:
    least = typed(Sample(model="small", sampling=Sampling(max_tokens=100, min_tokens=90)), [QUERY], label="generate")
    assert report(least).total.generated_tokens == Estimate(0, 90, 100)
