"""The two ways in which the model is run: whole prompts, and one more token for every row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from pnyx.runtime.engines.transformers.cache import TILE, Prefilled, SlotCache
from pnyx.runtime.engines.transformers.loading import LoadedModel
from pnyx.runtime.errors import EngineFailure

__all__ = ["check_model", "decode", "likelihoods", "padded", "prefill"]


def padded(length: int) -> int:
    return -(-length // TILE) * TILE


def prefill(loaded: LoadedModel, prompts: Sequence[Sequence[int]]) -> list[Prefilled]:
    """Run prompts of one padded length as one batch. The padding is on the right, where causal attention keeps it from
    reaching them, and how much of it there is depends on the prompt alone."""
    width = padded(len(prompts[0]))
    ids = torch.tensor([[*prompt, *[0] * (width - len(prompt))] for prompt in prompts], device=loaded.device)
    last = torch.tensor([[len(prompt) - 1] for prompt in prompts], device=loaded.device)
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
    layers = cache.begin_step()
    output = loaded.model(
        input_ids=torch.tensor(tokens, device=loaded.device)[cache.rows, None],
        position_ids=cache.positions[:, None],
        attention_mask=_masks(loaded, cache),
        past_key_values=layers,
        use_cache=True,
    )
    cache.end_step()
    logits: Tensor = output.logits[: len(tokens), -1]
    return logits


def _masks(loaded: LoadedModel, cache: SlotCache) -> Tensor | dict[str, Tensor]:
    """What each row may look at (rows × 1 × 1 × columns): itself and before; by kind where a model mixes kinds."""
    columns, positions = torch.arange(cache.width, device=loaded.device), cache.positions[:, None]
    full = columns <= positions
    masks = {"full_attention": full[:, None, None]}
    if loaded.sliding is not None:
        masks["sliding_attention"] = (full & (columns > positions - loaded.sliding))[:, None, None]
    if len(loaded.kinds) == 1:
        return masks[next(iter(loaded.kinds))]
    return masks


@torch.inference_mode()
def check_model(loaded: LoadedModel) -> None:
    """Decode two rows of different lengths and compare with a plain run, so that a model that keeps its state or counts
    its positions in another way is refused here instead of talking nonsense later. Raises EngineFailure."""
    prompts = ([5, 9, 4, 8, 6], [7, 3, 5])
    try:
        cache = SlotCache(loaded.device)
        for prompt in prefill(loaded, [tokens[:-1] for tokens in prompts]):
            cache.add(prompt)
        found = decode(loaded, cache, [tokens[-1] for tokens in prompts]).float()
        wanted = torch.stack([prefill(loaded, [tokens])[0].logits for tokens in prompts]).float()
        distance = (found.softmax(-1) - wanted.softmax(-1)).abs().sum(-1).max().item()
    except Exception as error:
        raise EngineFailure(f"this engine cannot run such a model: {error}", help="choose another model") from error
    if not distance < 0.2:
        raise EngineFailure(
            "this engine cannot run such a model: token by token it does not give what it gives at once",
            help="choose another model",
        )
