"""`Measure`: what a pool says of itself, as one value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from math import exp, fsum, lgamma, log, prod, sqrt
from types import MappingProxyType

from pnyx.compiler.operators import Measure, MeasureKind
from pnyx.runtime.candidates import FieldValue, Pool
from pnyx.runtime.operators.numbers import real, total
from pnyx.runtime.operators.step import Begin, Step

__all__ = ["prepare_measure"]

# A density below which an integrand adds nothing that a float shows.
_NOTHING = 1e-20


def prepare_measure(step: Step[Measure]) -> Begin:
    what, by, window = step.operator.what, step.operator.by, step.operator.window
    if what is MeasureKind.SIZE:
        return lambda _, values: len(values[0])
    if what is MeasureKind.WINDOW:
        return lambda _, values: _window(values[0], by, window)
    measure = _OF_VALUES[what]
    return lambda _, values: measure(_column(values[0], by))


def _column(pool: Pool, name: str) -> list[FieldValue]:
    """The values of the candidates that have the field."""
    return [c.fields[name] for c in pool if name in c.fields]


def _groups(values: Sequence[FieldValue]) -> list[int]:
    """The sizes of the groups of equal values, largest first."""
    return sorted(Counter(values).values(), reverse=True)


def _agreement(values: Sequence[FieldValue]) -> float:
    return _groups(values)[0] / len(values) if values else 0.0


def _entropy(values: Sequence[FieldValue]) -> float:
    n = len(values)
    return fsum(size / n * log(n / size) for size in _groups(values))


def _certainty(values: Sequence[FieldValue]) -> float:
    n = len(values)
    return 0.0 if n < 2 else (log(n) - _entropy(values)) / log(n)


def _window(pool: Pool, by: str, window: int) -> float:
    """What has no value stands in the window too, and agrees with nothing."""
    if len(pool) < window or by not in pool[-1].fields:
        return 0.0
    last = pool[-1].fields[by]
    return sum(candidate.fields.get(by) == last for candidate in pool[-window:]) / window


def _beta(values: Sequence[FieldValue]) -> float:
    first, second, *_ = [*_groups(values), 0, 0]
    return _majority(first, second)


def _majority(first: int, second: int) -> float:
    """1 - I(1/2; first + 1, second + 1): for integers, P(at most `first` of so many fair coins fall heads), exactly."""
    coins = first + second + 1
    ways, at_most = 1, 0
    for heads in range(first + 1):
        at_most += ways
        ways = ways * (coins - heads) // (heads + 1)
    return at_most / (1 << coins)


def _dirichlet(values: Sequence[FieldValue]) -> float:
    """Shares under a Dirichlet(v + 1) are independent Gamma(v + 1) variables over their sum. So the probability that
    the first is the largest is the integral of its density times the distribution functions of the others. Over the
    logarithm of the variable the integrand falls off fast on both sides, where the trapezoid rule is as good as exact.
    """
    groups = _groups(values)
    if len(groups) < 3:
        return _beta(values)
    first, others = groups[0], Counter(groups[1:])
    step, middle = 0.125 / sqrt(first + 1), log(first + 1)
    factorials = [lgamma(m + 1) for m in range(first + 1)]
    terms = []
    for direction, start in ((1, 0), (-1, 1)):
        for place in count(start):
            at = middle + direction * place * step
            x = exp(at)
            poisson = [exp(m * at - x - factorial) for m, factorial in enumerate(factorials)]
            density = poisson[first] * x
            if density < _NOTHING:
                break
            below = (max(0.0, 1.0 - fsum(poisson[: size + 1])) ** times for size, times in others.items())
            terms.append(density * prod(below))
    return min(1.0, fsum(terms) * step)


def _numbers(values: Sequence[FieldValue]) -> list[float]:
    return [real(value) for value in values if not isinstance(value, str)]


def _mean(values: Sequence[FieldValue]) -> float | None:
    numbers = _numbers(values)
    return total(numbers) / len(numbers) if numbers else None


_OF_VALUES: Mapping[MeasureKind, Callable[[Sequence[FieldValue]], FieldValue | None]] = MappingProxyType(
    {
        MeasureKind.AGREEMENT: _agreement,
        MeasureKind.ENTROPY: _entropy,
        MeasureKind.CERTAINTY: _certainty,
        MeasureKind.BETA: _beta,
        MeasureKind.DIRICHLET: _dirichlet,
        MeasureKind.MEAN: _mean,
        MeasureKind.LEAST: lambda values: min(_numbers(values), default=None),
        MeasureKind.GREATEST: lambda values: max(_numbers(values), default=None),
        MeasureKind.TOTAL: lambda values: total(_numbers(values)),
        MeasureKind.ALL: all,
        MeasureKind.ANY: any,
    }
)
