"""Every mistake gets one located diagnostic with a way out, and no cascade behind it."""

from __future__ import annotations

import time

import pytest
from elaborate.programs import body, check, errors

from pnyx.compiler.program import Program

_NOTED = 'prompt p(candidate, note) = "{{ candidate.text }} {{ note }}"'

# (body, what comes before the pipeline, code, text under the caret, part of the message, part of the help)
MISTAKES = [
    ("query |> generte(small)", "", "E201", "generte", "there is no `generte`", "did you mean `generate`?"),
    ("query |> generate(smal)", "", "E201", "smal", "there is no `smal`", "did you mean `small`?"),
    (
        "query |> f(3)",
        "op f(query: Chat, n: Int, k: Int = n) { query |> generate(small, n = n + k) }",
        "E201",
        "n",
        "there is no `n`",
        "a default cannot use another parameter",
    ),
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
    ("query |> generate(small, temp = 1)", "", "E203", "temp", "no argument `temp`", "did you mean `temperature`?"),
    ('query |> generate(small) |> sort(by = "text")', "", "E301", '"text"', "cannot be a text", "`by = text`"),
    ("generate(small, n = 2)", "", "E204", "generate(small, n = 2)", "needs `model`", "`query |> generate(…)`"),
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
        "size(pool)",
    ),
    (
        "x = query |> generate(small)\nif x > 1 { x } else { x }",
        "",
        "E304",
        "x > 1",
        "`>` works on single values",
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
    ("f = rank(_, judge)\nf()", "", "E204", "f()", "nothing stands in for the `_`", "pipe into it"),
    ("f = rank(_, judge)\nf(keep = 1)", "", "E204", "f(keep = 1)", "nothing stands in for the `_`", "pipe into it"),
    ("f = rank(_, judge)\nquery |> generate(small) |> f(_)", "", "E301", "_", "already has its `_`", "pipe into it"),
    ('a = "x"\nrepeat 60 { a = a + a }\nquery |> generate(small)', "", "E402", "a + a", "text is too long", "up to"),
    ("a = [1]\nrepeat 60 { a = a + a }\nquery |> generate(small)", "", "E402", "a + a", "list is too long", "up to"),
    ("a = [1]\nrepeat 60 { a = [a, a] }\nquery |> generate(small)", "", "E402", "[a, a]", "list is too long", "up to"),
    ("a = query |> generate(small)\nrepeat 60 { a = a + a }\na", "", "E405", "a + a", "a pool of", "up to a million"),
    ("query |> generate(small, n = 5s)", "", "E301", "5s", "has a unit", "budgets"),
    ("f = rank(_, judge)\ng = f(_)\nquery |> generate(small)", "", "E301", "_", "already has its `_`", "pipe into it"),
    ("f = rank(_, _)\nquery |> generate(small) |> f", "", "E301", "_", "has one `_`", "fill in"),
    ("for x in query { y = x }\nquery |> generate(small)", "", "E304", "query", "`for` needs a list", "each x"),
    ("for x in 3 { y = x }\nquery |> generate(small)", "", "E301", "3", "`for` needs a list", "[a, b, c]"),
    ("for x in 1..1.5 { y = x }\nquery |> generate(small)", "", "E301", "1.5", "one whole number", "list the values"),
    ("for x in 3..1 { y = x }\nquery |> generate(small)", "", "E401", "3..1", "is empty", "both ends"),
    ("for x in 1..20000 { y = x }\nquery |> generate(small)", "", "E401", "1..20000", "too long", "10000 at most"),
    ("a = 1000000000\nn = a * a * a\nquery |> generate(small, n = n)", "", "E402", "a * a * a", "", "billion billions"),
    ("n = 1 + true\nquery |> generate(small, n = n)", "", "E301", "1 + true", "`+` does not work", ""),
    ("n = 1 and true\nquery |> generate(small, n = n)", "", "E301", "1 and true", "`and` does not work", ""),
    ("3 |> take(1)", "", "E301", "3", "cannot be the number `3`", "pipe the question"),
    ("query |> generate(small) |> take(-1)", "", "E401", "-1", "cannot be -1", "1"),
    (
        "query |> generate(small) |> f",
        "op f(pool: Pool[2]) { pool |> take(1) }",
        "E301",
        "f",
        "takes 2 candidates, and this pool has 1",
        "change the size",
    ),
    ("n = if 1 { 1 } else { 2 }\nquery |> generate(small, n = n)", "", "E301", "1", "true or false", "compare it"),
    (
        "x = query |> generate(small, n = 2) |> filter(logprob, at_least = 0)\nx |> take(size(x))",
        "",
        "E304",
        "size(x)",
        "known only at run time",
        "choose between the cases",
    ),
    *(
        (f"query |> generate(small, n = 2) |> ask(judge, p, {arguments})", _NOTED, code, caret, message, help)
        for arguments, code, caret, message, help in (
            ("note = 1, reads = order", "E307", "order", "an order is of all", "`over = all`"),
            ("note = 1, reads = list, count = 3", "E307", "list", "a list is of", "`over = all`"),
            ("note = 1, into = x, reads = list, count = 3", "E307", "x", "fills no field", "drop `into`"),
            ("note = 1, into = x, n = 2", "E307", "2", "several samples", "drop `n`"),
            ("note = 1, into = x, reads = passes", "E204", "passes", "needs the tests", "pass a pool"),
            ("note = 1, candidate = 2", "E203", "candidate", "supplies it itself", "`candidate`, `note`"),
            ("note = 1, more = 2", "E203", "more", "has no such argument", "`candidate`, `note`"),
            ("note = [1]", "E301", "[1]", "cannot show a list", "a pool, a text or a number"),
            ("n = 1", "E204", "ask(judge, p, n = 1)", "needs `note`", "give `note` a default"),
        )
    ),
    (
        "query |> ask(judge, p, reads = list)",
        'prompt p(query) = "{{ query }}"',
        "E204",
        "list",
        "needs `count`",
        "how many items",
    ),
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


def test_operators_that_contain_each_other_are_shown_where_they_are_called() -> None:
    own = "op f(pool: Pool) { pool |> g }\nop g(pool: Pool) { pool |> f }"
    found = {d.message: d.span.text for d in errors(body("query |> generate(small) |> f", own)) if d.span}
    assert found["`f` contains itself without an end"] == "f"
    assert all(message.startswith(f"`{caret}` contains") for message, caret in found.items())


def test_only_the_nearest_caller_is_named() -> None:
    own = "op f(pool: Pool) { pool |> g }\nop g(pool: Pool) { pool |> vote }"
    (found,) = errors(body("query |> generate(small) |> f", own))
    assert [label.span.text for label in found.secondary if label.text == "called here"] == ["g"]


def test_operators_may_not_call_each_other_without_bounds() -> None:
    chain = "\n".join(f"op f{i}(q) {{ q |> f{i + 1} }}" for i in range(60))
    (found,) = errors(body("query |> generate(small) |> f0", f"{chain}\nop f60(q) {{ q }}"))
    assert found.code == "E405"
    assert "inside each other" in found.message
    assert found.help
    assert found.span is not None


@pytest.mark.no_cover
@pytest.mark.parametrize(
    "program",
    [
        body("x = query |> generate(small)\nrepeat 3000 { x = x |> rank(judge) }\nx |> take(tune(1..400))"),
        body("n = 0\nrepeat 30000 { n = n + 1 }\nquery |> generate(small, n = tune(1..400))"),
    ],
    ids=["nodes", "steps"],
)
def test_a_heavy_program_with_many_options_is_checked_in_bounded_time(program: str) -> None:
    before = time.process_time()
    assert errors(program) == []
    assert time.process_time() - before < 15


def test_heavy_pipelines_together_are_refused() -> None:
    heavy = "op heavy(q: Chat) {\n    n = 0\n    repeat 40000 { n = n + 1 }\n    q |> generate(small)\n}\n"
    pipelines = "\n".join(f"pipeline p{i}(q) {{ q |> heavy }}" for i in range(30))
    (found,) = errors(body("query |> heavy", heavy + pipelines))
    assert found.code == "E405"
    assert "take too long" in found.message


@pytest.mark.parametrize(
    ("model", "code", "caret"),
    [
        ('""', "E401", '""'),
        ('"x" { parameters = 0 }', "E401", "0"),
        ('"x" { context = 1.5 }', "E401", "1.5"),
        ('"x" { context = 512, context = 1024 }', "E205", "context"),
    ],
)
def test_faulty_models(model: str, code: str, caret: str) -> None:
    found = errors(f"model m = {model}\npipeline main(query) {{ query |> generate(m) }}")
    assert [(d.code, d.span.text) for d in found if d.span] == [(code, caret)]
    assert found[0].help


def test_a_name_that_no_file_can_have() -> None:
    (found,) = Program.load("a\0b.pnyx").check()
    assert found.code == "E601"


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


def test_a_fault_of_an_option_is_shown_at_the_option() -> None:
    found = errors(body('query |> generate([small, judge], n = tune(1, "a", 0), temperature = tune(0.5, 200))'))
    assert [(d.code, d.span.text) for d in found if d.span] == [("E301", '"a"'), ("E401", "0"), ("E401", "200")]
