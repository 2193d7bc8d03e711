"""Graphs and plans that no program gives are refused, and told why."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from pnyx.compiler.graph import Graph, Node, node
from pnyx.compiler.inference import TypeFault, result_type
from pnyx.compiler.operators import (
    Ask,
    AsQuery,
    Branch,
    Compute,
    Each,
    Extend,
    Extern,
    FieldOf,
    Filter,
    IfNone,
    Input,
    Loop,
    Measure,
    MeasureKind,
    Operator,
    Over,
    Param,
    Part,
    PromptText,
    Reads,
    Retrieve,
    RunCode,
    RunTests,
    Sample,
    Single,
)
from pnyx.compiler.passes import optimise
from pnyx.compiler.passes.context import typed
from pnyx.compiler.passes.failing import hides_failure
from pnyx.compiler.plan import Plan, PlanError
from pnyx.compiler.types import CHAT, Pool, Results, Scalar, ScalarBase, Size, Type, join
from pnyx.compiler.verify import GraphFault, verify
from tests.elaborate.programs import body, compiled

PROMPT = PromptText(name="p", params=("query",), user="{{ query }}")
QUERY = typed(Input(), [], label="query")
DRAFTS = typed(Sample(model="small", n=2), [QUERY], label="generate")
INT, BOOL, TEXT = Scalar("int"), Scalar("bool"), Scalar("text")


def pool(low: int, high: int, *fields: str) -> Pool:
    return Pool(Size(low, high), frozenset({"text", *fields}))


def parameter(type_: Type, index: int = 0) -> Node:
    return node(Param(index=index), [], type_, label="x")


def inside(*types: Type, outputs: int = 1) -> Graph:
    """A body that gives its first parameter, so many times."""
    params = tuple(parameter(type_, index) for index, type_ in enumerate(types))
    return Graph(params, (params[0],) * outputs)


def extern(**attributes: object) -> Extern:
    return Extern(**{"name": "f", "target": "m:f", "names": ("a",), "gives": "pool", **attributes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("operator", "inputs", "words"),
    [
        (Part(index=1), [Results((INT,))], r"input 0 is \(Int\), which has no part 1"),
        (Part(index=0), [INT], "input 0 is Int, which has no part 0"),
        (Param(index=0), [], "has the type that its body gives it"),
        (extern(annotates=True), [INT], "no pool whose candidates it could give back"),
        (extern(names=("a", "b")), [INT], "1 inputs instead of 2"),
        (FieldOf(name="text"), [pool(1, 2)], "only one candidate has a field"),
        (FieldOf(name="score"), [pool(1, 1)], "has no `score`"),
        (Measure(what=MeasureKind.WINDOW, by="text", window=0), [pool(1, 1)], "`window` is 0"),
        (Compute(symbol="not"), [BOOL, BOOL], "2 inputs to `not`"),
        (Compute(symbol="-"), [INT, INT, INT], "3 inputs to `-`"),
        (Compute(symbol="+"), [INT], r"1 inputs to `\+`"),
        (Compute(symbol="-"), [TEXT], "`-`"),
        (AsQuery(), [pool(1, 1), pool(1, 1)], "instead of the question"),
        (RunCode(into="error"), [pool(1, 1)], "`error` says why a program failed"),
        (RunCode(seconds=0), [pool(1, 1)], "`seconds` is 0"),
        (RunTests(into="passed"), [pool(1, 1), pool(1, 1)], "`passed` says which tests pass"),
        (Retrieve(source="f", k=0), [CHAT], "`k` is 0"),
        (Retrieve(source="f", k=1001), [CHAT], "`k` is 1001"),
        (Extend(model="m", into="guess", n=2), [CHAT, pool(1, 1)], "`n` is 2, but a field holds one reply"),
        (
            Ask(model="m", prompt=PROMPT, over=Over.EACH, into="passes", reads=Reads.PASSES, variables=("tests",)),
            [CHAT, pool(1, 1), INT],
            "the tests are no pool",
        ),
        (
            Ask(model="m", prompt=PROMPT, over=Over.QUERY, variables=("t",)),
            [CHAT, CHAT],
            "input 1 is Chat, which a prompt cannot show",
        ),
        (
            Ask(model="m", prompt=PROMPT, over=Over.QUERY, options=("a",)),
            [CHAT],
            "`options` belong to reading a choice",
        ),
        (Ask(model="m", prompt=PROMPT, over=Over.QUERY, reads=Reads.CHOICE), [CHAT], "`options` belong to reading"),
    ],
)
def test_inputs_that_an_operator_does_not_take(operator: Operator, inputs: list[Type], words: str) -> None:
    with pytest.raises(TypeFault, match=words):
        result_type(operator, inputs)


@pytest.mark.parametrize(
    ("operator", "inputs", "bodies", "words"),
    [
        (Each(), [pool(1, 2)], [], "0 bodies instead of 1"),
        (Each(), [INT], [inside(INT)], "input 0 is Int instead of a pool"),
        (Each(), [pool(1, 2)], [inside(pool(1, 1), outputs=2)], "does not end with candidates"),
        (Each(), [pool(1, 2), INT], [inside(pool(1, 1))], "2 values for 1 parameters"),
        (Loop(most=2, carried=1), [INT], [], "0 bodies instead of 1"),
        (Loop(most=0, carried=1), [INT], [inside(INT)], "`most` is 0"),
        (Loop(most=2, carried=1), [INT], [inside(INT, outputs=2)], "the body gives 2 values"),
        (Loop(most=2, carried=1, until=True), [INT], [inside(INT)], "the body gives 1 values"),
        (Branch(patterns=(True,)), [BOOL, INT], [inside(INT)], "1 bodies instead of 2"),
        (Branch(patterns=(True,)), [CHAT, INT], [inside(INT)] * 2, "instead of a single value"),
        (Branch(patterns=(1,), otherwise=False), [INT, INT], [inside(INT)] * 2, "2 bodies instead of 1"),
        (
            Branch(patterns=(True,)),
            [BOOL, INT, pool(1, 1)],
            [inside(INT, pool(1, 1)), Graph(inside(INT, pool(1, 1)).params, (parameter(pool(1, 1), 1),))],
            "a value is Int or Pool",
        ),
    ],
)
def test_bodies_that_do_not_fit(operator: Operator, inputs: list[Type], bodies: list[Graph], words: str) -> None:
    with pytest.raises(TypeFault, match=words):
        result_type(operator, inputs, bodies)


@pytest.mark.parametrize(
    ("operator", "inputs", "expected"),
    [
        (extern(names=("a", "b"), annotates=True, fields=("score",)), [INT, pool(2, 4)], pool(0, 4, "score")),
        (extern(low=1, high=3, fields=("text",)), [INT], pool(1, 3)),
        (extern(gives="float"), [pool(1, 2)], Scalar("float")),
        (Compute(symbol="+"), [TEXT, TEXT], TEXT),
        (Compute(symbol="+"), [TEXT, Scalar("any")], TEXT),
        (Compute(symbol="-"), [Scalar("float")], Scalar("float")),
        (Compute(symbol="//"), [INT, Scalar("any")], Scalar("any")),
        (Compute(symbol="/"), [INT, INT], Scalar("float")),
        (Part(index=1), [Results((INT, TEXT))], TEXT),
        (Retrieve(source="f", k=3), [CHAT], pool(0, 3, "score")),
        (Extend(model="m", into="guess"), [CHAT, pool(2, 3)], pool(2, 3, "guess")),
    ],
)
def test_what_operators_of_values_give(operator: Operator, inputs: list[Type], expected: Type) -> None:
    assert result_type(operator, inputs) == expected


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("int", "float", "float"),
        ("float", "int", "float"),
        ("int", "text", "any"),
        ("bool", "int", "any"),
        ("any", "float", "any"),
    ],
)
def test_a_value_of_one_of_two_kinds(left: ScalarBase, right: ScalarBase, expected: ScalarBase) -> None:
    assert join(Scalar(left), Scalar(right)) == Scalar(expected)
    assert join(Scalar(left), pool(1, 1)) is None


def test_several_results_as_a_person_reads_them() -> None:
    assert str(Results((INT, pool(1, 2, "score"), Scalar("any")))) == "(Int, Pool[1..2]{score, text}, any value)"


# The verifier ------------------------------------------------------------------------------------


def each_of(made: Graph, given: Node = DRAFTS) -> Graph:
    """Whatever the body is, the type is right."""
    size = given.type.size if isinstance(given.type, Pool) else Size(1, 1)
    type_ = Results((Pool(size, given.type.fields if isinstance(given.type, Pool) else frozenset()),))
    whole = node(Each(), [given], type_, label="each", bodies=[made])
    return Graph((QUERY,), (typed(Part(index=0), [whole], label="each"),))


ONE = Pool(Size(1, 1), DRAFTS.type.fields if isinstance(DRAFTS.type, Pool) else frozenset())


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (each_of(inside(Pool(Size(1, 1), ONE.fields | {"score"}))), r"a parameter of its body is .*score.* and gets"),
        (Graph((QUERY,), (node(Each(), [DRAFTS], Results(()), label="each"),)), "it has a body, or lacks one"),
        (Graph((QUERY,), (parameter(ONE),)), "a parameter from outside"),
    ],
)
def test_the_verifier_refuses(graph: Graph, words: str) -> None:
    with pytest.raises(GraphFault, match=words):
        verify(graph, "some_pass")


def test_a_parameter_stands_at_its_index() -> None:
    wrong = parameter(ONE, 3)
    with pytest.raises(GraphFault, match="it is not parameter 3"):
        verify(each_of(Graph((wrong,), (wrong,))), "some_pass")
    right = parameter(ONE)
    verify(each_of(Graph((right,), (right,))), "some_pass")


# Plan files --------------------------------------------------------------------------------------

LOOPING = compiled(body("x = query |> generate(small)\nloop max 3 { x = x |> critique(judge) |> revise(small) }\nx"))
STATEFUL = compiled(
    body(
        "seen = query |> generate(small)\nquery |> generate(small, stream = 1)",
        "state seen: Pool[0..1]{text} = empty",
    )
)


def changed(plan: Plan, change: Callable[[dict[str, Any]], object]) -> str:
    """The file of a plan that something else wrote: its digest is right."""
    data = json.loads(plan.to_json())
    change(data)
    del data["digest"]
    try:
        data["digest"] = Plan.model_validate(data).digest
    except ValidationError:
        data["digest"] = "?"
    return json.dumps(data)


def first_body(data: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(entry for entry in data["nodes"] if entry["bodies"])["bodies"][0]
    return found


def deep(data: dict[str, Any]) -> None:
    entry = data["nodes"][1]
    for _ in range(100):
        entry["bodies"] = [{"params": 0, "nodes": [json.loads(json.dumps(data["nodes"][0]))], "outputs": [0]}]
        entry = entry["bodies"][0]["nodes"][0]


def scalar_output(data: dict[str, Any]) -> None:
    constant = {"kind": "constant", "value": 1}
    entry = {**data["nodes"][0], "operator": constant, "type": {"scalar": "int"}, "inputs": [], "bodies": []}
    data["nodes"].append(entry)
    data["output"] = len(data["nodes"]) - 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (changed(STATEFUL, lambda d: d["states"][0].update(param=0)), "the state 'seen' has no place"),
        (changed(STATEFUL, lambda d: d["states"][0].update(output=99)), "the state 'seen' has no place"),
        (changed(STATEFUL, lambda d: d["states"][0].update(chunk=0)), "the state 'seen' has no place"),
        (changed(LOOPING, deep), "bodies within bodies without an end"),
        (changed(LOOPING, lambda d: first_body(d).update(params=9)), "a body without its parameters or outputs"),
        (changed(LOOPING, lambda d: first_body(d).update(outputs=[99])), "a body without its parameters or outputs"),
        (changed(LOOPING, lambda d: first_body(d).update(outputs=[])), "the body gives 0 values"),
        (changed(LOOPING, scalar_output), "its output is not a pool of candidates"),
    ],
)
def test_a_plan_that_something_else_wrote_is_checked(text: str, words: str) -> None:
    with pytest.raises(PlanError, match=words):
        Plan.from_json(text)


@pytest.mark.parametrize("plan", [LOOPING, STATEFUL])
def test_what_the_compiler_wrote_comes_back(plan: Plan) -> None:
    assert Plan.from_json(plan.to_json()) == plan


# What may fail the question ----------------------------------------------------------------------


KEEPS_ONE = Ask(model="judge", prompt=PROMPT, over=Over.ALL, single=Single.KEEP, variables=("t",))
ALONE = typed(Sample(model="small"), [QUERY], label="generate")


def asked_again(source: Node) -> Node:
    """One sample for the first candidate of the source as the question."""
    return typed(Sample(model="small"), [typed(AsQuery(), [QUERY, source], label="as_query")], label="generate")


MAYBE = typed(Filter(by="logprob", at_least=-1), [DRAFTS], label="filter")
SURE = typed(Filter(by="logprob", at_least=-1, if_none=IfNone.KEEP), [DRAFTS], label="filter")


@pytest.mark.parametrize("certain", [True, False])
def test_asking_of_what_may_be_empty_stays(certain: bool) -> None:
    """An example that fails must go on failing: a question made of a pool that may be empty is such a failure."""
    inner = asked_again(SURE if certain else MAYBE)
    outer = typed(KEEPS_ONE, [QUERY, ALONE, inner], label="fuse")
    assert hides_failure(outer, ALONE) is not certain
    left = optimise(Graph((QUERY,), (outer,)), check=True).output
    assert left.operator == (ALONE.operator if certain else KEEPS_ONE)


def test_a_function_of_the_users_may_fail() -> None:
    scored = typed(extern(gives="float"), [ALONE], label="f")
    outer = typed(KEEPS_ONE, [QUERY, ALONE, scored], label="fuse")
    assert hides_failure(outer, ALONE)
    assert optimise(Graph((QUERY,), (outer,)), check=True).output.operator == KEEPS_ONE
