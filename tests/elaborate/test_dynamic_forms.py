"""Loops, branches, per-candidate blocks and values known only at run time: the graphs that they become."""

from __future__ import annotations

import pytest
from elaborate.programs import body, compiled, errors, kinds

from pnyx.compiler.graph import Graph, Node
from pnyx.compiler.operators import Branch, Each, Loop, Part, Sample
from pnyx.compiler.passes import optimise
from pnyx.compiler.program import Program
from pnyx.compiler.types import Results
from pnyx.compiler.verify import verify

GROW = "pool = empty\nloop max {most} until {until} {{ pool = pool + (query |> generate(small) |> extract(number)) }}\n"


def graph(text: str, before: str = "") -> Graph:
    program = Program.parse(body(text, before), "main.pnyx")
    made = program.graph("main")
    verify(made, "elaboration")
    optimise(made, check=True)
    return made


def result(text: str, before: str = "") -> str:
    """The type of a pipeline's result; log-probability and model, which all have, left out."""
    size, _, fields = str(graph(text, before).output.type).partition("{")
    shown = [name for name in fields.removesuffix("}").split(", ") if name not in ("logprob", "model")]
    return f"{size}{{{', '.join(shown)}}}"


def only(made: Graph, kind: type) -> Node:
    (found,) = [n for n in made.everywhere() if isinstance(n.operator, kind)]
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # A loop: what it carries is as large as its last round can make it.
        (GROW.format(most=40, until="beta_confidence(pool) >= 0.95") + "pool", "Pool[1..40]{answer, text}"),
        (GROW.format(most=40, until="agreement(pool) == 1") + "pool |> vote", "Pool[0..1]{answer, text, votes}"),
        (GROW.format(most=3, until="true") + "pool", "Pool[1..3]{answer, text}"),
        ("x = query |> generate(small, n = 4)\nloop max 5 { x = x |> take(2) }\nx", "Pool[2]{text}"),
        ("x = query |> generate(small)\nloop max 3 { x = x + x }\nx", "Pool[2..8]{text}"),
        ("x = query |> generate(small)\nloop max 0 { x = x + x }\nx", "Pool[1]{text}"),
        # What every round adds is there after it; what only the start has is not.
        ("x = query |> generate(small) |> critique(judge)\nloop max 2 { x = x |> revise(judge) }\nx", "Pool[1]{text}"),
        ("x = query |> generate(small)\nloop max 2 { x = x |> grade(judge) }\nx", "Pool[1]{score, text}"),
        # Several values at once, and a number.
        (
            "a = query |> generate(small)\nb = empty\nk = 0\n"
            "loop max 3 until k >= 2 { b = b + a\nk = k + 1\na = a |> fuse(judge, n = 2) }\nb + a",
            "Pool[2..4]{text}",
        ),
        # Loops in loops.
        (
            "x = empty\nloop max 2 { y = query |> generate(small)\nloop max 3 { y = y |> fuse(judge) }\nx = x + y }\nx",
            "Pool[1..2]{text}",
        ),
        # Each: as many times as there are candidates.
        ("query |> generate(small, n = 4) |> each c { c + c |> fuse(judge, n = 3) }", "Pool[12]{text}"),
        ("query |> generate(small, n = 4) |> each c { c + c |> grade(judge) }", "Pool[8]{score, text}"),
        ("query |> generate(small, n = 4) |> each c { c |> filter(logprob) }", "Pool[0..4]{text}"),
        ("empty |> each c { c }", "Pool[0]{}"),
        # Branches: what all arms give.
        (
            "x = query |> generate(small, n = 4) |> grade(judge)\nif mean(x) > 5 { x } else { x |> fuse(judge) }",
            "Pool[1..4]{text}",
        ),
        (
            "x = query |> generate(small) |> grade(judge)\nif x.score > 5 { x = x |> critique(judge) }\nx",
            "Pool[1]{score, text}",
        ),
        (
            "x = query |> generate(small, n = 2) |> extract(choice)\n"
            'match (x |> take(1)).answer { "A" => x\n"B" => x |> take(1)\n_ => x + x }',
            "Pool[1..4]{answer, text}",
        ),
        (
            "x = query |> generate(small) |> grade(judge)\n"
            "n = if x.score > 5 { 1 } else { 2 }\nif n == 1 { x } else { x + x }",
            "Pool[1..2]{score, text}",
        ),
        # A pool that may turn out empty.
        (
            "x = query |> generate(small, n = 3) |> grade(judge)\nx |> filter(score, at_least = 7) else x |> take(1)",
            "Pool[0..3]{score, text}",
        ),
        # Compile-time matches choose when compiling.
        ("match 2 { 1 => query |> generate(small)\n2 => query |> generate(small, n = 2) }", "Pool[2]{text}"),
        ('match "x" { "y" => 1\n_ => query |> generate(judge) }', "Pool[1]{text}"),
        # Continuing.
        ('query |> generate(small, n = 2, stop = "END")', "Pool[2]{finished, text}"),
        ('query |> generate(small, n = 2, stop = "x") |> extend(small, n = 3)', "Pool[2..6]{finished, text}"),
        ('query |> generate(small, n = 2) |> probe(small, guess, force = "So:")', "Pool[2]{guess, text}"),
        ("query |> generate(small, n = 2) |> resample(5, by = logprob)", "Pool[5]{text}"),
        ("query |> generate(small, n = 4) |> sample(2)", "Pool[2]{text}"),
        ("query |> generate(small) |> as_query |> generate(judge, n = 2)", "Pool[2]{text}"),
    ],
)
def test_the_type_of_the_result(text: str, expected: str) -> None:
    assert result(text) == expected


@pytest.mark.parametrize(
    ("text", "code", "caret", "message", "help"),
    [
        ("loop max 3 { x = 1 }\nquery |> generate(small)", "E311", None, "changes nothing", "before the loop"),
        (
            "m = small\nloop max 2 { m = judge }\nquery |> generate(m)",
            "E312",
            None,
            "`m` changes in the loop",
            "`repeat`",
        ),
        (
            "x = query |> generate(small)\nloop max 2 { x = 3 }\nx",
            "E312",
            None,
            "no one type",
            "keeps its kind of value",
        ),
        (
            "x = query |> generate(small)\nloop max 2 until x { x = x |> fuse(judge) }\nx",
            "E301",
            "x",
            "`until` takes a condition, and this is a pool",
            "size(pool)",
        ),
        (
            "x = query |> generate(small)\nloop max 20_000 { x = x |> fuse(judge) }\nx",
            "E401",
            "20_000",
            "`max` of `loop` cannot be 20000",
            "0 to 10000",
        ),
        (
            "x = query |> generate(small)\nloop max size(x |> filter(logprob)) { x = x |> fuse(judge) }\nx",
            "E304",
            "size(x |> filter(logprob))",
            "must be known when compiling",
            "`match`",
        ),
        ("query |> each c { c }", "E301", "query", "`each` works on candidates, and this is the question", "generate"),
        (
            "query |> generate(small) |> each c { 3 }",
            "E301",
            "3",
            "the block of `each` ends with candidates, and this ends with the number `3`",
            "end it with a pool",
        ),
        ("query |> generate(small) |> each c { x = c }", "E306", None, "has no value", "end it"),
        (
            "x = query |> generate(small, n = 2)\nif x.logprob > 1 { x } else { x }",
            "E310",
            "x.logprob",
            "`.logprob` of 2 candidates",
            "best(by = logprob)",
        ),
        (
            "x = query |> generate(small)\nif x.score > 1 { x } else { x }",
            "E302",
            "score",
            "this candidate has no `score`",
            "grade(model)",
        ),
        ("x = query.text\nquery |> generate(small)", "E301", "query.text", "the question has no fields", "candidates"),
        (
            "x = query |> generate(small)\nif x > 1 { x } else { x }",
            "E304",
            "x > 1",
            "`>` works on single values",
            "size(pool)",
        ),
        (
            "x = query |> generate(small)\nif x { x } else { x }",
            "E301",
            "x",
            "a condition is true or false, and this is a pool",
            "size(pool) > 0",
        ),
        (
            "x = query |> generate(small)\nif x.text { x } else { x }",
            "E301",
            "x.text",
            "a condition is true or false, and this is a text",
            "compare it",
        ),
        (
            "x = query |> generate(small)\nif x.text > 3 { x } else { x }",
            "E301",
            "x.text > 3",
            "`>` does not work on a text known only at run time and the number `3`",
            "numbers with numbers",
        ),
        (
            "x = query |> generate(small)\nm = if x.logprob > 1 { small } else { judge }\nquery |> generate(m)",
            "E304",
            None,
            "the model `small` cannot depend on what is known only at run time",
            "let the blocks give candidates",
        ),
        (
            "x = query |> generate(small)\nif x.logprob > 1 { x } else { 3 }",
            "E315",
            None,
            "the blocks give a pool or the number `3`",
            "same kind",
        ),
        (
            "x = query |> generate(small)\nif x.logprob > 1 { x }",
            "E301",
            None,
            "ends with `none`",
            "end it with a pool",
        ),
        ('match query { "a" => query |> generate(small) }', "E301", "query", "chooses by a single value", "size(pool)"),
        (
            "match 3 { 1 => query |> generate(small)\n2 => query |> generate(judge) }",
            "E314",
            "3",
            "no arm takes the number `3`",
            "`_ => …`",
        ),
        (
            "match 1 { _ => query |> generate(small)\n1 => query |> generate(judge) }",
            "E313",
            "_",
            "nothing reaches the arms behind `_`",
            "put `_` last",
        ),
        (
            "match 1 { 1 => query |> generate(small)\n1 => query |> generate(judge) }",
            "E313",
            "1",
            "two arms have one pattern",
            "remove one",
        ),
        ("match 1 { }", "E404", None, "`match` without arms", "for each case"),
        (
            "x = query |> generate(small)\nmatch x.text { 3 => x\n_ => x }",
            "E301",
            "3",
            "a text known only at run time never equals the number `3`",
            "patterns are texts",
        ),
        (
            "x = query |> generate(small)\nmatch x.text { x.model => x\n_ => x }",
            "E304",
            "x.model",
            "a pattern is known when compiling",
            "`if … { } else { }`",
        ),
        (
            "x = query |> generate(small)\nquery |> generate(small, n = x.logprob)",
            "E304",
            "x.logprob",
            "`n` of `generate` must be known when compiling",
            "`match` or `if`",
        ),
        (
            "query |> generate(small) |> ask(judge, p, reads = choice)",
            "E307",
            "choice",
            "`reads = choice` needs options",
            "options = [",
        ),
        (
            'query |> generate(small) |> ask(judge, p, options = ["a", "b"])',
            "E307",
            '["a", "b"]',
            "`options` has no meaning for `reads = text`",
            "reads = choice",
        ),
        (
            'query |> generate(small) |> ask(judge, p, reads = choice, options = ["a", "b"])',
            "E307",
            "choice",
            "a choice for each candidate needs a field",
            "into = label",
        ),
        ("x = each\nquery |> generate(small)", "E201", "each", "there is no `each`", ""),
    ],
)
def test_a_mistake_in_a_dynamic_form(text: str, code: str, caret: str | None, message: str, help: str) -> None:
    found = errors(body(text, 'prompt p(candidate) = "{{ candidate.text }}"'))
    assert [d.code for d in found] == [code], [(d.code, d.message) for d in found]
    assert message in found[0].message
    assert help in (found[0].help or "")
    assert found[0].span is not None
    if caret is not None:
        assert found[0].span.text == caret


def test_a_fault_in_a_body_is_reported_once_however_often_it_is_tried() -> None:
    text = "x = query |> generate(small)\nloop max 9 until x.score > 3 { x = x |> critique(judge) |> vote }\nx"
    assert [(d.code, d.message) for d in errors(body(text))] == [("E302", "`vote` needs candidates with an `answer`")]


def test_what_is_drawn_in_a_loop_is_drawn_anew() -> None:
    text = "a = query |> generate(small)\nx = a\nloop max {most} {{ x = x + (query |> generate(small)) }}\nx"
    made = graph(text.format(most=3))
    outside, inside = [n for n in made.everywhere() if isinstance(n.operator, Sample)]
    assert outside.stream != inside.stream
    longer = graph(text.format(most=9))
    assert [n.stream for n in longer.everywhere()] == [n.stream for n in made.everywhere()]


def test_two_loops_that_start_from_different_things_draw_different_samples() -> None:
    text = (
        "a = query |> generate(small)\nb = query |> generate(judge)\n"
        "loop max 2 { a = a + (query |> generate(small)) }\nloop max 2 { b = b + (query |> generate(small)) }\na + b"
    )
    inside = {n.stream for n in graph(text).everywhere() if isinstance(n.operator, Sample)}
    assert len(inside) == 4


def test_arms_draw_what_would_be_drawn_outside() -> None:
    text = (
        "a = query |> generate(judge)\n"
        "if a.logprob > 1 { query |> generate(small, n = 2) } else { query |> generate(small) }"
    )
    streams = [
        n.stream for n in graph(text).everywhere() if isinstance(n.operator, Sample) and n.operator.model == "small"
    ]
    outside = graph("query |> generate(small)").output.stream
    assert streams == [outside, outside]


def test_what_is_written_before_a_branch_is_computed_once_for_all_arms() -> None:
    text = "a = query |> generate(small, n = 2)\nif mean(a, by = logprob) > 1 { a |> take(1) } else { a }"
    made = graph(text)
    branch = only(made, Branch)
    assert [n.operator.kind for n in branch.bodies[0]] == ["param", "take"]
    assert [i.label for i in branch.inputs[1:]] == ["generate"]
    assert len([n for n in made.everywhere() if isinstance(n.operator, Sample)]) == 1


def test_a_body_gets_what_it_uses_and_nothing_else() -> None:
    text = (
        "a = query |> generate(small)\nunused = query |> generate(judge)\nx = a\n"
        "loop max 2 { x = x + a |> fuse(judge) }\nx + unused"
    )
    loop = only(graph(text), Loop)
    assert [i.label for i in loop.inputs] == ["generate", "query", "generate"]
    assert [p.label for p in loop.bodies[0].params] == ["x", "query", "generate"]


def test_each_block_keeps_its_names_to_itself() -> None:
    text = "x = query |> generate(small, n = 2)\ny = x |> each c { x = c |> revise(judge)\nx }\nx + y"
    made = graph(text)
    assert str(made.output.type).startswith("Pool[4]")
    assert [i.operator.kind for i in made.output.inputs] == ["sample", "part"]
    assert [n.operator.kind for n in only(made, Each).bodies[0]] == ["param", "param", "ask"]


def test_a_name_assigned_in_one_arm_is_the_old_value_in_the_other() -> None:
    text = "x = query |> generate(small)\nif x.logprob > 1 { x = x |> fuse(judge, n = 3) }\nx"
    branch = only(graph(text), Branch)
    taken, other = branch.bodies
    assert taken.output.operator.kind == "ask"
    assert other.output is other.params[[p.label for p in other.params].index("generate")]


def test_values_that_no_arm_changes_do_not_pass_through_the_branch() -> None:
    text = "x = query |> generate(small)\nn = 2\nif x.logprob > 1 { n = 2\nx = x + x }\nx |> take(n)"
    assert only(graph(text), Branch).type == Results((graph(text).output.inputs[0].type,))


def test_an_inner_else_belongs_to_its_own_if() -> None:
    text = (
        "x = query |> generate(small) |> grade(judge)\n"
        "if x.score > 8 { x } else if x.score > 5 { x |> fuse(judge) } else { query |> generate(judge, n = 2) }"
    )
    outer, inner = [n for n in graph(text).everywhere() if isinstance(n.operator, Branch)]
    assert inner in tuple(outer.bodies[1].nodes())


def test_library_operators_take_values_known_only_at_run_time() -> None:
    before = "op better(pool: Pool{score}, least: Float) -> Bool { mean(pool) > least }"
    text = (
        "x = query |> generate(small, n = 2) |> grade(judge)\ny = query |> generate(judge) |> grade(judge)\n"
        "if x |> better(y.score) { x } else { y }"
    )
    assert result(text, before).startswith("Pool[1..2]")
    wrong = errors(body(text.replace("y.score", "y.text"), before))
    assert [d.code for d in wrong] == ["E304"]


def test_an_operator_that_gives_a_single_value_says_so() -> None:
    before = "op quality(pool: Pool{score}) -> {kind} {{ mean(pool) }}"
    text = "x = query |> generate(small, n = 2) |> grade(judge)\nif quality(x) > 5 { x } else { x |> take(1) }"
    assert errors(body(text, before.replace("{kind}", "Float").replace("{{", "{").replace("}}", "}"))) == []
    wrong = before.replace("{kind}", "Text").replace("{{", "{").replace("}}", "}")
    assert [d.code for d in errors(body(text, wrong))] == ["E305"]


def test_a_loop_in_a_library_operator_is_shown_where_it_is_called() -> None:
    made = graph("query |> adaptive_consistency(small)")
    loop = only(made, Loop)
    assert loop.label == "adaptive_consistency"
    assert loop.span is not None
    assert loop.span.text == "adaptive_consistency(small)"


def test_a_plan_with_bodies_survives_its_file() -> None:
    from pnyx.compiler.plan import Plan, PlanError

    plan = compiled(body(GROW.format(most=4, until="agreement(pool) >= 1") + "pool |> vote"), optimise=True)
    again = Plan.from_json(plan.to_json())
    assert again == plan
    assert again.digest == plan.digest
    assert kinds(plan)[:2] == ["empty", "loop"]
    with pytest.raises(PlanError, match="digest"):
        Plan.from_json(plan.to_json().replace('"most": 4', '"most": 5'))


def test_parts_of_one_loop_share_it() -> None:
    text = "a = empty\nb = empty\nloop max 2 { a = a + (query |> generate(small))\nb = b + a }\na + b"
    made = graph(text)
    parts = [n for n in made if isinstance(n.operator, Part)]
    assert len({p.inputs[0].digest for p in parts}) == 1
    assert len(parts) == 2


def test_states_are_parameters_and_results() -> None:
    before = (
        'state advice: Text = "be brief"\nstate memory: Pool[0..4]{text} = empty { chunk = 8 }\nstate other: Int = 3\n'
        'prompt p(query, advice) = "{{ query }} {{ advice }}"'
    )
    text = "x = query |> ask(small, p, advice = advice)\nadvice = x.text\nmemory = memory + x |> take(4)\nx"
    plan = compiled(body(text, before))
    assert [(s.name, s.initial, s.chunk) for s in plan.states] == [("advice", "be brief", 1), ("memory", None, 8)]
    assert [plan.nodes[s.param].label for s in plan.states] == ["advice", "memory"]
    assert plan.nodes[plan.states[1].output].type.high == 4


@pytest.mark.parametrize(
    ("before", "text", "code", "message"),
    [
        ("state s: Int = 3", "s = (query |> generate(small)).text\nquery |> generate(small)", "E316", "holds Int"),
        (
            "state s: Pool[0..2]{text} = empty",
            "s = s + (query |> generate(small))\nquery |> generate(small)",
            "E316",
            "becomes Pool[1..3]",
        ),
        ("state s: Int = empty", "s = 1\nquery |> generate(small)", "E515", "cannot begin as"),
        ('state s: Int = "a"', "s = 1\nquery |> generate(small)", "E301", "cannot be a text"),
        ("state s: Pool[0..2]{text} = 3", "s = empty\nquery |> generate(small)", "E515", "cannot begin as"),
    ],
)
def test_a_state_keeps_its_type(before: str, text: str, code: str, message: str) -> None:
    found = errors(body(text, before))
    assert [d.code for d in found] == [code]
    assert message in found[0].message


def test_limits_are_in_the_plan() -> None:
    text = "pipeline p(query) limit 9 calls, 2k tokens, 30s { query |> generate(small) }"
    program = Program.parse(f'model small = "smollm2-135m"\n{text}\n')
    limits = program.compile("p").limits
    assert limits is not None
    assert (limits.calls, limits.tokens, limits.seconds, limits.money) == (9, 2000, 30, None)


def test_extern_operators_become_nodes() -> None:
    before = (
        'extern op quality(pool: Pool{text}, scale: Float = 2.0, of: Text = "x") -> Pool{score} = "my.module:quality"'
    )
    plan = compiled(body("query |> generate(small, n = 2) |> quality(scale = 3) |> best", before))
    extern = next(n.operator for n in plan.nodes if n.operator.kind == "extern")
    assert (extern.names, extern.constants) == (("pool",), (("scale", 3.0), ("of", "x")))
    assert (extern.gives, extern.annotates, extern.fields) == ("pool", True, ("score",))
    nothing = 'extern op draw(query: Chat) -> Pool{text} = "m:f"'
    assert [d.code for d in errors(body("query |> draw", nothing))] == ["E305"]
    sized = compiled(body("query |> draw", nothing.replace("Pool{text}", "Pool[1..4]{text}")))
    assert (sized.nodes[sized.output].type.low, sized.nodes[sized.output].type.high) == (1, 4)


def test_an_unknown_name_in_a_loop_is_one_report_however_often_it_is_elaborated() -> None:
    before = "op f(pool: Pool{text}) -> Pool { loop max 3 { pool = pool |> revise(nobody) }\npool }"
    assert [d.code for d in errors(body("query |> generate(small) |> f |> f", before))] == ["E201"]
    repeated = "x = query |> generate(small)\nrepeat 9k { x = x |> revise(nobody) }\nx"
    assert [d.code for d in errors(body(repeated))] == ["E201"]
