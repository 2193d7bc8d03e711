"""Other algorithms as strategies: Optuna's samplers, and the enumeration of small spaces.

A study in memory is made afresh at every call: the points with scores are its finished trials, with their paired
estimates as values, and those at which others are at work run. So what a sampler draws is a function of the rows.

Invariant: a trial's parameters are those of a canonical point, so each sampler sees the conditions of the space.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Final, cast

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState, create_trial

from pnyx.runtime.search.race import paired_estimate
from pnyx.runtime.search.rows import Rows
from pnyx.runtime.search.space import Parameter, Point
from pnyx.runtime.search.strategies.racing import Racing

__all__ = ["TPE", "Grid", "Random", "Sampled"]

_TRIES: Final = 30
"""Draws that may be known or not allowed before a point is drawn uniformly in place of the sampler's."""


class Sampled(Racing):
    """Points that a sampler of Optuna's draws."""

    @cached_property
    def distributions(self) -> dict[str, BaseDistribution]:
        return {parameter.name: _distribution(parameter) for parameter in self.space.parameters}

    @abstractmethod
    def make_sampler(self, seed: int) -> BaseSampler:
        """Called with another seed whenever more is known: the same one would draw the same."""

    def draw(self, rows: Rows, pending: Collection[Point]) -> Iterator[Point]:
        seeds = np.random.SeedSequence([self.seed, len(rows), rows.total])
        study = self._study(rows, pending, int(seeds.generate_state(1)[0]))
        known = {*rows, *pending}
        while True:
            point = next(self._asked(study, known), None)
            if point is None:
                point = next(iter(self.sampler.candidates(np.random.default_rng(seeds), known, ())), None)
            if point is None:
                return
            known.add(point)
            yield point

    def _study(self, rows: Rows, pending: Collection[Point], seed: int) -> optuna.Study:
        with _quiet():
            study = optuna.create_study(direction="maximize", sampler=self.make_sampler(seed))
        leader = self.leader(rows)
        against = rows.scores(leader) if leader is not None else np.empty(0)
        for point in rows:
            value = paired_estimate(rows.scores(point), against)
            if point not in pending and not np.isnan(value):
                study.add_trial(self._trial(point, TrialState.COMPLETE, value))
        for point in pending:
            study.add_trial(self._trial(point, TrialState.RUNNING))
        return study

    def _trial(self, point: Point, state: TrialState, value: float | None = None) -> optuna.trial.FrozenTrial:
        params: dict[str, Any] = dict(point)
        return create_trial(
            state=state, value=value, params=params, distributions={name: self.distributions[name] for name in params}
        )

    def _asked(self, study: optuna.Study, known: Collection[Point]) -> Iterator[Point]:
        """What the sampler draws that may be asked. A draw that may not be is told as failed, which samplers ignore."""
        for _ in range(_TRIES):
            trial = study.ask()
            point = self._walked(trial)
            if point not in known and self.sampler.allowed(point):
                yield point
            else:
                study.tell(trial, state=TrialState.FAIL)

    def _walked(self, trial: optuna.Trial) -> Point:
        """The trial decides each choice when it is met."""
        wanted: dict[str, int] = {}
        while True:
            point = self.space.point(wanted)
            name = next((name for name, _ in point if name not in wanted), None)
            if name is None:
                return point
            match self.distributions[name]:
                case IntDistribution(low=low, high=high):
                    wanted[name] = trial.suggest_int(name, low, high)
                case CategoricalDistribution(choices=choices):
                    wanted[name] = cast(int, trial.suggest_categorical(name, choices))


def _distribution(parameter: Parameter) -> BaseDistribution:
    """Of the index of the option."""
    if parameter.ordered:
        return IntDistribution(0, len(parameter.options) - 1)
    return CategoricalDistribution(range(len(parameter.options)))


class TPE(Sampled):
    """The tree-structured Parzen estimator, multivariate (Watanabe, Tree-structured Parzen estimator, 2023)."""

    def make_sampler(self, seed: int) -> BaseSampler:
        return TPESampler(seed=seed, multivariate=True)


class Random(Sampled):
    """Points drawn uniformly, choice by choice."""

    origin = "random"
    warm = False

    def make_sampler(self, seed: int) -> BaseSampler:
        return RandomSampler(seed=seed)


class Grid(Racing):
    """Every point, in the order of the space."""

    warm = False

    def draw(self, rows: Rows, pending: Collection[Point]) -> Iterator[Point]:
        return (p for p in self.space.points() if p not in rows and p not in pending and self.sampler.allowed(p))


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna logs that a study was made, to everybody's standard error."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
