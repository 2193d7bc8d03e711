"""How much memory a model takes once it is loaded, as far as somebody says so or its files do."""

from __future__ import annotations

from pathlib import Path

from pnyx.runtime.config import EngineOptions
from pnyx.runtime.errors import ConfigurationError
from pnyx.runtime.models.folder import weight_bytes
from pnyx.runtime.store import parse_size

__all__ = ["footprint"]

_WEIGHTS_AND_CACHE = 3
"""The memory of a model of which nobody says how much it takes, in sizes of its weight files: the weights, which may be
loaded in a wider number format, and the cache of keys and values."""


def footprint(model: str, options: EngineOptions, folder: Path | None, memory: int) -> int:
    """Bytes that the loaded `model` takes; what is estimated is at most `memory`, which all may take together. `folder`
    has its files; None where it has none, and takes only what is said. Raises ConfigurationError where the model alone
    is larger than `memory`, or than what is said of it."""
    said = None if options.memory is None else parse_size(options.memory)
    weights = 0 if folder is None else weight_bytes(folder)
    if said is not None and said < weights:
        raise ConfigurationError(
            f"the model `{model}` is said to take {_shown(said)} of memory, and its weights alone take "
            f"{_shown(weights)}",
            help=f"raise `memory` in `[models.{model}]` of pnyx.toml, or leave it out",
        )
    least = weights if said is None else said
    if least > memory:
        what = f"the weights of the model `{model}` take" if said is None else f"the model `{model}` takes"
        raise ConfigurationError(
            f"{what} {_shown(least)}, and all models together may take {_shown(memory)}",
            help="raise `memory` in `[run]` of pnyx.toml, bind a smaller model, or put this one on a server",
        )
    return min(weights * _WEIGHTS_AND_CACHE, memory) if said is None else said


def _shown(size: int) -> str:
    """`6 GB`, `1.5 GB`, `270 MB`."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size} bytes"
