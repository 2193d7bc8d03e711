"""How likely a model finds texts as its reply."""

from __future__ import annotations

import math

import pytest
from scripted import plan_of, sample

from pnyx.compiler.operators import AnswerKind, Extract, Loglik, Take
from pnyx.compiler.plan import Plan
from pnyx.runtime.interpreter import Execution
from pnyx.runtime.question import checked
from pnyx.runtime.request import Request, Response, SampledText
from pnyx.runtime.results import Result

Likely = dict[str, tuple[float, ...]]


def run(plan: Plan, drafts: list[str], likely: Likely) -> tuple[Result, list[Request]]:
    execution = Execution(plan, checked("Q?"), seed=0)
    open_calls, asked = execution.start(), []
    while not execution.done:
        call = open_calls.pop(0)
        request = call.request
        assert isinstance(request, Request)
        asked.append(request)
        if request.continuations:
            response = Response(likelihoods=tuple(likely[text] for text in request.continuations))
        else:
            response = Response(samples=(SampledText(text=drafts[request.first], tokens=1),))
        open_calls += execution.deliver(call.id, response)
    return execution.result, asked


def test_the_value_is_the_sum_over_the_tokens() -> None:
    plan = plan_of((sample(3), (0,)), (Loglik(model="m"), (0, 1)))
    result, asked = run(plan, ["one two", "three", ""], {"one two": (-0.5, -0.25), "three": (-2.0,), "": ()})
    assert [c["loglik"] for c in result.candidates] == [-0.75, -2.0, 0.0]
    (request,) = asked[3:]
    assert request.continuations == ("one two", "three", "")
    assert request.messages == asked[0].messages
    assert result.usage.samples == 3


def test_candidates_without_the_field_have_no_value() -> None:
    plan = plan_of(
        (sample(2), (0,)),
        (Extract(answer=AnswerKind.NUMBER), (1,)),
        (Loglik(model="m", of="answer", into="sure", system="Be sure."), (0, 2)),
    )
    result, asked = run(plan, ["It is 7.", "no idea"], {"7": (-0.5,)})
    assert [c.get("sure") for c in result.candidates] == [-0.5, None]
    assert asked[-1].continuations == ("7",)
    assert [m.content for m in asked[-1].messages] == ["Be sure.", "Q?"]
    result, asked = run(plan, ["none", "either"], {})
    assert len(asked) == 2
    assert not any("sure" in c for c in result.candidates)


@pytest.mark.parametrize("broken", [-math.inf, math.nan])
def test_what_is_no_number_is_absent(broken: float) -> None:
    plan = plan_of((sample(2), (0,)), (Loglik(model="m"), (0, 1)))
    result, _ = run(plan, ["a", "b"], {"a": (-1.0, broken), "b": (-1.0,)})
    assert [c.get("loglik") for c in result.candidates] == [None, -1.0]


def test_no_candidates_no_call() -> None:
    plan = plan_of((sample(1), (0,)), (Take(k=0), (1,)), (Loglik(model="m"), (0, 2)))
    assert len(run(plan, ["a"], {})[1]) == 1
