"""A folder with a model in it: whether it is whole, and what its files say. Reads headers, never weights."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pnyx.runtime.errors import ModelNotFound

__all__ = ["check_folder", "context_of", "parameters_of", "weight_bytes"]

_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")
_CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_sequence_length", "seq_length")
_HEADER_LIMIT = 100_000_000


def check_folder(folder: Path, *, name: str, help: str) -> None:
    """Raises ModelNotFound, naming everything that is missing or broken, where the folder holds no usable model."""
    faults = []
    try:
        _config(folder)
    except FileNotFoundError:
        faults.append("it has no `config.json`")
    except (OSError, ValueError, RecursionError) as error:
        faults.append(f"its `config.json` cannot be read ({error})")
    faults += _weight_faults(folder)
    if not any((folder / tokenizer).is_file() for tokenizer in _TOKENIZERS):
        faults.append("it has no tokenizer (`tokenizer.json`)")
    if faults:
        raise ModelNotFound(f"there is no whole model in `{name}`: {'; '.join(faults)}", help=help)


def context_of(folder: Path) -> int | None:
    """Tokens that fit, as `config.json` says; None where it does not."""
    try:
        config = _config(folder)
    except (OSError, ValueError, RecursionError):
        return None
    nested = config.get("text_config")
    levels: tuple[dict[str, object], ...] = (config, nested if isinstance(nested, dict) else {})
    values = (level.get(key) for level in levels for key in _CONTEXT_KEYS)
    return next((value for value in values if isinstance(value, int)), None)


def parameters_of(folder: Path) -> int | None:
    """Number of weights, counted from the headers of the safetensors files; None without them, or where weights are
    quantised (several of them share one stored number)."""
    try:
        files = sorted(folder.glob("*.safetensors"))
        if not files or "quantization_config" in _config(folder):
            return None
        shapes: list[list[int]] = [tensor["shape"] for file in files for tensor in _tensors(file)]
        return sum(math.prod(shape) for shape in shapes)
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return None


def weight_bytes(folder: Path) -> int:
    """The size of the files with the weights."""
    files = list(folder.glob("*.safetensors")) or folder.glob("pytorch_model*.bin")
    return sum(file.stat().st_size for file in files)


def _config(folder: Path) -> dict[str, Any]:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if not isinstance(config, dict):
        raise ValueError("not a JSON object")
    return config


def _weight_faults(folder: Path) -> Iterator[str]:
    files = sorted(folder.glob("*.safetensors"))
    if not files and not any(folder.glob("pytorch_model*.bin")):
        yield "it has no weights (`*.safetensors`)"
    for file in files:
        try:
            end = max((tensor["data_offsets"][1] for tensor in _tensors(file)), default=0)
            with file.open("rb") as stream:
                whole = 8 + int.from_bytes(stream.read(8), "little") + end == file.stat().st_size
        except (OSError, ValueError, RecursionError, KeyError, TypeError, IndexError):
            whole = False
        if not whole:
            yield f"its `{file.name}` is damaged or cut short"
    for index in sorted(folder.glob("*.index.json")):
        try:
            parts = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
            yield f"its `{index.name}` cannot be read"
            continue
        if missing := sorted(str(part) for part in parts if not (folder / str(part)).is_file()):
            yield f"{len(missing)} of {len(parts)} parts of its weights are missing (`{missing[0]}`)"


def _tensors(file: Path) -> list[dict[str, Any]]:
    """The header of a safetensors file: 8 bytes of length, then JSON of each tensor's type, shape and place."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > _HEADER_LIMIT:
            raise ValueError("not a safetensors file")
        header = json.loads(stream.read(length))
    return [tensor for name, tensor in header.items() if name != "__metadata__"]
