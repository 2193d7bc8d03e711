"""Drawing the next token of every row, each with its own settings and its own random number."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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


def draw(
    logits: Tensor,
    settings: Sequence[Sampling],
    uniforms: Sequence[float],
    barred: tuple[list[int], list[int]] | None = None,
) -> tuple[list[int], list[float]]:
    """Next token and its log-probability for every row of `logits` (rows × vocabulary).

    Inverts each row's cumulative distribution at its number from `uniforms`: one number a row, and no row sees another.
    A nucleus is the smallest set of likeliest tokens with a probability of at least `top_p` together (Holtzman et al.
    2020, arXiv:1904.09751), found after the temperature is applied and, of what is left of the distribution then, after
    `top_k` and `min_p`. `barred`: rows, and tokens that none of them may have. Log-probabilities are those of
    temperature 1 without truncation; NaN where the model gave no finite number.
    """
    logits = logits.float()
    open_ = logits if barred is None else _without(logits, *barred)
    tokens = open_.argmax(dim=-1)
    drawn = [i for i, s in enumerate(settings) if s.temperature >= _GREEDY and not s.greedy]
    cut = [i for i in drawn if settings[i].top_p < 1 or settings[i].top_k is not None or settings[i].min_p > 0]
    plain = [i for i in drawn if i not in set(cut)]
    if plain:
        tokens[plain] = _invert(*_warm(open_, plain, settings, uniforms))
    if cut:
        probabilities, numbers = _warm(open_, cut, settings, uniforms)
        cuts = _Cuts.of(probabilities, [settings[i] for i in cut])
        tokens[cut] = _invert_cut(probabilities, numbers, cuts, _HEAD)
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


@dataclass(frozen=True, slots=True)
class _Cuts:
    """Of every row, what cuts its tail off."""

    top_p: Tensor
    top_k: Tensor
    min_p: Tensor

    @classmethod
    def of(cls, probabilities: Tensor, settings: Sequence[Sampling]) -> _Cuts:
        size = probabilities.shape[-1]
        return cls(
            probabilities.new_tensor([s.top_p for s in settings], dtype=torch.float64),
            probabilities.new_tensor([min(s.top_k or size, size) for s in settings], dtype=torch.long),
            probabilities.new_tensor([s.min_p for s in settings]),
        )

    def rows(self, which: Tensor) -> _Cuts:
        return _Cuts(self.top_p[which], self.top_k[which], self.min_p[which])


def _invert_cut(probabilities: Tensor, numbers: Tensor, cuts: _Cuts, head: int) -> Tensor:
    """Among the `head` likeliest tokens; for rows whose cut is not in there, among all."""
    size = probabilities.shape[-1]
    values, order = probabilities.topk(min(head, size), dim=-1)
    width = values.shape[-1]
    cumulative = values.cumsum(dim=-1, dtype=torch.float64)
    likely = (values >= cuts.min_p[:, None] * values[:, :1]).sum(dim=-1)
    kept = likely.minimum(cuts.top_k).clamp(min=1)  # none are likely where the numbers overflowed
    mass = cumulative.gather(-1, kept[:, None] - 1)[:, 0].where(kept < size, torch.ones_like(cuts.top_p))
    undecided = (kept == width) & (cuts.top_k > width)  # where the cut of these two lies further behind, if anywhere
    whole = undecided & (cuts.top_k == size) & (cuts.min_p == 0)
    bounds = cuts.top_p * mass.where(~whole, torch.ones_like(mass))
    last = (cumulative < bounds[:, None]).sum(dim=-1).minimum(kept - 1)[:, None]
    targets = numbers[:, None] * cumulative.gather(-1, last)
    chosen = torch.searchsorted(cumulative, targets, right=True).minimum(last)
    tokens = order.gather(-1, chosen)[:, 0]
    if width < size:
        wide = (undecided & ~(whole & (cumulative[:, -1] >= bounds))).nonzero()[:, 0]
        if len(wide):
            tokens[wide] = _invert_cut(probabilities[wide], numbers[wide], cuts.rows(wide), size)
    return tokens


def _without(logits: Tensor, rows: list[int], tokens: list[int]) -> Tensor:
    known = [token for token in tokens if token < logits.shape[-1]]  # a tokenizer may have more than the model
    left = logits.clone()
    left[torch.tensor(rows)[:, None], torch.tensor(known, dtype=torch.long)] = -torch.inf
    return left
