"""Operators that act: what they ask for, and what becomes of what they get."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from by_hand import made, plan, question
from scripted import ScriptedEngine, sample

from pnyx.compiler.operators import AnswerKind, Extract, Operator, Retrieve, RunCode, RunTests, Take
from pnyx.compiler.plan import Plan
from pnyx.runtime.externs import Invocation, Returned
from pnyx.runtime.interpreter import Execution
from pnyx.runtime.passages import Passage
from pnyx.runtime.question import checked
from pnyx.runtime.request import Response, SampledText
from pnyx.runtime.results import Result
from pnyx.runtime.sandbox import Program
from pnyx.runtime.session import Session

Act = Callable[[Invocation], object]


def outcome(made_plan: Plan, texts: list[str], act: Act) -> tuple[Result, list[Invocation]]:
    """Runs a plan whose samples are `texts` and whose actions are `act`."""
    execution = Execution(made_plan, checked("Q?"), seed=0)
    waiting, asked = execution.start(), []
    while not execution.done:
        call = waiting.pop()
        if isinstance(call.request, Invocation):
            asked.append(call.request)
            waiting += execution.deliver(call.id, Returned(act(call.request)))
        else:
            drawn = tuple(SampledText(text=texts[k % len(texts)], tokens=1) for k in range(call.request.n))
            waiting += execution.deliver(call.id, Response(samples=drawn))
    return execution.result, asked


def over_samples(n: int, *operators: Operator) -> Plan:
    query = question()
    pool = made(sample(n, joined=n > 1), query)
    for operator in operators:
        pool = made(operator, pool)
    return plan(pool, query)


def programs(asked: list[Invocation]) -> list[str]:
    given = [invocation.arguments["program"] for invocation in asked]
    return sorted(p.code if isinstance(p, Program) else str(p) for p in given)


def echo(invocation: Invocation) -> object:
    program = invocation.arguments["program"]
    assert isinstance(program, Program)
    if "fail" in program.code:
        return {"output": "half", "error": "NameError: fail"}
    return {"output": f" ran {program.code} \n" if program.code else "", "error": None}


def test_the_last_fenced_block_or_all_of_the_text_is_run_once() -> None:
    texts = ["First\n```\na\n```\nthen\n```python\nb\n```\nso.", "`c`", "c", "b\n"]
    result, asked = outcome(over_samples(4, RunCode(stdin="in", seconds=2.0)), texts, echo)
    assert programs(asked) == ["b", "c"]
    assert {i.arguments["program"].stdin for i in asked} == {"in"}  # type: ignore[attr-defined]
    assert {i.arguments["program"].seconds for i in asked} == {2.0}  # type: ignore[attr-defined]
    assert [c["output"] for c in result.candidates] == ["ran b", "ran c", "ran c", "ran b"]
    assert all("error" not in c for c in result.candidates)


def test_a_program_that_fails_or_prints_nothing_has_no_output() -> None:
    result, _ = outcome(over_samples(2, RunCode(into="answer")), ["fail", ""], echo)
    assert [(c.get("answer"), c.get("error")) for c in result.candidates] == [(None, "NameError: fail"), (None, None)]


def test_running_again_leaves_nothing_of_the_first_time() -> None:
    again = RunCode(by="output", into="output")
    result, asked = outcome(over_samples(1, RunCode(), again), ["fail"], echo)
    assert programs(asked) == ["fail"]
    assert [(c.get("output"), c.get("error")) for c in result.candidates] == [(None, "there is no `output` to run")]


def test_a_field_of_ones_own_holds_the_program() -> None:
    extract = Extract(answer=AnswerKind.CODE)
    _, asked = outcome(over_samples(2, extract, RunCode(by="answer")), ["```\nx\n```", "no code"], echo)
    assert programs(asked) == ["x"]


def run_of_tests(texts: list[str], tests: list[str], passed: str) -> tuple[Result, list[Invocation]]:
    query = question()
    pool = made(sample(len(texts), joined=len(texts) > 1), query)
    cases = made(sample(2, joined=True, stream=1), query)
    cases = made(Take(k=len(tests)), cases)
    output = made(RunTests(), pool, cases)
    assert tests in ([], texts[: len(tests)])  # both are drawn from the same texts
    return outcome(plan(output, query), texts, lambda _: passed)


def test_passes_are_counted_and_told_apart() -> None:
    result, asked = run_of_tests(["a", "```\nb\n```", "a"], ["a", "```\nb\n```"], "1 3")
    assert programs(asked) == ["a", "b"]
    assert {i.arguments["tests"] for i in asked} == {("a", "b")}
    assert [(c["passes"], c["passed"]) for c in result.candidates] == [(2, "1 3")] * 3
    result, _ = run_of_tests(["a"], ["a"], "")
    assert [(c["passes"], c["passed"]) for c in result.candidates] == [(0, "")]


def test_without_tests_nothing_runs_and_nothing_passes() -> None:
    result, asked = run_of_tests(["a", "b"], [], "1")
    assert asked == []
    assert [(c["passes"], c["passed"]) for c in result.candidates] == [(0, ""), (0, "")]


def test_what_is_found_becomes_candidates() -> None:
    query = question()
    made_plan = plan(made(Retrieve(source="n.jsonl", k=2, field="body"), query), query)
    found = [Passage(7, "seven", 2.5), Passage(1, "one", 0.5)]
    result, (asked,) = outcome(made_plan, [], lambda _: found)
    assert dict(asked.arguments) == {"from": "n.jsonl", "field": "body", "query": "Q?", "k": 2}
    assert [dict(c) for c in result.candidates] == [{"text": "seven", "score": 2.5}, {"text": "one", "score": 0.5}]


async def test_a_session_finds_passages_in_the_folder_of_its_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "n.txt").write_text("The hill of the Pnyx.\n\nOlives.")
    query = question()
    made_plan = plan(made(Retrieve(source="n.txt"), query), query).model_copy(
        update={"source": str(tmp_path / "p.pnyx"), "models": ()}
    )
    monkeypatch.chdir("/")
    result = await Session(made_plan, {}).run("Which hill?")
    assert [c["text"] for c in result.candidates] == ["The hill of the Pnyx."]
    assert result.usage.calls == 0


async def test_a_file_that_is_missing_is_found_before_the_first_call(tmp_path: Path) -> None:
    query = question()
    pool = made(Retrieve(source="gone.txt"), query)
    engine = ScriptedEngine(lambda _: "x")
    made_plan = plan(pool, query).model_copy(update={"source": str(tmp_path / "p.pnyx")})
    with pytest.raises(Exception, match=r"gone\.txt") as raised:
        Session(made_plan, {"m": engine})
    assert raised.value.code == "E610"  # type: ignore[attr-defined]
    assert engine.requests == []
