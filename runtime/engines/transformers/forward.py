"""The ways in which the model is run: whole prompts, what is behind a known prefix, one more token for every row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from pnyx.runtime.engines.transformers.cache import Layers, Prefilled, SlotCache, padded
from pnyx.runtime.engines.transformers.loading import LoadedModel

__all__ = ["decode", "likelihoods", "prefill", "prefill_behind"]


def prefill(loaded: LoadedModel, prompts: Sequence[Sequence[int]]) -> list[Prefilled]:
    """Run prompts of one padded length as one batch. The padding is on the right, where causal attention keeps it from
    reaching them, and how much of it there is depends on the prompt alone."""
    ids, last = _matrix(loaded, prompts)
    cache = DynamicCache()
    output = loaded.model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=last)
    layers: list[Any] = cache.layers
    return [
        Prefilled(
            tuple((layer.keys[row, :, : len(prompt)], layer.values[row, :, : len(prompt)]) for layer in layers),
            output.logits[row, 0],
        )
        for row, prompt in enumerate(prompts)
    ]


def prefill_behind(
    loaded: LoadedModel, prompts: Sequence[Sequence[int]], prefixes: Sequence[Layers]
) -> list[Prefilled]:
    """Like `prefill`, for prompts of which the beginnings are known: `prefixes`, each at least one token shorter than
    its prompt. What is behind them has one padded length."""
    cache = SlotCache(loaded.device)
    lengths = [prefix[0][0].shape[1] for prefix in prefixes]
    ids, last = _matrix(loaded, [prompt[length:] for prompt, length in zip(prompts, lengths, strict=True)])
    cache.reserve(prefixes[0], len(prompts), max(lengths) + ids.shape[1])
    for prefix in prefixes:
        cache.add(prefix)
    logits = _append(loaded, cache, ids, logits_to_keep=last)
    return [Prefilled(cache.row(row, len(prompt)), logits[row, 0]) for row, prompt in enumerate(prompts)]


def _matrix(loaded: LoadedModel, texts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Texts of one padded length (rows × that length), and where each of them ends (rows × 1)."""
    width = padded(len(texts[0]))
    ids = torch.tensor([[*text, *[0] * (width - len(text))] for text in texts], device=loaded.device)
    return ids, torch.tensor([[len(text) - 1] for text in texts], device=loaded.device)


def likelihoods(loaded: LoadedModel, prompt: Prefilled, texts: Sequence[Sequence[int]]) -> list[tuple[float, ...]]:
    """Of texts that may follow one prompt, each token's log-probability. The prompt is not run again."""
    width = max(map(len, texts))
    ids = torch.tensor([[*text, *[0] * (width - len(text))] for text in texts], device=loaded.device)
    first = prompt.logits.expand(len(texts), 1, -1)
    logits = first
    if width > 1:
        cache = DynamicCache()
        for index, (keys, values) in enumerate(prompt.layers):
            cache.update(keys.expand(len(texts), -1, -1, -1), values.expand(len(texts), -1, -1, -1), index)
        output = loaded.model(input_ids=ids[:, :-1], past_key_values=cache, use_cache=True)
        logits = torch.cat([first, output.logits], dim=1)
    found = []
    for row, text in enumerate(texts):
        own = logits[row, : len(text)].float()
        chosen = own.gather(-1, ids[row, : len(text), None])[:, 0] - own.logsumexp(dim=-1)
        found.append(tuple(chosen.clamp(max=0.0).tolist()))
    return found


def decode(loaded: LoadedModel, cache: SlotCache, tokens: Sequence[int]) -> Tensor:
    """Append one token to every row of `cache` and give the logits (rows × vocabulary) after it. Where it raises, the
    cache is as before."""
    return _append(loaded, cache, torch.tensor(tokens, device=loaded.device)[:, None])[: len(tokens), -1]


def _append(loaded: LoadedModel, cache: SlotCache, ids: Tensor, **keep: Tensor) -> Tensor:
    layers = cache.begin_step(ids.shape[1])
    output = loaded.model(
        input_ids=ids[cache.rows],
        position_ids=cache.positions,
        attention_mask=_masks(loaded, cache),
        past_key_values=layers,
        use_cache=True,
        **keep,
    )
    cache.end_step()
    logits: Tensor = output.logits
    return logits


def _masks(loaded: LoadedModel, cache: SlotCache) -> Tensor | dict[str, Tensor]:
    """What each token may look at, itself and before, as what is added to its scores (rows × 1 × new tokens × columns);
    by kind where a model mixes kinds. Not as booleans, which every layer would turn into this again."""
    columns, positions = torch.arange(cache.width, device=loaded.device), cache.positions[:, :, None]
    hidden = columns > positions
    masks = {"full_attention": _added(loaded, hidden)}
    if loaded.sliding is not None:
        masks["sliding_attention"] = _added(loaded, hidden | (columns <= positions - loaded.sliding))
    if len(loaded.kinds) == 1:
        return masks[next(iter(loaded.kinds))]
    return masks


def _added(loaded: LoadedModel, hidden: Tensor) -> Tensor:
    zeros = torch.zeros(hidden.shape, dtype=loaded.model.dtype, device=loaded.device)
    return zeros.masked_fill_(hidden, -torch.inf)[:, None]
