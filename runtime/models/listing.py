"""The rows of `pnyx models list`: what is known by name, and what lies on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pnyx.runtime.models import cache, hub
from pnyx.runtime.models.folder import context_of, parameters_of
from pnyx.runtime.models.registry import REGISTRY

__all__ = ["ModelRow", "listing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """`kind`: known by name, converted from the user's GGUF file, or downloaded from the hub. `size` in bytes on this
    machine's disk, 0 where it was not pulled. `id` is what a program writes; for a GGUF file, the file it came from."""

    id: str
    description: str
    kind: Literal["registry", "gguf", "hub"]
    pulled: bool
    size: int = 0
    folder: Path | None = None
    parameters: int | None = None
    context: int | None = None
    licence: str | None = None


def listing() -> tuple[ModelRow, ...]:
    """The registry first, then the rest of the cache, then the hub's cache, each by name."""
    return (*_registry_rows(), *_gguf_rows(), *_hub_rows())


def _registry_rows() -> list[ModelRow]:
    rows = []
    for entry in sorted(REGISTRY.values(), key=lambda entry: entry.name):
        folder = cache.model_folder(entry.name)
        manifest = cache.read_manifest(folder)
        rows.append(
            ModelRow(
                id=entry.name,
                description=entry.description,
                kind="registry",
                pulled=manifest is not None,
                size=manifest.size if manifest else 0,
                folder=folder if manifest else None,
                parameters=entry.parameters,
                context=entry.context,
                licence=entry.licence,
            )
        )
    return rows


def _gguf_rows() -> list[ModelRow]:
    return [
        ModelRow(
            id=manifest.source,
            description=f"converted from {manifest.id}",
            kind="gguf",
            pulled=True,
            size=manifest.size,
            folder=folder,
            parameters=manifest.parameters,
            context=manifest.context,
        )
        for folder in sorted(cache.models_folder().glob("gguf-*"))
        if (manifest := cache.read_manifest(folder))
    ]


def _hub_rows() -> list[ModelRow]:
    return [
        ModelRow(
            id=name,
            description="from the Hugging Face hub",
            kind="hub",
            pulled=True,
            size=size,
            folder=folder,
            parameters=parameters_of(folder),
            context=context_of(folder),
        )
        for name, folder, size in hub.everything_cached()
    ]
