"""Operators that draw candidates: what is drawn how often, and that draws are the run's own."""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pnyx.compiler.operators import Pick, Resample, Scheme, Weights
from pnyx.runtime.candidates import Candidate, Pool
from pnyx.runtime.operators import IMPLEMENTATIONS, Example, Scope, Step
from pnyx.runtime.question import checked


def pool(*scores: float | None) -> Pool:
    return tuple(
        Candidate(f"c{i}", MappingProxyType({"text": str(i)} | ({} if score is None else {"score": score})))
        for i, score in enumerate(scores)
    )


def drawn(operator: Resample | Pick, candidates: Pool, *, seed: int = 0, stream: str = "s", path: str = "") -> Pool:
    step = Step(1, operator, (), stream, "label", None)
    value = IMPLEMENTATIONS[type(operator)](step)(Scope(Example(checked("Q?"), seed), path, ()), (candidates,))
    assert isinstance(value, tuple)
    return value  # type: ignore[return-value]


def counts(result: Pool, size: int) -> list[int]:
    found = Counter(int(c.text) for c in result)
    return [found[i] for i in range(size)]


@pytest.mark.parametrize(
    ("scores", "n", "expected"),
    [
        ((0.9, 0.5, 0.1), 16, [14, 2, 0]),
        ((0.5,) * 5, 16, [4, 3, 3, 3, 3]),
        ((0.9, 0.8, 0.7, 0.6), 3, [2, 1, 0, 0]),
        ((0.1, 0.5, 0.9), 16, [0, 2, 14]),
    ],
)
def test_balanced_is_the_allocation_of_rebase(scores: tuple[float, ...], n: int, expected: list[int]) -> None:
    resample = Resample(n=n, temperature=0.2, scheme=Scheme.BALANCED)
    assert counts(drawn(resample, pool(*scores)), len(scores)) == expected


def test_odds_weigh_as_the_particle_filter_does() -> None:
    """Of .99, .9 and .5, odds take 91, 8 and 1 of a hundred."""
    resample = Resample(n=1000, weights=Weights.ODDS, scheme=Scheme.SYSTEMATIC)
    shares = counts(drawn(resample, pool(0.99, 0.9, 0.5)), 3)
    assert [round(share / 10) for share in shares] == [91, 8, 1]


@pytest.mark.parametrize("scheme", Scheme)
@given(
    scores=st.lists(st.none() | st.floats(0, 1) | st.floats(-1e9, 1e9), min_size=1, max_size=8),
    n=st.integers(1, 30),
    weights=st.sampled_from(Weights),
    temperature=st.sampled_from([0, 0.1, 1, 10]),
    seed=st.integers(0, 99),
)
def test_there_are_n_copies_in_the_order_of_the_pool(
    scheme: Scheme, scores: list[float | None], n: int, weights: Weights, temperature: float, seed: int
) -> None:
    resample = Resample(n=n, weights=weights, temperature=temperature, scheme=scheme)
    result = drawn(resample, pool(*scores), seed=seed)
    assert len(result) == n
    assert [c.key for c in result] == [f"s:{i}" for i in range(n)]
    places = [int(c.text) for c in result]
    assert places == sorted(places)
    assert all(c.fields == pool(*scores)[int(c.text)].fields for c in result)
    if any(score is not None and score > 0 for score in scores):
        assert all("score" in c.fields for c in result)


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=9), st.integers(1, 50), st.integers(0, 99))
def test_systematic_draws_are_within_one_of_their_share(scores: list[float], n: int, seed: int) -> None:
    resample = Resample(n=n, weights=Weights.LINEAR, scheme=Scheme.SYSTEMATIC)
    for got, score in zip(counts(drawn(resample, pool(*scores), seed=seed), len(scores)), scores, strict=True):
        assert abs(got - n * score / sum(scores)) < 1 + 1e-6


def test_equal_weights_keep_every_candidate_under_even_steps() -> None:
    resample = Resample(n=6, scheme=Scheme.SYSTEMATIC)
    assert counts(drawn(resample, pool(*[0.5] * 6), seed=3), 6) == [1] * 6


def test_multinomial_draws_are_independent_and_in_proportion() -> None:
    result = drawn(Resample(n=10_000, weights=Weights.LINEAR), pool(1, 3, 0, None))
    first, second, *rest = counts(result, 4)
    assert rest == [0, 0]
    assert abs(second / first - 3) < 0.2


def test_where_nothing_weighs_all_weigh_alike() -> None:
    for scores in ((None, None), (0, 0), (-1, 0)):
        result = drawn(Resample(n=10, weights=Weights.LINEAR, scheme=Scheme.BALANCED), pool(*scores))
        assert counts(result, 2) == [5, 5]


def test_nothing_is_made_of_nothing() -> None:
    assert drawn(Resample(n=4), ()) == ()
    assert drawn(Pick(k=4), ()) == ()


def test_temperature_0_leaves_the_greatest() -> None:
    assert counts(drawn(Resample(n=4, temperature=0), pool(1, 2, 2)), 3)[0] == 0
    assert [c.text for c in drawn(Pick(k=3, by="score", temperature=0), pool(1, 3, 2))] == ["1", "2", "0"]


@given(st.integers(0, 12), st.integers(1, 14), st.sampled_from([None, "score"]), st.integers(0, 99))
def test_picks_are_different_candidates_that_stay_who_they_are(size: int, k: int, by: str | None, seed: int) -> None:
    candidates = pool(*[i / 4 if i % 3 else None for i in range(size)])
    result = drawn(Pick(k=k, by=by), candidates, seed=seed)
    assert len({c.key for c in result}) == len(result) == min(k, size)
    assert set(map(id, result)) <= set(map(id, candidates))


def test_picks_come_in_the_order_of_the_draws_and_prefer_the_great() -> None:
    firsts = Counter(drawn(Pick(k=1, by="score"), pool(0, 2, None), seed=s)[0].text for s in range(600))
    assert firsts["2"] == 0
    assert 5 < firsts["1"] / firsts["0"] < 11  # e ** 2
    assert {drawn(Pick(k=2), pool(1, 1), seed=s)[0].text for s in range(20)} == {"0", "1"}


def test_draws_depend_on_seed_stream_and_round() -> None:
    resample, candidates = Resample(n=20), pool(*[0.5] * 20)
    usual = [c.text for c in drawn(resample, candidates)]
    assert usual == [c.text for c in drawn(resample, candidates)]
    for other in ({"seed": 1}, {"stream": "t"}, {"path": "round"}):
        assert [c.text for c in drawn(resample, candidates, **other)] != usual  # type: ignore[arg-type]
    assert drawn(resample, candidates, path="round")[0].key == "s@round:0"


def test_draws_stay_what_they_are() -> None:
    """Another rule would silently give every recorded run other draws."""
    assert counts(drawn(Resample(n=10), pool(0, 1, 2, 3), seed=7), 4) == [1, 1, 1, 7]
    assert [c.text for c in drawn(Pick(k=3), pool(0, 1, 2, 3), seed=7)] == ["1", "3", "2"]
