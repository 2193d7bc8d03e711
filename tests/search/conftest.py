"""Every test of a book runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from store.backends import postgresql

_numbers = count()


@pytest.fixture(scope="session")
def search_server() -> Iterator[str]:
    pytest.importorskip("psycopg")
    with tempfile.TemporaryDirectory(prefix="pnyx-pg-") as folder:  # the path of a socket must be short
        Path(folder).chmod(0o755)
        with postgresql(Path(folder) / "server") as address:
            yield address


@pytest.fixture
def database(search_server: str) -> str:
    """The address of an empty one."""
    import psycopg

    name = f"search{next(_numbers)}"
    with psycopg.connect(search_server, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}".encode())
    return search_server.replace("/postgres?", f"/{name}?")


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "folder" / "search.sqlite")
    return str(request.getfixturevalue("database"))
