"""Whether this engine's ways of running a model give what a plain run gives, tried once when the model is opened."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from pnyx.runtime.engines.transformers.cache import SlotCache, cut_block, joined
from pnyx.runtime.engines.transformers.forward import decode, prefill, prefill_behind
from pnyx.runtime.engines.transformers.loading import LoadedModel
from pnyx.runtime.engines.transformers.prefixes import BLOCK
from pnyx.runtime.errors import EngineFailure

__all__ = ["can_reuse", "check_model"]

_NEAR: Final = 0.2
"""How far two distributions may be apart (sum of the differences) that should be the same but for rounding."""


@torch.inference_mode()
def check_model(loaded: LoadedModel) -> None:
    """Decode two rows of different lengths and compare with a plain run, so that a model that keeps its state or counts
    its positions in another way is refused here instead of talking nonsense later. Raises EngineFailure."""
    prompts = ([5, 9, 4, 8, 6], [7, 3, 5])
    try:
        cache = SlotCache(loaded.device)
        for prompt in prefill(loaded, [tokens[:-1] for tokens in prompts]):
            cache.add(prompt.layers)
        found = decode(loaded, cache, [tokens[-1] for tokens in prompts])
        near = _near(found, torch.stack([prefill(loaded, [tokens])[0].logits for tokens in prompts]))
    except Exception as error:
        raise EngineFailure(f"this engine cannot run such a model: {error}", help="choose another model") from error
    if not near:
        raise EngineFailure(
            "this engine cannot run such a model: token by token it does not give what it gives at once",
            help="choose another model",
        )


@torch.inference_mode()
def can_reuse(loaded: LoadedModel) -> bool:
    """Whether prompts may be computed behind known prefixes, here two of different lengths: not where layers have
    several shapes, or where keys and values are not all that a model keeps of its tokens."""
    prompts = [[3 + 7 * at % 89 for at in range(length)] for length in (BLOCK + 11, 2 * BLOCK + 9)]
    try:
        plain = [prefill(loaded, [tokens])[0] for tokens in prompts]
        prefixes = [
            joined([cut_block(prompt.layers, start, BLOCK) for start in range(0, prompt.length - BLOCK + 1, BLOCK)])
            for prompt in plain
        ]
        behind = prefill_behind(loaded, prompts, prefixes)
    except Exception:  # whatever a model of another make raises, it can be run without
        return False
    return _near(*(torch.stack([prompt.logits for prompt in several]) for several in (behind, plain)))


def _near(found: Tensor, wanted: Tensor) -> bool:
    return bool((found.float().softmax(-1) - wanted.float().softmax(-1)).abs().sum(-1).max() < _NEAR)
