"""Options in another order, and answers told in the first one."""

from __future__ import annotations

from math import factorial
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pnyx.compiler.operators import RestoreOption, ShuffleOptions
from pnyx.runtime.candidates import Candidate, FieldValue, Pool
from pnyx.runtime.operators import IMPLEMENTATIONS, Example, Scope, Step
from pnyx.runtime.question import Chat, checked

QUESTION = """Which planet is the largest?

A) Mars
B) Venus,
   the bright one
C) Jupiter
D) Earth

Answer with a letter."""


def shuffled(text: str, n: int, seed: int = 0) -> Pool:
    step = Step(1, ShuffleOptions(n=n), (), "s", "shuffle", None)
    question = checked(text)
    return IMPLEMENTATIONS[ShuffleOptions](step)(Scope(Example(question, seed), "", ()), (Chat(question.messages),))  # type: ignore[return-value]


def restored(answer: FieldValue | None, order: FieldValue | None) -> FieldValue | None:
    fields: dict[str, FieldValue] = {} if answer is None else {"answer": answer}
    step = Step(1, RestoreOption(), (), "s", "restore", None)
    example = Example(checked("Q?"), 0)
    pool = IMPLEMENTATIONS[RestoreOption](step)(
        Scope(example, "", ()), ((Candidate("c", MappingProxyType(fields)),), order)
    )
    return pool[0].fields.get("answer")  # type: ignore[index, union-attr]


def options(text: str) -> dict[str, str]:
    """By letter, from a text of one line for each."""
    return {line[0]: line[3:] for line in text.splitlines() if line[1:3] == ") "}


def test_the_first_is_the_question_itself() -> None:
    first, *others = shuffled(QUESTION, 5)
    assert first.fields == {"text": QUESTION, "order": "ABCD"}
    assert all(other["order"] != "ABCD" for other in others)


def test_only_the_contents_change_places() -> None:
    for variant in shuffled(QUESTION, 24):
        assert variant.text.startswith("Which planet is the largest?\n\nA) ")
        assert variant.text.endswith("\n\nAnswer with a letter.")
        for place, letter in enumerate(str(variant["order"])):
            content = {"A": "Mars", "B": "Venus,\n   the bright one", "C": "Jupiter", "D": "Earth"}[letter]
            assert f"\n{'ABCD'[place]}) {content}\n" in variant.text


def test_no_order_comes_twice_before_all_have_come() -> None:
    orders = [str(c["order"]) for c in shuffled(QUESTION, 50)]
    assert len(set(orders[:24])) == len(set(orders[24:48])) == factorial(4)


def test_more_orders_keep_the_first_ones_and_another_seed_has_others() -> None:
    assert [c.fields for c in shuffled(QUESTION, 9)[:4]] == [c.fields for c in shuffled(QUESTION, 4)]
    assert [c["order"] for c in shuffled(QUESTION, 9)] != [c["order"] for c in shuffled(QUESTION, 9, seed=1)]


@given(st.integers(2, 10), st.integers(0, 99))
def test_answers_find_their_way_back_through_any_order(size: int, seed: int) -> None:
    """Also through orders that are not their own inverse, where mapping the wrong way round shows."""
    contents = [f"content {i}" for i in range(size)]
    text = "Q?\n" + "\n".join(f"{letter}) {c}" for letter, c in zip("ABCDEFGHIJ", contents, strict=False))
    for variant in shuffled(text, 6, seed):
        for letter, content in options(variant.text).items():
            back = restored(letter, variant["order"])
            assert options(text)[str(back)] == content


def test_an_order_of_three_in_a_circle_goes_back_the_right_way() -> None:
    """C, A, B: what stands at A is option C of the question."""
    assert [restored(letter, "CAB") for letter in "ABC"] == ["C", "A", "B"]


@pytest.mark.parametrize("answer", ["D", "E", "a", "AB", "", "12", 3, None])
def test_what_is_no_option_there_is_absent(answer: FieldValue | None) -> None:
    assert restored(answer, "CAB") is None


def test_without_an_order_the_answer_stays() -> None:
    assert restored("B", None) == "B"
    assert restored("42", None) == "42"
    assert restored("B", 7) is None


@pytest.mark.parametrize(
    "form", ["A. x\nB. y", "(A) x\n(B) y", "[A] x\n[B] y", "a) x\nb) y", "A: x\nB: y", "  A) x\n  B) y", "A) x\n\nB) y"]
)
def test_forms_of_options(form: str) -> None:
    variants = shuffled(f"Q?\n{form}", 2)
    assert [c["order"] for c in variants] == ["AB", "BA"]
    assert variants[1].text == f"Q?\n{form}".translate(str.maketrans("xy", "yx"))


@pytest.mark.parametrize(
    "text",
    [
        "Why is the sky blue?",
        "A) only one",
        "B) no first\nC) one",
        "A) x\nC) a gap",
        "A) x\n(B) another form",
        "A) x B) on one line",
        "Q?\n" + "\n".join(f"{letter}) x" for letter in "ABCDEFGHIJK"),
    ],
)
def test_a_question_without_options_stays_as_it_is(text: str) -> None:
    assert [c.fields for c in shuffled(text, 3)] == [{"text": text}] * 3


def test_the_last_options_count() -> None:
    text = "A. Smith wrote:\nA) one\nB) two\nand then\nA) x\nB) y"
    assert shuffled(text, 2)[1].text == "A. Smith wrote:\nA) one\nB) two\nand then\nA) y\nB) x"
    assert shuffled(f"{text}\nA. Smith", 2)[1]["order"] == "BA"
