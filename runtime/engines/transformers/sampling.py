"""Drawing the next token of every row, each with its own settings and its own random number."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

from pnyx.compiler.operators import Sampling

__all__ = ["draw", "log_probabilities", "overflowed", "uniform_stream"]

_HEAD: Final = 256
"""Among so many of the likeliest tokens a nucleus is looked for before all are sorted, which takes twenty times as
long."""

_PORTION: Final = 8
"""So many rows are drawn at a time on a CPU, whose caches then hold what that takes."""

_RUN: Final = 256
"""Probabilities are summed in runs of so many, and one by one only in the run in which a number falls."""

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
) -> list[int]:
    """Next token for every row of `logits` (rows × vocabulary).

    Inverts each row's cumulative distribution at its number from `uniforms`: one number a row, and no row sees another.
    A nucleus is the smallest set of likeliest tokens with a probability of at least `top_p` together (Holtzman et al.
    2020, arXiv:1904.09751), found after the temperature is applied and, of what is left of the distribution then, after
    `top_k` and `min_p`. `barred`: rows, and tokens that none of them may have. A row without finite numbers gets some
    token.
    """
    if barred is not None:
        logits = _without(logits, *barred)
    several = _PORTION if logits.device.type == "cpu" else len(settings)
    tokens: list[int] = []
    for start in range(0, len(settings), several):
        rows = slice(start, start + several)
        tokens += _draw(logits[rows].float(), settings[rows], uniforms[rows])
    return tokens


def _draw(logits: Tensor, settings: Sequence[Sampling], uniforms: Sequence[float]) -> list[int]:
    kinds: dict[str, list[int]] = {"greedy": [], "plain": [], "cut": []}
    for i, each in enumerate(settings):
        kinds[_kind(each)].append(i)
    greedy, plain, cut = kinds["greedy"], kinds["plain"], kinds["cut"]
    tokens = torch.empty(len(settings), dtype=torch.long, device=logits.device)
    if greedy:
        tokens[greedy] = _rows(logits, greedy).argmax(dim=-1)
    if plain:
        tokens[plain] = _invert(*_warm(logits, plain, settings, uniforms))
    if cut:
        probabilities, numbers = _warm(logits, cut, settings, uniforms)
        cuts = _Cuts.of(probabilities, [settings[i] for i in cut])
        tokens[cut] = _invert_cut(probabilities, numbers, cuts, _HEAD)
    found: list[int] = tokens.tolist()
    return found


def log_probabilities(logits: Tensor, tokens: Sequence[int]) -> list[float]:
    """Of one token a row, at temperature 1 and without truncation."""
    logits, chosen = logits.float(), torch.tensor(tokens, device=logits.device)[:, None]
    found: list[float] = (logits.gather(-1, chosen)[:, 0] - logits.logsumexp(dim=-1)).tolist()
    return found


def overflowed(logits: Tensor) -> list[bool]:
    """Whether a row gives no probabilities: it holds NaN or infinity, or all of it is minus infinity."""
    found: list[bool] = logits.amax(dim=-1).isfinite().logical_not().tolist()
    return found


def _kind(sampling: Sampling) -> Literal["greedy", "plain", "cut"]:
    if sampling.greedy or sampling.temperature < _GREEDY:
        return "greedy"
    return "cut" if sampling.top_p < 1 or sampling.top_k is not None or sampling.min_p > 0 else "plain"


def _rows(logits: Tensor, rows: list[int]) -> Tensor:
    """A copy only where it is not all of them. `rows` ascends."""
    return logits if len(rows) == len(logits) else logits[rows]


def _warm(
    logits: Tensor, rows: list[int], settings: Sequence[Sampling], uniforms: Sequence[float]
) -> tuple[Tensor, Tensor]:
    temperatures = logits.new_tensor([settings[i].temperature for i in rows])
    numbers = logits.new_tensor([uniforms[i] for i in rows], dtype=torch.float64)
    return (_rows(logits, rows) / temperatures[:, None]).softmax(dim=-1), numbers


def _invert(probabilities: Tensor, numbers: Tensor) -> Tensor:
    """Column of each row at which the cumulative probability first exceeds the row's number. float64, because a float32
    sum of 50,000 terms is off by more than the rarest tokens weigh."""
    size = probabilities.shape[-1]
    missing = -size % _RUN
    runs = (pad(probabilities, (0, missing)) if missing else probabilities).reshape(len(probabilities), -1, _RUN)
    sums = runs.sum(dim=-1, dtype=torch.float64)
    cumulative = sums.cumsum(dim=-1)
    targets = numbers[:, None] * cumulative[:, -1:]
    run = _first_above(cumulative, targets)
    within = runs.gather(1, run[:, :, None].expand(-1, -1, _RUN))[:, 0].cumsum(dim=-1, dtype=torch.float64)
    before = (cumulative - sums).gather(-1, run)
    return (run * _RUN + _first_above(within, targets - before))[:, 0].clamp(max=size - 1)


def _first_above(cumulative: Tensor, targets: Tensor) -> Tensor:
    """Column of each row (rows × 1). A target that rounding put at the end of its row or behind means the last column
    that adds anything."""
    end = cumulative[:, -1:]
    found = torch.searchsorted(cumulative, targets.minimum(end.nextafter(torch.zeros_like(end))), right=True)
    return found.clamp(max=cumulative.shape[-1] - 1)  # NaN is nowhere


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
