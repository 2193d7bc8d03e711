"""Where the files of a model lie on this machine. Never asks the network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from pnyx.runtime.errors import ModelNotFound, RuntimeFailure
from pnyx.runtime.models import cache, hub
from pnyx.runtime.models.folder import check_folder, context_of, parameters_of
from pnyx.runtime.models.progress import Progress
from pnyx.runtime.models.pull import gguf_folder, pull
from pnyx.runtime.models.reference import Folder, GgufFile, HubName, Registered, refer
from pnyx.runtime.models.registry import RegistryEntry

__all__ = ["ModelFacts", "ModelFiles", "facts", "find"]


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """`folder` holds `config.json`, weights and tokenizer. `parameters` in weights, `context` in tokens."""

    id: str
    folder: Path
    parameters: int | None = None
    context: int | None = None


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What can be said of a model without loading it; None where its files are not here or do not say."""

    parameters: int | None = None
    context: int | None = None


def find(id: str, *, progress: Progress | None = None) -> ModelFiles:
    """The files of a model: a registered name that was pulled, a local folder, a `.gguf` file (converted now where it
    was not before), or a hub name that was downloaded. Raises ModelNotFound with the way to get it."""
    match refer(id):
        case Registered(entry):
            return _registered(entry)
        case Folder(path):
            check_folder(path, name=id, help="give the folder of a whole model, as `save_pretrained` writes it")
            return _files(id, path)
        case GgufFile(path):
            return _files(id, pull(str(path), progress=progress))
        case HubName(name):
            return _on_hub(name)
        case other:
            assert_never(other)


def facts(id: str) -> ModelFacts:
    """Never raises, converts nothing."""
    try:
        match refer(id):
            case Registered(entry):
                return ModelFacts(entry.parameters, entry.context)
            case Folder(path):
                folder: Path | None = path
            case GgufFile(path):
                folder, _ = gguf_folder(path)
            case HubName(name):
                folder = hub.cached(name)
            case other:
                assert_never(other)
    except RuntimeFailure:
        return ModelFacts()
    return ModelFacts(parameters_of(folder), context_of(folder)) if folder else ModelFacts()


def _registered(entry: RegistryEntry) -> ModelFiles:
    folder = cache.model_folder(entry.name)
    if cache.read_manifest(folder):
        return ModelFiles(entry.name, folder, entry.parameters, entry.context)
    state = "is damaged" if folder.exists() else "has not been pulled yet"
    raise ModelNotFound(f"the model `{entry.name}` {state}", help=f"run `pnyx models pull {entry.name}`")


def _on_hub(name: str) -> ModelFiles:
    help = f"run `pnyx models pull {name}`"
    folder = hub.cached(name)
    if folder is None:
        raise ModelNotFound(f"the model `{name}` is not on this machine", help=help)
    check_folder(folder, name=name, help=help)
    return _files(name, folder)


def _files(id: str, folder: Path) -> ModelFiles:
    return ModelFiles(id, folder, parameters_of(folder), context_of(folder))
