"""Books that cannot be opened, or are of something else, say why and how to go on."""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event, text

from pnyx.runtime.errors import PackageMissing
from pnyx.runtime.search.book import tables
from pnyx.runtime.search.book.book import open_book
from pnyx.runtime.search.book.failures import BookFailure, BookNewer, BookUnusable, NoSearch, OtherSearch
from pnyx.runtime.search.book.places import Place, parse_place
from pnyx.runtime.search.book.tables import Database
from pnyx.runtime.search.rows import Rows, Settled
from pnyx.runtime.search.strategy import Proposal

NOTHING = (0.0, 0.0, 0.0, 0.0, 0.0)


def test_what_changed_is_named_and_what_is_short_is_shown(place: str) -> None:
    began = {"program": "a1" * 20, "seed": 3, "score": "exact", "gone": 1}
    open_book(place, "best", began).close()
    now = {"program": "b2" * 20, "seed": 4, "score": "exact", "new": None}
    with pytest.raises(OtherSearch) as caught:
        open_book(place, "best", now)
    assert caught.value.changed == ("gone", "program", "seed")
    assert caught.value.message.endswith("something else: gone (was 1, is null), program, seed (was 3, is 4)")
    assert "`--new`" in (caught.value.help or "")
    open_book(place, "best", dict(reversed(began.items()))).close()
    open_book(place, "another", now).close()


def test_a_new_one_leaves_the_old_one_as_it_is(place: str) -> None:
    with open_book(place, "best", {"seed": 1}) as old:
        old.add([Proposal((), "default", 20)], after=0)
        with open_book(place, "best", {"seed": 2}, new=True) as book:
            assert (book.identity.study, book.tasks()) == ("best-2", ())
        assert len(old.tasks()) == 1
    with pytest.raises(OtherSearch):
        open_book(place, "best", {"seed": 1})


def test_there_is_nothing_to_join(place: str) -> None:
    with pytest.raises(NoSearch, match="no search `best`"):
        open_book(place, "best", {}, join=True)
    open_book(place, "best", {}).close()
    open_book(place, "best", {}, join=True).close()


def test_a_newer_one(place: str) -> None:
    open_book(place, "best", {}).close()
    database = Database(parse_place(place))
    with database.write() as connection:
        connection.execute(text("UPDATE pnyx_search_version SET version = 9"))
    database.close()
    with pytest.raises(BookNewer, match="has version 9; this Pnyx knows version 1") as caught:
        open_book(place, "best", {})
    assert caught.value.code == "E661"


def test_no_database(tmp_path: Path) -> None:
    file = tmp_path / "search.sqlite"
    file.write_bytes(b"not a database" * 100)
    with pytest.raises(BookUnusable, match="damaged"):
        open_book(str(file), "best", {})
    assert file.read_bytes().startswith(b"not a database")


def test_a_database_of_something_else(tmp_path: Path) -> None:
    file = tmp_path / "search.sqlite"
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE songs (name TEXT)")
    with pytest.raises(BookUnusable, match="of something else"):
        open_book(str(file), "best", {})


def test_places_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path, tmp_path / "file" / "search.sqlite"):
        with pytest.raises(BookUnusable, match="cannot be opened"):
            open_book(str(place), "best", {})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_may_not_be_written(tmp_path: Path) -> None:
    file = tmp_path / "search.sqlite"
    open_book(str(file), "best", {}).close()
    file.chmod(0o444)
    tmp_path.chmod(0o555)
    with pytest.raises(BookUnusable, match="readonly"):
        open_book(str(file), "best", {})


def test_one_that_another_process_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_BUSY_SECONDS", 0.05)
    place = parse_place(str(tmp_path / "search.sqlite"))
    database = Database(place, busy=0.05)
    with closing(sqlite3.connect(tmp_path / "search.sqlite", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(BookFailure, match=r"another process has held it for 0\.05 seconds"), database.write():
            pass
        with database.read() as connection:  # readers do not wait
            assert connection.scalar(text("SELECT version FROM pnyx_search_version")) == 1
        with pytest.raises(BookUnusable, match="does not let go"):
            Database(place, busy=0.05)
    with database.write():
        pass
    database.close()


def test_a_full_disk_keeps_what_is_there(tmp_path: Path) -> None:
    with open_book(str(tmp_path / "search.sqlite"), "best", {}) as book:
        book.add([Proposal((), "default", 10_000)], after=0)
        most = 60

        def limit(connection: sqlite3.Connection, *_: object) -> None:
            connection.execute(f"PRAGMA max_page_count = {most}")

        event.listen(book.worker.database._engine, "checkout", limit)
        with pytest.raises(BookFailure, match="its disk is full"):
            book.settle((), 0, [Settled(1.0, NOTHING)] * 5000)
        most = 1_000_000
        rows = Rows(5000)
        book.read(rows)
        assert rows.total == 0
        book.settle((), 0, [Settled(1.0, NOTHING)] * 5000)
        book.read(rows)
        assert rows.total == 5000


def test_a_server_that_is_not_there() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(BookUnusable, match="cannot be opened") as caught:
        open_book("postgresql://me:secret@127.0.0.1:9/none", "best", {})
    assert "secret" not in str(caught.value)
    assert "server" in (caught.value.help or "")


def test_connections_that_the_server_closed_are_made_anew(database: str) -> None:
    import psycopg

    with open_book(database, "best", {}) as book:
        with psycopg.connect(database, autocommit=True) as administrator:
            administrator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
        assert book.decide("end", 1) == 1


def test_postgresql_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(PackageMissing) as caught:
        open_book("postgresql://127.0.0.1/none", "best", {})
    assert "pnyx[search,postgres]" in (caught.value.help or "")


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("/a/search.sqlite", Place("/a/search.sqlite", file=Path("/a/search.sqlite"))),
        ("sqlite:////a/b c.db", Place("/a/b c.db", file=Path("/a/b c.db"))),
        ("journal:/a/x.log", Place("/a/x.log", file=Path("/a/x.log.sqlite"), journal=Path("/a/x.log"))),
        (
            "postgres://me:secret@host/base",
            Place("postgresql://me:***@host/base", address="postgresql+psycopg://me:secret@host/base"),
        ),
    ],
)
def test_places(written: str, place: Place) -> None:
    assert parse_place(written) == place


@pytest.mark.parametrize("written", ["", "mysql://host/base", "journal:", "postgresql://host:port:x/"])
def test_what_is_no_place(written: str) -> None:
    with pytest.raises(BookUnusable) as caught:
        parse_place(written)
    assert caught.value.help


def test_a_path_is_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_place("sqlite:///search.sqlite").file == parse_place("search.sqlite").file
    assert parse_place("search.sqlite").file == tmp_path / "search.sqlite"
