"""Candidates, and what is to be gained by asking them."""

from __future__ import annotations

import numpy as np
import pytest
from search.worlds import Toy

from pnyx.runtime.search.space import Point
from pnyx.runtime.search.strategies.acquisition import Sampler, expected_improvement


class Large(Toy):
    """Many points: samples of 200 kinds."""

    def point(self, wanted: object) -> Point:
        assert isinstance(wanted, dict)
        return (*super().point(wanted), ("kind", wanted.get("kind", 0)))


Large.parameters = (
    *Toy.parameters,
    Toy.parameters[0].__class__("kind", tuple(map(str, range(200))), (*range(200),), 0),
)


def sampler(space: Toy) -> Sampler:
    return Sampler(space, lambda _: True)


def test_candidates_are_canonical_feasible_and_new() -> None:
    space = Large(cap=200)
    known = {space.point({"kind": kind}) for kind in range(100)}
    best = [space.point({"kind": 7})]
    found = sampler(space).candidates(np.random.default_rng(0), known, best)
    assert len(found) == len(set(found)) > 200
    assert known.isdisjoint(found)
    for point in found:
        assert space.feasible(point)
        assert space.point(dict(point)) == point


def test_some_candidates_are_near_the_best() -> None:
    space = Large()
    best = space.point({"kind": 7, "model": 1, "samples": 3})
    found = sampler(space).candidates(np.random.default_rng(0), (), [best])
    near = [p for p in found if sum(dict(p).get(name) == option for name, option in best) == len(best) - 1]
    assert len(near) >= 4


def test_near_are_all_points_that_take_one_choice_otherwise() -> None:
    space = Toy(cap=200)
    point, known = space.point({"model": 1, "judge": 1}), {space.point({"judge": 1})}
    wanted = {space.point(dict(point) | {p.name: i}) for p in space.parameters for i in range(len(p.options))}
    found = sampler(space).near(point, known)
    assert len(found) == len(set(found))
    assert set(found) == {p for p in wanted - known - {point} if space.feasible(p)} < wanted - known


def test_the_same_numbers_draw_the_same() -> None:
    first, second = (sampler(Large()).candidates(np.random.default_rng(3), (), ()) for _ in range(2))
    assert first == second


def test_the_last_points_of_a_space_are_found() -> None:
    space = Toy()
    *known, last = space.points()
    assert sampler(space).candidates(np.random.default_rng(0), known, known[:3]) == [last]
    assert sampler(space).candidates(np.random.default_rng(0), [*known, last], known[:3]) == []


def test_what_is_not_eligible_is_not_drawn() -> None:
    space = Toy()
    drawn = Sampler(space, lambda point: dict(point)["model"] == 0).candidates(np.random.default_rng(0), (), ())
    assert drawn
    assert all(dict(point)["model"] == 0 for point in drawn)


def test_the_expected_improvement_is_that_of_a_normal_variable() -> None:
    random = np.random.default_rng(0)
    means, sds = np.array([0.4, 0.5, 0.6]), np.array([0.2, 0.1, 0.01])
    drawn = np.maximum(random.normal(means, sds, (200_000, 3)) - 0.55, 0).mean(axis=0)
    assert expected_improvement(means, sds, 0.55) == pytest.approx(drawn, abs=1e-3)


def test_a_certain_value_gains_what_it_is_ahead() -> None:
    assert expected_improvement(np.array([0.4, 0.7]), np.zeros(2), 0.5) == pytest.approx([0, 0.2])
