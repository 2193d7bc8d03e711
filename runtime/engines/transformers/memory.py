"""How much the cache may hold, and how to tell that memory has run out."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

__all__ = ["cache_tokens", "out_of_memory"]


def cache_tokens(model: Any, memory: int | None) -> int:
    """Tokens that fit into half of the memory that is free now, and beside the weights into `memory` (bytes) where that
    is said; at least one."""
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    token = 2 * config.num_hidden_layers * heads * size * model.dtype.itemsize
    room = _free(model.device) // 2
    if memory is not None:
        room = min(room, memory - sum(held.nbytes for held in (*model.parameters(), *model.buffers())))
    return max(int(room // token), 1)


def out_of_memory(error: Exception) -> bool:
    """On a CPU torch raises a plain RuntimeError."""
    said = str(error)
    return (
        isinstance(error, (torch.OutOfMemoryError, MemoryError))
        or "can't allocate memory" in said
        or "not enough memory" in said
    )


def _free(device: torch.device) -> int:
    """Bytes."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    with suppress(OSError, StopIteration):  # Linux; what the file cache holds counts as free
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1])
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
