"""The space of a study of Optuna's, as far as its trials have shown it.

Invariants
- Numbers become levels: all of them where there are few, else 16 spread over the range (evenly in the logarithm where
  the distribution is logarithmic).
- A parameter that some trials lack is met if the value of another one has always told, so far, whether it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from pnyx.runtime.search.space import Parameter, Point

__all__ = ["LearnedSpace", "levels", "nearest_level"]

_FEW: Final = 32
_LEVELS: Final = 16


@dataclass(frozen=True, slots=True)
class _Condition:
    """Met if the choice `on` is, and does not take one of `without`."""

    on: str
    without: frozenset[int]


class LearnedSpace:
    """Every point is feasible, costs 1, and shares nothing. The defaults are what the first of `trials` took."""

    def __init__(self, trials: Sequence[FrozenTrial]) -> None:
        self.distributions: dict[str, BaseDistribution] = {}
        first: dict[str, int] = {}
        for trial in trials:
            for name, distribution in trial.distributions.items():
                self.distributions.setdefault(name, distribution)
                first.setdefault(name, nearest_level(self.distributions[name], trial.params[name]))
        self.parameters = tuple(_parameter(name, d, first[name]) for name, d in self.distributions.items())
        taken = [self.taken(trial) for trial in trials]
        names = list(self.distributions)
        self._conditions = {name: _condition(name, names[:i], taken) for i, name in enumerate(names)}

    def taken(self, trial: FrozenTrial) -> dict[str, int]:
        """The levels of what a trial has suggested so far."""
        known = self.distributions
        return {name: nearest_level(known[name], value) for name, value in trial.params.items() if name in known}

    def point(self, wanted: Mapping[str, int]) -> Point:
        chosen: dict[str, int] = {}
        for parameter in self.parameters:
            if self._met(parameter.name, chosen):
                chosen[parameter.name] = wanted.get(parameter.name, parameter.default)
        return tuple(chosen.items())

    def feasible(self, point: Point) -> bool:  # noqa: ARG002
        return True

    def cost(self, point: Point) -> float:  # noqa: ARG002
        return 1.0

    def marginal(self, drawn: Iterable[Point]) -> Callable[[Point], float]:  # noqa: ARG002
        return self.cost

    def points(self) -> Iterator[Point]:
        return self._completed({}, 0)

    def _completed(self, chosen: dict[str, int], position: int) -> Iterator[Point]:
        if position == len(self.parameters):
            yield tuple(chosen.items())
            return
        parameter = self.parameters[position]
        if not self._met(parameter.name, chosen):
            yield from self._completed(chosen, position + 1)
            return
        for option in range(len(parameter.options)):
            yield from self._completed(chosen | {parameter.name: option}, position + 1)

    def _met(self, name: str, chosen: Mapping[str, int]) -> bool:
        condition = self._conditions[name]
        return condition is None or (condition.on in chosen and chosen[condition.on] not in condition.without)


def levels(distribution: BaseDistribution) -> tuple[Any, ...]:
    """The values that stand for a distribution, in order."""
    match distribution:
        case CategoricalDistribution(choices=choices):
            return tuple(choices)
        case IntDistribution(low=low, high=high, step=step, log=log):
            if (high - low) // step < _FEW:
                return tuple(range(low, high + 1, step))
            spread = _spread(low, high, log)
            return tuple(dict.fromkeys(low + round((value - low) / step) * step for value in spread))
        case FloatDistribution(low=low, high=high, step=step, log=log):
            if low == high:
                return (low,)
            if step is not None and (high - low) / step < _FEW:
                return tuple(low + i * step for i in range(round((high - low) / step) + 1))
            spread = _spread(low, high, log)
            return spread if step is None else tuple(low + round((value - low) / step) * step for value in spread)
        case _:
            raise TypeError(f"the distribution `{distribution}` is not one of Optuna's")


def nearest_level(distribution: BaseDistribution, value: Any) -> int:
    """The position of the level that stands for a value."""
    stands = levels(distribution)
    match distribution:
        case CategoricalDistribution():
            return int(distribution.to_internal_repr(value))
        case IntDistribution(log=True) | FloatDistribution(log=True):
            return int(np.abs(np.log(stands) - np.log(value)).argmin())
        case _:
            return int(np.abs(np.array(stands) - value).argmin())


def _spread(low: float, high: float, log: bool) -> tuple[float, ...]:
    values = np.geomspace(low, high, _LEVELS) if log else np.linspace(low, high, _LEVELS)
    return tuple(np.clip(values, low, high).tolist())


def _parameter(name: str, distribution: BaseDistribution, default: int) -> Parameter:
    values = levels(distribution)
    ordered = not isinstance(distribution, CategoricalDistribution)
    options = tuple(str(value) for value in values)
    return Parameter(name, options, values if ordered else options, default, ordered=ordered)


def _condition(name: str, earlier: Sequence[str], taken: Sequence[Mapping[str, int]]) -> _Condition | None:
    have = [trial for trial in taken if name in trial]
    lack = [trial for trial in taken if name not in trial]
    if not lack:
        return None
    for other in earlier:
        if all(other in trial for trial in have):
            without = frozenset(trial[other] for trial in lack if other in trial)
            if without.isdisjoint(trial[other] for trial in have):
                return _Condition(other, without)
    return None
