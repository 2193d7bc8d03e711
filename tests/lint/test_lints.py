"""Every lint: programs that it warns of, where and what it says, and near ones that it leaves alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lint.programs import found, program

from pnyx.compiler.diagnostics import CODES, apply_fixes
from pnyx.compiler.lint import choices
from pnyx.compiler.program import Program

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.pnyx"))

FOUR = "query |> generate(small, n = 4)"

# (body, code, text under the caret, part of the message)
WARNED = [
    ("query |> generate(small) |> rank(judge)", "W701", "rank(judge)", "ranks at most one candidate"),
    ("query |> generate(small) |> fuse(judge)", "W701", "fuse(judge)", "has at most one candidate"),
    ("query |> generate(small) |> extract(number) |> vote", "W701", "vote", "counts at most one vote"),
    (f"{FOUR} |> rank(judge, keep = 5)", "W701", "rank(judge, keep = 5)", "takes 5 of at most 4"),
    (f"{FOUR} |> top(5, by = logprob)", "W701", "top(5, by = logprob)", "takes 5 of at most 4"),
    (f"{FOUR} |> take(9)", "W701", "take(9)", "takes 9 of at most 4"),
    (
        f"{FOUR} |> critique(judge) |> ask(judge, plain, over = all)",
        "W705",
        "critique(judge)",
        "nothing reads the `critique` that `critique` gives: 4 calls a question",
    ),
    (
        f"{FOUR} |> assess(judge) |> ask(judge, plain, over = all)",
        "W705",
        "assess(judge)",
        "nothing reads the `verdict` that `assess` gives: 4 calls a question",
    ),
    (f"{FOUR} |> extract(number) |> fuse(judge)", "W705", "extract(number)", "nothing reads the `answer`"),
    (f"({FOUR}) + ({FOUR})", "W703", f"({FOUR}) + ({FOUR})", "both sides"),
    ("query |> generate([small, small])", "W703", "generate([small, small])", "both sides"),
    ("query |> generate(small, n = 3, temperature = 0)", "W708", None, "all 3 samples of `generate`"),
    (f"{FOUR} |> fuse(judge, n = 2, temperature = 0.0)", "W708", None, "all 2 samples of `fuse`"),
    (
        "(query |> generate(small, temperature = 0)) + (query |> generate(small, temperature = 0, stream = 1))",
        "W708",
        None,
        "these streams are the same",
    ),
    (f"{FOUR} |> verify(judge) |> verify(judge)", "W707", "verify(judge)", "`verify` does again"),
    (f"{FOUR} |> sort(by = logprob) |> take(2) |> sort(by = logprob)", "W707", "sort(by = logprob)", "`sort` does"),
    (f"{FOUR} |> dedupe |> dedupe", "W707", "dedupe", "`dedupe` does again"),
    (
        f"{FOUR} |> assess(judge) |> filter(verdict) |> sort(by = logprob) |> filter(verdict)",
        "W707",
        "filter(verdict)",
        "`filter` does again",
    ),
    (f"{FOUR} |> p_yes(judge) |> p_yes(judge) |> best", "W707", "p_yes(judge)", "4 calls a question"),
    (f"{FOUR} |> extract(number) |> extract(number) |> vote", "W707", "extract(number)", "`extract` does again"),
    (
        f"{FOUR} |> grade(judge) |> p_yes(judge) |> best",
        "W715",
        "grade(judge)",
        "the `score` of `grade` is overwritten before anything reads it: 4 calls a question",
    ),
    (f"{FOUR} |> ask(judge, alone, into = note) |> sort(by = note)", "W704", None, "`note` is read as text"),
    (f"{FOUR} |> vote(by = text)", "W713", "vote(by = text)", "free texts are hardly ever equal"),
    (
        f"{FOUR} |> ask(judge, alone, into = note, max_tokens = 64) |> vote(by = note)",
        "W713",
        "vote(by = note)",
        "free texts",
    ),
    (f"{FOUR} |> grade(judge, on_fail = retry(2) then drop) |> best", "W714", None, "`grade` tries again"),
    (f"x = {FOUR} |> grade(small) |> best\nx |> ask(judge, alone)", "W706", "grade(small)", "`small` judges samples"),
    (f"x = {FOUR}\nx = query |> generate(judge)\nx", "W711", "x", "`x` gets another value"),
    (f"x = {FOUR}\nx |> critique(judge)\nx", "W711", "x |> critique(judge)", "nothing gets the value"),
    (f"x = {FOUR}\nrepeat 2 {{ x |> critique(judge) }}\nx", "W711", "x |> critique(judge)", "nothing gets the value"),
    ("n = if 1 < 2 { 3 } else { 3 }\nquery |> generate(small, n = n)", "W712", "{ 3 }", "both arms"),
    ("query |> generate(small, n = tune(2, 4, 2))", "W712", "2", "the option `2` is there twice"),
    ("a = tune(1, 2)\nn = if true { 3 } else { a }\nquery |> generate(small, n = n)", "W709", None, "`main.a` cannot"),
]


@pytest.mark.parametrize(("body", "code", "caret", "message"), WARNED)
def test_a_lint_warns_once_where_it_is(body: str, code: str, caret: str | None, message: str) -> None:
    (warning,) = found(body)
    assert warning.code == code
    assert message in warning.message
    assert warning.span is not None
    assert caret is None or warning.span.text == caret
    assert warning.help


LEFT_ALONE = [
    f"{FOUR} |> rank(judge, keep = 4)",
    "query |> generate(small, n = tune(1, 4)) |> rank(judge)",
    "query |> generate(small, n = tune(2, 8)) |> rank(judge, keep = 4)",
    f"{FOUR} |> critique(judge) |> ask(judge, shown, over = all)",
    f"{FOUR} |> critique(judge) |> fuse(judge)",
    f"{FOUR} |> critique(judge)",
    f"{FOUR} |> critique(judge) |> tune(ask(_, judge, plain, over = all), fuse(_, judge))",
    "query |> generate(small) |> critique(judge) |> fuse(judge)",
    f"({FOUR}) + (query |> generate(small, n = 4, stream = 1))",
    f"({FOUR}) + (query |> generate(judge, n = 4))",
    "query |> generate(small, temperature = 0)",
    "(query |> generate(small, temperature = 0)) + (query |> generate(judge, temperature = 0))",
    f"{FOUR} |> verify(judge) |> verify(small)",
    f"{FOUR} |> verify(judge, temperature = 0.7) |> grade(judge) |> best",
    f"{FOUR} |> sort(by = logprob) |> rank(judge) |> sort(by = logprob)",
    f"{FOUR} |> grade(judge) |> sort |> sort(by = logprob)",
    f"{FOUR} |> dedupe |> extract(number) |> dedupe(by = answer)",
    f"{FOUR} |> grade(judge) |> top(3) |> p_yes(judge) |> best",
    f"{FOUR} |> grade(judge, temperature = 0.7, on_fail = retry(2) then drop) |> best",
    f"{FOUR} |> grade(judge, on_fail = drop) |> best",
    f"{FOUR} |> vote(by = model)",
    "query |> generate(small, n = 5, max_tokens = 8) |> vote(by = text)",
    f"{FOUR} |> ask(judge, alone, into = label, max_tokens = 8) |> vote(by = label)",
    f"{FOUR} |> ask(judge, alone, into = note, reads = grade) |> sort(by = note)",
    "query |> generate([small, judge], n = 2) |> rank(judge, keep = 2) |> fuse(small)",
    f"{FOUR} |> rank(judge, keep = 2)",
    "query |> generate(judge, n = 4) |> rank(judge, keep = 2) |> fuse(small)",
    f"x = {FOUR}\nx = x |> critique(judge)\nx",
    f"x = {FOUR}\nif 1 < 2 {{ x = x |> take(2) }}\nx",
    f"x = {FOUR}\nif 1 < 2 {{ x }} else {{ x |> critique(judge) }}",
    f"x = {FOUR}\nrepeat 2 {{ x = x |> critique(judge) |> fuse(judge, n = 2) }}\nx",
    "n = if 1 < 2 { 3 } else { 4 }\nquery |> generate(small, n = n)",
    "a = tune(1, 2)\nn = if tune(true, false) { 3 } else { a }\nquery |> generate(small, n = n)",
    f"{FOUR} |> tune(skip, rank(_, judge))",
]


@pytest.mark.parametrize("body", LEFT_ALONE)
def test_what_is_well_meant_is_left_alone(body: str) -> None:
    assert [(d.code, d.message) for d in found(body)] == []


def test_every_use_of_an_operator_counts() -> None:
    """The critique of the operator is unread in one pipeline, and read in another."""
    op = "op reviewed(pool: Pool{text}) { pool |> critique(judge) }\n"
    unread = f"{FOUR} |> reviewed |> ask(judge, plain, over = all)"
    assert [d.code for d in found(unread, op)] == ["W705"]
    other = f"{op}pipeline other(query) {{ {FOUR} |> reviewed |> fuse(judge) }}\n"
    assert found(unread, other) == ()


def test_every_round_of_a_repeat_counts() -> None:
    rounds = "x = query |> generate(small, n = 4)\nrepeat 2 { x = x |> rank(judge, keep = 3) |> fuse(judge, n = 2) }\nx"
    assert found(rounds) == ()
    assert [d.code for d in found(rounds.replace("keep = 3", "keep = 5"))] == ["W701"]


def test_a_smaller_model_is_no_better_judge() -> None:
    chosen = "query |> generate(judge, n = 4) |> grade(judge) |> top(2) |> ask(MODEL, plain, over = all)"
    assert found(chosen.replace("MODEL", "small")) == ()
    unsized = chosen.replace("MODEL", "other")
    assert [d.code for d in found(unsized, 'model other = "other-id"\n')] == ["W706"]
    same = 'model other = "big-70B" { parameters = 70B }\n'
    assert found(unsized, same) == ()


def test_a_reply_that_fills_the_context_leaves_no_room() -> None:
    head = 'model short = "short-1B" { context = 512 }\n'
    (warning,) = found("query |> generate(short, max_tokens = 512)", head)
    assert (warning.code, [label.span.text for label in warning.secondary]) == ("W716", ["512"])
    assert found("query |> generate(short, max_tokens = 511)", head) == ()
    assert found("query |> generate(small, max_tokens = 100k)", head.replace("short", "_short")) == found(
        "query |> generate(small)", head.replace("short", "_short")
    )


@pytest.mark.parametrize(
    ("limit", "body", "code", "message"),
    [
        ("4 calls", "x = FOUR\nx |> grade(judge) |> best", "E520", "takes at least 5 calls, and its limit is 4 calls"),
        ("1 call", "query |> generate(small, n = tune(2, 1)) |> grade(judge) |> best", "E520", "at least 3 calls"),
        ("2 calls", "query |> generate(small, n = tune(2, 1)) |> grade(judge) |> best", "W710", "at least 3 calls"),
        (
            "8 calls",
            "FOUR |> grade(judge, temperature = 1, on_fail = retry(1) then keep) |> best",
            "W710",
            "up to 9 calls",
        ),
        ("9 calls", "FOUR |> grade(judge, temperature = 1, on_fail = retry(1) then keep) |> best", None, ""),
        ("100 tokens", "FOUR", "W710", "takes about"),
        ("100k tokens", "FOUR", None, ""),
        ("3 samples", "FOUR", "E520", "at least 4 samples"),
        ("1s", "FOUR", None, ""),
        ("$0.01", "FOUR", None, ""),
    ],
)
def test_limits(limit: str, body: str, code: str | None, message: str) -> None:
    diagnostics = found(body.replace("FOUR", FOUR), head=f"pipeline main(query) limit {limit}")
    assert [d.code for d in diagnostics] == ([code] if code else [])
    assert all(message in d.message for d in diagnostics)


def test_money_is_held_against_its_limit() -> None:
    priced = 'model paid = "x" { price_in = 1000, price_out = 1000 }\n'
    (warning,) = found("query |> generate(paid)", priced, "pipeline main(query) limit $0.001")
    assert warning.code == "W710"
    assert re.search(r"takes about \$0\.\d+, and its limit is \$0\.001", warning.message)


def test_arms_of_a_match_that_are_the_same() -> None:
    (warning,) = found("n = match 2 { 1 => 3\n2 => 3\n_ => 3 }\nquery |> generate(small, n = n)")
    assert (warning.code, warning.message) == ("W712", "all arms of this `match` are the same")
    assert found("n = match 2 { 1 => 3\n2 => 4\n_ => 3 }\nquery |> generate(small, n = n)") == ()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (f"x = {FOUR}\ntake(x, 9)", "W701"),
        (f"x = {FOUR}\nsort(sort(x, by = logprob), by = logprob)", "W707"),
        (f"{FOUR} |> rank(judge, keep = 4 + 5)", "W701"),
        (f"idle = query |> generate(judge, n = tune(1, 2))\n{FOUR}", "W702"),
        (f"idle = query |> generate(judge)  # why\n{FOUR}", "W702"),
    ],
)
def test_what_cannot_be_taken_out_without_a_thought_has_no_safe_fix(body: str, code: str) -> None:
    (warning,) = [d for d in found(body) if d.code == code]
    assert [fix for fix in warning.fixes if fix.safe] == []


BRACES = [  # the template, what is marked, and what it should be
    ('"Solve: {query}"', ["{query}"], "Solve: {{ query }}"),
    ('{ system = "Of { query }.", user = "{query}" }', ["{ query }", "{query}"], "Of {{ query }}."),
    ('"{{ query }} {candidate.text}"', ["{candidate.text}"], "{{ query }} {{ candidate.text }}"),
    ('"{{ query }}, as {query}"', [], ""),
    ('"{{ query }} {answer} {{{candidate}}} {% if candidate %}{candidate}{% endif %}"', [], ""),
]


@pytest.mark.parametrize(("template", "marked", "meant"), BRACES)
def test_a_value_between_single_braces_is_not_shown(template: str, marked: list[str], meant: str) -> None:
    equals = "" if template.startswith("{ ") else "= "
    head = f"prompt own(query, candidate) {equals}{template}\n"
    body = "query |> generate(small) |> ask(small, own)"
    warnings = [d for d in found(body, head) if d.code == "W717"]
    assert [d.span.text for d in warnings if d.span] == marked
    mended, _ = apply_fixes(program(body, head).source.text, [fix for d in warnings for fix in d.fixes])
    assert meant in mended
    assert "W717" not in {d.code for d in Program.parse(mended).check()}


def test_an_unused_name_in_yaml_is_told_and_stays() -> None:
    text = "models: {small: a}\npipelines:\n  main:\n    - {set: idle, to: 3}\n    - generate: small\n"
    (warning,) = Program.parse(text, "main.yaml").check()
    assert (warning.code, warning.fixes) == ("W702", ())


def test_only_work_that_is_near_is_work_again() -> None:
    """A reader would not look further back either."""
    loop = "repeat TIMES { x = x |> filter(logprob, at_least = -9) }"
    body = f"x = {FOUR} |> sort(by = logprob)\n{loop}\nx |> sort(by = logprob)"
    assert "W707" in [d.code for d in found(body.replace("TIMES", "3")) if d.span and "sort" in d.span.text]
    assert "W707" not in [d.code for d in found(body.replace("TIMES", "70")) if d.span and "sort" in d.span.text]


def test_the_calls_of_each_wasted_stage_are_told() -> None:
    body = f"{FOUR} |> critique(judge) |> assess(small) |> ask(judge, plain, over = all)"
    told = [d.message.partition(": ")[2] for d in found(body) if d.code == "W705"]
    assert told == ["4 calls a question"] * 2


def test_choices_with_too_many_combinations_are_not_called_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    body = "a = tune(1, 2)\nn = if true { 3 } else { a }\nquery |> generate(small, n = n)"
    assert [d.code for d in found(body)] == ["W709"]
    monkeypatch.setattr(choices, "MOST_COMBINATIONS", 1)
    assert found(body) == ()


def test_a_faulty_file_is_not_linted() -> None:
    assert {d.code for d in found("x = query |> generate(small) |> rank(judge)\nquery |> generate(nobody)")} == {"E201"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_examples_are_free_of_warnings(path: Path) -> None:
    assert Program.load(path).check() == ()


def test_every_lint_has_a_case() -> None:
    shown = {code for _, code, *_ in WARNED} | {"W716", "W710", "W717"}
    assert {code for code in CODES if "W701" <= code <= "W719"} == shown | {"W702"}
