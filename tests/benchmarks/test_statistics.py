"""Intervals and tests, held against published and independently computed values."""

from __future__ import annotations

from math import comb
from random import Random
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pnyx.runtime.benchmarks.statistics import bootstrap, interval_of, sign_test, wilson


@pytest.mark.parametrize(
    ("successes", "n", "interval"),
    [  # the last two: Newcombe (1998), Statistics in Medicine 17, table I
        (0, 10, (0.0, 0.2775)),
        (10, 10, (0.7225, 1.0)),
        (5, 10, (0.2366, 0.7634)),
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
    ],
)
def test_wilson(successes: int, n: int, interval: tuple[float, float]) -> None:
    assert wilson(successes, n) == pytest.approx(interval, abs=5e-5)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_and_stays_within_bounds(given: tuple[int, int]) -> None:
    successes, n = given
    low, high = wilson(successes, n)
    assert 0 <= low <= successes / n <= high <= 1
    mirrored = wilson(n - successes, n)
    assert mirrored == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize(
    ("wins", "losses", "p"),
    [(0, 0, 1.0), (1, 1, 1.0), (5, 0, 0.0625), (8, 2, 0.109375), (10, 2, 0.03857421875), (6, 16, 0.0524783)],
)
def test_sign_test(wins: int, losses: int, p: float) -> None:
    assert sign_test(wins, losses) == pytest.approx(p, abs=1e-6)
    assert sign_test(losses, wins) == sign_test(wins, losses)


@given(st.integers(0, 60), st.integers(0, 60))
def test_sign_test_is_the_binomial_one(wins: int, losses: int) -> None:
    n = wins + losses
    tail = sum(comb(n, k) for k in range(min(wins, losses) + 1)) / 2**n
    assert sign_test(wins, losses) == pytest.approx(min(1.0, 2 * tail))


def test_sign_test_of_many() -> None:
    assert sign_test(5000, 5000) == 1.0
    assert sign_test(9000, 1000) < 1e-300 or sign_test(9000, 1000) == 0.0


def test_bootstrap_is_close_to_the_normal_interval_and_seeded() -> None:
    random = Random(1)
    values = [random.random() for _ in range(400)]
    reach = 1.96 * stdev(values) / 20
    low, high = bootstrap(values, seed=5)
    assert (low, high) == pytest.approx((fmean(values) - reach, fmean(values) + reach), abs=0.004)
    assert bootstrap(values, seed=5) == (low, high)
    assert bootstrap(values, seed=6) != (low, high)


def test_bootstrap_of_many_values_is_normal() -> None:
    random = Random(2)
    values = [random.random() for _ in range(5000)]
    low, high = bootstrap(values)
    assert high - fmean(values) == pytest.approx(1.96 * stdev(values) / 5000**0.5, rel=1e-3)
    assert low < fmean(values) < high


def test_the_interval_fits_the_scores() -> None:
    assert interval_of([]) is None
    assert interval_of([1.0, 0.0, 1.0, 1.0]) == wilson(3, 4)
    assert interval_of([0.5, 0.25, 1.0], seed=3) == bootstrap([0.5, 0.25, 1.0], seed=3)
    assert interval_of([0.5]) == (0.5, 0.5)
