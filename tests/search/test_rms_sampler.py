"""Response-matrix search as a sampler of Optuna's."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState
from search.worlds import Toy, ask

from pnyx.runtime.search.strategies.learned_space import LearnedSpace, levels, nearest_level
from pnyx.runtime.search.strategies.sampler import RMSSampler


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)


def study(sampler: optuna.samplers.BaseSampler, direction: str = "maximize") -> optuna.Study:
    return optuna.create_study(direction=direction, sampler=sampler)


def curved(trial: optuna.Trial) -> float:
    """At most 1: of k = 11, y with `more`, and 0.3."""
    k, kind = trial.suggest_int("k", 1, 16), trial.suggest_categorical("kind", ["x", "y", "z"])
    share = trial.suggest_float("share", 0, 1)
    value = {"x": 0.0, "y": 0.5, "z": 0.2}[kind] - (k - 11) ** 2 / 50 - abs(share - 0.3)
    return value + 0.5 * trial.suggest_categorical("more", [True, False]) if kind == "y" else value


def test_it_is_a_drop_in_that_beats_chance() -> None:
    found, chance = study(RMSSampler(seed=0)), study(optuna.samplers.RandomSampler(seed=0))
    found.optimize(curved, n_trials=30)
    chance.optimize(curved, n_trials=30)
    assert found.best_value > max(chance.best_value, 0.8)


def test_minimising_is_the_mirror_of_maximising() -> None:
    up, down = study(RMSSampler(seed=0)), study(RMSSampler(seed=0), "minimize")
    up.optimize(curved, n_trials=8)
    down.optimize(lambda trial: -curved(trial), n_trials=8)
    assert [t.params for t in up.trials] == [t.params for t in down.trials]


def scored(space: Toy, told: bool) -> Callable[[optuna.Trial], float]:
    def objective(trial: optuna.Trial) -> float:
        wanted = {"model": trial.suggest_categorical("model", ["small", "large"]) == "large"}
        wanted["samples"] = trial.suggest_int("samples", 0, 3)  # type: ignore[assignment]
        if trial.suggest_categorical("judge", [False, True]):
            wanted["judge"] = True
            wanted["judged by"] = trial.suggest_categorical("judged by", ["small", "large"]) == "large"
            wanted["care"] = trial.suggest_categorical("care", ["little", "much"]) == "much"
        point = space.point({name: int(option) for name, option in wanted.items()})
        scores = [row.score for row in ask(space, point, range(60))]
        if told:
            trial.set_user_attr("scores", scores)
        return sum(score or 0.0 for score in scores) / 60

    return objective


def test_with_a_space_and_scores_no_point_is_repeated() -> None:
    space = Toy()
    made = study(RMSSampler(space, seed=0))
    made.optimize(scored(space, told=True), n_trials=24)
    taken = [tuple(t.params.items()) for t in made.trials]
    assert len(set(taken)) == 24
    best = space.value(space.best)
    assert best - max(space.value(space.point(RMSSampler_options(t))) for t in made.best_trials) < 0.15


def RMSSampler_options(trial: optuna.trial.FrozenTrial) -> dict[str, int]:  # noqa: N802
    return {name: nearest_level(trial.distributions[name], value) for name, value in trial.params.items()}


def test_once_everything_was_asked_it_goes_on() -> None:
    made = study(RMSSampler(seed=0))
    made.optimize(lambda trial: trial.suggest_int("k", 1, 3), n_trials=6)
    assert {t.params["k"] for t in made.trials[:4]} == {1, 2, 3}


def test_an_interrupted_study_goes_on_as_if_it_had_not_been() -> None:
    whole = study(RMSSampler(seed=5))
    whole.optimize(curved, n_trials=9)
    begun = study(RMSSampler(seed=5))
    begun.optimize(curved, n_trials=4)
    begun.sampler = RMSSampler(seed=5)
    begun.optimize(curved, n_trials=5)
    assert [t.params for t in begun.trials] == [t.params for t in whole.trials]


def test_running_trials_are_not_repeated() -> None:
    space = Toy()
    made = study(RMSSampler(space, seed=0))
    running = []
    for _ in range(6):
        trial = made.ask()
        scored(space, told=False)(trial)
        running.append(tuple(trial.params.items()))
    assert len(set(running)) == 6


def test_failed_trials_and_missing_scores_are_borne() -> None:
    made = study(RMSSampler(Toy(), seed=0))
    for number in range(8):
        trial = made.ask()
        scored(Toy(), told=False)(trial)
        if number % 3 == 0:
            made.tell(trial, state=TrialState.FAIL)
        else:
            trial.set_user_attr("scores", [1.0, None, 0.0, float("nan")][: number + 1])
            made.tell(trial, 0.5)
    assert made.ask().suggest_int("samples", 0, 3) in range(4)


def test_options_must_be_as_many_as_in_the_space() -> None:
    made = study(RMSSampler(Toy(), seed=0))
    with pytest.raises(ValueError, match="`samples` has 4 options in the space and 3 in the objective"):
        made.ask().suggest_int("samples", 0, 2)


def test_several_objectives_are_refused() -> None:
    made = optuna.create_study(directions=["maximize", "minimize"], sampler=RMSSampler(seed=0))
    with pytest.raises(ValueError, match="multi-objective"):
        made.ask()


@pytest.mark.parametrize(
    ("distribution", "expected"),
    [
        (CategoricalDistribution(("a", None, 3)), ("a", None, 3)),
        (IntDistribution(2, 8, step=3), (2, 5, 8)),
        (FloatDistribution(0, 1, step=0.25), (0, 0.25, 0.5, 0.75, 1)),
        (FloatDistribution(2, 2), (2,)),
    ],
)
def test_few_values_are_all_levels(distribution: BaseDistribution, expected: tuple[object, ...]) -> None:
    assert levels(distribution) == expected
    assert [nearest_level(distribution, value) for value in expected] == list(range(len(expected)))


@pytest.mark.parametrize(
    "distribution",
    [
        IntDistribution(1, 1000),
        IntDistribution(1, 1000, log=True),
        IntDistribution(0, 1000, step=10),
        FloatDistribution(1e-5, 1, log=True),
        FloatDistribution(-1, 1),
        FloatDistribution(0, 100, step=0.5),
    ],
)
def test_many_values_are_spread_over_the_range(distribution: BaseDistribution) -> None:
    values = levels(distribution)
    assert len(values) <= 16
    assert list(values) == sorted(values)
    assert all(distribution._contains(distribution.to_internal_repr(value)) for value in values)
    assert [nearest_level(distribution, value) for value in values] == list(range(len(values)))


def test_conditions_are_learned_from_what_was_met() -> None:
    made = study(optuna.samplers.RandomSampler(seed=0))
    made.optimize(curved, n_trials=20)
    space = LearnedSpace(made.trials)
    assert {p.name: p.ordered for p in space.parameters} == {"k": True, "kind": False, "share": True, "more": False}
    assert "more" in dict(space.point({"kind": 1}))
    assert "more" not in dict(space.point({"kind": 0}))
    points = list(space.points())
    assert len(points) == len(set(points)) == 16 * 16 * (2 + 1 + 1)
