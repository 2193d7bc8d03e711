"""Guides: whatever a guided reply says can be read, and a prompt that asks for reasoning still gets it."""

from __future__ import annotations

import re
from itertools import permutations

import pytest

from pnyx.compiler.operators import Reads, Sampling
from pnyx.runtime.engines.guided import guide_of
from pnyx.runtime.reading import read
from pnyx.runtime.request import Choice, Message, Regex, Request, Subject


def guide(
    reads: Reads, max_tokens: int = 64, candidates: int = 3, tests: int = 2, options: tuple[str, ...] = ()
) -> str:
    subject = Subject("?", candidates=("c",) * candidates, tests=("t",) * tests, options=options)
    sampling = Sampling(max_tokens=max_tokens)
    found = guide_of(Request(messages=(Message("user", "?"),), sampling=sampling, reads=reads, subject=subject))
    if found is None:
        return ""
    assert isinstance(found, Regex)
    return found.pattern


OPTIONS = ("left (far)", "right")
FORMS = {
    Reads.VERDICT: ("Verdict: correct", "Verdict: incorrect"),
    Reads.GRADE: tuple(f"Grade: {grade}" for grade in range(1, 11)),
    Reads.ORDER: ("[2] > [1] > [3]", "[3] > [2] > [1]"),
    Reads.PASSES: ("1: pass\n2: fail", "1: pass\n2: pass"),
    Reads.CHOICE: OPTIONS,
    Reads.WINNER: ("Better: A", "Better: B"),
    Reads.WINNER: ("Better: A", "Better: B"),
}


@pytest.mark.parametrize("reads", FORMS)
def test_every_guided_reply_can_be_read(reads: Reads) -> None:
    size = 3 if reads is Reads.ORDER else 2
    for text in FORMS[reads]:
        for limit, thought in ((64, ""), (1000, ""), (1000, "Let me think: 1, 2.\nIt is [1]? Perhaps.\n")):
            assert re.fullmatch(guide(reads, limit, options=OPTIONS), thought + text)
            assert read(reads, thought + text, size=size, count=None, options=OPTIONS) is not None
    for text in ("", "I cannot say.", FORMS[reads][0] + " or so", "Well, " + FORMS[reads][0]):
        assert not re.fullmatch(guide(reads, 64, options=OPTIONS), text)


def test_reasoning_leaves_room_for_the_form() -> None:
    assert re.fullmatch(guide(Reads.VERDICT, 1000), "x" * 1900 + "\nVerdict: correct")
    assert not re.fullmatch(guide(Reads.VERDICT, 1000), "x" * 2100 + "\nVerdict: correct")


@pytest.mark.parametrize("size", [2, 5])
def test_orders_of_few_name_each_once(size: int) -> None:
    pattern = guide(Reads.ORDER, 400, candidates=size).partition(r"\n)?")[2] or guide(Reads.ORDER, 64, candidates=size)
    for order in permutations(range(1, size + 1)):
        assert re.fullmatch(pattern, " > ".join(f"[{number}]" for number in order))
    assert not re.fullmatch(pattern, " > ".join(["[1]"] * size))


def test_orders_of_many_have_the_right_length() -> None:
    pattern = guide(Reads.ORDER, 64, candidates=12)
    assert re.fullmatch(pattern, " > ".join(f"[{number}]" for number in range(12, 0, -1)))
    assert not re.fullmatch(pattern, " > ".join(f"[{number}]" for number in range(11, 0, -1)))
    assert not re.fullmatch(pattern, " > ".join(f"[{number}]" for number in range(13, 1, -1)))


@pytest.mark.parametrize("reads", [Reads.TEXT, Reads.NUMBER, Reads.YES, Reads.LIST])
def test_what_no_small_expression_says_is_free(reads: Reads) -> None:
    assert guide(reads) == ""


def test_nothing_to_choose_from_is_free() -> None:
    assert guide(Reads.CHOICE) == guide(Reads.ORDER, candidates=1) == guide(Reads.PASSES, tests=0) == ""


def test_a_guide_of_the_request_goes_first() -> None:
    own = Choice(("a", "b"))
    assert guide_of(Request(messages=(), reads=Reads.VERDICT, guide=own)) == own
