"""How limits are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pnyx.runtime.budgets import KINDS, Limits, parse_limits


@pytest.mark.parametrize(
    ("text", "kind", "amount"),
    [
        ("tokens=2M", "tokens", 2e6),
        ("2M tokens", "tokens", 2e6),
        ("1_000 calls", "calls", 1000),
        ("1 call", "calls", 1),
        ("samples = 3k", "samples", 3000),
        ("$5", "money", 5),
        ("money=0.5", "money", 0.5),
        ("2.5 dollars", "money", 2.5),
        ("flops=1e18", "flops", 1e18),
        ("3P flops", "flops", 3e15),
        ("600 s", "seconds", 600),
        ("seconds=90", "seconds", 90),
        ("30 min", "seconds", 1800),
        ("2h", "seconds", 7200),
        ("seconds=2 h", "seconds", 7200),
        ("0 calls", "calls", 0),
    ],
)
def test_ways_to_write_a_limit(text: str, kind: str, amount: float) -> None:
    assert parse_limits([text]) == Limits(**{kind: amount})


@pytest.mark.parametrize(
    "text",
    ["", "5", "tokens", "tokens=", "tokens=much", "2M", "calls=5 tokens", "-1 calls", "5 bananas", "1e999 calls"],
)
def test_what_is_no_limit(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no limit|is too large"):
        parse_limits([text])


def test_a_slip_is_guessed() -> None:
    with pytest.raises(ValueError, match="did you mean `tokens`"):
        parse_limits(["tokns=5"])


@given(st.text(max_size=12))
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    try:
        limits = parse_limits([text])
    except ValueError:
        return
    assert sum(getattr(limits, kind) is not None for kind in KINDS) == 1


def test_the_lower_one_counts_and_the_last_one_said() -> None:
    assert parse_limits(["5 calls", "7 calls", "$1"]) == Limits(calls=7, money=1)
    both = Limits(calls=5, tokens=9).within(Limits(calls=3, seconds=1))
    assert both == Limits(calls=3, tokens=9, seconds=1)
    assert not Limits()
    assert both


@pytest.mark.parametrize(
    ("limits", "kind", "shown"),
    [
        (Limits(calls=1), "calls", "1 call"),
        (Limits(tokens=2e6), "tokens", "2000000 tokens"),
        (Limits(money=0.5), "money", "$0.5"),
    ],
)
def test_limits_in_words(limits: Limits, kind: str, shown: str) -> None:
    assert limits.show(kind) == shown
