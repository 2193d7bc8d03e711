"""From a model folder to a model that is ready to run: device, number format, context, end-of-text tokens."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
import transformers

from pnyx.runtime.engines.chat import ChatTokenizer
from pnyx.runtime.errors import ConfigurationError, EngineFailure, ModelNotFound

__all__ = ["LoadedModel", "load"]

_DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_ATTENTION: Final = frozenset({"full_attention", "sliding_attention"})


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """`kinds`: the kinds of attention that the layers use; `sliding`: how many tokens a sliding layer sees, itself
    included."""

    model: Any
    chat: ChatTokenizer
    device: torch.device
    context: int
    parameters: int
    end: frozenset[int]
    kinds: frozenset[str]
    sliding: int | None


def load(folder: Path, *, device: str | None, dtype: str | None) -> LoadedModel:
    """Raises ModelNotFound, ConfigurationError, EngineFailure."""
    if not (folder / "config.json").is_file():
        raise ModelNotFound(
            f"there is no model in `{folder}`: it has no config.json",
            help="give a folder written by `save_pretrained`, or fetch a model with `pnyx models pull`",
        )
    place = _device(device)
    number = _dtype(dtype, place)
    try:
        with _silence():
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
            model: Any = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=number)
        model.to(place).eval()
    except Exception as error:  # on damaged files the libraries raise anything
        raise EngineFailure(
            f"the model in `{folder}` cannot be loaded: {error}",
            help="if its files are damaged, delete the folder and fetch the model again",
        ) from error
    config = model.config.get_text_config()
    return LoadedModel(
        model=model,
        chat=ChatTokenizer(tokenizer),
        device=place,
        context=_context(config, tokenizer),
        parameters=sum(weight.numel() for weight in model.parameters()),
        end=_end_tokens(model, tokenizer),
        kinds=_attention_kinds(config, folder),
        sliding=getattr(config, "sliding_window", None),
    )


def _device(name: str | None) -> torch.device:
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with contextlib.suppress(RuntimeError):
        device = torch.device(name)
        if device.type == "cpu" or (device.type == "cuda" and (device.index or 0) < torch.cuda.device_count()):
            return device
    raise ConfigurationError(f"there is no device `{name}` here", help="use `cpu`, or `cuda` where there is a GPU")


def _dtype(name: str | None, device: torch.device) -> torch.dtype:
    if name is not None:
        if name not in _DTYPES:
            raise ConfigurationError(f"unknown dtype `{name}`", help=f"use one of {', '.join(_DTYPES)}")
        return _DTYPES[name]
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported()
    else:
        features = torch.cpu.get_capabilities()
        native = any(features.get(feature, False) for feature in ("avx512_bf16", "amx_bf16"))
    return torch.bfloat16 if native else torch.float32


def _context(config: Any, tokenizer: Any) -> int:
    """Tokens. A tokenizer without a limit of its own says so with a number of thirty digits."""
    return int(min(getattr(config, "max_position_embeddings", None) or 2048, tokenizer.model_max_length))


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    found = model.generation_config.eos_token_id
    several = found if isinstance(found, list) else [found]
    return frozenset(token for token in (*several, tokenizer.eos_token_id) if token is not None)


def _attention_kinds(config: Any, folder: Path) -> frozenset[str]:
    default = "sliding_attention" if getattr(config, "sliding_window", None) else "full_attention"
    kinds = frozenset(getattr(config, "layer_types", None) or (default,))
    if not kinds <= _ATTENTION:
        raise EngineFailure(
            f"the model in `{folder}` has layers that are not plain attention: {', '.join(sorted(kinds - _ATTENTION))}",
            help="choose a model whose layers are full or sliding-window attention",
        )
    return kinds


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Progress bars and advice of transformers belong on nobody's terminal here."""
    log: Any = transformers.logging
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()
