"""The name a person most likely meant. (The compiler has its own; the runtime sees only the compiler's contract.)"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["nearest"]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name closest to `name`, or None where none is close."""
    from difflib import get_close_matches

    matches = get_close_matches(name[:200], sorted(set(known)), n=1, cutoff=0.6)
    return matches[0] if matches else None
