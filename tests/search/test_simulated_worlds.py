"""The simulated worlds of `benchmarks/search`, which the search is measured in."""

from __future__ import annotations

from itertools import islice, pairwise, repeat

import numpy as np
import pytest
from architectures import MODELS, SPACE, architecture
from trials import BLOCK, Exhausted, Workbench
from truth import draw_point, neighbours, optimum, regret
from world import Questions, World

POINTS = [draw_point(np.random.default_rng(seed)) for seed in range(30)]


@pytest.fixture(scope="module")
def questions() -> Questions:
    return Questions(World(0), 60, 1)


def test_points_are_canonical_and_there_once() -> None:
    points = list(islice(SPACE.points(), 3000))
    assert len(set(points)) == len(points)
    assert all(SPACE.point(dict(point)) == point and SPACE.feasible(point) for point in points[::50])


def test_choices_that_are_not_met_are_dropped() -> None:
    plain = SPACE.point({})
    assert SPACE.point({"verifier": 2, "kept": 1, "fuser": 3}) == plain
    assert SPACE.point({"second": 1, "second generator": 0, "generator": 0}) == SPACE.point({"generator": 0})


def test_cost_predicts_what_is_drawn(questions: Questions) -> None:
    for point in POINTS:
        drawn = sum(part.tokens.sum() for part in questions.evaluate(point).drawn) / questions.count
        assert SPACE.cost(point) == pytest.approx(drawn, rel=0.2)


def test_what_is_predicted_to_be_shared_is(questions: Questions) -> None:
    """What a point is predicted to cost on top of others is about what it is charged there."""
    for first, second in pairwise(POINTS):
        bench = Workbench(questions, np.inf)
        bench.trial(first).ask(bench.order)
        before = bench.spent
        bench.trial(second).ask(bench.order)
        predicted = SPACE.marginal([first])(second)
        assert (bench.spent - before) / questions.count == pytest.approx(predicted, rel=0.3, abs=0.02 * 7000)


def test_eight_samples_after_four_draw_four_more(questions: Questions) -> None:
    four, eight = (SPACE.point({"samples": index}) for index in (2, 3))
    bench = Workbench(questions, np.inf)
    bench.trial(four).ask(bench.order)
    before = bench.spent
    bench.trial(eight).ask(bench.order)
    (drawn,) = questions.evaluate(eight).drawn
    assert architecture(eight).samples == 8
    assert bench.spent - before == drawn.tokens[4:].sum()
    assert bench.alone == bench.spent + before


def test_shared_draws_are_the_same_and_others_are_not(questions: Questions) -> None:
    point = SPACE.point({"verify": 1, "rank": 1, "fusions": 2})
    again = Questions(World(0), 60, 1).evaluate(point)
    assert (questions.evaluate(point).scores == again.scores).all()
    assert (questions.evaluate(point, 1).scores != questions.evaluate(point, 2).scores).any()
    few, more = (questions.evaluate(SPACE.point({"samples": index}), 3).drawn[0].tokens for index in (1, 2))
    assert (few == more[: len(few)]).all()


@pytest.mark.parametrize("shared", [True, False])
def test_budget_is_never_exceeded(questions: Questions, shared: bool) -> None:
    for budget in (0, 5_000, 200_000):
        bench = Workbench(questions, budget, shared=shared)
        with pytest.raises(Exhausted):
            ask_in_blocks(bench)
        assert bench.spent <= budget
        assert bench.alone >= bench.spent if shared else bench.alone == bench.spent


def ask_in_blocks(bench: Workbench) -> None:
    for point in map(draw_point, repeat(np.random.default_rng(3))):
        trial = bench.trial(point)
        for start in range(0, bench.questions.count, BLOCK):
            trial.ask(bench.order[start : start + BLOCK])


def test_asking_again_costs_nothing(questions: Questions) -> None:
    bench = Workbench(questions, np.inf)
    trial = bench.trial(POINTS[0])
    trial.ask(bench.order[:10])
    spent = bench.spent
    trial.ask(bench.order[:10])
    bench.trial(POINTS[0]).ask(bench.order[:10])
    assert bench.spent == spent
    assert trial.count == 10


def test_best_points_are_better_than_others() -> None:
    best = optimum(0)
    assert regret(0, best) == 0
    assert min(regret(0, point) for point in islice(neighbours(best), 0, None, 12)) > -1
    alone = [SPACE.point({"generator": model, "samples": 0}) for model in range(len(MODELS))]
    assert min(regret(0, point) for point in alone) > 5
