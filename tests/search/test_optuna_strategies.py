"""Optuna's samplers and the enumeration of a space, as strategies."""

from __future__ import annotations

import logging

import optuna
import pytest
from search.worlds import Forgetful, Toy, ask, drive

from pnyx.runtime.search.race import raced_out
from pnyx.runtime.search.rows import Rows, Settled
from pnyx.runtime.search.space import Point
from pnyx.runtime.search.strategies.optuna_strategies import TPE, Grid, Random, Sampled
from pnyx.runtime.search.strategies.racing import Racing
from pnyx.runtime.search.strategy import Stop

KINDS = (TPE, Random, Grid)


@pytest.mark.parametrize("kind", KINDS)
def test_every_point_is_asked_and_a_good_one_found(kind: type[Racing]) -> None:
    space = Toy()
    strategy = kind(space, seed=0)
    rows, said = drive(strategy, space, questions=60, rounds=100)
    assert said[-1] == Stop("every configuration was asked")
    assert set(rows) == set(space.points())
    winner = strategy.standings(rows)[0].point
    assert space.value(space.best) - space.value(winner) < 0.15
    assert rows.count(winner) == 60
    for point in rows:
        assert rows.count(point) == 60 or raced_out(rows.scores(point), rows.scores(winner))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_said_is_a_function_of_the_rows(kind: type[Racing]) -> None:
    space = Toy()
    _, said = drive(kind(space, seed=3), space, rounds=6)
    assert drive(Forgetful(lambda: kind(space, seed=3)), space, rounds=6)[1] == said


def test_seeds_draw_other_points() -> None:
    first, second = (list(drive(Random(Toy(), seed=seed), Toy(), rounds=4)[0]) for seed in (0, 1))
    assert first != second


@pytest.mark.parametrize("kind", KINDS)
def test_given_points_come_first_and_pending_ones_are_left(kind: type[Racing]) -> None:
    space = Toy()
    best = space.best
    strategy = kind(space, seed=0, given=(best,))
    said = strategy.next(Rows(60), ())
    assert not isinstance(said, Stop)
    assert (said[0].point, said[0].origin) == (best, "given")
    rows, _ = drive(strategy, space, rounds=5)
    first = strategy.next(rows, ())
    assert not isinstance(first, Stop)
    second = strategy.next(rows, {p.point for p in first})
    assert not isinstance(second, Stop)
    assert {p.point for p in first}.isdisjoint(p.point for p in second)


def test_tpe_begins_with_the_warm_start_and_others_do_not() -> None:
    origins = [drive(kind(Toy(), seed=0), Toy(), rounds=1)[1][0] for kind in KINDS]
    assert [{p.origin for p in s} for s in origins if not isinstance(s, Stop)] == [{"model"}, {"random"}, {"proposed"}]


def test_grid_keeps_the_order_of_the_space() -> None:
    space = Toy()
    rows, _ = drive(Grid(space, seed=0), space, rounds=8)
    assert list(rows) == list(space.points())[: len(rows)]


def test_tpe_is_told_paired_estimates_of_canonical_points() -> None:
    """And draws more of what did well."""
    told: list[optuna.Study] = []

    class Watched(TPE):
        def _study(self, *arguments: object) -> optuna.Study:
            told.append(super()._study(*arguments))  # type: ignore[arg-type]
            return told[-1]

    space, rows = Toy(), Rows(20)
    first, second = space.point({}), space.point({"model": 1})
    rows.settle(first, [Settled(score, (0.0,) * 5) for score in [1.0] * 10 + [0.0] * 10])
    rows.settle(second, [Settled(score, (0.0,) * 5) for score in [1.0] * 8 + [0.0] * 2])
    assert next(Watched(space, seed=0).draw(rows, {space.best})) not in (first, second, space.best)
    trials = told[0].get_trials(deepcopy=False)
    assert [(tuple(t.params.items()), t.value) for t in trials[:2]] == [(first, 0.5), (second, pytest.approx(0.3))]
    assert trials[2].state == optuna.trial.TrialState.RUNNING


def test_a_sampler_that_repeats_itself_does_not_hold_the_search_up() -> None:
    class Stubborn(Sampled):
        def make_sampler(self, seed: int) -> optuna.samplers.BaseSampler:
            fixed = dict.fromkeys(("model", "samples", "judge", "judged by", "care"), 0)
            return optuna.samplers.PartialFixedSampler(fixed, optuna.samplers.RandomSampler(seed))

        warm = False

    space, rows = Toy(), Rows(20)
    first = space.point({"samples": 0})
    rows.settle(first, ask(space, first, range(20)))
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        drawn = next(Stubborn(space, seed=0).draw(rows, ()))
    assert drawn != first


def test_points_without_scores_and_points_that_are_not_eligible_do_not_lead() -> None:
    space, rows = Toy(), Rows(20)
    scored, unscored, barred = list(space.points())[:3]
    rows.settle(scored, ask(space, scored, range(10)))
    rows.settle(unscored, [Settled(None, (0.0,) * 5)] * 20)
    rows.settle(barred, [Settled(1.0, (0.0,) * 5)] * 20)

    def eligible(point: Point) -> bool:
        return point != barred

    strategy = Random(space, seed=0, eligible=eligible)
    assert strategy.leader(rows) == scored
    assert [standing.point for standing in strategy.standings(rows)] == [scored]
    assert Random(space, seed=0).standings(Rows(20)) == ()


def test_optuna_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    optuna.logging.enable_propagation()
    try:
        with caplog.at_level(logging.INFO):
            drive(TPE(Toy(), seed=0), Toy(), rounds=5)
    finally:
        optuna.logging.disable_propagation()
    assert caplog.records == []
