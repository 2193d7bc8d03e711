"""The effect of each choice: how much better or worse a configuration does for taking an option.

It is asked of the surrogate over points that are drawn uniformly, not of the points that were asked: a search asks what
is good, so what the asked points have in common says as much about the search as about the choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from pnyx.runtime.search.results import Effect
from pnyx.runtime.search.space import Parameter, Point
from pnyx.runtime.search.strategies.surrogate import Surrogate

__all__ = ["UNIFORM_POINTS", "choice_effects"]

UNIFORM_POINTS: Final = 400
_Z: Final = 1.959963984540054


def choice_effects(
    parameters: Sequence[Parameter], surrogate: Surrogate, uniform: Sequence[Point]
) -> tuple[Effect, ...]:
    """For each option the mean score of the uniform points that take it, less that of all which meet the choice, with a
    95 % interval. Options that none of them takes are left out, and so are choices with one option."""
    if not uniform:
        return ()
    means = surrogate.posterior(uniform).means
    covariance = surrogate.covariance(uniform)
    met = [dict(point) for point in uniform]
    found = []
    for parameter in parameters:
        meeting = np.array([parameter.name in point for point in met])
        taking = [np.array([p.get(parameter.name) == i for p in met]) for i in range(len(parameter.options))]
        if sum(bool(column.any()) for column in taking) < 2:
            continue
        for option, column in zip(parameter.options, taking, strict=True):
            if column.any():
                weights = column / column.sum() - meeting / meeting.sum()
                effect = float(weights @ means)
                reach = _Z * float(np.sqrt(max(0.0, weights @ covariance @ weights)))
                found.append(Effect(parameter.name, option, effect, (effect - reach, effect + reach)))
    return tuple(found)
