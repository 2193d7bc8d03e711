"""Going on with candidates, probing them, and asking another question than the example's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scripted import ask, finish, plan_of, prompt_of, sample, texts

from pnyx.compiler.operators import AsQuery, Extend, Operator, Over, Sampling, Take
from pnyx.runtime.interpreter import Execution
from pnyx.runtime.question import Chat, checked
from pnyx.runtime.request import Message, Request, Response, SampledText, Subject
from pnyx.runtime.results import Result


def names(request: Request) -> str:
    """Candidates are called c0, c1, …"""
    return "c{k}"


def column(result: Result, field: str) -> list[object]:
    return [candidate.get(field) for candidate in result.candidates]


# Another question


def test_as_query_asks_the_text_of_the_first_candidate() -> None:
    plan = plan_of(
        (sample(2, joined=True), (0,)), (AsQuery(), (0, 1)), (sample(system="Brief."), (2,)),
        (ask(into="critique"), (2, 3)),
    )  # fmt: skip
    said = [Message("system", "s"), Message("user", "Q?"), Message("assistant", "a")]
    execution = Execution(plan, checked(said), seed=0)
    (first,) = execution.start()
    (asked,) = execution.deliver(first.id, Response(samples=tuple(SampledText(text=f"q{k}", tokens=1) for k in (0, 1))))
    assert isinstance(asked.request, Request)
    assert asked.request.messages == (Message("system", "Brief."), Message("user", "q0"))
    assert asked.request.subject == Subject("q0")
    (critic,) = execution.deliver(asked.id, Response(samples=(SampledText(text="x", tokens=1),)))
    assert isinstance(critic.request, Request)
    assert prompt_of(critic.request) == "q0 / x"
    assert execution.result.question == "Q?"


def test_another_question_keeps_what_was_said_before() -> None:
    said = (Message("user", "one"), Message("assistant", "two"), Message("user", "three"), Message("assistant", "four"))
    assert Chat(said).asking("new").messages == (*said[:2], Message("user", "new"))
    assert Chat((Message("system", "s"),)).asking("new").messages == (Message("system", "s"), Message("user", "new"))


def test_as_query_needs_a_candidate() -> None:
    result, calls = finish(plan_of((sample(), (0,)), (Take(k=0), (1,)), (AsQuery(), (0, 2)), (sample(), (3,))), names)
    assert (result.error and (result.error.code, result.error.place), len(calls)) == (("R805", "t.pnyx:3:1"), 1)


# Extend


STEPS = Sampling(stop=("\n\n",))


def stepping(*nodes: tuple[Operator, tuple[int, ...]], replies: Callable[[Request], list[SampledText]]) -> Execution:
    execution = Execution(plan_of(*nodes), checked("Q?"), seed=0)
    waiting = execution.start()
    while not execution.done:
        call = waiting.pop()
        assert isinstance(call.request, Request)
        waiting += execution.deliver(call.id, Response(samples=tuple(replies(call.request))))
    return execution


def steps(request: Request) -> list[SampledText]:
    """Sample 0 ends a step, sample 1 the text, sample 2 runs out of tokens; what is continued ends."""
    if request.prefix:
        return [SampledText(text=" more", tokens=1, logprobs=(-1.0,)) for _ in range(request.n)]
    made = [
        SampledText(text="a", tokens=1, logprobs=(-0.5,), stopped="\n\n"),
        SampledText(text="b", tokens=1, logprobs=(-0.5,)),
        SampledText(text="c", tokens=1, finish="length"),
    ]
    return made[request.first : request.first + request.n]


def test_new_candidates_tell_whether_they_are_finished_where_something_stops_them() -> None:
    result = stepping((sample(3, sampling=STEPS), (0,)), replies=steps).result
    assert column(result, "finished") == [False, True, False]
    assert column(result, "stopped") == ["\n\n", None, None]
    assert "finished" not in stepping((sample(3), (0,)), replies=steps).result.candidates[0]
    result = stepping((ask(Over.QUERY, sampling=STEPS), (0,)), replies=steps).result
    assert column(result, "finished") == [False]


@pytest.mark.parametrize("joined", [True, False])
def test_extend_goes_on_with_what_is_not_finished(joined: bool) -> None:
    seen: list[Request] = []

    def replies(request: Request) -> list[SampledText]:
        seen.append(request)
        return steps(request)

    extend = Extend(model="m", n=2, joined=joined, system="Brief.", sampling=STEPS)
    execution = stepping((sample(3, sampling=STEPS), (0,)), (extend, (0, 1)), replies=replies)
    result = execution.result
    assert texts(result) == ["a\n\n more"] * 2 + ["b"] + ["c more"] * 2
    assert column(result, "logprob") == [-1.5, -1.5, -0.5, None, None]
    assert column(result, "finished") == [True] * 5
    asked = [request for request in seen if request.prefix]
    assert len(asked) == (2 if joined else 4)
    assert {request.prefix for request in asked} == {"a\n\n", "c"}
    assert {request.messages for request in asked} == {(Message("system", "Brief."), Message("user", "Q?"))}
    assert len({request.seed for request in asked}) == 2
    (made,) = [pool for step, pool, _ in execution.pools() if step.operator == extend]
    assert len({c.key for c in made}) == 5


def test_extend_asks_nobody_about_what_is_finished() -> None:
    extend = Extend(model="m")
    result, calls = finish(plan_of((sample(2, sampling=STEPS), (0,)), (extend, (0, 1))), names)
    assert (texts(result), len(calls)) == (["c0", "c1"], 2)


def test_what_is_forced_goes_on_though_it_is_finished() -> None:
    """Budget forcing: the model has ended, and is made to think again."""
    wait = Extend(model="m", force="\nWait")
    nodes = [(sample(3, sampling=STEPS), (0,)), (wait, (0, 1)), (wait, (0, 2))]
    execution = stepping(*nodes, replies=steps)
    again = "\nWait more" * 2
    assert texts(execution.result) == [f"a\n\n{again}", f"b{again}", f"c{again}"]


def test_a_probe_leaves_the_candidates_as_they_are() -> None:
    seen: list[str] = []

    def replies(request: Request) -> list[SampledText]:
        seen.append(request.prefix)
        return [SampledText(text=" 42 ", tokens=1)] if request.prefix else steps(request)

    probe = Extend(model="m", into="guess", force="So:")
    execution = stepping((sample(3, sampling=STEPS), (0,)), (probe, (0, 1)), replies=replies)
    assert column(execution.result, "guess") == ["42"] * 3
    assert texts(execution.result) == ["a", "b", "c"]
    assert sorted(filter(None, seen)) == ["a\n\nSo:", "bSo:", "cSo:"]
    before, after = [[c.key for c in pool] for _, pool, _ in execution.pools()]
    assert before == after
