"""What a message says of a value that does not fit, and the way out that it names."""

from __future__ import annotations

import pytest
from elaborate.programs import MODELS, body, check, compiled, errors

from pnyx.compiler.diagnostics import CompileError
from pnyx.compiler.operators import Sample
from pnyx.compiler.program import Program

SHOWN = 'prompt p(query) = "{{ query }}"\n'
TAKES = "op f(pool: Pool, t: {}) {{ pool }}"
NUMBER = "op f(query: Chat, n: Float) { query |> generate(small) }"

MODEL = 'name a model that is declared: `model NAME = "…"`'
PROMPT = 'name a prompt that is declared: `prompt NAME(query) = "…"`'
OPERATOR = "name an operator, or fill it in but for one argument: `critique(_, judge)`"
TRUTH = "write `true` or `false`"
LATE = "choose between the cases with `match` or `if`, each with a value of its own"
ONLY_RUNNING = "pools and questions exist only while the pipeline runs"


@pytest.mark.parametrize(
    ("stage", "message", "help"),
    [
        ("critique(3)", "`model` of `critique` cannot be the number `3`", MODEL),
        ("critique(p)", "`model` of `critique` cannot be the prompt `p`", MODEL),
        ("critique(vote)", "`model` of `critique` cannot be the operator `vote`", MODEL),
        (
            'critique("m")',
            "`model` of `critique` cannot be a text",
            'declare it: `model NAME = "…"`, and use the name here',
        ),
        ("critique([small, judge])", "cannot be a list", "only `generate` takes several models; ask one model here"),
        ('critique(judge, prompt = "x")', "`prompt` of `critique` cannot be a text", PROMPT),
        ("critique(judge, prompt = small)", "`prompt` of `critique` cannot be the model `small`", PROMPT),
        ("score(judge)", "cannot be the model `judge`", "an operator is meant: `grade(_, judge)`"),
        ("score(3)", "`scorer` of `score` cannot be the number `3`", OPERATOR),
        (
            'top(1, by = "logprob")',
            "`by` of `top` cannot be a text",
            "the name of a field is written without quotes: `by = logprob`",
        ),
        (
            'top(1, by = "log prob")',
            "`by` of `top` cannot be a text",
            "the name of a field is written without quotes: `by = score`",
        ),
        ("top(1, by = 3)", "`by` of `top` cannot be the number `3`", "name a field: `by = score`"),
        ('take("2")', "`k` of `take` cannot be a text", "write a whole number"),
        ("take(true)", "`k` of `take` cannot be `true`", "write a whole number"),
        ("take(none)", "`k` of `take` cannot be `none`", "write a whole number"),
        (
            'revise(judge, temperature = "hot")',
            "`temperature` of `revise` cannot be a text",
            "write a number, such as `0.7`",
        ),
        ("sort(logprob, ascending = 1)", "`ascending` of `sort` cannot be the number `1`", TRUTH),
        (
            "grade(judge, on_fail = 3)",
            "`on_fail` of `grade` cannot be the number `3`",
            "write `keep`, `drop`, `fail` or `retry(2) then drop`",
        ),
        ("extract(3)", "`kind` of `extract` cannot be the number `3`", "write one of `number`, `choice`, `boxed`"),
        ('extract("number")', "`kind` of `extract` cannot be a text", "write one of `number`, `choice`, `boxed`"),
    ],
)
def test_a_stage_that_gets_something_else(stage: str, message: str, help: str) -> None:
    _refused(f"query |> generate(small) |> {stage}", SHOWN, "E301", message, help)


@pytest.mark.parametrize(
    ("value", "described"),
    [
        ("3", "the number `3`"),
        ("0.5", "the number `0.5`"),
        ('"yes"', "a text"),
        ("none", "`none`"),
        ("[true]", "a list"),
        ("small", "the model `small`"),
        ("p", "the prompt `p`"),
        ("grade(_, judge)", "the operator `grade`"),
        ("retry(2) then keep", "a policy"),
    ],
)
def test_every_value_has_a_description(value: str, described: str) -> None:
    text = f"x = query |> generate(small)\nx |> f({value})"
    _refused(text, SHOWN + TAKES.format("Bool"), "E301", f"`t` of `f` cannot be {described}", TRUTH)


def test_a_word_that_became_a_value_is_described() -> None:
    """A field and a policy reach a number's place through parameters of those types."""
    for type_, given, described in (("Field", "text", "`text`"), ("Policy", "retry(1) then drop", "a policy")):
        before = f"op f(pool: Pool, t: {type_}) {{ pool |> take(t) }}"
        text = f"query |> generate(small) |> f({given})"
        _refused(text, before, "E301", f"`k` of `take` cannot be {described}", "write a whole number")


@pytest.mark.parametrize(
    ("text", "before", "message", "help"),
    [
        (
            "query |> generate(small, system = 3)",
            "",
            "`system` of `generate` cannot be the number `3`",
            'write a text between double quotes: `"…"`',
        ),
        (
            'x = query |> classify(small, "easy")\nquery |> generate(small)',
            "",
            "`options` of `classify` cannot be a text",
            "write a list: `[a, b]`",
        ),
        ("query |> f(3)", NUMBER.replace("Float", "List"), "`n` of `f` cannot be the number `3`", "write a list"),
        ('query |> f([1, "a"])', NUMBER.replace("Float", "List[Int]"), "`n` of `f` cannot be a text", "whole number"),
        ("generate |> take(1)", "", "`pool` of `take` cannot be the operator `generate`", "call it: write its"),
        ("vote |> generate(small)", "", "`query` of `generate` cannot be the operator `vote`", "call it: write its"),
        ("3 |> take(1)", "", "`pool` of `take` cannot be the number `3`", "pipe the question or a pool into it"),
        ("_ |> take(1)", "", "`_` stands alone", "it is an argument of a call: `critique(_, judge)`"),
        ("query |> 3", "", "the number `3` is not an operator", "only operators stand after `|>` or before `(`"),
    ],
)
def test_a_value_in_the_wrong_place(text: str, before: str, message: str, help: str) -> None:
    _refused(text, before, "E301", message, help)


@pytest.mark.parametrize(
    ("text", "before", "described", "help"),
    [
        ("query |> generate(x)", "", "a pool", f"name a declared model: {ONLY_RUNNING}"),
        ("query |> generate(small, system = x)", "", "a pool", f"write a text: {ONLY_RUNNING}"),
        ("x |> take(query)", "", "the question", f"write the value: {ONLY_RUNNING}"),
        ("x |> take(x)", "", "a pool", "write a number; how many candidates a pool has is `size(pool)`"),
        ("x |> take(x.score)", "", "a number known only at run time", LATE),
        ("x |> f(x.text)", TAKES.format("Bool"), "a text known only at run time", LATE),
        ("x |> f(x.score > 1)", TAKES.format("Text"), "a truth known only at run time", LATE),
        ("x |> f(x.guess)", TAKES.format("Model"), "a value known only at run time", LATE),
    ],
)
def test_what_exists_only_while_it_runs(text: str, before: str, described: str, help: str) -> None:
    guessed = 'x = query |> generate(small) |> grade(judge) |> probe(small, guess, force = "So:")\n'
    _refused(guessed + text, before, "E304", f"must be known when compiling, and this is {described}", help)


@pytest.mark.parametrize(
    ("type_", "gives", "shown"),
    [
        ("Pool", "small", "the model `small`"),
        ("Pool", "vote", "the operator `vote`"),
        ("Pool", "p", "the prompt `p`"),
        ("Pool", '"a"', "a text"),
        ("Model", "query |> generate(small)", "Pool[1]{logprob, model, text}"),
    ],
)
def test_an_operator_that_gives_something_else(type_: str, gives: str, shown: str) -> None:
    before = SHOWN + f"op f(query: Chat) -> {type_} {{ {gives} }}"
    help = "change the declared type, or what the body ends with"
    _refused("x = query |> f\nquery |> generate(small)", before, "E305", f"`f` gives {shown}", help)


@pytest.mark.parametrize(
    ("text", "before", "code", "message", "help"),
    [
        (
            'query |> generate(small) |> extract(number, pattern = "a")',
            "",
            "E307",
            "`pattern` has no meaning for `number`",
            "use `extract(regex, …)`",
        ),
        (
            "query |> generate(small) |> sample(1, by = score)",
            "",
            "E302",
            "`sample` weighs by `score`, which these lack",
            "score them first",
        ),
        (
            "query |> ask(judge, q)",
            'prompt q(query, m = small) = "{{ m }}"',
            "E301",
            "the default of `m` is the model `small`",
            "give a text or a number",
        ),
        (
            "query |> ask(judge, q)",
            'prompt q(candidate) = "{{ candidate.text }}"',
            "E204",
            "the prompt `q` needs `candidate`",
            "there are no candidates before a `generate`",
        ),
        (
            "query |> f",
            NUMBER,
            "E204",
            "`f` needs `n`",
            "it is `f(query: Chat, n: Float)`",
        ),
        (
            "query |> generate(small) |> critique(judge)",
            'model critique = "m"',
            "E301",
            "the model `critique` is not an operator",
            "the operator `critique` of the library is hidden by your own declaration: rename that",
        ),
        (
            "query |> generate(small) |> e",
            'extern op e(pool: Pool{text}) = "m:f"',
            "E511",
            "`e` does not say what it gives",
            "say it: `-> Pool{score}`",
        ),
        (
            "query |> generate(small, n = seen)",
            "state seen: Nope = 0",
            "E201",
            "there is no type `Nope`",
            "the types are Chat",
        ),
        (
            "query |> generate(small)",
            'model m = "x" { parameters = "a" }',
            "E301",
            "`parameters` of a model is a number: number of weights",
            "for example `parameters = 8B`",
        ),
        ("query |> generate(small) |> critique(judge, prompt = q)", 'prompt q(candidate) = "{% if %}"', "E406", "", ""),
        (
            "x = query |> generate(small)\nx |> tune(fuse(x, judge), skip)",
            "",
            "E301",
            "a pool is not an operator",
            "in `tune`, write operator values with a hole: `critique(_, judge)`",
        ),
        (
            "x = query |> generate(small)\nz = mean(x, by = logprob) + small\nx",
            "",
            "E301",
            "`+` does not work on a number known only at run time and the model `small`",
            "compare numbers with numbers",
        ),
        (
            "query |> generate(b)",
            'benchmark b { data = jsonl("f"), query = question, target = answer, score = exact }',
            "E301",
            "`b` is a benchmark, not a value",
            "",
        ),
        (
            "query |> generate(small) |> score(mine)",
            "op mine(pool: Pool{text}) -> Pool { pool |> sort(b) }",
            "E302",
            "`sort` needs candidates with a `b`",
            "",
        ),
        ("each x { x }", "", "E301", "`each` stands behind a pool", "write `pool |> each x { … }`"),
        ("for m in nothing { x = m }\nquery |> generate(small)", "", "E201", "there is no `nothing`", "declare it"),
    ],
)
def test_other_mistakes(text: str, before: str, code: str, message: str, help: str) -> None:
    _refused(text, before, code, message, help)


def test_a_fault_of_a_prompts_default_is_reported_where_it_stands() -> None:
    found = errors(body("query |> ask(judge, q)", 'prompt q(query, m = nothing) = "{{ m }}"'))
    assert [d.span.text for d in found if d.code == "E201" and d.span] == ["nothing"]


def test_a_parameter_that_nothing_is_given_for_is_shown_where_it_is_declared() -> None:
    (found,) = errors(body("query |> f", NUMBER))
    assert [(label.span.text, label.text) for label in found.secondary] == [("n: Float", "declared here")]


@pytest.mark.parametrize(
    ("value", "n"),
    [
        ("if [1, small] == [1, small] { 2 } else { 3 }", 2),
        ("if [1, 2] == [1, 3] { 2 } else { 3 }", 3),
        ("if [1, 2] == [1] { 2 } else { 3 }", 3),
        ("if [[1], [true]] == [[1], [1]] { 2 } else { 3 }", 3),
        ("if [1] == 1 { 2 } else { 3 }", 3),
    ],
)
def test_lists_are_equal_item_by_item(value: str, n: int) -> None:
    (sample,) = (node.operator for node in compiled(body(f"query |> generate(small, n = {value})")).nodes[1:])
    assert isinstance(sample, Sample)
    assert sample.n == n


def test_numbers_have_a_greatest() -> None:
    great = "1000000000000000000"
    for text in (f"{great} * {great}", f"{great}.0 * {great}.0", f"{great} * 1000", "1e300 * 1e300", "1e300 // 1e-300"):
        _refused(f"query |> generate(small, n = {text})", "", "E402", "the result is too large", "a billion billions")


# Operators that nothing calls --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ("op f(pool: Pool{by}, by: Field) { pool |> sort(by) |> vote }", "`vote` needs candidates with an `answer`"),
        (
            "op f(pool: Pool, model: Model, p: Policy) { pool |> grade(model, on_fail = p) |> vote }",
            "`vote` needs candidates with an `answer`",
        ),
        ("op f(pool: Pool, p: Policy) { pool |> take(p) }", "`k` of `take` cannot be a policy"),
        ("op f(pool: Pool, up: Bool) { pool |> sort(text, ascending = up) |> take(up) }", "cannot be `true`"),
        ("op f(pool: Pool, t: Text) { pool |> take(t) }", "`k` of `take` cannot be a text"),
        ("op f(pool: Pool, t: Float) { pool |> take(t) }", "`k` of `take` cannot be the number `0.5`"),
        ("op f(query: Chat, n: Int) { query |> generate(n) }", "`model` of `generate` cannot be the number `2`"),
    ],
)
def test_what_every_call_would_run_into_is_reported_without_a_call(declared: str, message: str) -> None:
    (found,) = errors(body("query |> generate(small) |> fuse(judge)", declared))
    assert message in found.message


# Entry points and choices ------------------------------------------------------------------------


def _uncompiled(text: str, pipeline: str | None = None, **choices: object) -> list[tuple[str, str, str | None]]:
    with pytest.raises(CompileError) as caught:
        Program.parse(text, "main.pnyx").compile(pipeline, choices)
    return [(found.code, found.message, found.help) for found in caught.value.diagnostics]


def test_a_file_without_pipelines_says_so() -> None:
    expected = ("E603", "`main.pnyx` has no pipeline", "declare one: `pipeline main(query) { … }`")
    assert _uncompiled(MODELS) == [expected]
    assert _uncompiled(MODELS, "main") == [expected]


def test_a_choice_that_two_places_have_is_asked_for() -> None:
    text = "x = query |> generate(small, n = tune(1, 2))\nx + x |> fuse(judge, n = tune(1, 2))"
    found = _uncompiled(body(text), "main", n=2)
    assert found == [("E403", "2 choices are called `n`", "say which: `main.generate.n`, `main.fuse.n`")]


def test_a_pipeline_without_choices_has_none_to_close() -> None:
    found = _uncompiled(body("query |> generate(small)"), "main", n=2)
    assert found == [("E403", "there is no choice `n`", "the pipeline has no `tune`")]


def test_a_negative_option_can_be_named() -> None:
    text = body("x = query |> generate(small)\nif tune(1, -1) < 0 { x } else { x + x }")
    plan = Program.parse(text, "main.pnyx").compile("main", {"main": -1})
    assert list(plan.choices.values()) == [-1]


def test_choices_that_are_faulty_only_together_are_found_when_both_are_made() -> None:
    text = body("query |> generate(small, temperature = tune(1, 20) * tune(1, 20))")
    assert errors(text) == []
    both = {"main.generate.temperature": 20, "main.generate.temperature.2": 20}
    expected = ("E401", "`temperature` of `generate` cannot be 400", "it is a number, 0 to 100")
    assert _uncompiled(text, "main", **both) == [expected]


def test_operators_nested_beyond_what_can_be_followed_are_refused() -> None:
    inner = "if true { " * 30 + "query |> down(k - 1)" + " }" * 30
    before = f"op down(query: Chat, k: Int) {{ if k > 0 {{ {inner} }} else {{ query |> generate(small) }} }}"
    _refused("query |> down(38)", before, "E405", "`main` is nested too deeply", "split it into operators")


def _refused(text: str, before: str, code: str, message: str, help: str) -> None:
    found = [d for d in check(body(text, before)) if d.is_error]
    assert [d.code for d in found] == [code], [d.message for d in found]
    assert message in found[0].message
    assert help in (found[0].help or "")
