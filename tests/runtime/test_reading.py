"""How replies are read: every form, and what is never guessed."""

from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pnyx.compiler.operators import Reads
from pnyx.runtime.reading import read


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("Verdict: correct", True),
        ("**Verdict:** Incorrect.", False),
        ("verdict: NOT correct", False),
        ("Verdict: not wrong", True),
        ("Verdict: incorrect\nOn reflection:\nVerdict: correct", True),
        ("Verdict: correct or incorrect\nVerdict: wrong", False),
        ("Verdict: The candidate answer is correct", True),
        ("VERDICT - correct", True),
        ("[Correct]", True),
        ("incorrect.", False),
        ("It adds up. The answer is correct.", True),
        ("Verdict: correct/incorrect", None),
        ("Verdict: partially correct", None),
        ("The answer is correct. The answer is incorrect.", None),
        ("Correct\nIncorrect", None),
        ("Correct me if I err.", None),
        ("I do not know whether the answer is correct.", None),
        ("I don't think the answer is correct.", None),
        ("", None),
    ],
)
def test_verdict(text: str, verdict: bool | None) -> None:
    assert read(Reads.VERDICT, text, size=0, count=None) is verdict


@pytest.mark.parametrize(
    ("text", "grade"),
    [
        ("Grade: 7", 7.0),
        ("**Grade:** 7.5", 7.5),
        ("Grade: 7/10", 7.0),
        ("Grade: 9 out of 10", 9.0),
        ("Grade (1-10): 8", 8.0),
        ("Grade: 1 to 10\nGrade: 6", 6.0),
        ("Grade: 3 ... Grade: 4", 4.0),
        ("I give it 7/10.", 7.0),
        ("8", 8.0),
        ("Grade: 11", None),
        ("Grade: 0", None),
        ("Grade: -5", None),
        ("Grade: 70/100", None),
        ("Grade: 7%", None),
        ("17/10", None),
        ("Grade: 1-10", None),
        ("First 7/10, then 6/10", None),
        ("There are 7 apples", None),
        ("", None),
    ],
)
def test_grade(text: str, grade: float | None) -> None:
    assert read(Reads.GRADE, text, size=0, count=None) == grade


@pytest.mark.parametrize(
    ("text", "number"), [("it is 0.5", 0.5), ("1/4", 0.25), ("-3", -3.0), ("9" * 9 + "e300", None), ("none", None)]
)
def test_number(text: str, number: float | None) -> None:
    assert read(Reads.NUMBER, text, size=0, count=None) == number


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("1: pass\n2: FAIL", 1),
        ("Test 1: PASS\nTest 2: Passed", 2),
        ("- Test 2 - does not pass\n- Test 1 - it passes", 1),
        ("**1:** fail\n**2:** fails", 0),
        ("1: pass\n2: pass\n3: fail", 2),
        ("1: pass", None),
        ("1: pass or fail\n2: pass", None),
        ("1: pass\n1: fail\n2: pass", None),
        ("both pass", None),
    ],
)
def test_passes(text: str, passes: int | None) -> None:
    assert read(Reads.PASSES, text, size=2, count=None) == passes


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("[2] > [1] > [3]", (1, 0, 2)),
        ("2 > 1 > 3", (1, 0, 2)),
        ("Ranking: 3, 1, 2.", (2, 0, 1)),
        ("**[2]** > [1] > [3]", (1, 0, 2)),
        ("Answer 2 > Answer 1 > Answer 3", (1, 0, 2)),
        ("1, 2, 3 are given; [3] > [2] > [1]", (2, 1, 0)),
        ("[1] > [2] > [3]\n[3] > [2] > [1]", (2, 1, 0)),
        ("[2] > [1]", None),
        ("2 > 2 > 1", None),
        ("2 > 1 > 3 > 1", None),
        ("2 > 1 > 4", None),
        ("2", None),
        ("the first is best", None),
    ],
)
def test_order(text: str, order: tuple[int, ...] | None) -> None:
    assert read(Reads.ORDER, text, size=3, count=None) == order


@given(st.permutations(range(6)), st.sampled_from([" > ", ", ", ">", "] > ["]))
def test_every_order_is_read_back(order: list[int], mark: str) -> None:
    text = mark.join(str(i + 1) for i in order)
    assert read(Reads.ORDER, f"[{text}]" if "]" in mark else text, size=6, count=None) == tuple(order)


def test_one_candidate_is_in_order_whatever_the_reply() -> None:
    assert read(Reads.ORDER, "", size=1, count=None) == (0,)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("Here:\n1. a\n2) b\n- c\n* d\n\nHope that helps!", ("a", "b", "c", "d")),
        ("1. a\n  - detail\n   more\n2. b", ("a\n- detail\nmore", "b")),
        ("**1.** x\n**2.** y", ("x", "y")),
        ("a\nb\n\n---\nc", ("a", "b", "c")),
        ("1. a\n2. b\n3. c\n4. d\n5. e", ("a", "b", "c", "d")),
        ("1.\n2.", None),
        ("  \n", None),
    ],
)
def test_list(text: str, items: tuple[str, ...] | None) -> None:
    assert read(Reads.LIST, text, size=0, count=4) == items


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("hard", "hard"),
        ("  **Hard**.\n", "hard"),
        ("(Very hard)", "very hard"),
        ("I would say it is very hard.", "very hard"),
        ("This is a hard question.", "hard"),
        ("It is harder than most", None),
        ("easy or hard", None),
        ("hard, really hard", "hard"),
        ("easy to say, but\nAnswer: hard", "hard"),
        ("Answer: easy\nNo wait. Answer: it is hard", "hard"),
        ("Answer: easy or hard\nhard", None),
        ("It could be easy.\n\nhard", "hard"),
        ("It is not easy.", None),
        ("It isn't easy", None),
        ("no idea", None),
        ("", None),
    ],
)
def test_choice(text: str, choice: str | None) -> None:
    assert read(Reads.CHOICE, text, size=0, count=None, options=("easy", "hard", "very hard")) == choice


@pytest.mark.parametrize(
    ("text", "options", "choice"),
    [
        ("a", ("a", "A"), "a"),
        ("A.", ("a", "A"), "A"),
        ("yes", ("Yes", "YES"), None),
        ("YES", ("Yes", "YES"), "YES"),
        ("A good question", ("A", "B"), None),
        ("Answer: b", ("A", "B"), "B"),
        ("Step 1 is fine", ("1", "2"), None),
        ("Answer: (2)", ("1", "2"), "2"),
        ("It is C++.", ("C++", "Java"), "C++"),
        ("straße", ("STRASSE", "Weg"), "STRASSE"),
    ],
)
def test_choice_is_by_spelling_first(text: str, options: tuple[str, ...], choice: str | None) -> None:
    assert read(Reads.CHOICE, text, size=0, count=None, options=options) == choice


@given(st.text(), st.lists(st.text(min_size=1), max_size=4, unique=True))
def test_a_choice_is_one_of_the_options(text: str, options: list[str]) -> None:
    assert read(Reads.CHOICE, text, size=0, count=None, options=tuple(options)) in (None, *options)


@given(
    st.sampled_from(Reads),
    st.text(alphabet=st.characters() | st.sampled_from("0123456789[]>,.:*- \n")),
    st.integers(0, 4),
)
def test_no_text_raises(reads: Reads, text: str, size: int) -> None:
    value = read(reads, text, size=size, count=2, options=("yes", "no"))
    match reads:
        case Reads.GRADE:
            assert value is None or (isinstance(value, float) and 1 <= value <= 10)
        case Reads.ORDER:
            assert value is None or sorted(value) == list(range(size))  # type: ignore[arg-type]
        case Reads.LIST:
            assert value is None or 1 <= len(value) <= 2  # type: ignore[arg-type]
        case Reads.PASSES:
            assert value is None or 0 <= value <= size  # type: ignore[operator]
        case _:
            pass


@pytest.mark.no_cover
@pytest.mark.parametrize(
    "piece", [" ", "\n", "!", "verdict ", "grade (", "1 > ", "1, ", "pass ", "1", "the a b c is ", "_*"]
)
def test_a_long_reply_takes_no_time(piece: str) -> None:
    started = perf_counter()
    for reads in Reads:
        for start in ("", "grade verdict 1", "answer: not "):
            read(reads, start + piece * (100_000 // len(piece)), size=3, count=3, options=("pass", "not pass", "1, 1"))
    assert perf_counter() - started < 5
