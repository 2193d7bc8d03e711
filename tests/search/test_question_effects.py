"""Effects of points and of questions, from a matrix with gaps."""

from __future__ import annotations

import numpy as np
import pytest
from search.worlds import Toy, ask

from pnyx.runtime.search.rows import Rows, Settled
from pnyx.runtime.search.strategies.effects import estimate_effects, responses

NAN = float("nan")


def test_points_are_compared_as_if_all_had_been_asked_everything() -> None:
    """The second point was asked the hard questions alone; it is the better one."""
    random = np.random.default_rng(0)
    hard = np.repeat([0.3, -0.3], 100)
    own = np.array([0.5] * 10 + [0.6])
    matrix = (random.random((11, 200)) < own[:, None] + hard).astype(np.float64)
    matrix[10, :100] = NAN
    plain = np.nanmean(matrix, axis=1)
    effects = estimate_effects(matrix)
    assert plain[10] < plain[:10].mean() - 0.1
    assert effects.means[10] > effects.means[:10].mean()
    assert effects.questions[:100].mean() > 0.15 > -0.15 > effects.questions[100:].mean()


def test_one_answer_says_little_about_a_question() -> None:
    effects = estimate_effects(np.array([[1.0, 0.0, 0.0, 0.0], [NAN, 0.0, 0.0, 0.0]]))
    assert 0 < effects.questions[0] < 0.25


def test_a_point_without_a_score_has_no_mean() -> None:
    effects = estimate_effects(np.array([[1.0, NAN], [NAN, NAN]]))
    assert np.isnan(effects.means[1])
    assert effects.counts.tolist() == [1, 0]


def test_the_variance_is_that_of_what_is_left() -> None:
    random = np.random.default_rng(1)
    matrix = (random.random((40, 400)) < 0.5).astype(np.float64)
    assert estimate_effects(matrix).variance == pytest.approx(0.25, abs=0.02)


def test_scores_that_agree_are_still_samples() -> None:
    assert estimate_effects(np.ones((3, 10))).variance == 0.02
    assert estimate_effects(np.full((3, 10), NAN)).variance == 0.02


def test_the_matrix_has_a_gap_where_nothing_was_asked_or_scored() -> None:
    space, rows = Toy(), Rows(4)
    first, second = space.point({}), space.point({"model": 1})
    rows.settle(first, ask(space, first, range(3)))
    rows.settle(second, [Settled(None, (0.0,) * 5), Settled(0.5, (0.0,) * 5)])
    matrix = responses(rows, [first, second])
    assert np.isnan(matrix).tolist() == [[False] * 3 + [True], [True, False, True, True]]
    assert matrix[1, 1] == 0.5
