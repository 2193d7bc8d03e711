"""Every mistake gets one located diagnostic with a way out, and no cascade behind it."""

from __future__ import annotations

import pytest
from elaborate.programs import body, check, errors

# (body, what comes before the pipeline, code, text under the caret, part of the message, part of the help)
MISTAKES = [
    ("query |> generte(small)", "", "E201", "generte", "there is no `generte`", "did you mean `generate`?"),
    ("query |> generate(smal)", "", "E201", "smal", "there is no `smal`", "did you mean `small`?"),
    ("x = draft\nquery |> generate(small)", "", "E201", "draft", "there is no `draft`", "declare it"),
    (
        "query |> generate(small, temprature = 1)",
        "",
        "E203",
        "temprature",
        "no argument `temprature`",
        "did you mean `temperature`?",
    ),
    ("query |> generate(small) |> rank", "", "E204", "rank", "`rank` needs `model`", "it is `rank("),
    ("query |> generate(small, n = 1, n = 2)", "", "E205", "n", "`n` is given twice", "remove one"),
    ("query |> generate(small) |> take(1, 2)", "", "E210", "2", "at most 2 arguments", "it is `take("),
    (
        "query |> generate(small) |> ask(judge, p)",
        'prompt p(query) = "{{ query }} {{ qurey }}"',
        "E207",
        "qurey",
        "`qurey` is no parameter",
        "did you mean `query`?",
    ),
    (
        "query |> generate(small) |> ask(judge, p)",
        'prompt p(candidate) = "{{ candidate.critique }}"',
        "E208",
        "ask(judge, p)",
        "reads `critique`",
        "`|> critique(model)`",
    ),
    (
        "query |> generate(small) |> extract(nmber)",
        "",
        "E209",
        "nmber",
        "`kind` of `extract` cannot be `nmber`",
        "did you mean `number`?",
    ),
    ("query |> generate(small, n = 1.5)", "", "E301", "1.5", "`n` of `generate` cannot be", "whole number"),
    ('query |> generate("gpt")', "", "E301", '"gpt"', "cannot be a text", "declare it"),
    (
        "query |> generate(small) |> critique([small, judge])",
        "",
        "E301",
        "[small, judge]",
        "cannot be a list",
        "only `generate`",
    ),
    ("query |> generate(small) |> score(judge)", "", "E301", "judge", "cannot be the model", "grade(_, judge)"),
    ("query |> critique(judge)", "", "E301", "critique(judge)", "works on candidates", "generate(model)"),
    (
        "query |> generate(small) |> generate(judge)",
        "",
        "E301",
        "generate(judge)",
        "works on the question",
        "start again",
    ),
    ("query |> small", "", "E301", "small", "the model `small` is not an operator", "only operators"),
    ("query |> generate(small) |> tune(critique(judge), skip)", "", "E204", "critique(judge)", "needs `model`", ""),
    ("query |> generate(small) + query", "", "E101", "+", "", "parentheses"),
    ("(query |> generate(small)) + query", "", "E301", None, "`+` joins two pools", "candidates"),
    ("query", "", "E301", "query", "ends with the question", "end it with a pool"),
    ("3", "", "E301", "3", "ends with the number `3`", "end it with a pool"),
    ("query |> generate(small) |> vote", "", "E302", "vote", "with an `answer`", "`|> extract(number)`"),
    ("query |> generate(small) |> best", "", "E302", "best", "with a `score`", "`|> grade(model)`"),
    ("query |> generate(small) |> top(2, by = passes)", "", "E302", "top(2, by = passes)", "with a `passes`", "judge_"),
    ("query |> generate([])", "", "E303", "[]", "gets no model", "at least one"),
    (
        "x = query |> generate(small)\nquery |> generate(small, n = x)",
        "",
        "E304",
        "x",
        "must be known when compiling",
        "while the pipeline runs",
    ),
    (
        "x = query |> generate(small)\nif x > 1 { x } else { x }",
        "",
        "E304",
        "x > 1",
        "needs values known when compiling",
        "size(pool)",
    ),
    (
        "query |> f(small)",
        "op f(query: Chat, model: Model) -> Pool[2]{answer} { query |> generate(model) }",
        "E305",
        "query |> generate(model)",
        "`f` gives Pool[1]{logprob, model, text}",
        "change the declared type",
    ),
    ("x = query |> generate(small)", "", "E306", None, "no value", "end it with"),
    (
        "query |> generate(small) |> ask(judge, p, over = all, into = note)",
        'prompt p(candidates) = "{{ candidates }}"',
        "E307",
        "note",
        "has no one candidate",
        "`over = each`",
    ),
    (
        "query |> generate(small) |> ask(judge, p, reads = verdict)",
        'prompt p(candidate) = "{{ candidate.text }}"',
        "E307",
        "verdict",
        "needs a field",
        "`into = score`",
    ),
    ("query |> generate(small, n = 0)", "", "E401", "0", "`n` of `generate` cannot be 0", "1 to"),
    ("query |> generate(small, temperature = -1)", "", "E401", "-1", "cannot be -1", "0 to 100"),
    ("query |> generate(small, n = 4 / 0)", "", "E402", "4 / 0", "division by zero", "another divisor"),
    ("query |> generate(small, n = tune(1, 2, default = 3))", "", "E403", "3", "none of the options", "`1`, `2`"),
    ("repeat 100000 { x = 1 + 1 + 1 }\nquery |> generate(small)", "", "E405", None, "steps to unroll", "repeat less"),
    (
        "query |> generate(small) |> ask(judge, p)",
        'prompt p(query) = "{% for x in query %}"',
        "E406",
        None,
        "template of `p` is faulty",
        "Jinja",
    ),
    ("loop max 3 { x = 1 }\nquery |> generate(small)", "", "E501", None, "`loop` is not compiled yet", "unroll it"),
    ("query |> generate(small) |> each c { c }", "", "E501", None, "`each` is not compiled yet", "ask"),
    ('match query { "a" => query |> generate(small) }', "", "E501", None, "`match` is not compiled yet", "if"),
    ("x = query.text\nquery |> generate(small)", "", "E501", "query.text", "not compiled yet", "by = FIELD"),
    (
        "query |> generate(small) |> spin",
        "op spin(pool: Pool) { pool |> spin }",
        "E206",
        "spin",
        "contains itself without an end",
        "count down",
    ),
    ("query |> generate(small, n = a)", "let a = b\nlet b = a", "E206", None, "defined by itself", "not need it"),
    ("query |> other", "pipeline other(q) { q |> generate(small) }", "E301", "other", "is a pipeline", "as an `op`"),
    ("query |> generate(small) |> extract(regex)", "", "E204", "regex", "needs `pattern`", "pattern ="),
    ('query |> generate(small) |> extract(regex, pattern = "(")', "", "E401", '"("', "pattern is faulty", "RE2"),
    ("_\nquery |> generate(small)", "", "E301", "_", "`_` stands alone", "critique(_, judge)"),
    ("query |> generate(small, n = 5s)", "", "E301", "5s", "has a unit", "budgets"),
    (
        "query |> generate(small) |> ask(judge, p, on_fail = retry(2) then kep)",
        'prompt p(candidate) = "{{ candidate.text }}"',
        "E209",
        "kep",
        "cannot be `kep`",
        "did you mean `keep`?",
    ),
]


@pytest.mark.parametrize(("text", "before", "code", "caret", "message", "help"), MISTAKES, ids=lambda v: None)
def test_a_mistake_is_reported_once_where_it_is(
    text: str, before: str, code: str, caret: str | None, message: str, help: str
) -> None:
    found = errors(body(text, before))
    assert [d.code for d in found] == [code], [(d.code, d.message) for d in found]
    (diagnostic,) = found
    assert message in diagnostic.message
    assert help in (diagnostic.help or "")
    assert diagnostic.span is not None
    if caret is not None:
        assert diagnostic.span.text == caret


def test_every_error_of_a_file_is_reported_at_once() -> None:
    found = errors(
        body("a = query |> generte(small)\nb = query |> generate(small) |> vote\nquery |> generate(small, n = 0)")
    )
    assert [d.code for d in found] == ["E201", "E302", "E401"]


def test_branches_not_taken_are_checked_for_names() -> None:
    assert [d.code for d in errors(body("x = if 1 > 2 { nothing } else { 1 }\nquery |> generate(small, n = x)"))] == [
        "E201"
    ]


def test_options_not_taken_are_checked_for_types() -> None:
    found = errors(body("query |> generate(small) |> tune(skip, best)"))
    assert [(d.code, d.span.text) for d in found if d.span] == [("E302", "tune(skip, best)")]


def test_an_operator_that_nothing_calls_is_checked() -> None:
    program = body("query |> generate(small)", "op f(pool: Pool{text}) { pool |> vote }")
    assert [d.code for d in errors(program)] == ["E302"]


def test_a_fault_inside_the_library_is_shown_at_the_call() -> None:
    (found,) = errors(body("query |> generate(small) |> rank(judge, keep = 0)"))
    assert found.span is not None
    assert found.span.source.name == "main.pnyx"
    assert found.span.text == "rank(judge, keep = 0)"


def test_a_fault_inside_an_own_operator_names_the_caller() -> None:
    (found,) = errors(body("query |> generate(small) |> f", "op f(pool: Pool) { pool |> vote }"))
    assert found.span is not None
    assert found.span.text == "vote"
    assert "called here" in [label.text for label in found.secondary]


def test_declared_twice() -> None:
    found = errors('model a = "x"\nmodel a = "y"\npipeline main(query) { query |> generate(a) }')
    assert [(d.code, d.span.first.line) for d in found if d.span] == [("E202", 2)]


def test_built_in_names_cannot_be_declared() -> None:
    found = errors(body("query |> generate(small)", "op generate(query: Chat) { query }"))
    assert found[0].code == "E202"
    assert "my_generate" in (found[0].help or "")


def test_a_pipeline_takes_the_question_alone() -> None:
    text = 'model m = "x"\npipeline main() { 1 }\npipeline other(a, b) { a |> generate(m) }'
    assert [d.code for d in errors(text)] == ["E204", "E210"]


@pytest.mark.parametrize("form", ['import "other.pnyx"', 'extern op f(pool: Pool) -> Pool = "a.b:c"', "search s { }"])
def test_forms_that_are_not_compiled_yet_say_so(form: str) -> None:
    assert [d.code for d in errors(body("query |> generate(small)", form))] == ["E501"]


def test_unused_names_are_warned_of_only_in_sound_files() -> None:
    text = body("x = query |> generate(small)\nquery |> generate(small, n = 2)")
    assert [(d.code, d.span.text) for d in check(text) if d.span] == [("W702", "judge"), ("W702", "x")]
    assert all(d.is_error for d in check(text.replace("n = 2", "n = 0")))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("query |> generate(small) |> rank(judge)", "W701"),
        ("query |> generate(small, n = 2) |> rank(judge, keep = 3)", "W701"),
        ("query |> generate(small) |> fuse(judge)", "W701"),
        ("(query |> generate(small)) + (query |> generate(small, n = 3)) |> rank(judge)", None),
        ("query |> generate(small, n = 3) |> rank(judge, keep = 3)", None),
    ],
)
def test_work_without_effect(text: str, code: str | None) -> None:
    text = text.replace("+ (query |> generate(small, n = 3)) |>", "+ (query |> generate(judge)) |>")
    if text.startswith("("):
        text = "x = " + text.replace(" |> rank(judge)", "") + "\nx |> rank(judge)"
    assert [d.code for d in check(body(text)) if d.code != "W702"] == ([code] if code else [])


def test_the_same_samples_twice_are_warned_of() -> None:
    text = "x = (query |> generate(small)) + (query |> generate(small, n = 3))\nx |> rank(judge)"
    assert "W703" in [d.code for d in check(body(text))]
    other = text.replace("n = 3", "n = 3, stream = 1")
    assert "W703" not in [d.code for d in check(body(other))]
