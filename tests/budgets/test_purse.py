"""Purses: never exceeded, nobody forgotten, what is refused could not have been paid."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pnyx.compiler.plan import PlanModel
from pnyx.runtime.budgets import Charge, Claim, Limits, Purse, tariffs
from pnyx.runtime.errors import ConfigurationError
from pnyx.runtime.request import Message, Request


def charge(calls: float = 1.0, tokens: float = 0.0) -> Charge:
    return (calls, 0.0, tokens, 0.0, 0.0)


@given(
    st.lists(st.tuples(st.integers(0, 30), st.floats(0, 1), st.integers(0, 3), st.integers(0, 5)), max_size=40),
    st.integers(0, 100),
)
def test_a_purse_is_never_exceeded_and_everyone_is_answered(
    asked: list[tuple[int, float, int, int]], tokens: int
) -> None:
    """Each asks for a bound, spends a share of it, is urgent or not, and settles after some others have asked."""
    purse = Purse(Limits(tokens=tokens))
    answers: dict[int, str] = {}
    open_claims: list[tuple[int, Claim, float, int]] = []
    aside = 0.0

    def settle(due: int) -> None:
        nonlocal aside
        for entry in [e for e in open_claims if e[3] <= due and answers.get(e[0]) == "granted"]:
            number, claim, spent, _ = entry
            open_claims.remove(entry)
            answers[number] = "settled"
            aside -= asked[number][0]
            claim.settle(charge(1, spent))
            assert purse.spent[2] + aside <= tokens + 1e-6

    for number, (bound, share, priority, patience) in enumerate(asked):

        def granted(number: int = number) -> None:
            nonlocal aside
            aside += asked[number][0]
            answers[number] = "granted"
            assert purse.spent[2] + aside <= tokens + 1e-6

        def refused(kind: str, number: int = number) -> None:
            assert kind == "tokens"
            assert purse.spent[2] + asked[number][0] > tokens
            answers[number] = "refused"

        claim = purse.claim(charge(1, bound), granted, refused, priority=priority)
        open_claims.append((number, claim, bound * share, number + patience))
        settle(number)
    while any(answer == "granted" for answer in answers.values()):
        settle(1000)
    assert len(answers) == len(asked)
    assert "granted" not in answers.values()


def test_the_urgent_go_first_and_what_is_given_up_is_passed_over() -> None:
    purse = Purse(Limits(calls=2))
    went: list[str] = []

    def claim(name: str, priority: int = 0) -> Claim:
        return purse.claim(
            charge(), lambda: went.append(name), lambda kind: went.append(f"{name}: {kind}"), priority=priority
        )

    first, second = claim("first"), claim("second")
    claim("late", 5)
    given_up = claim("given up", 1)
    claim("soon", 2)
    given_up.settle()
    assert went == ["first", "second"]
    first.settle()  # spent nothing
    assert went == ["first", "second", "soon"]
    second.settle(charge())
    assert went == ["first", "second", "soon"]


def test_what_cannot_be_paid_any_more_is_refused() -> None:
    purse = Purse(Limits(calls=1))
    went: list[str] = []
    first = purse.claim(charge(), lambda: went.append("first"), went.append)
    purse.claim(charge(), lambda: went.append("second"), went.append)
    first.settle(charge())
    assert went == ["first", "calls"]
    first.settle(charge())  # only the first settling counts
    assert purse.spent == charge()


def test_bounds_hold() -> None:
    model = PlanModel(name="m", id="m", parameters=1e9, price_in=1.0, price_out=2.0)
    tariff = tariffs([model], {"m": 1000}, Limits(money=1, flops=1))["m"]
    request = Request(messages=(Message("user", "x" * 100),), n=3)
    bound = tariff.bound(request)
    assert bound[:2] == (1, 3)
    assert bound[2] == 100 + 8 + 64 + 3 * 512
    assert bound[3] == 2e9 * bound[2]
    assert bound[4] == pytest.approx((172 + 2 * 3 * 512) / 1e6)
    assert tariff.charge(request, 30, 10) == (1, 3, 40, 2e9 * 40, pytest.approx(50e-6))
    asked = Request(messages=(Message("user", "é" * 5000),), choices=("Yes", "No"))
    assert tariff.bound(asked)[1:3] == (0, 1000)  # a prompt is never longer than the context


@pytest.mark.parametrize(("limits", "what"), [(Limits(flops=1), "size"), (Limits(money=1), "price")])
def test_a_limit_that_cannot_be_held(limits: Limits, what: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{what} of the model `m` is not known") as caught:
        tariffs([PlanModel(name="m", id="m", price_in=1.0)], {"m": 1000}, Limits(), limits)
    assert "[models.m]" in (caught.value.help or "")
