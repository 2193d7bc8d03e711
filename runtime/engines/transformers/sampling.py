"""Drawing the next token of every row, each with its own settings and its own random number."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor

from pnyx.compiler.operators import Sampling

__all__ = ["draw", "uniform_stream"]

_HEAD: Final = 256
"""Among so many of the likeliest tokens a nucleus is looked for before all are sorted, which takes twenty times as
long."""

_GREEDY: Final = 1e-4
"""Temperatures below are greedy: dividing by them overflows float32."""


def uniform_stream(seed: int) -> Callable[[], float]:
    """Numbers in [0, 1) that depend on `seed` alone, one a token. As text the seed is hashed, so that neighbouring and
    negative seeds give unrelated streams."""
    return random.Random(str(seed)).random


def draw(logits: Tensor, settings: Sequence[Sampling], uniforms: Sequence[float]) -> tuple[list[int], list[float]]:
    """Next token and its log-probability for every row of `logits` (rows × vocabulary).

    Inverts each row's cumulative distribution at its number from `uniforms`: one number a row, and no row sees another.
    A nucleus is the smallest set of likeliest tokens with a probability of at least `top_p` together (Holtzman et al.
    2020, arXiv:1904.09751), found after the temperature is applied. Log-probabilities are those of temperature 1
    without truncation; NaN where the model gave no finite number.
    """
    logits = logits.float()
    tokens = logits.argmax(dim=-1)
    plain = [i for i, s in enumerate(settings) if s.temperature >= _GREEDY and s.top_p >= 1]
    nucleus = [i for i, s in enumerate(settings) if s.temperature >= _GREEDY and s.top_p < 1]
    if plain:
        tokens[plain] = _invert(*_warm(logits, plain, settings, uniforms))
    if nucleus:
        probabilities, numbers = _warm(logits, nucleus, settings, uniforms)
        bounds = probabilities.new_tensor([settings[i].top_p for i in nucleus], dtype=torch.float64)
        tokens[nucleus] = _invert_nucleus(probabilities, numbers, bounds, _HEAD)
    logprobs = logits.gather(-1, tokens[:, None])[:, 0] - logits.logsumexp(dim=-1)
    return tokens.tolist(), logprobs.tolist()


def _warm(
    logits: Tensor, rows: list[int], settings: Sequence[Sampling], uniforms: Sequence[float]
) -> tuple[Tensor, Tensor]:
    temperatures = logits.new_tensor([settings[i].temperature for i in rows])
    numbers = logits.new_tensor([uniforms[i] for i in rows], dtype=torch.float64)
    return (logits[rows] / temperatures[:, None]).softmax(dim=-1), numbers


def _invert(probabilities: Tensor, numbers: Tensor) -> Tensor:
    """Column of each row at which the cumulative probability first exceeds the row's number. float64, because a float32
    sum of 50,000 terms is off by more than the rarest tokens weigh."""
    cumulative = probabilities.cumsum(dim=-1, dtype=torch.float64)
    targets = numbers[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, targets, right=True)[:, 0].clamp(max=probabilities.shape[-1] - 1)


def _invert_nucleus(probabilities: Tensor, numbers: Tensor, bounds: Tensor, head: int) -> Tensor:
    size = probabilities.shape[-1]
    values, order = probabilities.topk(min(head, size), dim=-1)
    cumulative = values.cumsum(dim=-1, dtype=torch.float64)
    last = (cumulative < bounds[:, None]).sum(dim=-1, keepdim=True).clamp(max=values.shape[-1] - 1)
    targets = numbers[:, None] * cumulative.gather(-1, last)
    chosen = torch.searchsorted(cumulative, targets, right=True).minimum(last)
    tokens = order.gather(-1, chosen)[:, 0]
    if head < size:
        wide = (cumulative[:, -1] < bounds).nonzero()[:, 0]
        if len(wide):
            tokens[wide] = _invert_nucleus(probabilities[wide], numbers[wide], bounds[wide], size)
    return tokens
