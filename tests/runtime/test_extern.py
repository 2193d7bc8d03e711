"""The user's own functions: what they are given, what they may give back, and how they are found."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from math import inf, nan
from pathlib import Path
from textwrap import dedent

import pytest
from by_hand import made, plan, question
from hypothesis import given
from hypothesis import strategies as st
from scripted import sample

from pnyx.compiler.operators import Constant, Extern
from pnyx.compiler.plan import Plan
from pnyx.runtime.candidates import Candidate
from pnyx.runtime.errors import ExternUnusable, RuntimeFailure
from pnyx.runtime.externs import Externs, Invocation, load_externs
from pnyx.runtime.interpreter import Execution
from pnyx.runtime.question import checked
from pnyx.runtime.request import Response, SampledText
from pnyx.runtime.results import Result

Function = Callable[..., object]


def asking(gives: str = "pool", **more: object) -> Plan:
    """`query |> generate(3) |> f`, with the question and a constant too."""
    query = question()
    attributes = {"gives": gives, "high": 5, **more}
    extern = Extern(name="f", target="user:f", names=("pool", "query"), constants=(("depth", 2),), **attributes)  # type: ignore[arg-type]
    return plan(made(extern, made(sample(3, joined=True), query), query), query)


def outcome(made_plan: Plan, function: Function) -> tuple[Result, Execution]:
    execution = Execution(made_plan, checked("Q?"), seed=0)
    externs = Externs({"user:f": function})
    waiting = execution.start()
    while not execution.done:
        call = waiting.pop()
        try:
            if isinstance(call.request, Invocation):
                waiting += execution.deliver(call.id, externs.call(call.request))
            else:
                texts = tuple(SampledText(text=f"c{k}", tokens=1) for k in range(call.request.n))
                waiting += execution.deliver(call.id, Response(samples=texts))
        except RuntimeFailure as failure:
            waiting += execution.fail(call.id, failure)
    return execution.result, execution


def texts(function: Function, **more: object) -> list[object]:
    result, _ = outcome(asking(**more), function)
    assert result.error is None, result.error
    return [c.get("text") for c in result.candidates]


def complaint(function: Function, **more: object) -> str:
    result, _ = outcome(asking(**more), function)
    assert result.error is not None
    assert result.error.code in ("R810", "R811")
    assert "user:f" in result.error.message
    assert result.error.help
    return f"{result.error.code} {result.error.message}"


def test_a_function_gets_texts_candidates_and_constants_by_name() -> None:
    seen: dict[str, object] = {}

    def function(**arguments: object) -> list[object]:
        seen.update(arguments)
        return ["done"]

    assert texts(function) == ["done"]
    pool = seen.pop("pool")
    assert isinstance(pool, list)
    assert [(c.text, c["model"], dict(c)["text"]) for c in pool] == [(f"c{k}", "m", f"c{k}") for k in range(3)]
    assert seen == {"query": "Q?", "depth": 2}


def test_candidates_that_come_back_stay_who_they_are() -> None:
    def function(pool: list[Candidate], **_: object) -> list[object]:
        return [pool[2].with_fields(score=3), "new", {"text": "mapped", "score": 1.5}, pool[0]]

    result, execution = outcome(asking(), function)
    keys = [c.key for step, pool, _ in execution.pools() if step.operator.kind == "extern" for c in pool]
    drafts = [c.key for step, pool, _ in execution.pools() if step.operator.kind == "sample" for c in pool]
    assert (keys[0], keys[3]) == (drafts[2], drafts[0])
    assert len({*keys, *drafts}) == 5
    assert [c.get("score") for c in result.candidates] == [3, None, 1.5, None]
    assert [c["text"] for c in result.candidates] == ["c2", "new", "mapped", "c0"]


def test_a_candidate_of_ones_own_making_is_a_new_one() -> None:
    result, execution = outcome(asking(), lambda pool, **_: [Candidate("mine", {"text": "x"})])
    assert [c["text"] for c in result.candidates] == ["x"]
    assert "mine" not in [c.key for _, pool, _ in execution.pools() for c in pool]


def test_one_that_annotates_gives_back_its_own_candidates() -> None:
    scored = texts(lambda pool, **_: [c.with_fields(score=1) for c in pool], annotates=True, fields=("score",))
    assert scored == ["c0", "c1", "c2"]
    assert texts(lambda pool, **_: pool[1:2], annotates=True) == ["c1"]
    assert "only those of its pool" in complaint(lambda pool, **_: ["new"], annotates=True)
    assert "at most 3" in complaint(lambda pool, **_: [*pool, pool[0]], annotates=True)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "instead of a list of candidates"), ("text", "instead of a list"), ({}, "instead of a list"),
        (7, "7 instead of a list"), ([7], "candidate 0 is 7"), ([None], "candidate 0 is a value of type `NoneType`"),
        ([{"score": nan}], "field 'score' of candidate 0 is nan"), ([{"score": None}], "no field can hold"),
        ([{1: "x"}], "field 1 of candidate 0"), (["a"] * 6, "at most 5"), ([{"deep": ["x"]}], "type `list`"),
    ],
)  # fmt: skip
def test_what_is_no_pool_fails_the_example(returned: object, message: str) -> None:
    said = complaint(lambda **_: returned)
    assert said.startswith("R811")
    assert message in said


def test_declared_fields_and_sizes_have_to_be_there() -> None:
    assert "candidate 1 has no `score`" in complaint(lambda **_: [{"score": 1}, {"text": "x"}], fields=("score",))
    assert "1 candidates; declared are 2 to 5" in complaint(lambda **_: ["x"], low=2)


def test_an_iterator_is_read_as_far_as_it_may_go() -> None:
    def endless(**_: object) -> Iterator[str]:
        while True:
            yield "x"

    assert "more than 5" in complaint(endless)
    assert texts(lambda **_: iter(["a", "b"])) == ["a", "b"]


@pytest.mark.parametrize("error", [ValueError("too deep"), KeyError("x"), SystemExit(3), RecursionError()])
def test_an_exception_fails_the_example_alone(error: BaseException) -> None:
    def function(**_: object) -> object:
        raise error

    said = complaint(function)
    assert said.startswith("R810")
    assert type(error).__name__ in said


@pytest.mark.parametrize(
    ("gives", "value", "shown"),
    [
        ("int", 3, 3), ("float", 3, 3.0), ("float", 2.5, 2.5), ("bool", True, True), ("text", "x", "x"),
        ("float", Fraction(1, 2), 0.5),
    ],
)  # fmt: skip
def test_a_single_value(gives: str, value: object, shown: object) -> None:
    result, _ = outcome(asking(gives), lambda **_: value)
    assert result.answer == str(shown)


@pytest.mark.parametrize(
    ("gives", "value"),
    [
        ("int", 2.5),
        ("int", True),
        ("int", "3"),
        ("float", nan),
        ("float", inf),
        ("float", True),
        ("bool", 1),
        ("text", 1),
    ],
)
def test_a_single_value_of_another_kind_fails_the_example(gives: str, value: object) -> None:
    assert f"instead of {gives}" in complaint(lambda **_: value, gives=gives)


def test_none_is_an_absent_value() -> None:
    result, _ = outcome(asking("text"), lambda **_: None)
    assert (result.error and result.error.code) == "R805"


_SINGLE = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
_MAPPINGS = st.lists(st.dictionaries(st.text() | st.integers(), _SINGLE))


@given(st.recursive(_SINGLE, st.lists) | _MAPPINGS)
def test_whatever_comes_back_is_a_value_or_a_failure(returned: object) -> None:
    for gives in ("pool", "int", "float", "bool", "text"):
        result, _ = outcome(asking(gives), lambda **_: returned)
        json.loads(result.to_json())
        assert result.error is None or result.error.code in ("R805", "R811")


# Finding functions


def written(folder: Path, text: str, target: str, module: str = "scorers_of_mine.py") -> Plan:
    (folder / module).write_text(dedent(text))
    query = question()
    extern = Extern(name="f", target=target, names=("query",), gives="text")
    return plan(made(extern, query), query).model_copy(update={"source": str(folder / "main.pnyx")})


@pytest.fixture(autouse=True)
def _modules() -> Iterator[None]:
    known, path = set(sys.modules), list(sys.path)
    yield
    assert sys.path == path
    for name in set(sys.modules) - known:
        del sys.modules[name]


def called(made_plan: Plan, target: str) -> object:
    return load_externs(made_plan, trust=True).call(Invocation(target, {"query": "Q?"}, 1)).value


def test_functions_are_found_beside_the_program(tmp_path: Path) -> None:
    target = "scorers_of_mine:Judge.of"
    text = """
        class Judge:
            @staticmethod
            def of(query):
                return query.lower()
    """
    assert called(written(tmp_path, text, target), target) == "q?"


def test_modules_of_one_name_beside_two_programs_are_told_apart(tmp_path: Path) -> None:
    target = "scorers_of_mine:f"
    for name in ("one", "two", "one"):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        made_plan = written(folder, f"def f(query): return {name!r}", target)
        assert called(made_plan, target) == name


def test_the_module_of_the_folder_comes_first_and_others_keep_theirs(tmp_path: Path) -> None:
    made_plan = written(tmp_path, "def dumps(query): return 'mine'", "json:dumps", "json.py")
    assert called(made_plan, "json:dumps") == "mine"
    assert sys.modules["json"] is json


def test_installed_packages_are_found(tmp_path: Path) -> None:
    functions = load_externs(written(tmp_path, "", "textwrap:dedent"), trust=True)
    assert functions.call(Invocation("textwrap:dedent", {"text": "  x"}, 1)).value == "x"


def test_nothing_is_imported_of_a_program_that_is_not_trusted(tmp_path: Path) -> None:
    made_plan = written(tmp_path, "raise AssertionError", "scorers_of_mine:f")
    with pytest.raises(ExternUnusable, match="not trusted") as raised:
        load_externs(made_plan, trust=False)
    assert raised.value.code == "E612"
    assert "--trust" in (raised.value.help or "")
    query = question()
    load_externs(plan(made(Constant(value=1)), query), trust=False)


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("", "no_such_module_here:f", "cannot be imported: ModuleNotFoundError"),
        ("1 / 0", "scorers_of_mine:f", "cannot be imported: ZeroDivisionError"),
        ("def f(:", "scorers_of_mine:f", "cannot be imported: SyntaxError"),
        ("import sys; sys.exit(2)", "scorers_of_mine:f", "cannot be imported: SystemExit"),
        ("x = 1", "scorers_of_mine:f", "has no function `f`"),
        ("f = 1", "scorers_of_mine:f", "has no function `f`"),
        ("async def f(query): ...", "scorers_of_mine:f", "asynchronous"),
    ],
)
def test_a_function_that_is_not_there(tmp_path: Path, text: str, target: str, message: str) -> None:
    with pytest.raises(ExternUnusable, match=message) as raised:
        load_externs(written(tmp_path, text, target), trust=True)
    assert raised.value.help
