"""Loops, `each` and branches: their values, seeds and keys, what is in flight, and what fails first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter

import pytest
from by_hand import ANSWERS, INT, each, given, judge, loop, made, match, plan, pool_type, question, revise
from hypothesis import given as generated
from hypothesis import settings
from hypothesis import strategies as st
from scripted import Script, ask, finish, prompt_of, sample, texts

from pnyx.compiler.graph import Graph, Node
from pnyx.compiler.operators import (
    Action,
    Compute,
    Concat,
    Constant,
    Empty,
    FieldOf,
    Filter,
    Measure,
    MeasureKind,
    OnFail,
    Over,
    Reads,
    Take,
)
from pnyx.compiler.plan import Plan
from pnyx.compiler.types import CHAT
from pnyx.runtime.candidates import Candidate
from pnyx.runtime.errors import EngineFailure
from pnyx.runtime.interpreter import Execution
from pnyx.runtime.question import checked
from pnyx.runtime.request import Request, Response, SampledText
from pnyx.runtime.results import Result
from pnyx.runtime.seeds import seed_for


def gathering(most: int, *, enough: int | None = None) -> Plan:
    """`pool = empty; loop max most until size(pool) >= enough { pool = pool + generate }`."""
    query = question()
    pool, chat = given(pool_type(0, most, ANSWERS), CHAT)
    more = made(Concat(), pool, made(sample(), chat))
    outputs = [more]
    if enough is not None:
        size = made(Measure(what=MeasureKind.SIZE), more)
        outputs.append(made(Compute(symbol=">="), size, made(Constant(value=enough))))
    body = Graph((pool, chat), tuple(outputs))
    (result,) = loop(most, [made(Empty())], [query], body, until=enough is not None)
    return plan(result, query)


def refining(n: int, most: int, then: Action = Action.KEEP) -> Plan:
    """`generate(n) |> each c { loop max most until c.verdict { c = c |> judge |> revise }; c } |> judge`."""
    query = question()
    one, chat = given(pool_type(1, 1), CHAT)
    verified = ask(into="verdict", reads=Reads.VERDICT, on_fail=OnFail(retries=1, then=then))
    candidate, asked = given(pool_type(0, 1), CHAT)
    judged = made(verified, asked, candidate)
    done = made(FieldOf(name="verdict"), judged)
    with_verdict, reader = given(pool_type(0, 1, ANSWERS | {"verdict"}), CHAT)
    kept, revised = ((with_verdict, reader), (with_verdict,)), ((with_verdict, reader), (revise(reader, with_verdict),))
    better = match(done, [True], [judged, asked], Graph(*kept), Graph(*revised))
    (last,) = loop(most, [one], [chat], Graph((candidate, asked), (better, done)), until=True)
    refined = each(made(sample(n), query), [query], Graph((one, chat), (last,)))
    return plan(judge(query, refined), query)


def by_seed(request: Request) -> str:
    """Replies that depend on the messages and the seed alone; some cannot be read."""
    chance = seed_for(request.seed, prompt_of(request), "", "", 0)
    if request.reads is Reads.VERDICT:
        return ("Verdict: correct", "Verdict: incorrect", "hm")[chance % 3]
    return f"text {chance % 7} {{seed}}"


def run(plan: Plan, script: Script, **more: object) -> tuple[Result, Execution, list[object]]:
    """Runs a plan by hand; gives the execution too."""
    execution = Execution(plan, checked("Q?"), seed=0)
    calls: list[object] = []
    waiting = execution.start()
    while not execution.done:
        call = waiting.pop(0)
        calls.append(call)
        reply = script(call.request)  # type: ignore[arg-type]
        assert isinstance(reply, str)
        texts = tuple(SampledText(text=reply, tokens=1) for _ in range(call.request.n))  # type: ignore[union-attr]
        waiting += execution.deliver(call.id, Response(samples=texts))
    return execution.result, execution, calls


def pools_of(execution: Execution, kind: str) -> list[tuple[Candidate, ...]]:
    return [pool for step, pool, _ in execution.pools() if step.operator.kind == kind]


# Loops


def test_a_loop_runs_its_rounds_and_draws_anew_in_each() -> None:
    result, calls = finish(gathering(3), lambda _: "{seed}")
    assert len(calls) == 3
    assert len(set(texts(result))) == 3
    assert len({call.stream for call in calls}) == 1


def test_a_loop_ends_when_its_condition_holds() -> None:
    result, calls = finish(gathering(9, enough=2), lambda _: "{seed}")
    assert (len(result.candidates), len(calls)) == (2, 2)


def test_more_rounds_keep_the_samples_of_the_first() -> None:
    few, _ = finish(gathering(2), lambda _: "{seed}")
    many, _ = finish(gathering(5), lambda _: "{seed}")
    assert many.candidates[:2] == few.candidates


def test_a_loop_of_one_round_gives_what_its_body_gives() -> None:
    query = question()
    pool, chat = given(pool_type(3, 3), CHAT)
    (once,) = loop(1, [made(sample(3), query)], [query], Graph((pool, chat), (revise(chat, pool),)))
    straight = revise(query, made(sample(3), query))
    replies: Script = lambda request: f"<{prompt_of(request)}>{{k}}"  # noqa: E731
    assert finish(plan(once, query), replies)[0].candidates == finish(plan(straight, query), replies)[0].candidates


def test_several_values_go_round_together() -> None:
    query = question()
    low, high = given(INT, INT)
    swapped = Graph((low, high), (high, made(Compute(symbol="+"), low, high)))
    one = made(Constant(value=1))
    _, last = loop(10, [one, one], [], swapped)
    assert finish(plan(last, query), lambda _: "")[0].answer == "144"


@pytest.mark.parametrize("rounds", [10_000, 10_001])
def test_a_body_of_nothing_goes_round_without_end_of_the_stack(rounds: int) -> None:
    query = question()
    a, b = given(INT, INT)
    first, _ = loop(rounds, [made(Constant(value=1)), made(Constant(value=2))], [], Graph((a, b), (b, a)))
    assert finish(plan(first, query), lambda _: "")[0].answer == str(1 + rounds % 2)


def test_keys_do_not_grow_with_the_rounds() -> None:
    query = question()
    pool, chat = given(pool_type(1, 1), CHAT)
    (last,) = loop(40, [made(sample(), query)], [query], Graph((pool, chat), (revise(chat, pool),)))
    _, execution, _ = run(plan(last, query), lambda _: "x")
    keys = [pool[0].key for pool in pools_of(execution, "ask")]
    assert len(set(keys)) == len(keys) == 40
    assert max(map(len, keys)) < 140


def test_an_absent_condition_does_not_end_a_loop() -> None:
    query = question()
    pool, chat = given(pool_type(1, 1), CHAT)
    judged = judge(chat, pool)
    body = Graph((pool, chat), (made(Take(k=1), judged), made(FieldOf(name="verdict"), judged)))
    (last,) = loop(4, [made(sample(), query)], [query], body, until=True)
    _, calls = finish(plan(last, query), lambda request: "no idea")
    assert len(calls) == 5


# Each


def test_candidates_of_an_each_are_in_flight_together_and_stay_in_order() -> None:
    query = question()
    one, chat = given(pool_type(1, 1), CHAT)
    doubled = each(made(sample(3), query), [query], Graph((one, chat), (revise(chat, one, n=2),)))
    made_plan = plan(doubled, query)
    execution = Execution(made_plan, checked("Q?"), seed=0)
    drafts = execution.start()
    begun = [execution.deliver(c.id, Response(samples=(SampledText(text="x", tokens=1),))) for c in drafts]
    assert list(map(len, begun)) == [0, 0, 6]
    result, _ = finish(made_plan, lambda r: f"{prompt_of(r)[-1]}{{k}}" if "revise" in prompt_of(r) else "{k}")
    assert texts(result) == ["00", "01", "10", "11", "20", "21"]


def test_an_each_over_nothing_asks_nobody() -> None:
    query = question()
    one, chat = given(pool_type(1, 1), CHAT)
    nothing = each(made(Take(k=0), made(sample(2), query)), [query], Graph((one, chat), (revise(chat, one),)))
    result, calls = finish(plan(made(Concat(), nothing, made(sample(1), query)), query), lambda _: "x")
    assert (len(result.candidates), {c.stream for c in calls}) == (1, {calls[0].stream})


def test_what_a_candidate_draws_in_an_each_follows_the_candidate() -> None:
    query = question()
    one, chat = given(pool_type(1, 1), CHAT)
    body = Graph((one, chat), (made(sample(), chat),))
    drafts = made(sample(4), query)
    all_four, _ = finish(plan(each(drafts, [query], body), query), lambda r: "{seed}")
    assert len(set(texts(all_four))) == 4
    seeds = {}
    for k in (2, 4):
        cut = made(Take(k=k), drafts, stream="cut")
        _, calls = finish(plan(each(cut, [query], body), query), lambda r: "{seed}")
        seeds[k] = [c.request.seed for c in calls[4:]]
    assert seeds[4][:2] == seeds[2]


@pytest.mark.no_cover
def test_a_thousand_candidates_take_no_time() -> None:
    query = question()
    one, chat = given(pool_type(1, 1), CHAT)
    refined = each(made(sample(1000, joined=True), query), [query], Graph((one, chat), (revise(chat, one),)))
    started = perf_counter()
    result, _ = finish(plan(refined, query), lambda _: "{seed}", pick=lambda n: n - 1)
    assert len(set(texts(result))) == 1000
    assert perf_counter() - started < 5


# Branches


def branching(value: Node, patterns: Sequence[object], *, otherwise: bool = True) -> Plan:
    """Says which of its bodies ran: as many constants as bodies."""
    bodies = [Graph((), (made(Constant(value=f"body {i}")),)) for i in range(len(patterns) + otherwise)]
    return plan(match(value, patterns, [], *bodies, otherwise=otherwise), question())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "patterns", "taken"),
    [
        ("easy", ["easy", "hard"], 0),
        ("hard", ["easy", "hard"], 1),
        ("odd", ["easy", "hard"], 2),
        (True, [True], 0),
        (False, [True], 1),
        (1, [True], 1),
        (True, [1], 1),
        (2.0, [1, 2], 1),
        ("2", [1, 2], 2),
    ],
)
def test_a_branch_runs_the_body_whose_pattern_the_value_equals(
    value: object, patterns: list[object], taken: int
) -> None:
    made_plan = branching(made(Constant(value=value)), patterns)  # type: ignore[arg-type]
    result, execution, _ = run(made_plan, lambda _: "")
    assert result.answer == f"body {taken}"
    assert [index for _, index in execution.branches()] == [taken]


def test_an_absent_value_takes_the_last_body_or_fails() -> None:
    absent = made(Compute(symbol="/"), made(Constant(value=1)), made(Constant(value=0)))
    assert finish(branching(absent, [0.5]), lambda _: "")[0].answer == "body 1"
    result, _ = finish(branching(absent, [0.5], otherwise=False), lambda _: "")
    assert (result.error and result.error.code) == "R809"


def test_a_value_without_a_branch_fails_the_example() -> None:
    made_plan = branching(made(Constant(value="odd")), ["easy", "hard"], otherwise=False)
    result, _ = finish(made_plan, lambda _: "")
    assert result.error is not None
    assert result.error.code == "R809"
    assert "'odd'" in result.error.message
    assert result.error.help


def test_only_the_body_that_is_taken_asks_anybody() -> None:
    query = question()
    (chat,) = given(CHAT)
    bodies = [Graph((chat,), (made(sample(n), chat),)) for n in (1, 2)]
    for value, count in ((True, 1), (False, 2)):
        result, calls = finish(
            plan(match(made(Constant(value=value)), [True], [query], *bodies), query), lambda _: "{k}"
        )
        assert len(calls) == len(result.candidates) == count


# All together


def comparable(result: Result) -> Result:
    return replace(
        result, usage=replace(result.usage, calls=0, samples=0, prompt_tokens=0, generated_tokens=0), nodes=()
    )


def picking(order: Sequence[int]) -> Callable[[int], int]:
    turn = iter(range(10**9))
    return lambda n: order[next(turn) % len(order)] % n


@settings(max_examples=60, deadline=None)
@generated(st.lists(st.integers(0, 10**6), min_size=1, max_size=40), st.integers(0, 10), st.sampled_from(Action))
def test_the_order_of_delivery_does_not_matter(order: list[int], seed: int, then: Action) -> None:
    made_plan = refining(4, 3, then)
    expected, _ = finish(made_plan, by_seed, seed=seed)
    result, _ = finish(made_plan, by_seed, seed=seed, pick=picking(order))
    if then is Action.FAIL:  # what was under way when it failed may differ
        assert comparable(result) == comparable(expected)
    else:
        assert result == expected


def failing_on(fails: set[int]) -> Script:
    def script(request: Request) -> str | Exception:
        if "revise" in prompt_of(request):
            draft = int(prompt_of(request).rsplit(" ", 1)[1])
            return EngineFailure(f"draft {draft}") if draft in fails else "fine"
        return "{k}"

    return script


@generated(st.sets(st.integers(0, 5), min_size=1), st.lists(st.integers(0, 99), min_size=1, max_size=9))
def test_the_first_candidate_that_fails_is_reported(fails: set[int], order: list[int]) -> None:
    query = question()
    one, chat = given(pool_type(1, 1), CHAT)
    refined = each(made(sample(6), query), [query], Graph((one, chat), (revise(chat, one),)))
    result, _ = finish(plan(refined, query), failing_on(fails), pick=picking(order))
    assert result.error is not None
    assert result.error.message == f"draft {min(fails)}"


def test_a_failure_waits_for_what_comes_before_it_and_begins_nothing_behind_it() -> None:
    query = question()
    one, chat = given(pool_type(1, 1), CHAT)
    refined = each(made(sample(3, joined=True), query), [query], Graph((one, chat), (revise(chat, revise(chat, one)),)))
    execution = Execution(plan(refined, query), checked("Q?"), seed=0)
    (drafts,) = execution.start()
    three = tuple(SampledText(text=str(k), tokens=1) for k in range(3))
    first, second, third = execution.deliver(drafts.id, Response(samples=three))
    assert execution.fail(second.id, EngineFailure("gone")) == []
    assert not execution.done
    answer = Response(samples=(SampledText(text="x", tokens=1),))
    assert execution.deliver(third.id, answer) == []
    (again,) = execution.deliver(first.id, answer)
    assert not execution.done
    execution.deliver(again.id, answer)
    assert execution.done
    assert (execution.result.error and execution.result.error.message) == "gone"


@settings(max_examples=30, deadline=None)
@generated(st.integers(1, 5), st.integers(1, 5), st.integers(0, 50))
def test_everything_that_is_drawn_has_a_key_and_seeds_of_its_own(n: int, most: int, seed: int) -> None:
    execution = Execution(refining(n, most), checked("Q?"), seed=seed)
    waiting = execution.start()
    seeds = []
    while not execution.done:
        call = waiting.pop()
        request = call.request
        assert isinstance(request, Request)
        seeds.append((request.seed, request.first))
        text = by_seed(request).replace("{seed}", str(request.seed + request.first))
        waiting += execution.deliver(call.id, Response(samples=(SampledText(text=text, tokens=1),)))
    assert len(set(seeds)) == len(seeds)
    keys = [
        c.key
        for step, pool, asked in execution.pools()
        if asked and not getattr(step.operator, "into", 0)
        for c in pool
    ]
    assert len(set(keys)) == len(keys)


def test_usage_and_calls_are_told_by_the_number_of_the_node_in_the_plan() -> None:
    made_plan = refining(2, 2)
    numbered = list(made_plan.everywhere())
    result, calls = finish(made_plan, by_seed)
    assert {numbered[call.node].stream for call in calls} == {call.stream for call in calls}
    assert sum(used.calls for used in result.nodes) == result.usage.calls == len(calls)
    assert [used.label for used in result.nodes] == [numbered[used.node].label for used in result.nodes]


def test_rounds_and_pools_are_told_by_stream() -> None:
    _, execution, _ = run(gathering(9, enough=4), lambda _: "x")
    assert [rounds for _, rounds in execution.rounds()] == [4]
    assert list(map(len, pools_of(execution, "concat"))) == [1, 2, 3, 4]
    assert {asked for step, _, asked in execution.pools() if step.operator.kind == "sample"} == {True}


def test_what_is_filtered_away_in_an_each_is_gone() -> None:
    query = question()
    one, chat = given(pool_type(1, 1), CHAT)
    kept = each(made(sample(3), query), [query], Graph((one, chat), (made(Filter(), judge(chat, one)),)))
    replies: Script = lambda r: "{k}" if r.reads is Reads.TEXT else f"Verdict: {'in' * ('1' in prompt_of(r))}correct"  # noqa: E731
    assert texts(finish(plan(kept, query), replies)[0]) == ["0", "2"]


def test_an_empty_pool_in_a_round_fails_where_it_is_asked_about() -> None:
    query = question()
    pool, chat = given(pool_type(0, 2, ANSWERS), CHAT)
    fused = made(ask(Over.ALL), chat, made(Take(k=0), pool))
    (last,) = loop(2, [made(sample(2), query)], [query], Graph((pool, chat), (fused,)))
    result, _ = finish(plan(last, query), lambda _: "x")
    assert (result.error and result.error.code) == "R805"


def test_a_condition_of_another_kind_than_true_does_not_end_a_loop() -> None:
    (count,) = given(INT)
    one = made(Constant(value=1))
    body = Graph((count,), (made(Compute(symbol="+"), count, one), one))
    (last,) = loop(3, [made(Constant(value=0))], [], body, until=True)
    assert finish(plan(last, question()), lambda _: "")[0].answer == "3"
