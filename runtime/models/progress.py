"""How long work on models tells what it is doing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Progress", "silent"]

Progress: TypeAlias = Callable[[str, int, int | None], None]
"""Called with what is being done, bytes done, and bytes in all (None where the work has no measure)."""


def silent(_what: str, _done: int, _total: int | None) -> None:
    """Progress that nobody watches."""
