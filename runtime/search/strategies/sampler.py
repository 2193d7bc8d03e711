"""Response-matrix search for people who run a study of Optuna's themselves.

    study = optuna.create_study(direction="maximize", sampler=RMSSampler(seed=0))
    study.optimize(objective, n_trials=50)

Where the objective tells what each question scored, `trial.set_user_attr("scores", [1, 0, None, 1, ...])`, in the same
order in every trial, points are compared by question: far fewer trials tell good from lucky. Trials may stop early: a
short list, with the mean of what there is as the value, is as welcome. Else a trial's value counts as one score.

Invariant: what a trial is given is a function of the seed and of the study's trials, so several processes may share a
study, and one that was interrupted goes on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from pnyx.runtime.search.rows import Rows, Settled
from pnyx.runtime.search.space import Parameter, Point, Space
from pnyx.runtime.search.strategies.learned_space import LearnedSpace, levels, nearest_level
from pnyx.runtime.search.strategies.rms import RMS

__all__ = ["SCORES", "RMSSampler"]

SCORES: Final = "scores"
"""The user attribute of a trial with its scores, from 0 to 1, by question; None or NaN where there is none."""

_FREE: Final = (0.0, 0.0, 0.0, 0.0, 0.0)
_FAR_BELOW: Final = 3.0


class RMSSampler(BaseSampler):
    """`space`: what the objective chooses from, with the names that it suggests and options in the order of its choices
    or numbers. Without one, the space is learned from the trials, of which the first is then random.

    Once no point is new, or where a name is new, the sampler draws uniformly. Raises ValueError for studies of several
    objectives.
    """

    def __init__(self, space: Space | None = None, *, seed: int = 0) -> None:
        self._space = space
        self._seed = seed
        self._strategy = None if space is None else RMS(space, seed=seed)
        self._uniform = RandomSampler(seed=seed)
        self._handed: dict[int, dict[str, int]] = {}

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._raise_error_if_multi_objective(study)
        trials = [t for t in study.get_trials(deepcopy=False) if t.number != trial.number]
        finished = [t for t in trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED) and t.params]
        space = self._space or LearnedSpace(finished)
        strategy = self._strategy or RMS(space, seed=self._seed)
        rows = _rows(space, finished, study.direction)
        running = [t for t in trials if t.state == TrialState.RUNNING]
        pending = {space.point(self._handed.get(t.number) or _taken(space, t)) for t in running}
        point = strategy.ask(rows, pending) if space.parameters else None
        self._uniform = RandomSampler(seed=int(np.random.SeedSequence([self._seed, trial.number]).generate_state(1)[0]))
        self._handed = {t.number: self._handed[t.number] for t in running if t.number in self._handed}
        self._handed[trial.number] = dict(point or ())

    def infer_relative_search_space(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        """Empty: each value is handed out when it is asked for, since it may not be met."""
        return {}

    def sample_relative(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
        search_space: dict[str, BaseDistribution],  # noqa: ARG002
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        option = self._handed.get(trial.number, {}).get(param_name)
        if option is None:
            return self._uniform.sample_independent(study, trial, param_name, param_distribution)
        values = levels(param_distribution)
        if self._space is not None:
            known = next(p for p in self._space.parameters if p.name == param_name)
            _check(known, values)
        return values[min(option, len(values) - 1)]


def _check(parameter: Parameter, values: Sequence[Any]) -> None:
    if len(values) != len(parameter.options):
        counts = f"{len(parameter.options)} options in the space and {len(values)} in the objective"
        raise ValueError(f"`{parameter.name}` has {counts}")


def _taken(space: Space, trial: FrozenTrial) -> dict[str, int]:
    known = {parameter.name for parameter in space.parameters}
    if isinstance(space, LearnedSpace):
        return space.taken(trial)
    taken = trial.distributions.items()
    return {name: nearest_level(distribution, trial.params[name]) for name, distribution in taken if name in known}


def _rows(space: Space, trials: Sequence[FrozenTrial], direction: StudyDirection) -> Rows:
    """What was scored; of several trials of a point, the one that was asked most."""
    sign = -1.0 if direction == StudyDirection.MINIMIZE else 1.0
    values = [sign * trial.value if trial.value is not None else math.nan for trial in trials]
    scaled = _scaled(np.array(values))
    scores: dict[Point, list[float | None]] = {}
    for trial, value in zip(trials, scaled.tolist(), strict=True):
        told = trial.user_attrs.get(SCORES)
        found = [value] if told is None else [score if sign > 0 else _less(score) for score in told]
        point = space.point(_taken(space, trial))
        if len(found) >= len(scores.get(point, ())):
            scores[point] = [None if score is None or math.isnan(score) else score for score in found]
    rows = Rows(max(map(len, scores.values()), default=0))
    for point, found in scores.items():
        rows.settle(point, [Settled(score, _FREE) for score in found])
    return rows


def _less(score: float | None) -> float | None:
    return None if score is None else 1 - score


def _scaled(values: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """From 0 to 1. What lies far below the median counts as not quite so far: how bad it is does not matter."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return values
    best, median = float(finite.max()), float(np.median(finite))
    least = max(float(finite.min()), median - _FAR_BELOW * (best - median)) if best > median else float(finite.min())
    return np.clip((values - least) / ((best - least) or 1.0), 0.0, 1.0)
