"""The interpreter as a whole: order of delivery, joining, seeds, and what is in flight together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from scripted import ask, finish, plan_of, prompt_of, sample

from pnyx.compiler.operators import (
    Action,
    AnswerKind,
    Concat,
    Dedupe,
    Extract,
    Filter,
    IfNone,
    OnFail,
    Over,
    Reads,
    Sample,
    Sort,
    Take,
    Vote,
)  # fmt: skip
from pnyx.compiler.plan import Plan
from pnyx.runtime.errors import EngineFailure
from pnyx.runtime.interpreter import Execution, PreparedPlan
from pnyx.runtime.question import checked
from pnyx.runtime.request import Message, Request
from pnyx.runtime.results import Result
from pnyx.runtime.seeds import example_key, seed_for


def layered(joined: bool = False, then: Action = Action.KEEP) -> Plan:
    """Two branches, tests, retries, a rank and a vote: something of everything."""
    retry = OnFail(retries=1, then=then)
    return plan_of(
        (sample(4, joined=joined), (0,)),
        (sample(2, stream=1, joined=joined), (0,)),
        (Concat(), (1, 2)),
        (ask(Over.QUERY, reads=Reads.LIST, count=2), (0,)),
        (ask(into="critique"), (0, 3)),
        (ask(into="score", reads=Reads.GRADE, on_fail=retry), (0, 3)),
        (ask(into="passes", reads=Reads.PASSES, variables=("tests",), on_fail=retry), (0, 6, 4)),
        (ask(Over.ALL, reads=Reads.ORDER, on_fail=retry), (0, 7)),
        (Take(k=3), (8,)),
        (ask(n=2, joined=joined), (0, 9)),
        (Filter(by="score", at_least=4, if_none=IfNone.KEEP), (7,)),
        (ask(Over.ALL, n=2, joined=joined), (0, 11)),
        (Concat(), (10, 12, 5)),
        (Extract(answer=AnswerKind.NUMBER), (13,)),
        (Sort(by="logprob"), (14,)),
        (Dedupe(), (15,)),
        (Vote(), (16,)),
    )


def world(request: Request) -> str:
    """Replies that depend on the messages and the seed alone; some cannot be read."""
    chance = seed_for(request.seed, prompt_of(request), "", "", 0)
    match request.reads:
        case Reads.GRADE:
            return f"Grade: {chance % 13}"
        case Reads.PASSES:
            return f"1: {('pass', 'fail')[chance % 2]}\n2: {('pass', 'fail', '?')[chance % 3]}"
        case Reads.ORDER:
            size = prompt_of(request).count("[")
            return " > ".join(f"[{(i + chance) % size + 1}]" for i in range(size)) if chance % 3 else "no idea"
        case Reads.LIST:
            return "1. one\n2. two"
        case _:
            return f"sample {{k}} is {chance % 5}"


def comparable(result: Result) -> Result:
    return replace(result, usage=replace(result.usage, calls=0, prompt_tokens=0), nodes=())


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=50), st.integers(0, 20), st.sampled_from(Action))
def test_the_order_of_delivery_does_not_matter(order: Sequence[int], seed: int, then: Action) -> None:
    turn = 0

    def pick(n: int) -> int:
        nonlocal turn
        turn += 1
        return order[turn % len(order)] % n

    plan = layered(then=then)
    expected, _ = finish(plan, world, seed=seed)
    result, _ = finish(plan, world, seed=seed, pick=pick)
    if then is Action.FAIL:  # what was under way when it failed may differ
        assert comparable(replace(result, usage=expected.usage)) == comparable(expected)
    else:
        assert result == expected


@given(st.integers(0, 50))
def test_joining_does_not_matter(seed: int) -> None:
    split, split_calls = finish(layered(joined=False), world_by_sample, seed=seed)
    joined, joined_calls = finish(layered(joined=True), world_by_sample, seed=seed)
    assert comparable(joined) == comparable(split)
    assert len(joined_calls) < len(split_calls)


def world_by_sample(request: Request) -> str:
    return "sample {seed}" if request.reads is Reads.TEXT else world(request)


def test_the_first_failing_node_of_the_plan_is_reported() -> None:
    bad = OnFail(then=Action.FAIL)
    plan = plan_of(
        (ask(Over.QUERY, reads=Reads.LIST, on_fail=bad), (0,)),
        (ask(Over.QUERY, reads=Reads.LIST, on_fail=bad), (0,)),
        (Concat(), (1, 2)),
    )
    for pick in (lambda n: 0, lambda n: n - 1):
        result, _ = finish(plan, lambda _: "", pick=pick)
        assert result.error is not None
        assert result.error.place == "t.pnyx:1:1"
        assert [failure.node for failure in result.failures] == ["ask1"]


def test_independent_nodes_are_in_flight_together() -> None:
    plan = plan_of((sample(), (0,)), (sample(stream=1), (0,)), (Concat(), (1, 2)))
    assert len(Execution(plan, checked("Q?"), seed=0).start()) == 2


def test_a_node_that_nobody_reads_is_still_awaited() -> None:
    plan = plan_of((sample(), (0,)), (sample(stream=1), (0,)), output=1)
    result, calls = finish(plan, lambda _: "x")
    assert (result.answer, len(calls)) == ("x", 2)


def test_raising_n_keeps_the_samples() -> None:
    few, _ = finish(plan_of((sample(2), (0,))), world_by_sample)
    many, _ = finish(plan_of((sample(5), (0,))), world_by_sample)
    assert many.candidates[:2] == few.candidates


def test_seeds_follow_the_candidate_not_its_place() -> None:
    critic = ask(into="critique")
    straight, _ = finish(plan_of((sample(3), (0,)), (critic, (0, 1))), world)
    plan = plan_of((sample(3), (0,)), (Sort(by="text"), (1,)), (critic, (0, 2)))
    same_stream = plan.nodes[3].model_copy(update={"stream": "s2"})
    turned, _ = finish(plan.model_copy(update={"nodes": (*plan.nodes[:3], same_stream)}), world)
    assert turned.candidates[0]["text"] != straight.candidates[0]["text"]
    assert {c["text"]: c["critique"] for c in turned.candidates} == {
        c["text"]: c["critique"] for c in straight.candidates
    }


def test_another_run_seed_question_or_stream_is_another_sample() -> None:
    seeds = set()
    for seed, question, stream in ((0, "a", "s"), (1, "a", "s"), (0, "b", "s"), (0, "a", "t")):
        plan = plan_of((Sample(model="m"), (0,)))
        plan = plan.model_copy(update={"nodes": (plan.nodes[0], plan.nodes[1].model_copy(update={"stream": stream}))})
        (call,) = Execution(plan, checked(question), seed=seed).start()
        seeds.add(call.request.seed)
    assert len(seeds) == 4


def test_seeds_stay_what_they_are() -> None:
    """Another rule would silently give every recorded run other samples."""
    key = example_key([Message("system", "Be brief."), Message("user", "Q?")])
    assert (key, seed_for(7, key, "s1", "s0:2", 1)) == ("3eb0f09587be88607fb65f03", 1534405740494741236)


@given(st.integers(), st.text(), st.text(), st.text(), st.integers(0, 9))
def test_seeds_fit(run: int, example: str, stream: str, candidate: str, attempt: int) -> None:
    seed = seed_for(run, example, stream, candidate, attempt)
    assert 0 <= seed < 2**62
    assert seed == seed_for(run, example, stream, candidate, attempt)
    assert seed != seed_for(run, example, stream, candidate, attempt + 1)


def test_questions_are_told_apart_by_role_and_text() -> None:
    questions = ([Message("user", "a")], [Message("user", "b")], [Message("system", "a")], [Message("user", "a")] * 2)
    assert len({example_key(messages) for messages in questions}) == 4


def test_usage_is_kept_by_node() -> None:
    result, calls = finish(layered(), world)
    assert result.usage.calls == len(calls) == sum(n.calls for n in result.nodes)
    assert [n.node for n in result.nodes] == sorted({c.node for c in calls})
    assert {n.label for n in result.nodes} >= {"sample1", "ask5"}


def test_a_program_serves_many_examples() -> None:
    program = PreparedPlan(layered())
    first = Execution(program, checked("one"), seed=0).start()
    second = Execution(program, checked("two"), seed=0).start()
    assert {c.request.seed for c in first}.isdisjoint(c.request.seed for c in second)


def test_a_failed_call_waits_only_for_what_comes_before_it() -> None:
    plan = plan_of((sample(), (0,)), (sample(stream=1), (0,)), (Concat(), (1, 2)))
    execution = Execution(plan, checked("Q?"), seed=0)
    first, second = execution.start()
    execution.fail(first.id, EngineFailure("gone"))
    assert execution.done
    execution = Execution(plan, checked("Q?"), seed=0)
    first, second = execution.start()
    execution.fail(second.id, EngineFailure("gone"))
    assert not execution.done
