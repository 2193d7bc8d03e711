"""Measures of pools, against values worked out in other ways; and the arithmetic of single values."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import comb, isfinite, log
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pnyx.compiler.operators import Compute, Constant, FieldOf, Measure, MeasureKind, Operator
from pnyx.runtime.candidates import Candidate, FieldValue, Pool
from pnyx.runtime.operators import IMPLEMENTATIONS, Example, Scope, Step
from pnyx.runtime.question import checked

SCOPE = Scope(Example(checked("Q?"), 0), "", ())
Single = FieldValue | None


def given_value(operator: Operator, *values: object) -> object:
    step = Step(1, operator, (), "s", "label", None)
    return IMPLEMENTATIONS[type(operator)](step)(SCOPE, values)


def pool(*values: Single, field: str = "answer") -> Pool:
    return tuple(
        Candidate(str(i), MappingProxyType({} if value is None else {field: value})) for i, value in enumerate(values)
    )


def measured(what: MeasureKind, *values: Single, window: int = 1) -> object:
    return given_value(Measure(what=what, window=window), pool(*values))


def votes(*sizes: int) -> list[str]:
    return [f"a{group}" for group, size in enumerate(sizes) for _ in range(size)]


def computed(symbol: str, *values: Single) -> object:
    return given_value(Compute(symbol=symbol), *values)  # type: ignore[arg-type]


def test_size_counts_every_candidate() -> None:
    assert measured(MeasureKind.SIZE, "1", None, "1") == 3


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (MeasureKind.SIZE, 0), (MeasureKind.AGREEMENT, 0.0), (MeasureKind.ENTROPY, 0.0), (MeasureKind.CERTAINTY, 0.0),
        (MeasureKind.BETA, 0.5), (MeasureKind.DIRICHLET, 0.5), (MeasureKind.WINDOW, 0.0), (MeasureKind.MEAN, None),
        (MeasureKind.LEAST, None), (MeasureKind.GREATEST, None), (MeasureKind.TOTAL, 0.0), (MeasureKind.ALL, True),
        (MeasureKind.ANY, False),
    ],
)  # fmt: skip
def test_measures_of_nothing(what: MeasureKind, expected: object) -> None:
    assert measured(what) == expected
    if what is not MeasureKind.SIZE:  # candidates without the field do not count
        assert measured(what, None, None) == expected


def test_every_measure_is_tried_on_nothing() -> None:
    assert len(MeasureKind) == 13


@pytest.mark.parametrize(("sizes", "expected"), [((3, 1, 1), 0.4096), ((5,), 1.0), ((1, 1, 1, 1, 1), 0.0)])
def test_certainty_of_certaindex(sizes: tuple[int, ...], expected: float) -> None:
    assert measured(MeasureKind.CERTAINTY, *votes(*sizes)) == pytest.approx(expected, abs=5e-5)


def test_agreement_and_entropy() -> None:
    assert measured(MeasureKind.AGREEMENT, "a", "b", "a", None, "a") == 0.75
    assert measured(MeasureKind.ENTROPY, "a", "b", None) == pytest.approx(log(2))


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [((3,), 0.9375), ((4,), 0.9688), ((5, 1), 0.9375), ((6, 1), 0.9648), ((7, 2), 0.9453), ((8, 2), 0.9673)],
)
def test_confidence_of_adaptive_consistency(sizes: tuple[int, ...], expected: float) -> None:
    assert measured(MeasureKind.BETA, *votes(*sizes)) == pytest.approx(expected, abs=5e-5)


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_majority_of_two_is_the_integral_of_the_beta_density(first: int, second: int) -> None:
    """x^a (1 - x)^b from 1/2 to 1, multiplied out."""
    first, second = max(first, second), min(first, second)
    terms = [(-1) ** k * comb(second, k) * Fraction(1 - Fraction(1, 2 ** (first + k + 1)), first + k + 1)
             for k in range(second + 1)]  # fmt: skip
    whole = [(-1) ** k * comb(second, k) * Fraction(1, first + k + 1) for k in range(second + 1)]
    assert measured(MeasureKind.BETA, *votes(first, second)) == pytest.approx(float(sum(terms) / sum(whole)), abs=1e-15)


def largest_of(*sizes: int) -> float:
    """P(the first of Gamma(v + 1) variables is the largest), exactly: the integral of its density times the product of
    1 - exp(-x) (1 + x + … + x^v / v!), multiplied out."""
    factorial = [1]
    for m in range(1, 100):
        factorial.append(factorial[-1] * m)
    total = Fraction(0)
    choices = [[None, *range(size + 1)] for size in sizes[1:]]
    for picked in product(*choices):
        powers = [m for m in picked if m is not None]
        sign = (-1) ** len(powers)
        power = sizes[0] + sum(powers)
        below = factorial[sizes[0]]
        for m in powers:
            below *= factorial[m]
        total += Fraction(sign * factorial[power], below * (1 + len(powers)) ** (power + 1))
    return float(total)


@pytest.mark.parametrize("sizes", [(1, 1, 1), (3, 1, 1), (5, 2, 1), (4, 4, 2), (9, 1, 1, 1), (2, 2, 2, 2), (12, 8, 3)])
def test_dirichlet_confidence(sizes: tuple[int, ...]) -> None:
    assert measured(MeasureKind.DIRICHLET, *votes(*sizes)) == pytest.approx(largest_of(*sizes), abs=1e-12)


def test_dirichlet_confidence_of_equal_groups_is_shared_out() -> None:
    for groups, each in ((3, 40), (7, 1), (30, 2)):
        assert measured(MeasureKind.DIRICHLET, *votes(*[each] * groups)) == pytest.approx(1 / groups, abs=1e-12)


def test_dirichlet_confidence_of_two_groups_is_the_beta_confidence() -> None:
    for sizes in ((1,), (5, 1), (8, 2)):
        values = votes(*sizes)
        assert measured(MeasureKind.DIRICHLET, *values) == measured(MeasureKind.BETA, *values)


def test_dirichlet_confidence_of_many_votes() -> None:
    assert measured(MeasureKind.DIRICHLET, *votes(900, 50, 50)) == pytest.approx(1.0)
    assert 0.5 < float(str(measured(MeasureKind.DIRICHLET, *votes(410, 400, 190)))) < 0.7


def test_window_agreement_looks_at_the_last_values() -> None:
    answers = ("a", "b", "c", "b", None, "b")
    for window, share in ((1, 1.0), (2, 1 / 2), (3, 2 / 3), (4, 2 / 4), (5, 3 / 5), (6, 3 / 6), (7, 0.0)):
        assert measured(MeasureKind.WINDOW, *answers, window=window) == pytest.approx(share)
    assert measured(MeasureKind.WINDOW, "a", None, window=1) == 0.0


def test_numbers_are_summed_up_and_texts_are_none() -> None:
    values = (3, 0.5, "9", None, True)
    assert measured(MeasureKind.MEAN, *values) == 1.5
    assert measured(MeasureKind.LEAST, *values) == 0.5
    assert measured(MeasureKind.GREATEST, *values) == 3.0
    assert measured(MeasureKind.TOTAL, *values) == 4.5
    assert measured(MeasureKind.TOTAL, 10**400, 1) == pytest.approx(1.797e308, rel=1e-3)


def test_all_and_any_see_those_that_have_the_field() -> None:
    assert [measured(MeasureKind.ALL, *values) for values in ((True, None), (True, False))] == [True, False]
    assert [measured(MeasureKind.ANY, *values) for values in ((True, False), (None, False))] == [True, False]


# Single values


@pytest.mark.parametrize(
    ("symbol", "values", "expected"),
    [
        ("+", (1, 2), 3), ("-", (1, 2.5), -1.5), ("*", (3, 4), 12), ("/", (1, 4), 0.25), ("//", (7, 2), 3),
        ("%", (7, 4), 3), ("-", (5,), -5), ("+", ("a", "b"), "ab"), ("/", (1, 0), None), ("//", (1, 0), None),
        ("%", (1.0, 0), None), ("+", (1, None), None), ("-", (None,), None), ("-", ("a",), None), ("+", (1, "a"), None),
        ("*", ("a", "b"), None), ("+", (True, 1), None), ("*", (2**62, 4), None), ("*", (1e300, 1e300), None),
        ("*", (10**18, 1.5), 1.5e18), ("/", (2**62, 2), 2.0**61), ("-", (-(2**63),), None),
        ("==", (1, 1.0), True), ("==", ("a", "a"), True), ("==", (1, "1"), False), ("!=", (1, "1"), True),
        ("==", (True, 1), False), ("!=", (True, False), True), ("==", (None, None), False), ("!=", (None, 1), False),
        ("<", (1, 2), True), ("<=", (2, 2.0), True), (">", ("b", "a"), True), (">=", (1, 2), False),
        ("<", (1, "a"), False), (">", ("a", 1), False), ("<", (None, 1), False), ("<", (False, True), False),
        ("and", (True, True), True), ("and", (True, None), False), ("and", (1, True), False),
        ("or", (None, True), True),
        ("or", (False, "yes"), False), ("not", (None,), True), ("not", (True,), False), ("not", (False,), True),
    ],
)  # fmt: skip
def test_compute(symbol: str, values: tuple[Single, ...], expected: Single) -> None:
    result = computed(symbol, *values)
    assert result == expected
    assert type(result) is type(expected)


_SINGLE = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


@given(
    st.sampled_from(["+", "-", "*", "/", "//", "%", "==", "!=", "<", "<=", ">", ">=", "and", "or"]), _SINGLE, _SINGLE
)
def test_nothing_that_is_computed_raises_or_is_no_number(symbol: str, left: Single, right: Single) -> None:
    result = computed(symbol, left, right)
    assert result is None or isinstance(result, bool | str) or isfinite(float(str(result)))


def test_texts_do_not_grow_without_end() -> None:
    text: object = "x" * 500_001
    assert computed("+", text, text) is None  # type: ignore[arg-type]


def test_constants_and_fields() -> None:
    assert given_value(Constant(value="easy")) == "easy"
    field = FieldOf(name="score")
    assert given_value(field, pool(3, field="score")) == 3
    assert given_value(field, pool(None)) is None
    assert given_value(field, ()) is None
