"""The tables of searches, and transactions on them.

The tables begin with `pnyx_`, so they may stand beside Optuna's in one database. Charges are JSON arrays of calls,
samples, tokens, FLOPs and dollars; `mark` rises with every change of a search, so a reader can ask for what is new.

Invariants
- A change of a search holds the lock of its row in `pnyx_searches` (in SQLite: of the file) from the start, so changes
  come one after the other, on both kinds of databases.
- A transaction that is over is durable: it survives the process and, where the disk keeps its word, the machine.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import NoReturn

from sqlalchemy import (
    URL,
    BigInteger,
    Column,
    Connection,
    Double,
    Engine,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    inspect,
    select,
    text,
)  # fmt: skip
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from pnyx.runtime.errors import PackageMissing
from pnyx.runtime.search.book.failures import BookFailure, BookNewer, BookUnusable
from pnyx.runtime.search.book.places import Place

__all__ = ["VERSION", "Database", "claims", "decisions", "keys", "points", "rows", "searches", "tasks", "workers"]

VERSION = 1
"""Of the tables; a database of a higher one is refused."""

_BUSY_SECONDS = 30.0
_TABLES_LOCK = 0x506E7979

_metadata = MetaData()
_version = Table("pnyx_search_version", _metadata, Column("version", Integer, primary_key=True))
searches = Table(
    "pnyx_searches",
    _metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("mark", BigInteger, nullable=False),
    Column("claims", BigInteger, nullable=False),
    Column("held", Integer, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("charged", Text, nullable=False),
    Column("aside", Text, nullable=False),
    Column("lost", Text, nullable=False),
    UniqueConstraint("name", "generation"),
)
workers = Table(
    "pnyx_search_workers",
    _metadata,
    Column("id", Integer, primary_key=True),
    Column("search", Integer, nullable=False, index=True),
    Column("process", Text, nullable=False),
    Column("beat", BigInteger, nullable=False),
)
points = Table(
    "pnyx_search_points",
    _metadata,
    Column("search", Integer, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("point", Text, nullable=False),
)
tasks = Table(
    "pnyx_search_tasks",
    _metadata,
    Column("search", Integer, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("point", Integer, nullable=False),
    Column("origin", Text, nullable=False),
    Column("upto", Integer, nullable=False),
    Column("rival", Integer),
    Column("worker", Integer),
    Column("ending", Text),
)
rows = Table(
    "pnyx_search_rows",
    _metadata,
    Column("search", Integer, primary_key=True),
    Column("point", Integer, primary_key=True),
    Column("question", Integer, primary_key=True),
    Column("score", Double),
    Column("calls", Double, nullable=False),
    Column("samples", Double, nullable=False),
    Column("tokens", Double, nullable=False),
    Column("flops", Double, nullable=False),
    Column("money", Double, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("mark", BigInteger, nullable=False),
    Index("pnyx_search_rows_by_mark", "search", "mark"),
)
claims = Table(
    "pnyx_search_claims",
    _metadata,
    Column("search", Integer, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("worker", Integer),  # none: it is lost
    Column("bound", Text, nullable=False),
    Index("pnyx_search_claims_by_worker", "search", "worker"),
)
keys = Table(
    "pnyx_search_keys",
    _metadata,
    Column("search", Integer, primary_key=True),
    Column("key", LargeBinary, primary_key=True),
    Column("claim", BigInteger),  # on its way
    Column("mark", BigInteger, nullable=False),  # when it was billed; 0: not yet
    sqlite_with_rowid=False,
)
Index(
    "pnyx_search_keys_by_claim",
    keys.c.search,
    keys.c.claim,
    sqlite_where=keys.c.claim.is_not(None),
    postgresql_where=keys.c.claim.is_not(None),
)
decisions = Table(
    "pnyx_search_decisions",
    _metadata,
    Column("search", Integer, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)


class Database:
    """Opens it, and makes what is missing. `busy`: seconds to wait for a lock. Raises BookUnusable, and PackageMissing
    without psycopg for PostgreSQL. Any thread may use it."""

    def __init__(self, place: Place, *, busy: float = _BUSY_SECONDS) -> None:
        self.place = place
        self._busy = busy
        self._writing = Lock()  # SQLite's own lock is polled for; threads of one process need not
        try:
            self._engine = _engine(place, busy)
        except ImportError:
            raise PackageMissing(
                "a search in PostgreSQL needs psycopg", help="pip install 'pnyx[search,postgres]'"
            ) from None
        try:
            self._prepare()
        except (SQLAlchemyError, OSError) as error:
            self._engine.dispose()
            raise _unusable(place, error) from None
        except BaseException:
            self._engine.dispose()
            raise

    def _prepare(self) -> None:
        if self.place.file is not None:
            self.place.file.parent.mkdir(parents=True, exist_ok=True)
            with self._engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        with self._transaction("BEGIN IMMEDIATE" if self.place.file is not None else "BEGIN") as connection:
            if self.place.file is None:
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _TABLES_LOCK})
            there = inspect(connection).get_table_names()
            ours = _version.name in there
            if there and not ours and "studies" not in there and self.place.file is not None:
                raise BookUnusable(
                    f"`{self.place.shown}` is a database of something else", help="name another file for the search"
                )
            version = connection.scalar(select(_version.c.version)) if ours else None
            if version is not None and version > VERSION:
                raise BookNewer(
                    f"the search in `{self.place.shown}` has version {version}; this Pnyx knows version {VERSION}",
                    help="install the newer Pnyx, or name another place for the search",
                )
            _metadata.create_all(connection)
            if version is None:
                connection.execute(_version.insert().values(version=VERSION))
            # An error now and not at the first call: a file that may not be written to.
            connection.execute(_version.update().values(version=VERSION))

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, durable when it is left. Raises BookFailure."""
        begin = "BEGIN IMMEDIATE" if self.place.file is not None else "BEGIN"
        with self._failing(), self._writing, self._transaction(begin) as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """What is read in it is of one moment. Raises BookFailure."""
        begin = "BEGIN" if self.place.file is not None else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        with self._failing(), self._transaction(begin) as connection:
            yield connection

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        with self._engine.connect() as connection:
            connection.exec_driver_sql(begin)
            try:
                yield connection
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                with suppress(SQLAlchemyError):  # SQLite has done so itself where the disk is full
                    connection.exec_driver_sql("ROLLBACK")
                raise

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            self._fail(error)

    def _fail(self, error: SQLAlchemyError) -> NoReturn:
        said = _reason(error)
        match _sqlite_code(error):
            case sqlite3.SQLITE_FULL:
                message, help = "its disk is full", "free some space; the same command goes on from there"
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                message = f"another process has held it for {self._busy:g} seconds"
                help = "end that process; the same command goes on from there"
            case _:
                message, help = said, "what is done is kept; once the database works, the same command goes on"
        raise BookFailure(f"the search in `{self.place.shown}` cannot be kept up: {message}", help=help) from error


def _engine(place: Place, busy: float) -> Engine:
    if place.file is None:
        # Idle connections that a server or a firewall closed are found before they are used.
        wanted = {"connect_timeout": 10}
        return create_engine(place.address, isolation_level="AUTOCOMMIT", pool_pre_ping=True, connect_args=wanted)
    address = URL.create("sqlite", database=str(place.file))
    engine = create_engine(address, isolation_level="AUTOCOMMIT", connect_args={"timeout": busy})

    @event.listens_for(engine, "connect")
    def _(connection: DBAPIConnection, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.close()

    return engine


def _sqlite_code(error: Exception) -> int:
    return getattr(getattr(error, "orig", None), "sqlite_errorcode", 0) & 0xFF


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    said = error.orig if isinstance(error, DBAPIError) else error
    return str(said).strip().partition("\n")[0]


def _unusable(place: Place, error: Exception) -> BookUnusable:
    match _sqlite_code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            message, help = "another process does not let go of it", "end that process, or name another place"
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            message = f"it is damaged ({_reason(error)})"
            help = "move the file away and begin anew; calls that the call store holds are not made again"
        case sqlite3.SQLITE_FULL:
            message, help = "the disk is full", "free some space, or name a place on another disk"
        case _ if place.file is None:
            message, help = _reason(error), "see whether the server runs and the address is right"
        case _:
            message, help = _reason(error), "name a file that you may write"
    return BookUnusable(f"the search in `{place.shown}` cannot be opened: {message}", help=help)
