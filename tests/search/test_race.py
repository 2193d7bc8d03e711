"""The race: when a point is given up, and what it is worth by then."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pnyx.runtime.search.race import ALPHA, FEWEST, paired_estimate, raced_out

NAN = float("nan")


def scores(*values: float) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)


def test_a_clear_loser_leaves_and_a_winner_stays() -> None:
    better, worse = np.ones(40), np.zeros(40)
    assert raced_out(worse, better)
    assert not raced_out(better, worse)
    assert not raced_out(better, better)


def test_nothing_is_decided_on_few_questions() -> None:
    assert not raced_out(np.zeros(FEWEST - 1), np.ones(FEWEST - 1))
    assert raced_out(np.zeros(FEWEST), np.ones(FEWEST))


def test_only_questions_that_both_answered_count() -> None:
    ahead = np.ones(60)
    assert raced_out(np.concatenate([np.zeros(20), np.full(40, NAN)]), ahead)
    assert not raced_out(np.concatenate([np.zeros(19), np.full(41, NAN)]), ahead)
    assert not raced_out(np.zeros(60), np.ones(19))


def test_the_wealth_is_the_mean_over_the_shares() -> None:
    """After 20 questions, five of which were lost, as computed by hand."""
    differences = np.array([-1.0] * 5 + [0.0] * 15)
    wealth = np.mean([(1 + share) ** 5 for share in (0.1, 0.2, 0.35, 0.5, 0.7)])
    lost = np.ones(20) + differences
    assert raced_out(lost, np.ones(20), alpha=1 / wealth + 1e-9)
    assert not raced_out(lost, np.ones(20), alpha=1 / wealth - 1e-9)


def test_as_good_a_point_is_seldom_given_up_however_often_it_is_looked_at() -> None:
    random = np.random.default_rng(0)
    given_up = 0
    for _ in range(400):
        own, rival = (random.random((2, 200)) < 0.5).astype(np.float64)
        given_up += any(raced_out(own[:n], rival[:n]) for n in range(FEWEST, 201, 10))
    assert given_up / 400 <= ALPHA


def test_a_point_twenty_points_worse_is_given_up_early() -> None:
    random = np.random.default_rng(1)
    seen = []
    for _ in range(100):
        own = (random.random(200) < 0.4).astype(np.float64)
        rival = (random.random(200) < 0.6).astype(np.float64)
        seen.append(next((n for n in range(FEWEST, 201, 10) if raced_out(own[:n], rival[:n])), 200))
    assert np.median(seen) <= 60


def test_the_estimate_is_paired() -> None:
    """The point was asked the easy half alone, and did worse there than its rival."""
    rival = scores(1, 1, 1, 1, 0, 0, 0, 0)
    assert paired_estimate(scores(1, 1, 1, 0), rival) == pytest.approx(0.25)
    assert paired_estimate(scores(1, NAN, 1, 0), rival) == pytest.approx(0.5 - 1 / 3)


def test_the_estimate_of_a_point_that_shares_nothing_is_its_own() -> None:
    assert paired_estimate(scores(1, 0, NAN), scores()) == 0.5
    assert np.isnan(paired_estimate(scores(NAN), scores(1)))


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=40))
def test_the_estimate_against_itself_is_the_mean(values: list[float]) -> None:
    assert paired_estimate(scores(*values), scores(*values)) == pytest.approx(np.mean(values))
