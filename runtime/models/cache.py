"""The user's cache of models: `<cache>/models/<key>/`, one folder a model, with a `manifest.json` of what is in it.

Invariants: a folder appears whole or not at all (built beside, then renamed); whoever builds holds the key's lock, so
what an interrupted build left behind is swept by the next one; the manifest is written last.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pnyx.runtime.errors import ModelNotFound
from pnyx.runtime.models.progress import Progress

__all__ = [
    "Manifest", "building", "cache_folder", "check_space", "disk_faults", "install", "model_folder", "models_folder",
    "read_manifest",
]  # fmt: skip

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """`source` says where the weights came from; `checksums` maps what was fetched to its sha256; `sizes` maps the
    files of the folder to their bytes."""

    id: str
    source: str
    checksums: Mapping[str, str]
    parameters: int | None = None
    context: int | None = None
    licence: str | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(self.sizes.values())


def cache_folder() -> Path:
    """`$PNYX_CACHE`, or the platform's cache folder for `pnyx`."""
    if chosen := os.environ.get("PNYX_CACHE"):
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("pnyx")


def models_folder() -> Path:
    return cache_folder() / "models"


def model_folder(key: str) -> Path:
    return models_folder() / key


def read_manifest(folder: Path) -> Manifest | None:
    """None where there is no whole model: no readable manifest, or a file that is missing or of another size."""
    try:
        manifest = Manifest(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
        whole = all((folder / name).stat().st_size == size for name, size in manifest.sizes.items())
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return manifest if whole and manifest.sizes else None


@contextmanager
def building(key: str, progress: Progress) -> Iterator[Path]:
    """Alone with the key: an empty folder to build in, gone at the end whatever happens. Waits for another builder."""
    from filelock import FileLock, Timeout

    folder = models_folder()
    with disk_faults(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f".{key}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            progress(f"waiting for another pull of {key}", 0, None)
            lock.acquire()
    try:
        for leftover in folder.glob(f".{key}.partial-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        partial = folder / f".{key}.partial-{uuid.uuid4().hex[:8]}"
        try:
            with disk_faults(folder):
                partial.mkdir()
                yield partial
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    finally:
        lock.release()


def install(built: Path, key: str, manifest: Manifest) -> Path:
    """Moves a built folder, with its manifest, into place. To be called by the holder of the key's lock."""
    files = [path for path in sorted(built.rglob("*")) if path.is_file()]
    for path in files:
        path.chmod(0o644)
    described = asdict(manifest) | {
        "sizes": {path.relative_to(built).as_posix(): path.stat().st_size for path in files}
    }
    (built / MANIFEST).write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    final = model_folder(key)
    if final.exists():
        # A damaged model: `rename` refuses a folder that is not empty, so it goes with the partial folder.
        final.rename(built.parent / "damaged")
    built.rename(final)
    return final


def check_space(needed: int) -> None:
    """Raises ModelNotFound where the cache's disk has less than `needed` bytes free."""
    folder = models_folder()
    standing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(standing).free
    if free < needed:
        raise _disk_full(folder, f"; {needed / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free")


@contextmanager
def disk_faults(folder: Path) -> Iterator[None]:
    """Turns what the file system refuses into ModelNotFound."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _disk_full(folder, "") from error
        raise ModelNotFound(
            f"the model cache `{folder}` cannot be used: {error.strerror or error}",
            help="set PNYX_CACHE to a folder that you can write to",
        ) from error


def _disk_full(folder: Path, detail: str) -> ModelNotFound:
    return ModelNotFound(
        f"the disk of the model cache `{folder}` is full{detail}",
        help="free some space, or set PNYX_CACHE to a folder on another disk",
    )
