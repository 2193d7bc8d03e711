"""What every pass must do on every graph."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from pnyx.compiler.cost import estimate
from pnyx.compiler.freeze import freeze
from pnyx.compiler.graph import Graph
from pnyx.compiler.passes import PASSES, Pass, PassContext, optimise
from pnyx.compiler.plan import Plan, PlanModel
from pnyx.compiler.verify import verify
from tests.strategies import graphs

MODELS = (PlanModel(name="small", id="s", parameters=1e8, context=2048), PlanModel(name="judge", id="j"))


def plan_of(graph: Graph) -> Plan:
    return freeze(graph, pipeline="p", source_name="p.pnyx", models=MODELS, choices={}, optimised=False)


@given(graphs())
def test_random_graphs_are_valid(graph: Graph) -> None:
    verify(graph, "the strategy")


@pytest.mark.parametrize("run", PASSES, ids=lambda run: run.__name__)
@settings(max_examples=50)
@given(graph=graphs())
def test_pass_keeps_the_output_type_and_is_idempotent(run: Pass, graph: Graph) -> None:
    once = run(graph, PassContext())
    verify(once, run.__name__)
    assert once.output.type == graph.output.type
    assert run(once, PassContext()) is once


@given(graphs())
def test_optimising_reaches_a_fixpoint_and_adds_no_cost(graph: Graph) -> None:
    optimised = optimise(graph, check=True)
    assert optimised.output.type == graph.output.type
    assert optimise(optimised) is optimised
    before, after = estimate(plan_of(graph)).total, estimate(plan_of(optimised)).total
    for name in ("calls", "samples", "generated_tokens", "prompt_tokens"):
        was, now = getattr(before, name), getattr(after, name)
        assert now.least <= was.least + 1e-6
        assert now.expected <= was.expected + 1e-6
        assert now.most <= was.most + 1e-6


@given(graphs())
def test_passes_never_change_what_a_stream_draws(graph: Graph) -> None:
    streams = {node.stream: node for node in graph if node.operator.kind in ("sample", "ask")}
    for node in optimise(graph):
        if node.operator.kind in ("sample", "ask"):
            original = streams[node.stream]
            assert node.operator.model == original.operator.model
            assert [i.type for i in node.inputs][:1] == [i.type for i in original.inputs][:1]
