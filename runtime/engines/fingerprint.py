"""Which weights a folder holds, in a few characters: of two models of one name, the store must not mix the samples."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import Final

__all__ = ["fingerprint"]

_BLOCK: Final = 1 << 16
_PLACES: Final = 16
_WHOLE: Final = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
)


def fingerprint(folder: Path) -> str:
    """Of the settings and the tokenizer as a whole and of the weights in sixteen places: training moves nearly every
    weight, and reading all of a large model takes minutes. The same wherever the folder lies."""
    found = blake2b(digest_size=6)
    for name in _WHOLE:
        file = folder / name
        found.update(b"%s %s" % (name.encode(), blake2b(file.read_bytes()).digest() if file.is_file() else b""))
    for file in sorted((*folder.glob("*.safetensors"), *folder.glob("*.bin"))):
        size = file.stat().st_size
        found.update(b"%s %d" % (file.name.encode(), size))
        with file.open("rb") as weights:
            for place in range(_PLACES):
                weights.seek(max(size - _BLOCK, 0) * place // (_PLACES - 1))
                found.update(weights.read(_BLOCK))
    return found.hexdigest()
