"""Log-probabilities are asked for where something reads them, and nowhere else."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from by_hand import made, plan, question, revise
from hypothesis import HealthCheck, given, settings
from scripted import ask, finish, plan_of, sample

from pnyx.compiler.graph import Graph
from pnyx.compiler.operators import Ask, Concat, DrawingOperator, Extend, OnFail, Reads, Sample
from pnyx.compiler.plan import Plan
from pnyx.compiler.program import Program
from pnyx.runtime.interpreting import prepared
from pnyx.runtime.interpreting.scored import scored_streams
from tests.equivalence.random_programs import programs
from tests.equivalence.test_equivalence import answers, outputs
from tests.equivalence.test_random_graphs import outcome
from tests.strategies import graphs

HEADER = '''
model a = "small-1B"
model b = "other-7B"
model c = "third-30B"

prompt plain(query, candidate) = "{{ query }} {{ candidate.text }}"
prompt sure(query, candidate) = "{{ query }} {{ candidate.text }} {{ candidate.logprob }}"
prompt whole(query, candidate) = "{{ query }} {{ candidate | tojson }}"
prompt several(query, candidates, others) = """
    {% for c in candidates %}{{ c.text }}{% endfor %} {% for o in others %}{{ o.text }} {{ o.logprob }}{% endfor %}
"""
prompt plain_two(query, a, b) = "{{ a.text }} {{ b.text }}"
prompt two(query, a, b) = "{{ a.text }} {{ b['logprob'] }}"
extern op seen(pool: Pool) -> Bool = "somewhere:seen"
'''


def compiled(body: str, *, state: str = "", optimise: bool = False) -> Plan:
    program = Program.parse(f"{HEADER}\n{state}\npipeline main(query) {{\n{body}\n}}\n", "main.pnyx")
    assert not [d for d in program.check() if d.is_error], [d.message for d in program.check()]
    return program.compile(optimise=optimise)


def scored(body: str, state: str = "") -> str:
    """The models of which some samples' log-probabilities are read, in the order of the alphabet."""
    plan = compiled(body, state=state)
    streams = scored_streams(plan)
    drawing = [node for node in plan.everywhere() if isinstance(node.operator, DrawingOperator)]
    return "".join(sorted({node.operator.model for node in drawing if node.stream in streams}))


IF = "d = query |> generate(a)\nif %s { %s } else { d |> ask(c, plain) }"
NOTHING_READS = "query |> generate(a, n = 4) |> %s |> fuse(b)"


@pytest.mark.parametrize(
    ("body", "models"),
    [
        # The result shows every field.
        ("query |> generate(a)", "a"),
        ("query |> generate(a, n = 4) |> grade(b) |> top(1)", "a"),
        ("query |> generate(a, n = 4) |> extract(number) |> vote", "a"),
        ("query |> generate(a, n = 2) |> fuse(b)", "b"),
        ("query |> generate(a) |> ask(b, plain)", "b"),
        ("query |> generate(a) |> as_query |> generate(b)", "b"),
        ("(query |> generate(a)) + (query |> generate(b))", "ab"),
        ("query |> generate(a, n = 2) |> fuse(b) |> fuse(c)", "bc"),  # of one, it may be handed on
        # Operators that read no log-probability.
        (NOTHING_READS % "rank(c)", "b"),
        (NOTHING_READS % "ask(c, plain_two, over = neighbours, reads = winner)", "b"),
        (NOTHING_READS % "critique(c)", "b"),
        (NOTHING_READS % "grade(c) |> top(2)", "b"),
        (NOTHING_READS % "assess(c) |> sort(by = verdict)", "b"),
        (NOTHING_READS % "p_yes(c) |> resample(3)", "b"),
        (NOTHING_READS % "loglik(c) |> sort(by = loglik)", "b"),
        (NOTHING_READS % "sort(by = text) |> sample(2)", "b"),
        (NOTHING_READS % "dedupe", "ab"),  # which may leave one, and a fusion hands it on
        (NOTHING_READS % 'extend(c, stop = ".", max_tokens = 9)', "b"),
        (NOTHING_READS % "probe(c, into = guess)", "b"),
        # Operators that read it.
        (NOTHING_READS % "sort(by = logprob)", "ab"),
        (NOTHING_READS % "top(2, by = logprob)", "ab"),
        (NOTHING_READS % "filter(logprob, at_least = -9, if_none = keep)", "ab"),
        (NOTHING_READS % "extract(number) |> group(weight = logprob)", "ab"),
        (NOTHING_READS % "resample(2, by = logprob)", "ab"),
        (NOTHING_READS % "sample(2, by = logprob)", "ab"),
        (NOTHING_READS % "dedupe(by = logprob)", "ab"),
        (NOTHING_READS % "group(by = logprob)", "ab"),
        (NOTHING_READS % "choose(best_first, by = logprob)", "ab"),
        (NOTHING_READS % "grade(c) |> choose(puct, prior = logprob)", "ab"),
        (NOTHING_READS % 'extend(c, stop = ".", max_tokens = 9) |> sort(by = logprob)', "abc"),
        (NOTHING_READS % "critique(c) |> rank(c) |> top(1, by = logprob)", "ab"),
        # Prompts.
        (NOTHING_READS % "ask(c, plain, into = note)", "b"),
        (NOTHING_READS % "ask(c, sure, into = note)", "ab"),
        (NOTHING_READS % "ask(c, whole, into = note)", "ab"),
        (NOTHING_READS % "ask(c, two, over = neighbours, reads = winner)", "ab"),
        ("d = query |> generate(a)\nquery |> generate(b) |> ask(c, several, over = all, others = d)", "ac"),
        # Conditions, and the user's functions.
        (IF % ("mean(d, by = logprob) > -9", "d |> ask(b, plain)"), "abc"),
        (IF % ("d.logprob > -9", "d |> ask(b, plain)"), "abc"),
        (IF % ("agreement(d, by = text) > 0.5", "d |> ask(b, plain)"), "bc"),
        (IF % ("seen(d)", "d |> ask(b, plain)"), "abc"),
        (IF % ("agreement(d, by = text) > 0.5", "d"), "ac"),
        # Bodies.
        ("query |> generate(a, n = 2) |> each one { one |> ask(b, plain) }", "b"),
        ("query |> generate(a, n = 2) |> each one { one |> critique(b) }", "a"),
        ("query |> generate(a, n = 2) |> each one { one |> critique(b) } |> fuse(c)", "c"),
        ("query |> generate(a, n = 2) |> each one { one |> ask(b, sure) } |> fuse(c)", "ac"),
        ("d = query |> generate(a)\nloop max 3 { d = d |> ask(b, plain) }\nd", "b"),
        ("d = query |> generate(a)\nloop max 3 { d = d |> ask(b, plain) }\nd |> ask(c, plain)", "c"),
        ("d = query |> generate(a)\nloop max 3 { d = d |> ask(b, sure) }\nd |> ask(c, plain)", "abc"),
        (
            "d = query |> generate(a)\nloop max 3 until d.logprob > -9 { d = d |> ask(b, plain) }\nd |> ask(c, plain)",
            "bc",
        ),
        # What the first round reads of one value, a later one reads of another.
        ("d = query |> generate(a)\ne = query |> generate(b)\nloop max 3 { f = d\n d = e\n e = f }\nd", "ab"),
        (
            "d = query |> generate(a)\ne = query |> generate(b)\n"
            "loop max 3 { f = d |> ask(c, plain)\n d = e\n e = f }\nd",
            "bc",
        ),
    ],
)  # fmt: skip
def test_whose_log_probabilities_are_read(body: str, models: str) -> None:
    assert scored(body) == models


def test_what_outlives_the_example_counts_as_read() -> None:
    body = "d = query |> generate(a)\nkept = d\nd |> ask(b, plain)"
    assert scored(body, "state kept: Pool[0..4]{text} = empty") == "ab"


def test_a_stream_is_read_everywhere_or_nowhere() -> None:
    """So that equal samples of one plan are equal requests."""
    apart = plan_of((sample(), (0,)), (sample(), (0,)), (ask(), (0, 2)), (Concat(), (1, 3)))
    nodes = [n.model_copy(update={"stream": "s"}) if isinstance(n.operator, Sample) else n for n in apart.nodes]
    alike = apart.model_copy(update={"nodes": tuple(nodes)})
    for plan_, wanted in ((apart, [True, False, True]), (alike, [True, True, True])):
        _, calls = finish(plan_, lambda request: "text")
        assert [call.request.logprobs for call in calls] == wanted


def test_requests_say_so() -> None:
    """Of every kind of node that draws, also those for single samples, and for further tries."""
    query = question()
    drafts = made(sample(2), query)
    note = made(ask(into="note", reads=Reads.GRADE, on_fail=OnFail(retries=1)), query, revise(query, drafts, n=2))
    extended = made(Extend(model="m", n=2), query, note)
    _, calls = finish(plan(extended, query), lambda request: "text")
    asked: dict[str, set[bool]] = {}
    for call in calls:
        asked.setdefault(call.stream, set()).add(call.request.logprobs)
    assert len(calls) == 2 + 4 + 8 + 8
    assert [asked[node.stream] for node in (drafts, note.inputs[1], note, extended)] == [
        {False},
        {True},
        {False},
        {True},
    ]


def everything(plan: Plan) -> frozenset[str]:
    return frozenset(node.stream for node in plan.everywhere())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(programs())
def test_leaving_them_out_changes_no_output_of_random_programs(source: str) -> None:
    plan = Program.parse(source, "main.pnyx").compile()
    left_out = outputs(answers(plan))
    with patch.object(prepared, "scored_streams", everything):
        assert outputs(answers(plan)) == left_out


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(graph=graphs())
def test_leaving_them_out_changes_no_candidate_of_random_graphs(graph: Graph) -> None:
    left_out = outcome(graph, 3)
    with patch.object(prepared, "scored_streams", everything):
        assert outcome(graph, 3) == left_out


def test_they_are_left_out_of_most_requests_of_random_programs() -> None:
    """That nothing changes above is not for want of requests without them."""
    plan = compiled("query |> generate(a, n = 4) |> critique(b) |> rank(c) |> fuse(b)", optimise=True)
    streams = scored_streams(plan)
    asking = [n for n in plan.nodes if isinstance(n.operator, Sample | Ask)]
    assert [n.operator.kind for n in asking if n.stream in streams] == ["ask"]
    assert len(asking) == 4
