"""The estimate of the winner without the optimism of having chosen it."""

from __future__ import annotations

import numpy as np
import pytest

from pnyx.runtime.search.debias import debias
from pnyx.runtime.search.rows import Rows, Settled
from pnyx.runtime.search.space import Point

NOTHING = (1.0, 1.0, 1.0, 0.0, 0.0)


def matrix(rows: list[list[float | None]], questions: int) -> Rows:
    made = Rows(questions)
    for number, scores in enumerate(rows):
        made.settle(point(number), [Settled(score, NOTHING) for score in scores])
    return made


def point(number: int) -> Point:
    return (("number", number),)


def coin(random: np.random.Generator, count: int, chance: float = 0.5) -> list[float | None]:
    return (random.random(count) < chance).astype(float).tolist()


def test_best_of_equal_points_is_not_above_them() -> None:
    off, held = [], []
    for seed in range(80):
        random = np.random.default_rng(seed)
        rows = matrix([coin(random, 100) for _ in range(30)], 100)
        winner = max(rows, key=lambda p: rows.scores(p).mean())
        estimated = debias(rows, winner, seed=seed)
        assert estimated is not None
        assert estimated.raw == rows.scores(winner).mean() > 0.53
        off.append(estimated.value - 0.5)
        held.append(estimated.interval[0] <= 0.5 <= estimated.interval[1])
    assert abs(np.mean(off)) < 0.015
    assert np.mean(held) >= 0.9


def test_points_that_differ() -> None:
    """Choosing by fewer questions than there are takes little away."""
    raw, value, held = [], [], []
    for seed in range(80):
        random = np.random.default_rng(seed)
        chances = random.uniform(0.3, 0.7, 30)
        rows = matrix([coin(random, 100, chance) for chance in chances], 100)
        winner = max(rows, key=lambda p: rows.scores(p).mean())
        estimated, true = debias(rows, winner, seed=seed), chances[winner[0][1]]
        assert estimated is not None
        raw.append(estimated.raw - true)
        value.append(estimated.value - true)
        held.append(estimated.interval[0] <= true <= estimated.interval[1])
    assert np.mean(raw) > 0.03
    assert -0.02 < np.mean(value) < 0.01
    assert 0.9 <= np.mean(held) < 1


def test_fewer_answers_widen_the_interval() -> None:
    """Of the others, that samples would choose instead."""
    random = np.random.default_rng(5)
    whole = [coin(random, 200) for _ in range(20)]
    winner = max(range(20), key=lambda number: np.mean(whole[number]))
    given_up = [row if number == winner else row[:110] for number, row in enumerate(whole)]
    widths = []
    for rows in (matrix(whole, 200), matrix(given_up, 200)):
        estimated = debias(rows, point(winner), seed=0)
        assert estimated is not None
        widths.append(estimated.interval[1] - estimated.interval[0])
    assert 1.1 * widths[0] < widths[1] < 1.4 * widths[0]


def test_all_right_is_not_certain() -> None:
    rows = matrix([[1.0] * 50, [0.0] * 50], 50)
    estimated = debias(rows, point(0), seed=0)
    assert estimated is not None
    assert estimated.value == pytest.approx(1)
    assert estimated.interval == (pytest.approx(0.929, abs=0.001), pytest.approx(1))


def test_scores_that_scatter_less_say_more() -> None:
    widths = []
    for scores in ([0.4, 0.6], [0.0, 1.0]):
        estimated = debias(matrix([[*scores] * 50], 100), point(0), seed=0)
        assert estimated is not None
        widths.append(estimated.interval[1] - estimated.interval[0])
    assert widths[0] == pytest.approx(widths[1] * 0.05**0.5, rel=0.03)


def test_points_that_were_given_up_take_part() -> None:
    random = np.random.default_rng(0)
    full = [coin(random, 100) for _ in range(10)]
    alone = debias(matrix(full[:1], 100), point(0), seed=0)
    among = debias(matrix([full[0], *(row[:60] for row in full[1:])], 100), point(0), seed=0)
    assert alone is not None
    assert among is not None
    assert alone.value == pytest.approx(alone.raw, abs=0.01)
    assert among.value != alone.value


def test_few_answers_are_no_evidence() -> None:
    """A point that is right on its only ten questions is not what would have been chosen."""
    random = np.random.default_rng(1)
    rows = matrix([coin(random, 200), [1.0] * 10], 200)
    estimated = debias(rows, point(0), seed=0)
    assert estimated is not None
    assert estimated.value == pytest.approx(estimated.raw, abs=0.02)


def test_clear_winner_keeps_its_mean() -> None:
    random = np.random.default_rng(2)
    rows = matrix([coin(random, 200, chance) for chance in (0.9, 0.2, 0.3)], 200)
    estimated = debias(rows, point(0), seed=0)
    assert estimated is not None
    assert estimated.value == pytest.approx(estimated.raw, abs=0.01)
    low, high = estimated.interval
    assert low < estimated.value < high <= 1
    assert high - low == pytest.approx(2 * 1.96 * 0.3 / 200**0.5, rel=0.3)


def test_missing_scores_count_for_nothing() -> None:
    rows = matrix([[1.0, None, 0.0, None], [None, None, None, None], [0.0]], 4)
    estimated = debias(rows, point(0), seed=0)
    assert estimated is not None
    assert estimated.raw == 0.5
    assert 0 <= estimated.value <= 1
    assert debias(rows, point(1), seed=0) is None
    assert debias(rows, point(7), seed=0) is None
    assert debias(Rows(4), point(0), seed=0) is None


def test_one_question_says_nothing_about_the_interval() -> None:
    estimated = debias(matrix([[1.0]], 1), point(0), seed=0)
    assert estimated is not None
    assert estimated.interval == (0.0, 1.0)


def test_same_seed_gives_the_same() -> None:
    random = np.random.default_rng(3)
    rows = matrix([coin(random, 50) for _ in range(5)], 50)
    assert debias(rows, point(0), seed=4) == debias(rows, point(0), seed=4)
    assert debias(rows, point(0), seed=4) != debias(rows, point(0), seed=5)
