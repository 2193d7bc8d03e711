"""Faulty branches and loops are reported once, and what comes after them reports nothing of its own."""

from __future__ import annotations

import pytest
from elaborate.programs import body, compiled, errors

from pnyx.compiler.operators import Sample
from pnyx.compiler.program import Program

DRAFTS = "x = query |> generate(small, n = 2) |> grade(judge)\n"
NUMBER = "op f(query: Chat, n: Float) { query |> generate(small) }"

# Branches ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code", "caret", "message", "help"),
    [
        ("if mean(x) > 5 { y = nothing } else { y = 2 }\nquery |> f(y)", "E201", "nothing", "there is no", "declare"),
        ("z = if mean(x) > 5 { nothing } else { 2 }\nquery |> f(z)", "E201", "nothing", "there is no", "declare"),
        ("match mean(x) { 1 => nothing\n_ => x }", "E201", "nothing", "there is no", "declare"),
        ("match nothing { 1 => x\n_ => x }", "E201", "nothing", "there is no", "declare"),
        ("x |> filter(score) else nothing", "E201", "nothing", "there is no", "declare"),
        ("nothing |> take(1) else x", "E201", "nothing", "there is no", "declare"),
        (
            "z = 3 |> skip else x\nz",
            "E301",
            "3 |> skip",
            "`else` stands in for an empty pool, and this is the number `3`",
            "put it behind a pipe of candidates",
        ),
        (
            'z = query |> classify(small, ["a", "b"]) else x\nz',
            "E301",
            'query |> classify(small, ["a", "b"])',
            "`else` stands in for an empty pool, and this is a text known only at run time",
            "put it behind a pipe of candidates",
        ),
        (
            "m = small\nif mean(x) > 5 { m = judge }\nquery |> generate(m)",
            "E304",
            "if mean(x) > 5 { m = judge }",
            "the model `judge` cannot depend on what is known only at run time",
            "let the blocks give candidates, numbers or texts",
        ),
        (
            "if mean(x) > 5 { y = x } else { y = 2 }\nquery |> f(y)",
            "E315",
            "if mean(x) > 5 { y = x } else { y = 2 }",
            "the blocks give a pool or the number `2`",
            "let every block give the same kind of value",
        ),
        ("match 3 { 1 => x\n2 => x }", "E314", "3", "no arm takes the number `3`", "`_ => …`"),
        (
            "match mean(x) { small => x\n_ => x }",
            "E301",
            "small",
            "a number known only at run time never equals the model `small`",
            "patterns are texts, numbers, `true` and `false`",
        ),
    ],
)
def test_a_faulty_branch_is_reported_once(text: str, code: str, caret: str, message: str, help: str) -> None:
    """What comes after it, and uses what it would have assigned, reports nothing of its own."""
    (found,) = errors(body(DRAFTS + "y = 1\n" + text, NUMBER))
    assert found.span is not None
    assert (found.code, found.span.text) == (code, caret)
    assert message in found.message
    assert help in (found.help or "")


def test_a_branch_whose_arms_give_one_constant_is_that_constant() -> None:
    for value in ("3", "1 + 2"):
        plan = compiled(
            body(DRAFTS + f"n = if mean(x) > 5 {{ 3 }} else {{ {value} }}\nquery |> generate(judge, n = n)")
        )
        assert [node.operator.n for node in plan.nodes if isinstance(node.operator, Sample)] == [3]


def test_a_name_that_every_arm_leaves_as_it_was_is_known() -> None:
    text = DRAFTS + "n = 2\nif mean(x) > 5 { n = 2 }\nquery |> generate(judge, n = n)"
    (sample,) = (node.operator for node in compiled(body(text)).nodes if isinstance(node.operator, Sample))
    assert sample.n == 2


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("match 2 { 1 => x\n2 => { x |> take(1) } }", "Pool[1]"),
        ("match small { judge => x\nsmall => { x |> take(1) } }", "Pool[1]"),
        ("match mean(x) { 1 => { x |> take(1) }\n_ => x }", "Pool[1..2]"),
        ("x |> filter(score) else { y = x\ny |> take(1) }", "Pool[0..2]"),
        ("x |> filter(score) else x |> filter(score) else query |> generate(small)", "Pool[0..2]"),
    ],
)
def test_arms_may_be_blocks(text: str, size: str) -> None:
    graph = Program.parse(body(DRAFTS + text), "main.pnyx").graph("main")
    assert str(graph.output.type).startswith(f"{size}{{")


# Loops -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loop", "code", "caret", "message", "help"),
    [
        (
            "loop max 3 { x = small }\nx",
            "E312",
            "loop max 3 { x = small }",
            "`x` becomes the model `small` in the loop, which cannot change while the pipeline runs",
            "give it another name in the loop",
        ),
        ("loop max 3 { x = nothing }\nx |> take(1)", "E201", "nothing", "there is no `nothing`", "declare it"),
        ("loop max nothing { x = x |> fuse(small) }\nx |> take(1)", "E201", "nothing", "there is no", "declare it"),
        ("z = nothing\nloop max 3 { z = z + 1 }\nx", "E201", "nothing", "there is no `nothing`", "declare it"),
        (
            "loop max 3 until nothing { x = x |> fuse(small) }\nx",
            "E201",
            "nothing",
            "there is no `nothing`",
            "declare it",
        ),
        (
            "loop max 3 until small { x = x |> fuse(small) }\nx",
            "E301",
            "small",
            "`until` takes a condition, and this is the model `small`",
            "compare it: `until size(pool) >= 5`",
        ),
        (
            "loop max 3 until x { x = x |> fuse(small) }\nx",
            "E301",
            "x",
            "`until` takes a condition, and this is a pool",
            "compare it: `until size(pool) >= 5`",
        ),
        ("nothing |> each c { c }", "E201", "nothing", "there is no `nothing`", "declare it"),
        ("x |> each c { nothing }", "E201", "nothing", "there is no `nothing`", "declare it"),
    ],
)
def test_a_faulty_loop_is_reported_once(loop: str, code: str, caret: str, message: str, help: str) -> None:
    (found,) = errors(body(DRAFTS + loop))
    assert found.span is not None
    assert (found.code, found.span.text) == (code, caret)
    assert message in found.message
    assert help in (found.help or "")


def test_a_loop_whose_types_flip_from_round_to_round_is_refused() -> None:
    """Which block of the inner `if` there is depends on the fields, which depend on the block."""
    loop = "loop max 20 { x = if has(x, critique) { query |> generate(small) } else { x |> critique(judge) } }"
    message, help = "the types of what this loop changes do not settle", "the same fields and sizes in every round"
    (found,) = errors(body(f"x = query |> generate(small) |> critique(judge)\n{loop}\nx"))
    assert (found.code, found.message) == ("E312", message)
    assert help in (found.help or "")
    assert errors(body(f"x = query |> generate(small)\n{loop}\nx")) == []
