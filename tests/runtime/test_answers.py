"""Canonical answers: every kind, usual and unusual forms, and any text at all."""

from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pnyx.compiler.operators import AnswerKind
from pnyx.runtime.answers import extract


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is 1,000.50", "1000.5"),
        ("-0", "0"),
        ("3/4", "0.75"),
        ("2/6", "1/3"),
        ("1 1/2 cups", "1.5"),
        (r"So \boxed{\frac{3}{4}}, of 12.", "0.75"),
        (r"\boxed{1{,}234}", "1234"),
        ("The answer is $-5", "-5"),
        ("-$5", "-5"),
        ("answer: **$12.00**", "12"),
        ("Answer: 3 + 4 = 7", "7"),
        ("The answer is 18 dollars a day for 7 days.", "18"),
        ("I get 3.\n#### 72", "72"),
        ("#### 72 and then the answer is 9", "72"),
        ("The answer is 4. No: the answer is 5.", "5"),
        ("The total is 42. I hope this answer is helpful.", "42"),
        ("50%", "50"),
        ("x = -3", "-3"),
        ("x = −3", "-3"),
        ("10-5", "5"),
        ("1e5", "100000"),
        ("2.5e-3", "0.0025"),
        (".5 cups", "0.5"),
        ("7.", "7"),
        ("It costs $1,234.", "1234"),
        ("007", "7"),
        ("10kg", "10"),
        ("seven", None),
        ("GPT4", None),
        ("3/0", None),
        ("1e999999999", None),
        ("9" * 5000, None),
        ("", None),
        ("-", None),
    ],
)
def test_number(text: str, answer: str | None) -> None:
    assert extract(AnswerKind.NUMBER, text) == answer


@given(st.integers(-(10**9), 10**9), st.integers(0, 4))
def test_spellings_of_one_number_are_one_answer(number: int, zeros: int) -> None:
    plain = extract(AnswerKind.NUMBER, str(number))
    assert plain == str(number)
    assert extract(AnswerKind.NUMBER, f"The answer is {number:,}.{'0' * (zeros + 1)}") == plain
    assert extract(AnswerKind.NUMBER, f"{number * 3}/3") == plain
    assert extract(AnswerKind.NUMBER, rf"\boxed{{{number}}}") == plain


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("B", "B"),
        ("(B)", "B"),
        ("B)", "B"),
        ("**C**", "C"),
        ("B. Paris", "B"),
        ("Answer: B", "B"),
        ("the answer is **B**", "B"),
        ("the answer is b.", "B"),
        ("answer: (a)", "A"),
        ("Answer: A because it is green", "A"),
        (r"\boxed{\text{D}}", "D"),
        ("The correct answer is (C) because", "C"),
        ("Option B is correct", "B"),
        ("A) x\nB) y\nSo the answer is B", "B"),
        ("The answer is A, no, the answer is C", "C"),
        ("I would say (E), since (E) fits.", "E"),
        ("A) x\nB) y", None),
        ("(A) or (B)", None),
        ("A cat sat on the mat", None),
        ("The answer is a dog", None),
        ("The answer is A dog", None),
        ("Answer: I think so", None),
        ("I think so", None),
        ("The answer is Boron", None),
        ("Answer: K", None),
        ("", None),
    ],
)
def test_choice(text: str, answer: str | None) -> None:
    assert extract(AnswerKind.CHOICE, text) == answer


@pytest.mark.parametrize(
    ("kind", "text", "answer"),
    [
        (AnswerKind.BOXED, r"\boxed{x^{2}} or \boxed{ y }", "y"),
        (AnswerKind.BOXED, r"\boxed{\left( 1,\, 2 \right)}", "( 1, 2 )"),
        (AnswerKind.BOXED, r"\boxed{\dfrac{1}{2}}", "0.5"),
        (AnswerKind.BOXED, r"\boxed{a} and \boxed{b", "a"),
        (AnswerKind.BOXED, r"\boxed{}", None),
        (AnswerKind.BOXED, "5", None),
        (AnswerKind.CODE, "```python\nx = 1\n```\nthen\n```\ny = 2\n```", "y = 2"),
        (AnswerKind.CODE, "```py\n  indented\n", "  indented"),
        (AnswerKind.CODE, "````\n```\ninner\n```\n````", "```\ninner\n```"),
        (AnswerKind.CODE, "x = 1", None),
        (AnswerKind.CODE, "```\n```", None),
        (AnswerKind.JSON, 'first {"a": 1} then {"c": [1, 2.0], "b": "é"}.', '{"b":"é","c":[1,2.0]}'),
        (AnswerKind.JSON, " 3 ", "3"),
        (AnswerKind.JSON, '{"a": NaN}', None),
        (AnswerKind.JSON, r"\frac{1}{2}", None),
        (AnswerKind.JSON, "[[1], [2", "[1]"),
        (AnswerKind.LINE, "a\n b \n\n", "b"),
        (AnswerKind.LINE, "\n \n", None),
    ],
)
def test_other_kinds(kind: AnswerKind, text: str, answer: str | None) -> None:
    assert extract(kind, text) == answer


def test_a_pattern_gives_its_first_group_of_the_last_match() -> None:
    assert extract(AnswerKind.REGEX, "x=1 x=22", r"x=(\d+)") == "22"
    assert extract(AnswerKind.REGEX, "x=1 x=22", r"x=\d+") == "x=22"
    assert extract(AnswerKind.REGEX, "nothing", r"x=(\d+)") is None
    assert extract(AnswerKind.REGEX, "b", r"(a)|b") is None
    assert extract(AnswerKind.REGEX, "x", "(") is None


def test_a_brace_that_nothing_opened_boxes_nothing() -> None:
    assert extract(AnswerKind.BOXED, "so x } is it") is None


def test_text_that_no_encoding_holds_matches_nothing() -> None:
    assert extract(AnswerKind.REGEX, "a \ud800", "a") is None


def test_reading_starts_behind_the_last_marker() -> None:
    assert extract(AnswerKind.NUMBER, "1 => 2 => 3 4", after="=>") == "4"
    assert extract(AnswerKind.NUMBER, "1 2 3", after="=>") is None


@given(
    st.sampled_from(AnswerKind),
    st.text(alphabet=st.characters() | st.sampled_from("0123456789-$,./{}[]()\\`~#*\"' \nAB")),
)
def test_no_text_raises(kind: AnswerKind, text: str) -> None:
    answer = extract(kind, text, "(a+)|b", None)
    assert answer is None or answer


@pytest.mark.no_cover
@pytest.mark.parametrize(
    "piece",
    ["\\boxed{", "[", "{", "[1,", '["', "answer is ", "* ", "1,", "1,111", "-", "$", "```\n", "(A", "\n", "9", "#"],
)
def test_a_long_text_takes_no_time(piece: str) -> None:
    started = perf_counter()
    for kind in AnswerKind:
        extract(kind, piece * (100_000 // len(piece)), "(x)")
    assert perf_counter() - started < 5


def test_a_pattern_that_backtracks_elsewhere_takes_linear_time() -> None:
    assert extract(AnswerKind.REGEX, "a" * 40_000 + "!", "(a+)+$", None) is None
