"""What a confined program sees of the machine: the Python that runs it, the system's libraries, a few devices."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from types import MappingProxyType

__all__ = ["ENVIRONMENT", "PROGRAM", "visible"]

PROGRAM = "/tmp/program.py"
"""Where the program stands, in the one folder that it can write to."""

ENVIRONMENT = MappingProxyType(
    {
        "HOME": "/tmp",
        "TMPDIR": "/tmp",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONSAFEPATH": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }
)
"""All of its environment. Fixed, so that nothing of the user's is in it and runs repeat."""

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/nix/store", "/etc/alternatives")
_FILES = ("/etc/ld.so.cache",)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


@cache
def visible() -> dict[str, list[object]]:
    """What `confine.py` shows, all of it read-only: `folders` and `inside` (those under `/tmp`) as pairs of where they
    are and where they are seen, `links` as pairs of a link and what it points to."""
    folders: dict[str, str] = {}
    links: list[object] = []
    for name in _SYSTEM:
        if Path(name).is_symlink() and Path(name).parent == Path("/"):
            links.append((name, str(Path(name).readlink())))
        elif Path(name).is_dir():
            folders[name] = name
    for written in (sys.prefix, sys.base_prefix, sys.base_exec_prefix, str(Path(os.__file__).parent), _binaries()):
        real = os.path.realpath(written)
        folders |= {real: real, written: real}
    shown = [(real, seen) for seen, real in sorted(folders.items()) if not _covered(seen, folders)]
    return {
        "folders": [pair for pair in shown if not _under(pair[1], "/tmp")],
        "inside": [pair for pair in shown if _under(pair[1], "/tmp")],
        "links": links,
        "files": [name for name in _FILES if Path(name).is_file()],
        "devices": list(_DEVICES),
    }


def _binaries() -> str:
    return str(Path(os.path.realpath(sys.executable)).parent)


def _covered(path: str, folders: dict[str, str]) -> bool:
    """Whether it is seen already inside of another one, in its own place."""
    return any(
        other != path and _under(path, other) and real == other and os.path.realpath(path) == path
        for other, real in folders.items()
    )


def _under(path: str, folder: str) -> bool:
    return Path(path).is_relative_to(folder)
