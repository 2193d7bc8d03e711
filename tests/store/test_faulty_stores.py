"""Stores that cannot be used say why, at once or when it happens, and how to go on."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest
from store.test_backends import row

from pnyx.runtime.errors import ConfigurationError, PackageMissing, StoreFailure, StoreNewer, StoreUnusable
from pnyx.runtime.store.locations import open_backend, open_store, parse_size
from pnyx.runtime.store.sqlite import SqliteBackend


def test_no_database(tmp_path: Path) -> None:
    file = tmp_path / "calls.sqlite"
    file.write_bytes(b"not a database" * 100)
    with pytest.raises(StoreUnusable, match="damaged") as caught:
        SqliteBackend(file)
    assert "--store none" in (caught.value.help or "")
    assert file.read_bytes().startswith(b"not a database")


def test_a_database_of_something_else(tmp_path: Path) -> None:
    file = tmp_path / "calls.sqlite"
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE songs (name TEXT)")
    database.close()
    with pytest.raises(StoreUnusable, match="of something else"):
        SqliteBackend(file)


def test_a_newer_one(tmp_path: Path) -> None:
    file = tmp_path / "calls.sqlite"
    SqliteBackend(file).close()
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA user_version = 9")
    database.close()
    with pytest.raises(StoreNewer, match="has version 9; this Pnyx knows version 1") as caught:
        SqliteBackend(file)
    assert caught.value.code == "E614"


def test_a_place_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place, said in ((tmp_path, "it is a folder"), (tmp_path / "file" / "calls.sqlite", "file exists")):
        with pytest.raises(StoreUnusable, match=f"cannot be opened: {said}"):
            SqliteBackend(place)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_may_not_be_written(tmp_path: Path) -> None:
    file = tmp_path / "calls.sqlite"
    SqliteBackend(file).close()
    file.chmod(0o444)
    with pytest.raises(StoreUnusable, match="it may not be written to"):
        SqliteBackend(file)
    tmp_path.chmod(0o555)
    with pytest.raises(StoreUnusable, match=f"the folder `{tmp_path}` may not be written to"):
        SqliteBackend(tmp_path / "new.sqlite")


def test_a_place_that_the_system_says_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As above, also for root: a file system that is mounted read-only says so itself."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(sqlite3, "connect", _cannot_open)
    with pytest.raises(StoreUnusable, match=f"the folder `{tmp_path}` may not be written to"):
        SqliteBackend(tmp_path / "calls.sqlite")


def _cannot_open(*_: object, **__: object) -> sqlite3.Connection:
    raise sqlite3.OperationalError("unable to open database file")


def test_one_that_another_process_holds(tmp_path: Path) -> None:
    file = tmp_path / "calls.sqlite"
    backend = SqliteBackend(file, busy=0.05)
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert backend.read([row(1).key]) == {}  # readers do not wait
    with pytest.raises(StoreFailure, match=r"held the call store for 0\.05 seconds"):
        backend.write([row(1)], [])
    with pytest.raises(StoreUnusable, match="does not let go"):
        SqliteBackend(file, busy=0.05)
    holder.execute("ROLLBACK")
    holder.close()
    backend.write([row(1)], [])
    assert backend.read([row(1).key])
    backend.close()


def test_a_full_disk_keeps_what_is_there(tmp_path: Path) -> None:
    backend = SqliteBackend(tmp_path / "calls.sqlite")
    backend.write([row(1)], [])
    (pages,) = backend._writer.execute("PRAGMA page_count").fetchone()
    backend._writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreFailure, match="disk of the call store is full"):
        backend.write([row(n, size=3000) for n in range(2, 50)], [])
    assert backend.read([row(1).key, row(2).key]) == {row(1).key: row(1).payload}
    backend.close()


def test_one_that_breaks_while_it_is_used(tmp_path: Path) -> None:
    file = tmp_path / "calls.sqlite"
    backend = SqliteBackend(file)
    backend.write([row(n, size=3000) for n in range(100)], [])
    backend.compact()
    backend.close()
    data = bytearray(file.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    file.write_bytes(data)
    with pytest.raises((StoreFailure, StoreUnusable), match=r"damaged|cannot be used any more"):
        SqliteBackend(file).read([row(1).key])


def test_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_store("none") is None
    with pytest.raises(ConfigurationError, match="redis://"):
        open_backend("redis://here")
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(PackageMissing) as caught:
        open_backend("postgresql://here")
    assert "pnyx[postgres]" in (caught.value.help or "")


def test_a_server_that_is_not_there_and_a_password_that_is_not_shown() -> None:
    pytest.importorskip("psycopg")
    for address in ("postgresql://me:secret@127.0.0.1:1/calls", "postgresql://127.0.0.1:1/calls?password=secret"):
        with pytest.raises(StoreUnusable) as caught:
            open_backend(address)
        assert "secret" not in str(caught.value)
        assert "127.0.0.1" in caught.value.message


@pytest.mark.parametrize("address", ["postgresql://me:secret@host:port/calls", "postgresql://me:secret@h:1:2/calls"])
def test_an_address_that_cannot_be_read(address: str) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(StoreUnusable, match="cannot be read") as caught:
        open_backend(address)
    assert "secret" not in str(caught.value)
    assert "user@host:port" in (caught.value.help or "")


@pytest.mark.parametrize(("text", "size"), [("5", 5), ("5 kB", 5000), ("1.5MB", 1_500_000), ("2 GiB", 2 * 10**9)])
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


def test_what_is_no_size() -> None:
    with pytest.raises(ValueError, match="write `500 MB`"):
        parse_size("much")
