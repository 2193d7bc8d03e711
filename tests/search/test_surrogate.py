"""The surrogate: what is alike, and what follows from what was asked."""

from __future__ import annotations

import time

import numpy as np
import pytest
from numpy.typing import NDArray
from search.worlds import Toy, parameter

from pnyx.runtime.search.space import Point
from pnyx.runtime.search.strategies.surrogate import Encoding, fit_surrogate, most_telling

SPACE = Toy()
ENCODING = Encoding(SPACE.parameters)


def alike(one: Point, other: Point, encoding: Encoding = ENCODING) -> list[float]:
    components: NDArray[np.float64] = encoding.components(encoding.encode([one]), encoding.encode([other]))
    return [float(value) for value in components[:, 0, 0]]


def test_a_point_is_like_itself() -> None:
    assert alike(SPACE.best, SPACE.best) == pytest.approx([1, 1, 1])


def test_near_numbers_are_alike_and_other_options_are_not() -> None:
    at = {count: SPACE.point({"samples": count}) for count in range(4)}
    assert alike(at[0], at[1])[0] > alike(at[0], at[2])[0] > alike(at[0], at[3])[0]
    large = SPACE.point({"model": 1})
    assert alike(SPACE.point({}), large)[0] == pytest.approx(4 / 5)
    assert alike(SPACE.point({}), large)[1] == pytest.approx(6 / 10)


def test_absence_is_like_absence_alone() -> None:
    plain, judged = SPACE.point({}), SPACE.point({"judge": 1})
    assert alike(plain, judged)[0] == pytest.approx(2 / 5)
    ordered = Encoding([parameter("count", 1, 2, 3, ordered=True)])
    assert alike((), (("count", 0),), ordered)[0] == 0
    assert alike((), (("count", 2),), ordered)[0] == 0


def test_components_are_the_sums_and_products_of_choices() -> None:
    """Against the definition, choice by choice."""
    random = np.random.default_rng(0)
    points = list(SPACE.points())
    for _ in range(20):
        one, other = (points[random.integers(len(points))] for _ in range(2))
        each = [_choice(p.name, one, other) for p in SPACE.parameters]
        pairs = [a * b for i, a in enumerate(each) for b in each[:i]]
        whole = np.prod([0.35 + 0.65 * value for value in each])
        assert alike(one, other) == pytest.approx([np.mean(each), np.mean(pairs), whole])


def _choice(name: str, one: Point, other: Point) -> float:
    first, second = dict(one).get(name), dict(other).get(name)
    if name == "samples" and first is not None and second is not None:
        return float(np.exp(-abs(first - second) / 1.75))
    return float(first == second)


def test_effects_of_choices_are_learned_and_carried_over() -> None:
    """From a third of the points, the others are predicted far better than by the mean."""
    points = list(SPACE.points())
    values = np.array([SPACE.value(point) for point in points])
    asked = np.random.default_rng(0).permutation(len(points))[:14]
    surrogate = fit_surrogate(ENCODING, [points[i] for i in asked], values[asked], np.full(14, 1e-4))
    rest = np.setdiff1d(np.arange(len(points)), asked)
    posterior = surrogate.posterior([points[i] for i in rest])
    error = np.sqrt(np.mean((posterior.means - values[rest]) ** 2))
    assert error < values[rest].std() / 3
    assert np.mean(np.abs(posterior.means - values[rest]) < 2 * posterior.sds) > 0.9


def test_what_was_asked_much_is_known() -> None:
    points = [SPACE.point({}), SPACE.point({"model": 1})]
    surrogate = fit_surrogate(ENCODING, points, np.array([0.2, 0.8]), np.array([1e-5, 0.05]))
    posterior = surrogate.posterior(points)
    assert posterior.means[0] == pytest.approx(0.2, abs=0.01)
    assert posterior.sds[0] < 0.01 < posterior.sds[1]
    assert 0.2 < posterior.means[1] < 0.8


def test_the_covariance_agrees_with_the_deviations() -> None:
    points = list(SPACE.points())[:12]
    surrogate = fit_surrogate(ENCODING, points[:6], np.linspace(0.2, 0.7, 6), np.full(6, 0.002))
    covariance = surrogate.covariance(points)
    assert np.sqrt(np.diag(covariance)) == pytest.approx(surrogate.posterior(points).sds)
    assert np.linalg.eigvalsh(covariance).min() > -1e-9


def test_one_choice_has_no_pairs() -> None:
    encoding = Encoding([parameter("count", 1, 2, 3, ordered=True), parameter("only", "one")])
    assert alike((("count", 0), ("only", 0)), (("count", 0), ("only", 0)), encoding) == pytest.approx([1, 1, 1])


def test_a_space_of_one_point_can_be_fitted() -> None:
    encoding = Encoding([parameter("only", "one")])
    posterior = fit_surrogate(encoding, [(("only", 0),)], np.array([0.5]), np.array([0.01])).posterior([(("only", 0),)])
    assert posterior.means.tolist() == [0.5]


def test_the_most_telling_points_are_unlike_each_other() -> None:
    points = [SPACE.point({}), SPACE.point({"model": 1}), SPACE.point({"judge": 1, "judged by": 1, "care": 1})]
    begun = [SPACE.point({"samples": 2})]
    first, second = most_telling(ENCODING, points, begun, 2)
    assert {first, second} == {points[1], points[2]}
    assert most_telling(ENCODING, [], begun, 2) == []


def test_a_refit_is_quick() -> None:
    """300 points of 15 choices, and 540 to predict, in far less than the time of one answer of a model."""
    parameters = [parameter(f"c{i}", 1, 2, 3, 4, ordered=i % 2 == 0) for i in range(15)]
    random = np.random.default_rng(0)
    drawn = [tuple((p.name, int(random.integers(4))) for p in parameters) for _ in range(840)]
    encoding = Encoding(parameters)
    took = []
    for _ in range(3):
        started = time.thread_time()
        surrogate = fit_surrogate(encoding, drawn[:300], random.random(300), np.full(300, 0.001))
        surrogate.posterior(drawn[300:])
        took.append(time.thread_time() - started)
    assert min(took) < 0.3
