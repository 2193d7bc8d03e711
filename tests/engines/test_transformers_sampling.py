"""Drawing tokens: the distribution that comes out, row by row."""

import math

import pytest
import torch

from pnyx.compiler.operators import Sampling
from pnyx.runtime.engines.transformers.sampling import draw, log_probabilities, overflowed, uniform_stream

GRID = [(i + 0.5) / 2000 for i in range(2000)]


def frequencies(logits, **settings):
    """Share of each token when the random number runs evenly over [0, 1): the distribution itself."""
    rows = torch.tensor(logits).expand(len(GRID), -1)
    tokens = draw(rows, [Sampling(**settings)] * len(GRID), GRID)
    return [tokens.count(token) / len(GRID) for token in range(len(logits))]


def softmax(logits, temperature=1.0):
    weights = [math.exp(logit / temperature) for logit in logits]
    return [weight / sum(weights) for weight in weights]


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_tokens_come_as_often_as_they_are_likely(temperature):
    logits = [0.1, -2.0, 1.7, 0.9, -0.4]
    expected = softmax(logits, temperature)
    assert frequencies(logits, temperature=temperature) == pytest.approx(expected, abs=1.1e-3)


def test_a_nucleus_keeps_the_likeliest_tokens_and_their_proportions():
    probabilities = [0.05, 0.4, 0.1, 0.3, 0.15]
    logits = [math.log(p) for p in probabilities]
    kept = frequencies(logits, temperature=1.0, top_p=0.8)
    assert kept == pytest.approx([0, 0.4 / 0.85, 0, 0.3 / 0.85, 0.15 / 0.85], abs=1.1e-3)
    assert frequencies(logits, temperature=1.0, top_p=0.01) == [0, 1, 0, 0, 0]


def test_a_nucleus_wider_than_the_head():
    """All tokens equally likely: nine tenths of them are kept, far more than are looked at first."""
    size = 1000
    tokens = draw(torch.zeros(len(GRID), size), [Sampling(temperature=1.0, top_p=0.9)] * len(GRID), GRID)
    assert len(set(tokens)) == pytest.approx(900, abs=2)


def test_the_likeliest_tokens_alone():
    probabilities = [0.05, 0.4, 0.1, 0.3, 0.15]
    logits = [math.log(p) for p in probabilities]
    two = pytest.approx([0, 0.4 / 0.7, 0, 0.3 / 0.7, 0], abs=1.1e-3)
    assert frequencies(logits, temperature=1.0, top_k=2) == two
    assert frequencies(logits, temperature=1.0, min_p=0.7) == two
    assert frequencies(logits, temperature=1.0, top_k=1) == frequencies(logits, temperature=1.0, min_p=1.0)
    assert frequencies(logits, temperature=1.0, top_k=99) == frequencies(logits, temperature=1.0)
    # The nucleus is of what the others leave: 0.4 of 0.7 is more than half of it, though not of all.
    assert frequencies(logits, temperature=1.0, top_k=2, top_p=0.55) == [0, 1, 0, 0, 0]
    assert frequencies(logits, temperature=1.0, min_p=0.7, top_p=0.55) == [0, 1, 0, 0, 0]
    assert frequencies(logits, temperature=1.0, top_p=0.55) != [0, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({"top_k": 256}, 256),
        ({"top_k": 255}, 255),
        ({"top_k": 257}, 257),
        ({"top_k": 600}, 600),
        ({"top_k": 600, "top_p": 0.5}, 300),
        ({"min_p": 0.5}, 700),
        ({"min_p": 0.5, "top_p": 0.5}, 350),
        ({"min_p": 0.5, "top_k": 300}, 300),
        ({"top_k": 5000, "min_p": 0.0001}, 1000),
    ],
)
def test_cuts_wider_than_the_head(settings, kept):
    """700 tokens are equally likely, and 300 others three times less so."""
    logits = torch.tensor([0.0] * 700 + [-math.log(3)] * 300)
    numbers = [(i + 0.5) / 8000 for i in range(8000)]
    tokens = draw(logits.expand(8000, -1), [Sampling(temperature=1.0, **settings)] * 8000, numbers)
    assert len(set(tokens)) == pytest.approx(kept, abs=1)


def test_what_is_barred_is_not_drawn_and_counts_for_the_probabilities():
    logits = torch.tensor([2.0, 1.0, 0.0]).expand(4, -1)
    settings = [Sampling(temperature=0.0), Sampling(temperature=0.0), Sampling(temperature=1.0), Sampling(top_p=0.1)]
    tokens = draw(logits, settings, [0.0] * 4, ([1, 2, 3], [0]))
    assert tokens == [0, 1, 1, 1]
    expected = [math.log(p) for p in softmax([2.0, 1.0, 0.0])]
    assert log_probabilities(logits, tokens) == pytest.approx([expected[token] for token in tokens], abs=1e-5)


def test_every_row_has_its_own_settings():
    logits = torch.tensor([0.0, 3.0, 2.9]).expand(4, -1)
    settings = [
        Sampling(temperature=0.0),
        Sampling(temperature=1.0),
        Sampling(temperature=1.0, top_p=0.3),
        Sampling(temperature=1e-9),
    ]
    assert draw(logits, settings, [0.999, 0.999, 0.999, 0.999]) == [1, 2, 1, 1]


def test_a_row_sees_no_other():
    torch.manual_seed(3)
    logits, numbers = torch.randn(12, 700) * 3, [i / 12 for i in range(12)]
    settings = [
        Sampling(
            temperature=0.4 * (i % 4),
            top_p=(1.0, 0.5, 0.95)[i % 3],
            top_k=(None, 400)[i % 2],
            min_p=0.01 * (i % 5 == 0),
        )
        for i in range(12)
    ]
    together = draw(logits, settings, numbers)
    for row in range(12):
        assert draw(logits[row : row + 1], settings[row : row + 1], numbers[row : row + 1]) == [together[row]]


def test_a_token_without_probability_is_never_drawn():
    logits = torch.tensor([[-math.inf, 0.0, -math.inf, 0.0, -math.inf]] * 3)
    for settings in ({}, {"top_p": 0.99}, {"top_k": 4}, {"min_p": 0.1}):
        tokens = draw(logits, [Sampling(temperature=1.0, **settings)] * 3, [0.0, 0.5, 1 - 2**-53])
        assert set(tokens) <= {1, 3}


@pytest.mark.parametrize("size", [255, 256, 257, 700, 1024])
def test_every_token_of_a_large_vocabulary_comes_in_its_turn(size):
    """Probabilities are summed in runs: at their edges, and in a last run that is not whole, none is passed over."""
    settings = [Sampling(temperature=1.0)] * size
    assert draw(torch.zeros(size, size), settings, [(i + 0.5) / size for i in range(size)]) == [*range(size)]
    torch.manual_seed(size)
    logits, numbers = torch.randn(size, size) * 4, torch.rand(size, dtype=torch.float64)
    cumulative = logits.double().softmax(-1).cumsum(-1)
    expected = (cumulative <= numbers[:, None] * cumulative[:, -1:]).sum(-1)
    found = torch.tensor(draw(logits, settings, numbers.tolist()))
    assert (found != expected).float().mean() < 0.01  # where a number falls next to a bound that float32 has moved
    assert (found - expected).abs().max() <= 1


def test_a_number_near_one_is_a_token_that_has_a_probability():
    logits = torch.full((1, 1000), -math.inf)
    logits[0, [3, 255, 700]] = 0.0
    assert draw(logits, [Sampling(temperature=1.0)], [1 - 2**-53]) == [700]
    assert draw(logits, [Sampling(temperature=1.0)], [0.0]) == [3]
    assert draw(logits, [Sampling(temperature=1.0)], [2 / 3 - 1e-9]) == [255]


@pytest.mark.parametrize("settings", [{"temperature": 0.0}, {}, {"top_p": 0.9}, {"top_k": 2}, {"min_p": 0.2}])
@pytest.mark.parametrize("lost", [(math.nan,) * 3, (0.0, math.nan, 1.0), (0.0, math.inf, 1.0), (-math.inf,) * 3])
def test_numbers_that_overflowed_show(settings, lost):
    logits = torch.tensor([lost, (0.0, -math.inf, 1.0)])
    assert overflowed(logits) == [True, False]
    assert all(0 <= token < 3 for token in draw(logits, [Sampling(**settings)] * 2, [0.5, 0.5]))


@pytest.mark.parametrize("portion", [1, 3, 100])
def test_rows_are_drawn_alike_in_portions_of_any_size(portion, monkeypatch):
    torch.manual_seed(4)
    logits, numbers = torch.randn(10, 600) * 3, [i / 10 for i in range(10)]
    settings = [Sampling(temperature=0.5 * (i % 3), top_p=(1.0, 0.9)[i % 2]) for i in range(10)]
    barred = ([1, 8, 9], [int(logits[9].argmax()), 5])
    expected = draw(logits, settings, numbers, barred)
    monkeypatch.setattr("pnyx.runtime.engines.transformers.sampling._PORTION", portion)
    assert draw(logits, settings, numbers, barred) == expected


def test_streams_depend_on_the_seed_alone():
    first, again, other, negative = (uniform_stream(seed) for seed in (5, 5, 6, -5))
    numbers = [first() for _ in range(5)]
    assert numbers == [again() for _ in range(5)]
    assert numbers != [other() for _ in range(5)]
    assert numbers != [negative() for _ in range(5)]
    assert all(0 <= number < 1 for number in numbers)
