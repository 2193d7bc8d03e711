"""A store in one SQLite file, in WAL mode: readers never wait, writers wait for one another.

Every statement of the hot path makes a single step for a whole batch: Python's interpreter lock is given up at every
step, and is slow to come back while the event loop is busy.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import NoReturn, TypeVar

from pnyx.runtime.errors import StoreFailure, StoreNewer, StoreUnusable
from pnyx.runtime.store.backend import VERSION, Entry, Row, StoreInfo
from pnyx.runtime.store.keys import KEY_BYTES

__all__ = ["SqliteBackend"]

T = TypeVar("T")

_APPLICATION = 0x506E7978  # "Pnyx"
_TABLES = """
BEGIN IMMEDIATE;
CREATE TABLE models (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE ages (id INTEGER PRIMARY KEY CHECK (id = 1), age REAL NOT NULL);
INSERT INTO ages VALUES (1, 0.0);
CREATE TABLE records (
    key BLOB PRIMARY KEY, model INTEGER NOT NULL, payload BLOB NOT NULL, size INTEGER NOT NULL, cost REAL NOT NULL,
    made INTEGER NOT NULL, uses INTEGER NOT NULL, worth REAL NOT NULL
);
CREATE INDEX records_by_worth ON records (worth, size);
"""
_IN_ONE_STATEMENT = 400
_BUSY_SECONDS = 30.0
_MOVE = "move the file away and a new one is made; `--store none` does without"
_READ = "SELECT group_concat(hex(key) || hex(payload), ' ') FROM records WHERE key IN ({})"
_ENTRY = "SELECT key, name, size, uses, made, payload FROM records JOIN models ON id = model"


class SqliteBackend:
    """Opens the file, or makes it. Raises StoreUnusable. `busy`: seconds to wait for another process."""

    def __init__(self, path: Path, *, busy: float = _BUSY_SECONDS) -> None:
        self._path = path
        self._busy = busy
        self._lock = Lock()  # for the rare statements, which any thread may ask for
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = self._connect()
            self._reader = self._connect()
        except (OSError, sqlite3.Error) as error:
            raise _unusable(path, error) from None
        self._models: dict[str, int] = {}

    @property
    def place(self) -> str:
        return str(self._path)

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=self._busy, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(database)
        except BaseException:
            database.close()
            raise
        return database

    def _prepare(self, database: sqlite3.Connection) -> None:
        (application,) = database.execute("PRAGMA application_id").fetchone()
        (version,) = database.execute("PRAGMA user_version").fetchone()
        (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and application != _APPLICATION:
            raise StoreUnusable(f"`{self._path}` is a database of something else", help="name another file")
        if version > VERSION:
            raise StoreNewer(
                f"the call store `{self._path}` has version {version}; this Pnyx knows version {VERSION}",
                help="install the newer Pnyx, or name another file with `--store`",
            )
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        if not tables:
            self._create(database)
        # An error now and not at the first call: a file or folder that may not be written to.
        database.execute("BEGIN IMMEDIATE")
        database.execute("UPDATE ages SET age = age")
        database.execute("COMMIT")

    @staticmethod
    def _create(database: sqlite3.Connection) -> None:
        try:
            pragmas = f"PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT;"
            database.executescript(_TABLES + pragmas)
        except sqlite3.OperationalError as error:
            if database.in_transaction:
                database.execute("ROLLBACK")
            if "already exists" not in str(error):  # another process was first
                raise

    def read(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        with self._failing():
            for batch in _batches(keys):
                found |= _payloads(self._reader, batch)
        return found

    def write(self, rows: Sequence[Row], used: Sequence[bytes]) -> dict[bytes, bytes]:
        standing: dict[bytes, bytes] = {}
        with self._failing(), self._transaction() as database:
            (age,) = database.execute("SELECT age FROM ages").fetchone()
            models = {name: self._model(database, name) for name in {row.model for row in rows}}
            for batch in _batches(rows):
                values: list[object] = []
                for row in batch:
                    worth = age + row.cost / row.size
                    values += (row.key, models[row.model], row.payload, row.size, row.cost, row.made, worth)
                marks = ",".join(["(?,?,?,?,?,?,1,?)"] * len(batch))
                added = database.execute(f"INSERT OR IGNORE INTO records VALUES {marks}", values).rowcount
                if added < len(batch):
                    there = _payloads(database, [row.key for row in batch])
                    standing |= {row.key: there[row.key] for row in batch if there[row.key] != row.payload}
            for keys in _batches(used):
                marks = ",".join("?" * len(keys))
                database.execute(
                    f"UPDATE records SET uses = uses + 1, worth = ? + (uses + 1) * cost / size WHERE key IN ({marks})",
                    [age, *keys],
                )
        return standing

    def _model(self, database: sqlite3.Connection, name: str) -> int:
        if name not in self._models:
            database.execute("INSERT OR IGNORE INTO models (name) VALUES (?)", [name])
            (number,) = database.execute("SELECT id FROM models WHERE name = ?", [name]).fetchone()
            self._models[name] = number
        return self._models[name]

    def size(self) -> int:
        with self._failing(), self._lock:
            (size,) = self._writer.execute("SELECT coalesce(sum(size), 0) FROM records").fetchone()
        return int(size)

    def shrink(self, size: int) -> int:
        with self._failing(), self._transaction() as database:
            (total,) = database.execute("SELECT coalesce(sum(size), 0) FROM records").fetchone()
            dropped, age = 0, None
            while total > size:
                least = database.execute("SELECT rowid, size, worth FROM records ORDER BY worth LIMIT 1000").fetchall()
                gone: list[int] = []
                for row, bytes_, worth in least:
                    if total <= size:
                        break
                    total -= bytes_
                    age = worth
                    gone.append(row)
                database.execute(f"DELETE FROM records WHERE rowid IN ({','.join(map(str, gone))})")
                dropped += len(gone)
            if age is not None:
                database.execute("UPDATE ages SET age = max(age, ?)", [age])
        return dropped

    def info(self) -> StoreInfo:
        with self._failing(), self._lock:
            models = self._writer.execute(
                "SELECT name, count(*), sum(size) FROM records JOIN models ON id = model GROUP BY name ORDER BY name"
            ).fetchall()
        return StoreInfo(
            self.place,
            sum(count for _, count, _ in models),
            sum(size for _, _, size in models),
            sum(file.stat().st_size for suffix in ("", "-wal") if (file := Path(f"{self._path}{suffix}")).exists()),
            tuple(models),
        )

    def entries(self, model: str | None, limit: int) -> Iterator[Entry]:
        where = "" if model is None else " WHERE name = ?"
        said = [] if model is None else [model]
        with self._failing(), self._lock:
            found = self._writer.execute(f"{_ENTRY}{where} ORDER BY made DESC, key LIMIT ?", [*said, limit]).fetchall()
        return (Entry(*row) for row in found)

    def find(self, prefix: str) -> list[Entry]:
        with self._failing(), self._lock:
            found = self._writer.execute(f"{_ENTRY} WHERE hex(key) LIKE ? LIMIT 10", [f"{prefix}%"]).fetchall()
        return [Entry(*row) for row in found]

    def drop(self, *, model: str | None = None, before: int | None = None, key: bytes | None = None) -> int:
        with self._failing(), self._transaction() as database:
            return database.execute(
                "DELETE FROM records WHERE (?1 IS NULL OR model = (SELECT id FROM models WHERE name = ?1)) "
                "AND (?2 IS NULL OR made < ?2) AND (?3 IS NULL OR key = ?3)",
                [model, before, key],
            ).rowcount

    def compact(self) -> None:
        with self._failing(), self._lock:
            self._writer.execute("VACUUM")
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        with self._failing():
            self._reader.close()
            self._writer.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self._fail(error)

    def _fail(self, error: Exception) -> NoReturn:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            message, help = "the disk of the call store is full", "free some space, or name a store on another disk"
        elif code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            message = f"another process has held the call store for {self._busy:g} seconds"
            help = "end that process, or name another store with `--store`"
        else:
            message, help = f"the call store cannot be used any more: {error}", _MOVE
        raise StoreFailure(f"{message}: `{self._path}`", help=help) from error


def _unusable(path: Path, error: Exception) -> StoreUnusable:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        message = "another process does not let go of it"
        help = "end that process, or name another store with `--store`"
    elif code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        message, help = f"it is damaged ({error})", _MOVE
    elif code == sqlite3.SQLITE_FULL:
        message, help = "the disk is full", "free some space, or name a store on another disk"
    else:
        reason = (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
        message = _not_writable(path) or reason
        help = "name a file that you may write with `--store`; `--store none` does without"
    return StoreUnusable(f"the call store `{path}` cannot be opened: {message}", help=help)


def _not_writable(path: Path) -> str | None:
    """Why nobody can write there, in other words than SQLite's, which are the same for all reasons."""
    if path.is_dir():
        return "it is a folder"
    for place in (path, path.parent):
        if place.exists() and not os.access(place, os.W_OK):
            return "it may not be written to" if place == path else f"the folder `{place}` may not be written to"
    return None


def _payloads(database: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, bytes]:
    (joined,) = database.execute(_READ.format(",".join("?" * len(keys))), keys).fetchone()
    pairs = map(bytes.fromhex, (joined or "").split())
    return {pair[:KEY_BYTES]: pair[KEY_BYTES:] for pair in pairs}


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), _IN_ONE_STATEMENT):
        yield items[start : start + _IN_ONE_STATEMENT]
