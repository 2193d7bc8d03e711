"""Every test of a backend runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from store.backends import postgresql

from pnyx.runtime.store.backend import Backend
from pnyx.runtime.store.locations import open_backend


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    pytest.importorskip("psycopg")
    pytest.importorskip("sqlalchemy")
    with tempfile.TemporaryDirectory(prefix="pnyx-pg-") as folder:  # the path of a socket must be short
        Path(folder).chmod(0o755)
        with postgresql(Path(folder) / "server") as address:
            yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "folder" / "calls.sqlite")
    address = str(request.getfixturevalue("server"))
    backend = open_backend(address)
    backend.drop(model=None, before=None)
    backend.close()
    return address


@pytest.fixture
def opened(place: str) -> Iterator[Callable[[], Backend]]:
    backends: list[Backend] = []

    def another() -> Backend:
        backends.append(open_backend(place))
        return backends[-1]

    yield another
    for backend in backends:
        backend.close()
