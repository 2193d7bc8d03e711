"""Every pass by itself, and all of them, on graphs that no program need have: what comes out stays what it was."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pnyx.compiler.freeze import freeze
from pnyx.compiler.graph import Graph
from pnyx.compiler.operators import Reads
from pnyx.compiler.passes import PASSES, Pass, PassContext, optimise
from pnyx.compiler.plan import PlanModel
from pnyx.runtime.candidates import Pool
from pnyx.runtime.interpreter import Execution
from pnyx.runtime.question import checked
from pnyx.runtime.request import Request, Response, SampledText, Usage
from pnyx.runtime.seeds import seed_for
from tests.strategies import graphs

MODELS = (PlanModel(name="small", id="s"), PlanModel(name="judge", id="j"))


def reply(model: str, request: Request, k: int) -> str:
    """Of sample `k`: depends on the model, the messages, the sampling and the seed alone. One in five says nothing."""
    asked = f"{model} {request.messages} {request.sampling}"
    chance = seed_for(request.seed + k, asked, "", "", 0)
    if chance % 5 == 0:
        return "" if request.reads is not Reads.TEXT else "nothing"
    match request.reads:
        case Reads.GRADE:
            return f"Grade: {chance % 7}"
        case Reads.VERDICT:
            return f"Verdict: {('correct', 'incorrect')[chance % 2]}"
        case Reads.PASSES:
            size = len(request.subject.tests) if request.subject else 0
            return "\n".join(f"{i + 1}: {('pass', 'fail')[(chance >> i) % 2]}" for i in range(size))
        case Reads.ORDER:
            size = len(request.subject.candidates) if request.subject else 0
            return " > ".join(f"[{(i + chance) % size + 1}]" for i in range(size))
        case Reads.WINNER:
            return f"Better: {'AB'[chance % 2]}"
        case Reads.LIST:
            return "\n".join(f"{i + 1}. item {chance % 9 + i}" for i in range(chance % 4))
        case _:
            return f"It is {chance % 4}"


def answered(model: str, request: Request) -> Response:
    chance = seed_for(request.seed, str(request.messages), model, "", 0)
    if request.reads is Reads.YES:
        return Response(probabilities=(chance % 9 / 9, 0.25 if chance % 3 else 0.0))
    if request.continuations:
        likely = tuple((-float(seed_for(0, text, model, "", 0) % 5),) for text in request.continuations)
        return Response(likelihoods=likely, usage=Usage(prompt=1))
    drawn = range(request.first, request.first + request.n)
    likely = {k: (-float((chance + k) % 5),) if request.logprobs else () for k in drawn}
    return Response(
        samples=tuple(SampledText(text=reply(model, request, k), tokens=2, logprobs=likely[k]) for k in drawn),
        usage=Usage(prompt=1, generated=2 * request.n),
    )


def outcome(graph: Graph, seed: int) -> tuple[Pool, bool]:
    """The candidates of the last pool, with their keys, and whether the example failed."""
    plan = freeze(graph, pipeline="p", source_name="p.pnyx", models=MODELS, choices={}, optimised=False)
    execution = Execution(plan, checked("Q?"), seed=seed)
    open_calls = execution.start()
    while not execution.done:
        call = open_calls.pop()
        open_calls += execution.deliver(call.id, answered(call.model, call.request))
    if execution.result.error is not None:
        return (), True
    return next(pool for step, pool, _ in execution.pools() if step.index == plan.output), False


RUNS: list[Callable[[Graph, PassContext], Graph]] = [*PASSES, lambda graph, _: optimise(graph)]


@pytest.mark.parametrize("run", RUNS, ids=[*(p.__name__ for p in PASSES), "all"])
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(graph=graphs(), seed=st.integers(0, 99))
def test_a_pass_keeps_the_candidates_their_keys_and_failures(run: Pass, graph: Graph, seed: int) -> None:
    changed = run(graph, PassContext())
    if changed is not graph:
        assert outcome(changed, seed) == outcome(graph, seed)
