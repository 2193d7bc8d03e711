"""What programs mean: the graphs that they become."""

from __future__ import annotations

import itertools

import pytest
from elaborate.programs import MODELS, body, compiled, errors, kinds

from pnyx.compiler import graph as graph_module
from pnyx.compiler.diagnostics import CompileError
from pnyx.compiler.graph import node
from pnyx.compiler.operators import Ask, Branch, Constant, ConstantValue, Extern, Over, Reads, Sample, Single
from pnyx.compiler.plan import Plan
from pnyx.compiler.program import Program
from pnyx.compiler.types import Scalar


def test_several_models_are_an_ensemble() -> None:
    plan = compiled(body("query |> generate([small, judge], n = 3)"))
    assert kinds(plan) == ["sample", "sample", "concat"]
    assert plan.nodes[plan.output].type.low == 6
    assert [n.operator.model for n in plan.nodes if isinstance(n.operator, Sample)] == ["small", "judge"]


def test_repeat_unrolls_and_reassigns() -> None:
    text = "x = query |> generate(small, n = 2)\nrepeat 3 { x = x |> critique(judge) |> fuse(judge) }\nx"
    plan = compiled(body(text))
    assert kinds(plan) == ["sample", *["ask", "ask"] * 3]


def test_names_introduced_in_a_block_end_with_it() -> None:
    assert [d.code for d in errors(body("repeat 1 { y = query |> generate(small) }\ny"))] == ["E201"]


def test_for_runs_over_lists_and_ranges() -> None:
    text = "x = query |> generate(small)\nfor m in [small, judge] { x = x + (query |> generate(m, stream = 1)) }\nx"
    assert kinds(compiled(body(text))) == ["sample", "sample", "concat", "sample", "concat"]
    text = "x = query |> generate(small)\nfor i in 2..2 { for m in [small] + [judge] { x = x |> fuse(m, n = i) } }\nx"
    asked = [n.operator for n in compiled(body(text)).nodes if isinstance(n.operator, Ask)]
    assert [(a.model, a.n) for a in asked] == [("small", 2), ("judge", 2)]
    text = "x = query |> generate(small)\nfor i in 1..3 { x = x |> fuse(judge, n = i + 1) }\nx"
    assert [n.operator.n for n in compiled(body(text)).nodes if isinstance(n.operator, Ask)] == [2, 3, 4]


def test_if_chooses_when_compiling() -> None:
    text = "x = query |> generate(small, n = 4)\nif size(x) > 3 { x |> rank(judge) } else { x }"
    assert kinds(compiled(body(text))) == ["sample", "ask"]
    assert kinds(compiled(body(text.replace("n = 4", "n = 3")))) == ["sample"]


def test_has_sees_the_fields() -> None:
    plan = compiled(body("query |> generate(small, n = 2) |> fuse(judge)"))
    assert [n.operator.single for n in plan.nodes if isinstance(n.operator, Ask)] == [Single.KEEP]
    plan = compiled(body("query |> generate(small, n = 2) |> critique(judge) |> fuse(judge)"))
    assert [n.operator.single for n in plan.nodes if isinstance(n.operator, Ask)][1] == Single.ASK


def test_recursion_with_a_compile_time_bound_ends() -> None:
    op = "op again(pool: Pool, k: Int) { if k == 0 { pool } else { pool |> fuse(judge, n = 2) |> again(k - 1) } }"
    assert kinds(compiled(body("query |> generate(small, n = 2) |> again(3)", op))) == ["sample", "ask", "ask", "ask"]


def test_operator_values_and_placeholders() -> None:
    op = "op twice(pool: Pool, step: Op) { pool |> step |> step }"
    text = "query |> generate(small, n = 2) |> twice(fuse(_, judge, n = 2))"
    assert kinds(compiled(body(text, op))) == ["sample", "ask", "ask"]
    text = "tests = query |> unit_tests(judge)\nquery |> generate(small) |> judge_tests(_, judge, tests)"
    assert kinds(compiled(body(text))) == ["sample", "ask", "ask"]


def test_a_program_may_redeclare_a_library_operator() -> None:
    own = "op best(pool: Pool) { pool |> take(1) }"
    plan = compiled(body("query |> generate(small, n = 2) |> best", own))
    assert kinds(plan) == ["sample", "take"]


def test_ask_gets_constants_and_pools() -> None:
    before = 'prompt p(query, side, candidates, others) = "{{ side }} {{ candidates }} {{ others }}"'
    text = (
        "a = query |> generate(small)\nb = query |> generate(judge)\n"
        'a |> ask(judge, p, over = all, side = "yes", others = b, n = 2)'
    )
    plan = compiled(body(text, before))
    ask = plan.nodes[plan.output].operator
    assert isinstance(ask, Ask)
    assert (ask.over, ask.reads, ask.n) == (Over.ALL, Reads.TEXT, 2)
    assert ask.constants == (("side", "yes"),)
    assert ask.variables == ("others",)
    assert len(plan.nodes[plan.output].inputs) == 3


def test_prompts_get_the_count_and_their_defaults() -> None:
    before = 'prompt p(query, count, tone = "dry", depth = 2) = "{{ query }} {{ count }} {{ tone }} {{ depth }}"'
    plan = compiled(body('query |> ask(judge, p, reads = list, count = 3, tone = "wet")', before))
    ask = plan.nodes[plan.output].operator
    assert isinstance(ask, Ask)
    assert ask.constants == (("count", 3), ("depth", 2), ("tone", "wet"))


def test_the_order_of_arguments_has_no_meaning() -> None:
    before = 'prompt p(query, a, b) = "{{ query }} {{ a }} {{ b }}"'
    texts = ("query |> ask(judge, p, a = 1, b = 2)", "query |> ask(judge, p, b = 2, a = 1)")
    one, other = (compiled(body(text, before)) for text in texts)
    assert one.digest == other.digest


def test_ranges_are_values() -> None:
    text = "steps = 1..3\nx = query |> generate(small)\nfor i in steps { x = x |> fuse(judge, n = i + 1) }\nx"
    assert [n.operator.n for n in compiled(body(text)).nodes if isinstance(n.operator, Ask)] == [2, 3, 4]


@pytest.mark.parametrize(
    ("condition", "n"),
    [
        ("false and 1 / 0 > 1", 2),
        ("true or 1 / 0 > 1", 1),
        ("true and false", 2),
        ("false or true", 1),
        ("not false", 1),
        ("1 + 2 * 3 == 7", 1),
        ("7 // 2 == 3 and 7 % 2 == 1", 1),
        ("-7 // 2 == -4", 1),
        ("1 / 2 == 0.5", 1),
        ("2 >= 2 and 2 <= 2 and not (2 > 2) and not (2 < 2)", 1),
        ('"a" + "b" == "ab" and "a" != "b"', 1),
    ],
)
def test_conditions(condition: str, n: int) -> None:
    plan = compiled(body(f"n = if {condition} {{ 1 }} else {{ 2 }}\nquery |> generate(small, n = n)"))
    assert plan.nodes[plan.output].type.high == n


def test_nothing_can_be_the_value_of_an_operator() -> None:
    plan = compiled(body("query |> generate(small) |> extract(number, after = same(none))", "op same(x: Text?) { x }"))
    assert getattr(plan.nodes[plan.output].operator, "after", "") is None


def test_a_choice_inside_an_own_operator_is_closed_anew() -> None:
    own = "op f(query: Chat) { query |> generate(small, n = tune(1, 2)) }"
    program = Program.parse(body("query |> f", own), "main.pnyx")
    sizes = [plan.nodes[plan.output].type.high for plan in (program.compile(choices={"n": n}) for n in (1, 2, 1))]
    assert sizes == [1, 2, 1]


def test_two_logical_models_with_one_id_are_two_streams() -> None:
    plan = compiled(body("query |> generate([small, judge])"))
    streams = [n.stream for n in plan.nodes if isinstance(n.operator, Sample)]
    assert len(set(streams)) == 2


@pytest.mark.parametrize(
    "stage", ["generate(small{})", "generate(small) |> ask(small, p{})", "generate(small) |> extend(small{})"]
)
def test_settings_that_are_off_are_part_of_no_stream_and_no_plan(stage: str) -> None:
    prompt = 'prompt p(query, candidate) = "{{ query }} {{ candidate.text }}"\n'

    def made(settings: str) -> Plan:
        return Program.parse(f"{MODELS}{prompt}pipeline main(query) {{ query |> {stage.format(settings)} }}").compile()

    usual, off = made(""), made(", top_k = none, min_p = 0.0, min_tokens = 0")
    assert "min_" not in usual.to_json()
    assert (off.digest, off.nodes[-1].stream) == (usual.digest, usual.nodes[-1].stream)
    for settings in (", top_k = 5", ", min_p = 0.1", ", min_tokens = 7"):
        set_ = made(settings)
        assert set_.digest != usual.digest
        assert set_.nodes[-1].stream != usual.nodes[-1].stream
        assert Plan.from_json(set_.to_json()) == set_
        assert set_.nodes[-1].operator.sampling.unusual.keys() == {settings.split()[1]}


@pytest.mark.parametrize(
    ("settings", "where", "help"),
    [
        ("top_k = 0", "0", "1 to 1000000"),
        ("min_p = -0.1", "-0.1", "0 to 1"),
        ("min_p = 1.5", "1.5", "0 to 1"),
        ("min_tokens = -1", "-1", "0 to 1000000"),
        ("max_tokens = 20, min_tokens = 21", "21", "lower `min_tokens`, or raise `max_tokens`"),
        ("min_tokens = 600", "600", "lower `min_tokens`, or raise `max_tokens`"),
    ],
)
def test_settings_out_of_bounds(settings: str, where: str, help: str) -> None:
    source = body(f"query |> generate(small, {settings})")
    (diagnostic,) = Program.parse(source).check()
    assert (diagnostic.code, source[diagnostic.primary.span.start : diagnostic.primary.span.end]) == ("E401", where)
    assert help in (diagnostic.help or "")
    compiled(body("query |> generate(small, max_tokens = 20, min_tokens = 20, min_p = 1.0, top_k = 1)"))


def test_n_is_not_part_of_a_stream() -> None:
    text = "query |> generate(small, n = N) |> fuse(judge, n = 2)"
    few, many = (compiled(body(text.replace("N", n))) for n in ("2", "8"))
    assert [n.stream for n in few.nodes] == [n.stream for n in many.nodes]
    assert few.digest != many.digest


def test_labels_and_places_are_those_of_the_program() -> None:
    plan = compiled(body("query |> generate(small, n = 2) |> verify(judge)"))
    assert [n.label for n in plan.nodes] == ["query", "generate", "verify.reasoning", "verify.verdict", "verify"]
    assert {n.place.line for n in plan.nodes[1:] if n.place} == {5}
    text = "x = query |> generate(small, n = 2) |> critique(judge)\ny = x |> shorten\ny |> fuse(judge) |> take(1)"
    plan = compiled(body(text, "op shorten(pool: Pool) { pool |> take(1) }"))
    seen = [(n.label, n.place.line if n.place else None) for n in plan.nodes[1:]]
    assert seen == [("generate", 5), ("critique", 5), ("take", 3), ("fuse", 7), ("take", 7)]
    assert {n.place.source for n in plan.nodes if n.place} == {"main.pnyx"}


# Choices -----------------------------------------------------------------------------------------

TUNED = body(
    """
    x = query |> generate(small, n = tune(1, 2, 4, default = 2))
    repeat tune(0..2) { x = x |> tune(critique(_, judge), skip) |> fuse(judge, n = size(x)) }
    x |> top(width, by = logprob)
    """,
    "let width = tune(1, 2)",
)


def test_choices_have_names_options_and_defaults() -> None:
    found = {c.name: (c.options, c.default) for c in Program.parse(TUNED.replace("tune(0..2)", "1")).choices("main")}
    assert found == {
        "main.generate.n": (("1", "2", "4"), 1),
        "main.x": (("critique(_, judge)", "skip"), 0),
        "width": (("1", "2"), 0),
    }


def test_choices_in_one_place_are_numbered_and_literals_are_values() -> None:
    text = """
    a = query |> generate(small, n = tune(1, 2))
    a = a + (query |> generate(small, n = tune(3, 4), stream = 1))
    a = a + (query |> generate(small, n = tune(5, 6), system = tune("x y", "z"), stream = tune(-1 + 2, 7)))
    a |> rank(judge, tune(1, 2)) |> extract(tune(number, line))
    """
    assert compiled(body(text)).choices == {
        "main.generate.n": 1,
        "main.generate.n.2": 3,
        "main.generate.n.3": 5,
        "main.generate.system": "x y",
        "main.generate.stream": "-1 + 2",
        "main.rank.keep": 1,
        "main.extract.kind": "number",
    }


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ({}, {"main.generate.n": 2, "main.repeat": 0, "width": 1}),
        ({"n": 4}, {"main.generate.n": 4, "main.repeat": 0, "width": 1}),
        ({"n": "4", "width": "2"}, {"main.generate.n": 4, "main.repeat": 0, "width": 2}),
        ({"main.x": "skip", "repeat": 1}, {"main.generate.n": 2, "main.repeat": 1, "main.x": "skip", "width": 1}),
    ],
)
def test_choices_are_closed_by_name(choices: dict[str, object], expected: dict[str, object]) -> None:
    assert compiled(TUNED, **choices).choices == expected


@pytest.mark.parametrize(
    ("choices", "message", "help"),
    [
        ({"n": 3}, "`main.generate.n` cannot be `3`", "`1`, `2`, `4`"),
        ({"widht": 1}, "there is no choice `widht`", "did you mean `width`?"),
        ({"n": True}, "cannot be `True`", "`1`, `2`, `4`"),
    ],
)
def test_unknown_choices_are_refused(choices: dict[str, object], message: str, help: str) -> None:
    with pytest.raises(CompileError) as caught:
        compiled(TUNED, **choices)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E403"
    assert message in diagnostic.message
    assert help in (diagnostic.help or "")


def test_the_pipeline_must_be_named_where_there_are_several() -> None:
    two = f"{MODELS}pipeline a(q) {{ q |> generate(small) }}\npipeline b(q) {{ q |> generate(judge) }}"
    with pytest.raises(CompileError, match="2 pipelines"):
        Program.parse(two).compile()
    with pytest.raises(CompileError, match="did you mean"):
        Program.parse(two.replace("pipeline a", "pipeline first")).compile("frist")
    assert Program.parse(two).compile("b").pipeline == "b"


def test_compiling_a_faulty_program_raises_everything() -> None:
    with pytest.raises(CompileError) as caught:
        compiled(body("a = query |> generte(small)\nquery |> generate(small, n = 0)"))
    assert [d.code for d in caught.value.diagnostics] == ["E201", "E401"]


@pytest.mark.parametrize("values", list(itertools.permutations((1, 1.0, True))))
def test_values_that_are_equal_to_python_mean_different_things(values: tuple[ConstantValue, ...]) -> None:
    """Whichever of them comes first."""
    graph_module._texts.cache_clear()
    operators = [
        *(Constant(value=value) for value in values),
        *(Branch(patterns=(value,)) for value in values),
        *(Extern(name="f", target="m:f", names=("x",), constants=(("x", v),), gives="int") for v in values),
    ]
    made = [node(operator, [], Scalar("int"), label="") for operator in operators]
    assert len({one.digest for one in made}) == len({one.stream for one in made}) == len(operators)
