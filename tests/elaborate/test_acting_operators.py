"""Operators that act, as the compiler sees them: types, faults, what is left out, costs, pictures."""

from __future__ import annotations

import json

import pytest
from programs import body, check, compiled, errors, kinds

from pnyx.compiler.cost import estimate
from pnyx.compiler.draw.mermaid import mermaid
from pnyx.compiler.operators import Retrieve, RunCode, RunTests
from pnyx.compiler.plan import Plan, PlanError

ASSERTIONS = 'prompt cases(query, count) = "{{ query }} {{ count }}"'
TESTED = """
    tests = query |> ask(judge, cases, reads = list, count = 4)
    query |> generate(small, n = 3) |> run_code |> run_tests(tests) |> best(by = passes)
"""


def test_fields_are_added_and_sizes_stay() -> None:
    plan = compiled(body(TESTED, ASSERTIONS))
    code, tests = (next(n for n in plan.nodes if isinstance(n.operator, kind)) for kind in (RunCode, RunTests))
    assert {"output", "error"} <= set(code.type.fields or ())
    assert {"passes", "passed", "output", "error"} <= set(tests.type.fields or ())
    assert (tests.type.low, tests.type.high) == (3, 3)


def test_arguments_reach_the_plan() -> None:
    plan = compiled(body('query |> generate(small) |> run_code(into = answer, seconds = 2, stdin = "3\\n", by = text)'))
    assert plan.nodes[-1].operator == RunCode(into="answer", seconds=2.0, stdin="3\n")
    plan = compiled(body('query |> retrieve(from = "n.jsonl", k = 7, field = body)'))
    assert plan.nodes[-1].operator == Retrieve(source="n.jsonl", k=7, field="body")
    assert (plan.nodes[-1].type.low, plan.nodes[-1].type.high) == (0, 7)
    assert plan.nodes[-1].type.fields == ("score", "text")


@pytest.mark.parametrize(
    ("text", "code", "message", "help"),
    [
        ("query |> run_code", "E301", "`run_code` works on candidates", "generate"),
        ("query |> generate(small) |> run_code(by = answer)", "E302", "with an `answer`", "extract"),
        ("query |> generate(small) |> run_code(into = error)", "E307", "has the field `error`", "into = output"),
        ("query |> generate(small) |> run_code(seconds = 0)", "E401", "`seconds` of `run_code` cannot be 0", "0.1"),
        ("query |> generate(small) |> run_tests", "E204", "`tests`", ""),
        ('query |> generate(small) |> run_tests("assert true")', "E301", "`tests` of `run_tests` cannot be", ""),
        ("p = query |> generate(small)\np |> run_tests(p, into = passed)", "E307", "field `passed`", "into = passes"),
        ("query |> generate(small) |> vote(by = output)", "E302", "an `output`", "|> run_code"),
        ("query |> generate(small) |> vote(by = passed)", "E302", "a `passed`", "|> run_tests(tests)"),
        ('query |> retrieve(from = " ")', "E401", "needs the name of a file", 'from = "notes.jsonl"'),
        ("query |> retrieve", "E204", "`from`", ""),
        ('query |> retrieve(from = "a", k = 1001)', "E401", "`k` of `retrieve` cannot be 1001", "1000"),
        ('query |> generate(small) |> retrieve(from = "a")', "E301", "`retrieve` works on the question", ""),
    ],
)
def test_faults_are_told_where_they_are(text: str, code: str, message: str, help: str) -> None:
    (found,) = errors(body(text))
    assert found.code == code
    assert message in found.message
    assert help in (found.help or "")


def test_programs_whose_fields_nobody_reads_are_not_run() -> None:
    text = "query |> generate(small, n = 3) |> run_code |> fuse(judge)"
    assert "run_code" not in kinds(compiled(body(text), optimise=True))
    assert [d.code for d in check(body(text))] == ["W705"]
    tests = "p = query |> generate(small, n = 3)\np |> run_tests(p) |> fuse(judge)"
    assert "run_tests" not in kinds(compiled(body(tests), optimise=True))


@pytest.mark.parametrize("field", ["output", "error"])
def test_programs_with_a_field_that_is_read_are_run(field: str) -> None:
    text = f"query |> generate(small, n = 3) |> run_code |> dedupe(by = {field}) |> fuse(judge)"
    assert "run_code" in kinds(compiled(body(text), optimise=True))


@pytest.mark.parametrize("field", ["passes", "passed"])
def test_tests_with_a_field_that_is_read_are_run(field: str) -> None:
    text = f"p = query |> generate(small, n = 3)\np |> run_tests(p) |> sort(by = {field}) |> fuse(judge)"
    assert "run_tests" in kinds(compiled(body(text), optimise=True))


def test_what_tests_are_read_of_stays() -> None:
    """The text of a test is read, its critique is not."""
    text = """
        drafts = query |> generate(small, n = 3)
        tests = query |> generate(judge, n = 2) |> critique(judge) |> extract(code)
        drafts |> run_tests(tests) |> best(by = passes)
    """
    assert kinds(compiled(body(text), optimise=True)).count("sample") == 2
    assert "ask" not in kinds(compiled(body(text), optimise=True))
    assert "extract" not in kinds(compiled(body(text), optimise=True))


def test_the_same_work_written_twice_is_done_once() -> None:
    text = """
        p = query |> generate(small, n = 2)
        a = p |> run_code |> vote(by = output)
        b = p |> run_code |> vote(by = output)
        a + b + (query |> retrieve(from = "n")) + (query |> retrieve(from = "n"))
    """
    merged = kinds(compiled(body(text), optimise=True))
    assert (merged.count("run_code"), merged.count("retrieve")) == (1, 1)


def test_acting_makes_no_calls() -> None:
    plan = compiled(body('query |> retrieve(from = "n", k = 3) |> run_code'))
    report = estimate(plan)
    assert report.total.calls.most == 0
    shown = compiled(
        body(
            'facts = query |> retrieve(from = "n", k = 3)\nquery |> ask(small, show, facts = facts)',
            'prompt show(query, facts) = "{% for fact in facts %}{{ fact.text }}{% endfor %}"',
        )
    )
    tokens = estimate(shown).total.prompt_tokens
    assert 3 * 400 / 4 < tokens.expected < 3 * 400 / 4 + 20  # the passages, and a frame


def test_pictures_say_what_they_do() -> None:
    text = mermaid(compiled(body('query |> retrieve(from = "n.jsonl", k = 3) |> run_code(seconds = 2.5)')))
    assert "3 of n.jsonl" in text
    assert "2.5 s each" in text


@pytest.mark.parametrize(
    ("field", "value", "message"), [("seconds", 1e9, "`seconds` is 1e"), ("seconds", 0, "`seconds` is 0")]
)
def test_plans_from_elsewhere_keep_the_bounds(field: str, value: float, message: str) -> None:
    plan = compiled(body("query |> generate(small) |> run_code"))
    changed = plan.model_copy(
        update={"nodes": (*plan.nodes[:-1], plan.nodes[-1].model_copy(update={"operator": RunCode(seconds=value)}))}
    )
    assert Plan.from_json(plan.to_json()) == plan
    assert json.loads(changed.to_json())["nodes"][-1]["operator"][field] == value
    with pytest.raises(PlanError, match=message):
        Plan.from_json(changed.to_json())


def test_the_library_stands_on_them() -> None:
    assert kinds(compiled(body("query |> program_of_thought(small, n = 3)"))) == ["ask", "run_code", "vote"]
    assert kinds(compiled(body("query |> program_of_thought(small)"))) == ["ask", "run_code", "filter"]
    assert kinds(compiled(body("query |> codet(small)"))) == ["ask", "ask", "run_tests", "vote"]
