"""The plan of a graph."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pnyx.compiler.freeze import freeze
from pnyx.compiler.graph import Graph
from pnyx.compiler.operators import Ask, Input, Sample
from pnyx.compiler.passes import optimise
from pnyx.compiler.passes.context import typed
from pnyx.compiler.plan import Place, Plan, PlanError, PlanModel
from pnyx.compiler.program import Program
from pnyx.compiler.source import Source, Span
from tests.passes.pipelines import MODELS, archon, plan_of

SOURCE = Source("a.pnyx", "pipeline p(query) {\n    query |> generate(m)\n}\n")


def test_freezes_in_topological_order_from_the_question() -> None:
    graph = optimise(archon())
    plan = plan_of(graph)
    assert [entry.label for entry in plan.nodes] == [node.label for node in graph]
    assert [entry.stream for entry in plan.nodes] == [node.stream for node in graph]
    assert isinstance(plan.nodes[0].operator, Input)
    assert all(i < index for index, entry in enumerate(plan.nodes) for i in entry.inputs)
    assert plan.output == len(plan.nodes) - 1
    assert plan.nodes[plan.output].type.fields == ("logprob", "model", "text", "verdict")
    assert plan.choices == {"n": 4}


def test_survives_a_file() -> None:
    plan = plan_of(archon())
    assert Plan.from_json(plan.to_json()) == plan


def test_keeps_only_used_models_and_places() -> None:
    span = Span(SOURCE, SOURCE.text.index("generate"), SOURCE.text.index(")\n}") + 1)
    query = typed(Input(), [], label="query")
    graph = Graph((query,), (typed(Sample(model="small"), [query], label="generate", span=span),))
    plan = plan_of(graph)
    assert [model.name for model in plan.models] == ["small"]
    assert plan.nodes[0].place is None
    assert plan.nodes[1].place == Place(source="a.pnyx", line=2, column=14, end_line=2, end_column=24)


def test_the_question_alone_is_a_plan() -> None:
    query = typed(Input(), [], label="query")
    plan = plan_of(Graph((query,), (query,)))
    assert (plan.output, len(plan.nodes), plan.nodes[0].type.fields) == (0, 1, None)


def test_an_undeclared_model_is_a_bug() -> None:
    with pytest.raises(ValueError, match="undeclared models: judge, small"):
        freeze(
            archon(), pipeline="p", source_name="p", models=[PlanModel(name="x", id="x")], choices={}, optimised=True
        )


def test_optimising_changes_the_digest_only_where_it_changes_the_plan() -> None:
    used = {n.operator.model for n in archon() if isinstance(n.operator, Sample | Ask)}
    assert used == {model.name for model in MODELS}
    once, twice = optimise(archon()), optimise(optimise(archon()))
    assert plan_of(once).digest == plan_of(twice).digest != plan_of(archon()).digest


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("nodes", -1, "inputs"), []),
        (("nodes", -1, "inputs", 0), 1),
        (("nodes", -1, "type", "fields"), ["text"]),
        (("nodes", -1, "type", "high"), 7),
        (("nodes", -1, "type", "high"), 0),
        (("nodes", -1, "operator", "sampling", "max_tokens"), 2**70),
        (("nodes", -1, "operator", "sampling", "temperature"), float("nan")),
        (("nodes", -1, "operator", "on_fail", "retries"), 10**9),
        (("nodes", -1, "operator", "over"), "query"),
        (("nodes", -1, "operator", "prompt", "user"), "{% for %}"),
    ],
)
def test_a_plan_changed_by_hand_is_refused_even_with_its_digest(path: tuple[str | int, ...], value: object) -> None:
    source = 'model m = "x"\npipeline main(q) { q |> generate(m, n = 2) |> critique(m) }'
    data = json.loads(Program.parse(source).compile().to_json())
    part: Any = data
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    del data["digest"]
    data["digest"] = Plan.model_validate(data).digest
    with pytest.raises(PlanError):
        Plan.from_json(json.dumps(data))
