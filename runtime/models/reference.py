"""What the id of a model refers to: a registered name, a folder, a GGUF file, or a name on the Hugging Face hub.

Tried in that order. Looks at names and at whether paths exist; opens no file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from pnyx.compiler.nearest import nearest
from pnyx.runtime.errors import ModelNotFound
from pnyx.runtime.models.registry import REGISTRY, RegistryEntry

__all__ = ["Folder", "GgufFile", "HubName", "Reference", "Registered", "refer"]

_HUB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}")


@dataclass(frozen=True, slots=True)
class Registered:
    entry: RegistryEntry


@dataclass(frozen=True, slots=True)
class Folder:
    path: Path


@dataclass(frozen=True, slots=True)
class GgufFile:
    path: Path


@dataclass(frozen=True, slots=True)
class HubName:
    name: str


Reference: TypeAlias = Registered | Folder | GgufFile | HubName


def refer(id: str) -> Reference:
    """Raises ModelNotFound where `id` is none of these."""
    if entry := REGISTRY.get(id):
        return Registered(entry)
    try:
        path = Path(id).expanduser()
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelNotFound(f"{id[:200]!r} is not the name of a model: {error}", help=_known()) from None
    is_hub_name = _HUB_NAME.fullmatch(id) is not None and not id.endswith(".gguf")
    if is_folder and id.strip() and ((path / "config.json").is_file() or not is_hub_name):
        return Folder(path)
    if is_file:
        return _file(id, path)
    if is_hub_name:
        return HubName(id)
    raise _unknown(id)


def _file(id: str, path: Path) -> GgufFile:
    if path.suffix.lower() == ".gguf":
        return GgufFile(path)
    raise ModelNotFound(
        f"`{id}` is a file, but not a GGUF file",
        help="give the folder that holds `config.json`, or a `.gguf` file",
    )


def _unknown(id: str) -> ModelNotFound:
    if "/" in id or "\\" in id or id.startswith(("~", ".")) or id.endswith(".gguf"):
        return ModelNotFound(f"there is no model at `{id}`", help=f"the path starts from `{Path.cwd()}`; {_known()}")
    near = nearest(id, REGISTRY)
    return ModelNotFound(f"unknown model `{id}`", help=f"did you mean `{near}`?" if near else _known())


def _known() -> str:
    names = ", ".join(f"`{name}`" for name in REGISTRY)
    return f"known by name: {names}; or give a folder, a `.gguf` file, or `org/name` on the Hugging Face hub"
