"""Models of the Hugging Face hub, in that library's own cache. Nothing here asks the network but `download`."""

from __future__ import annotations

from pathlib import Path

from pnyx.runtime.errors import ModelNotFound
from pnyx.runtime.models.packages import TO_DOWNLOAD, require
from pnyx.runtime.models.progress import Progress

__all__ = ["cached", "download", "everything_cached"]

_FILES = ["*.json", "*.safetensors", "*.model", "*.jinja", "*.txt", "*.py"]
_OLD_WEIGHTS = ["pytorch_model*.bin"]


def cached(name: str) -> Path | None:
    """The folder of a model that was downloaded before, perhaps not all of it; None where there is none."""
    require(TO_DOWNLOAD, f"`{name}`, a model of the Hugging Face hub,")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True, allow_patterns=[*_FILES, *_OLD_WEIGHTS]))
    except LocalEntryNotFoundError as error:
        # Only the error of an incomplete snapshot has a path.
        partly = getattr(error, "snapshot_path", None)
        return Path(partly) if partly else None
    except HFValidationError:
        return None


def download(name: str, progress: Progress) -> Path:
    """The folder of the model, downloaded where it is not there yet. Raises ModelNotFound with the reason."""
    require(TO_DOWNLOAD, f"`{name}`, a model of the Hugging Face hub,")
    from huggingface_hub import snapshot_download

    progress(f"download {name}", 0, None)
    try:
        folder = Path(snapshot_download(name, allow_patterns=_FILES))
        if not any(folder.glob("*.safetensors")):
            folder = Path(snapshot_download(name, allow_patterns=[*_FILES, *_OLD_WEIGHTS]))
    except Exception as error:
        raise _fault(name, error) from error
    return folder


def everything_cached() -> tuple[tuple[str, Path, int], ...]:
    """Name, folder and bytes of every model in the hub's cache; nothing where the library is not installed."""
    try:
        from huggingface_hub import constants, scan_cache_dir
        from huggingface_hub.errors import CacheNotFound
    except ImportError:
        return ()
    try:
        repos = scan_cache_dir(constants.HF_HUB_CACHE).repos
    except (CacheNotFound, OSError, ValueError):
        return ()
    found = []
    for repo in repos:
        whole = [revision for revision in repo.revisions if (revision.snapshot_path / "config.json").is_file()]
        if repo.repo_type == "model" and whole:
            newest = max(whole, key=lambda revision: revision.last_modified)
            found.append((repo.repo_id, newest.snapshot_path, repo.size_on_disk))
    return tuple(sorted(found))


def _fault(name: str, error: Exception) -> ModelNotFound:
    from huggingface_hub import errors

    message = f"`{name}` cannot be downloaded: "
    match error:
        case errors.GatedRepoError():
            return ModelNotFound(
                message + "its owner gives it only to those who accept the licence",
                help=f"accept it at https://huggingface.co/{name}, then run `hf auth login`",
            )
        case errors.RepositoryNotFoundError():
            return ModelNotFound(
                message + "the hub has no such model, or it is private",
                help="check the spelling; for a private model run `hf auth login`",
            )
        case errors.OfflineModeIsEnabled():
            return ModelNotFound(message + "offline mode is on", help="unset HF_HUB_OFFLINE")
        case errors.LocalEntryNotFoundError() | ConnectionError() | TimeoutError():
            return ModelNotFound(message + "the hub cannot be reached", help="check the network, and HF_ENDPOINT")
        case OSError() if error.errno == 28:
            return ModelNotFound(message + "the disk is full", help="free some space, or set HF_HOME to another disk")
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return ModelNotFound(message + lines[0], help="check the network, then try again")
