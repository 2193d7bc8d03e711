"""Where the store is: what the user names, or a file in the user's data folder."""

from __future__ import annotations

import os
import re
from pathlib import Path

from pnyx.runtime.errors import ConfigurationError
from pnyx.runtime.store.backend import Backend
from pnyx.runtime.store.store import CallStore

__all__ = ["NONE", "default_store", "open_backend", "open_store", "parse_size"]

NONE = "none"
_SCALES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def default_store() -> str:
    """`$PNYX_STORE`, or `calls.sqlite` in the platform's data folder for `pnyx`."""
    if chosen := os.environ.get("PNYX_STORE"):
        return chosen
    from platformdirs import user_data_path

    return str(user_data_path("pnyx") / "calls.sqlite")


def open_backend(place: str) -> Backend:
    """The backend at a path or a PostgreSQL address. Raises StoreUnusable, PackageMissing, ConfigurationError."""
    scheme, colon, _ = place.partition("://")
    if colon and scheme.partition("+")[0] in ("postgresql", "postgres"):
        from pnyx.runtime.store.postgres import PostgresBackend

        return PostgresBackend(place)
    if colon:
        help = "name a file, or an address `postgresql://…`; `none` is none"
        raise ConfigurationError(f"a call store cannot be at `{scheme}://…`", help=help)
    from pnyx.runtime.store.sqlite import SqliteBackend

    return SqliteBackend(Path(place).expanduser().absolute())


def open_store(place: str, size: str | None = None) -> CallStore | None:
    """The store there, of at most `size`; None for `none`. Raises as `open_backend`."""
    if place == NONE:
        return None
    return CallStore(open_backend(place), limit=parse_size(size) if size is not None else None)


def parse_size(text: str) -> int:
    """`500 MB`, `10GB`: bytes, in powers of ten. Raises ValueError."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?\s*", text, re.IGNORECASE)
    if not found:
        raise ValueError(f"`{text}` is no size; write `500 MB` or `10 GB`")
    return int(float(found[1]) * _SCALES[found[2].lower()])
