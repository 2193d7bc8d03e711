"""Response-matrix search as a strategy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from search.worlds import Forgetful, Toy, ask, drive

from pnyx.runtime.search.rows import Rows, Settled
from pnyx.runtime.search.space import Point
from pnyx.runtime.search.strategies.rms import RMS
from pnyx.runtime.search.strategy import Proposal, Stop


@pytest.mark.parametrize("seed", [0, 1])
def test_it_finds_a_point_near_the_best(seed: int) -> None:
    space = Toy()
    strategy = RMS(space, seed=seed)
    rows, _ = drive(strategy, space, questions=200, seed=seed)
    winner = strategy.standings(rows)[0]
    assert space.value(space.best) - space.value(winner.point) < 0.08
    assert winner.mean == pytest.approx(space.value(winner.point), abs=0.1)


def test_points_are_raced_against_an_incumbent_that_was_asked_the_more_the_more_are_known() -> None:
    space = Toy()
    _, said = drive(RMS(space, seed=0, least_gain=0.0), space, questions=200)
    raced = [p for s in said for p in _some(s) if p.origin == "proposed"]
    assert all(p.rival is not None for p in raced)
    depths = [p.upto for p in raced]
    assert depths[0] < depths[-1]
    assert depths[0] < 100
    assert any(p.origin == "incumbent" for s in said for p in _some(s))


def test_the_winner_was_asked_everything_when_the_search_ends() -> None:
    space = Toy()
    strategy = RMS(space, seed=0)
    rows, said = drive(strategy, space, questions=100, rounds=60)
    assert isinstance(said[-1], Stop)
    assert rows.count(strategy.standings(rows)[0].point) == 100


def test_what_it_says_is_a_function_of_the_rows() -> None:
    """A strategy made afresh at each round says the same as one that saw all of them; another seed does not."""
    space = Toy()
    _, said = drive(RMS(space, seed=0), space, rounds=8)
    assert drive(Forgetful(lambda: RMS(space, seed=0)), space, rounds=8)[1] == said
    others = {tuple(p.point for s in drive(RMS(space, seed=n), space, rounds=3)[1] for p in _some(s)) for n in range(4)}
    assert len(others) > 1


def test_it_stops_where_little_is_to_be_gained() -> None:
    space = Toy()
    rows, said = drive(RMS(space, seed=0), space, questions=200, rounds=60)
    assert isinstance(said[-1], Stop)
    assert len(rows) <= len(list(space.points()))
    assert RMS(space, seed=0).next(rows, ()) == said[-1]


def test_before_it_stops_it_asks_what_is_near_the_best_and_may_gain_a_little() -> None:
    """Where a large gain is expected of nothing, many small ones may still hide the best point."""
    space = Toy()
    strategy = RMS(space, seed=0, least_gain=0.1)
    rows, said = drive(strategy, space, questions=60, rounds=60)
    assert said[-1] == Stop("no configuration is expected to gain 10 points over the best one")
    beliefs = strategy.beliefs(rows)
    assert beliefs is not None
    left = strategy.sampler.near(strategy.standings(rows)[0].point, rows)
    assert all(gain < 0.01 for gain in strategy.gained(rows, beliefs, left))
    *_, last = (s for s in said if _some(s) and _some(s)[0].origin == "proposed")
    assert all(_changes(p.point, p.rival) for p in _some(last))


def _changes(point: Point, rival: Point | None) -> bool:
    """Whether they differ in one choice, and in those that it opens."""
    assert rival is not None
    ours, theirs = dict(point), dict(rival)
    return sum(ours[name] != theirs[name] for name in ours.keys() & theirs.keys()) == 1


def test_it_goes_on_while_much_is_to_be_gained() -> None:
    space = Toy()
    _, patient = drive(RMS(space, seed=0, least_gain=0.0), space, questions=200, rounds=80)
    assert patient[-1] == Stop("every configuration was asked")
    _, hasty = drive(RMS(space, seed=0, least_gain=0.02), space, questions=200, rounds=80)
    assert len(hasty) < len(patient)


def test_points_that_others_are_at_work_on_are_left_to_them() -> None:
    space = Toy()
    rows, _ = drive(RMS(space, seed=0), space, rounds=5)
    first = _round(RMS(space, seed=0), rows)
    second = RMS(space, seed=0).next(rows, {p.point for p in first})
    assert not isinstance(second, Stop)
    assert {p.point for p in first}.isdisjoint(p.point for p in second)


def test_what_is_not_eligible_neither_is_asked_nor_wins() -> None:
    space = Toy()
    best = space.best
    rows, _ = drive(RMS(space, seed=0, given=(best,)), space, rounds=8)
    assert best in rows
    strategy = RMS(space, seed=0, eligible=lambda point: point != best)
    assert best not in [standing.point for standing in strategy.standings(rows)]
    assert all(p.rival != best for p in _round(strategy, rows))


def test_questions_that_could_not_be_scored_count_for_nothing() -> None:
    space = Toy()
    rows, _ = drive(RMS(space, seed=0), space, rounds=6)
    holes = Rows(60)
    for point in rows:
        settled = [replace(r, score=None) if i % 7 == 0 else r for i, r in enumerate(rows.settled(point))]
        holes.settle(point, settled)
    strategy = RMS(space, seed=0)
    standings = strategy.standings(holes)
    assert all(np.isfinite([standing.mean, standing.sd]).all() for standing in standings)
    assert len(standings) == len(rows)
    assert _round(strategy, holes)


def test_without_any_score_it_goes_on_at_random_and_ends() -> None:
    space = Toy()
    strategy, rows = RMS(space, seed=0), Rows(20)
    while not isinstance(said := strategy.next(rows, ()), Stop):
        assert strategy.standings(rows) == ()
        for p in said:
            assert rows.count(p.point) == 0
            rows.settle(p.point, [Settled(None, (0.0,) * 5)] * p.upto)
    assert said == Stop("every configuration was asked")
    assert set(rows) == set(space.points())


def test_a_space_of_which_nothing_is_feasible_ends_at_once() -> None:
    space = Toy(cap=1)
    assert RMS(space, seed=0).next(Rows(60), ()) == Stop("every configuration was asked")


def test_a_point_with_little_evidence_is_not_chosen_before_one_with_much() -> None:
    space, rows = Toy(), Rows(200)
    plain, best = space.point({}), space.best
    rows.settle(plain, ask(space, plain, range(200)))
    rows.settle(best, [Settled(1.0, (0.0,) * 5)] * 20)
    strategy = RMS(space, seed=0)
    assert [standing.point for standing in strategy.standings(rows)] == [plain, best]
    rows.settle(best, [Settled(1.0, (0.0,) * 5)] * 90)
    assert strategy.standings(rows)[0].point == best


def test_one_point_at_a_time() -> None:
    space, rows, strategy = Toy(), Rows(60), RMS(Toy(), seed=0)
    while (point := strategy.ask(rows, ())) is not None:
        assert point not in rows
        rows.settle(point, ask(space, point, range(60)))
    assert set(rows) == set(space.points())


def test_of_many_points_the_promising_and_the_latest_are_fitted() -> None:
    from search.test_acquisition import Large

    space, rows = Large(), Rows(20)
    for kind in range(200):
        for model in range(2):
            point = space.point({"kind": kind, "model": model})
            rows.settle(point, [Settled(float((i * 7 + kind) % 10 < 3 + 4 * model), (1.0,) * 5) for i in range(20)])
    beliefs = RMS(space, seed=0).beliefs(rows)
    assert beliefs is not None
    assert 220 <= len(beliefs.points) <= 300
    assert set(list(rows)[-80:]) <= set(beliefs.points)
    assert sum(dict(point)["model"] for point in beliefs.points) >= 190


def _round(strategy: RMS, rows: Rows) -> tuple[Proposal, ...]:
    return _some(strategy.next(rows, ()))


def _some(said: tuple[Proposal, ...] | Stop) -> tuple[Proposal, ...]:
    return () if isinstance(said, Stop) else said
