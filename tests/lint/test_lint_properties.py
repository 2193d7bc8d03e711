"""What lints say is so: held against the passes, and against what runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from equivalence.random_programs import programs
from equivalence.test_equivalence import answers, outputs
from hypothesis import HealthCheck, given, settings
from lint.programs import program, subject_of
from strategies import graphs

from pnyx.compiler.graph import Graph
from pnyx.compiler.lint import GRAPH_LINTS
from pnyx.compiler.lint.effects import idle_work, unread_fields
from pnyx.compiler.lint.subject import Finding
from pnyx.compiler.lint.view import View
from pnyx.compiler.passes import PassContext, optimise
from pnyx.compiler.passes.drop_dead_nodes import drop_dead_nodes
from pnyx.compiler.plan import Plan, PlanNode
from pnyx.compiler.program import Program
from pnyx.compiler.repair import repair, same_plans
from pnyx.compiler.source import Source, Span
from pnyx.compiler.syntax import PipelineDecl

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.pnyx"))
SLOW = [HealthCheck.too_slow]
FOUR = "query |> generate(small, n = 4)"


def placed(graph: Graph) -> Graph:
    """The graph with a place for every node: lints look only at what somebody wrote."""
    from dataclasses import replace

    source = Source("main.pnyx", "x" * 1000)
    made: dict[str, object] = {}
    for number, current in enumerate(graph.nodes()):
        inputs = tuple(made[i.digest] for i in current.inputs)
        made[current.digest] = replace(current, inputs=inputs, span=Span(source, number, number + 1))  # type: ignore[arg-type]
    return Graph(
        tuple(made[p.digest] for p in graph.params),  # type: ignore[misc]
        tuple(made[o.digest] for o in graph.outputs),  # type: ignore[misc]
    )


def all_findings(graph: Graph) -> Iterator[Finding]:
    for check in GRAPH_LINTS:
        yield from check(subject_of(graph), View(graph))


@settings(max_examples=150, suppress_health_check=SLOW)
@given(graphs())
def test_what_nothing_reads_is_what_the_optimiser_leaves_out(graph: Graph) -> None:
    graph = placed(graph)
    left = {n.stream for n in drop_dead_nodes(graph, PassContext()).everywhere()}
    optimised = {n.stream for n in optimise(graph).everywhere()}
    unread = {f.nodes[0].stream for f in unread_fields(subject_of(graph), View(graph))}
    assert not unread & (left | optimised)


@settings(max_examples=150, suppress_health_check=SLOW)
@given(graphs())
def test_all_lints_take_all_graphs(graph: Graph) -> None:
    for finding in all_findings(placed(graph)):
        assert finding.nodes
        assert finding.help
        assert not finding.message.endswith(".")


@settings(max_examples=60, suppress_health_check=SLOW)
@given(graphs())
def test_work_that_the_optimiser_keeps_gets_no_fix(graph: Graph) -> None:
    """Whatever makes an optimised graph keep the node: a failure that it would hide, a field that may be absent."""
    graph = placed(graph)
    view = View(graph)
    for finding in idle_work(subject_of(graph), view):
        if finding.fixes():
            assert view.without_effect(finding.nodes)


@settings(max_examples=40, suppress_health_check=SLOW)
@given(programs())
def test_a_repair_of_a_random_program_changes_no_answer(source: str) -> None:
    check_repair(source)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_a_repair_of_an_example_changes_no_answer(path: Path) -> None:
    """Also where somebody has put idle work into it."""
    text = path.read_text()
    check_repair(text)
    *_, last = (d for d in Program.parse(text, "main.pnyx").module.declarations if isinstance(d, PipelineDecl))
    head, tail = text[: last.span.end - 1].rstrip(), text[last.span.end :]
    idle = "\n    |> take(100)\n}" if "\n    |> " in head.rpartition("{")[2] else " |> take(100)\n}"
    busy = head + idle + tail
    repaired = check_repair(busy)
    assert same_plans(Program.parse(text, "main.pnyx"), Program.parse(repaired, "main.pnyx"))


def check_repair(text: str) -> str:
    """Repairing leaves a sound program with the same answers; doing it again changes nothing."""
    before = Program.parse(text, "main.pnyx")
    assert not [d for d in before.check() if d.is_error]
    done = repair(Source("main.pnyx", text))
    assert repair(Source("main.pnyx", done.text)).text == done.text
    after = Program.parse(done.text, "main.pnyx")
    if done.applied:
        for name in before.pipelines:
            one, other = before.compile(name), after.compile(name)
            assert outputs(answers(one)) == outputs(answers(_with_streams(other, one)))
    else:
        assert done.text == text
    return done.text


def _with_streams(plan: Plan, like: Plan) -> Plan:
    """The plan, drawing from the streams of another: what is written before a sample names its stream."""
    return plan.model_copy(update={"nodes": _with_streams_of(plan.nodes, like.nodes)})


def _with_streams_of(nodes: Sequence[PlanNode], like: Sequence[PlanNode]) -> tuple[PlanNode, ...]:
    """Those of bodies, too."""
    given = []
    for one, other in zip(nodes, like, strict=True):
        bodies = [
            body.model_copy(update={"nodes": _with_streams_of(body.nodes, same.nodes)})
            for body, same in zip(one.bodies, other.bodies, strict=True)
        ]
        given.append(one.model_copy(update={"stream": other.stream, "bodies": tuple(bodies)}))
    return tuple(given)


@pytest.mark.parametrize(
    "stage",
    ["sort(by = logprob) |> SORTED", "dedupe |> SORTED", "assess(judge) |> filter(verdict) |> SORTED", "verify(judge)"],
)
def test_work_done_again_changes_no_answer(stage: str) -> None:
    """Sorting and asking at temperature 0 again: the candidates stay, with their texts and order."""
    again = stage.replace("SORTED", stage.split(" |> ")[-2] if " |> " in stage else "")
    once, twice = (program(f"{FOUR} |> {s}") for s in (stage.removesuffix(" |> SORTED"), again))
    twice = program(f"{FOUR} |> {stage} |> {stage}") if "SORTED" not in stage else twice
    assert "W707" in [d.code for d in twice.check()]
    kept = [[(r.answer, [c.get("text") for c in r.candidates]) for r in answers(p.compile())] for p in (once, twice)]
    assert kept[0] == kept[1]
