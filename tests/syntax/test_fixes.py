"""Fixes as data: which name they put where, and which of them go together."""

from __future__ import annotations

import pytest

from pnyx.compiler.diagnostics import Diagnostic, Edit, Fix, apply_fixes
from pnyx.compiler.diagnostics.fix import rename
from pnyx.compiler.source import Source, Span


def _whole(text: str) -> Span:
    return Span(Source("<text>", text), 0, len(text))


def _edit(text: str, start: int, end: int, new: str) -> Fix:
    return Fix("change", (Edit(Span(Source("<text>", text), start, end), new),))


def test_the_likely_name_takes_the_place_of_the_written_one() -> None:
    (fix,) = rename(_whole("rank(rnk, 2)"), "rnk", "judge")
    assert fix.title == "write `judge`"
    assert apply_fixes("rank(rnk, 2)", [fix]) == ("rank(judge, 2)", (fix,))


@pytest.mark.parametrize(
    ("text", "written", "meant"),
    [("rnk(rnk)", "rnk", "rank"), ("ranks", "rank", "top"), ("rnk", "rnk", None), ("rnk", None, "rank")],
)
def test_there_is_no_fix_where_the_place_or_the_name_is_not_clear(
    text: str, written: str | None, meant: str | None
) -> None:
    assert rename(_whole(text), written, meant) == ()


def test_of_fixes_that_overlap_the_first_is_applied() -> None:
    text = "abcdef"
    first, other, apart = _edit(text, 1, 4, "-"), _edit(text, 3, 5, "+"), _edit(text, 5, 6, "!")
    assert apply_fixes(text, [first, other, apart]) == ("a-e!", (first, apart))
    assert apply_fixes(text, [apart, other]) == ("abc+!", (apart, other))


def test_a_code_that_is_not_registered_is_a_bug() -> None:
    with pytest.raises(ValueError, match="diagnostic code E999 is not registered"):
        Diagnostic("E999", "nothing")
