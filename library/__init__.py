"""The standard library: techniques and prompts, written in Pnyx."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

if __name__ == "library":
    raise ImportError("import `pnyx.library`, not `library`")

__all__ = ["LIBRARY_PREFIX", "sources"]

LIBRARY_PREFIX = "<std>/"


@cache
def sources() -> tuple[tuple[str, str], ...]:
    """Name (`<std>/core.pnyx`) and text of every file of the library, in order of name."""
    folder = files("pnyx.library") / "std"
    found = sorted((entry.name, entry) for entry in folder.iterdir() if entry.name.endswith(".pnyx"))
    return tuple((LIBRARY_PREFIX + name, entry.read_text(encoding="utf-8")) for name, entry in found)
