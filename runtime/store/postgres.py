"""A store in a PostgreSQL database, by URL, for machines that share one. Needs the extra `postgres`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pnyx.runtime.errors import PackageMissing, RuntimeFailure, StoreFailure, StoreNewer, StoreUnusable
from pnyx.runtime.store.backend import VERSION, Entry, Row, StoreInfo, shown_place

__all__ = ["PostgresBackend"]

_WAY_OUT = "see whether the server runs and the address is right; `--store none` does without"
_TABLES = (
    "CREATE TABLE IF NOT EXISTS pnyx_store (version INTEGER NOT NULL, age DOUBLE PRECISION NOT NULL)",
    "CREATE TABLE IF NOT EXISTS pnyx_models (id SERIAL PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    """CREATE TABLE IF NOT EXISTS pnyx_records (
        key BYTEA PRIMARY KEY, model INTEGER NOT NULL REFERENCES pnyx_models (id), payload BYTEA NOT NULL,
        size BIGINT NOT NULL, cost DOUBLE PRECISION NOT NULL, made BIGINT NOT NULL, uses INTEGER NOT NULL,
        worth DOUBLE PRECISION NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS pnyx_records_by_worth ON pnyx_records (worth, size)",
)
_TABLES_LOCK = 0x506E7978
_ENTRY = "SELECT key, name, size, uses, made, payload FROM pnyx_records JOIN pnyx_models ON id = model"
_SHRINK = """
DELETE FROM pnyx_records USING (
    SELECT key, sum(size) OVER (ORDER BY worth DESC, key) AS kept FROM pnyx_records
) AS ranked WHERE pnyx_records.key = ranked.key AND kept > :size RETURNING worth
"""


class PostgresBackend:
    """Opens the database and makes its tables. Raises StoreUnusable, and PackageMissing without SQLAlchemy."""

    def __init__(self, url: str) -> None:
        try:
            import psycopg  # noqa: F401
            from sqlalchemy import create_engine, make_url
            from sqlalchemy.exc import ArgumentError
        except ImportError:
            raise PackageMissing(
                "a call store in PostgreSQL needs SQLAlchemy and psycopg", help="pip install 'pnyx[postgres]'"
            ) from None
        try:
            address = make_url(url).set(drivername="postgresql+psycopg")
        except (ArgumentError, ValueError):  # the second where the port is no number
            help = "write it as `postgresql://user@host:port/database`"
            message = f"the address of the call store cannot be read: `{shown_place(url)}`"
            raise StoreUnusable(message, help=help) from None
        self._place = shown_place(address.set(drivername="postgresql").render_as_string(hide_password=False))
        self._engine = create_engine(address, pool_pre_ping=True, connect_args={"connect_timeout": 10})
        self._models: dict[str, int] = {}
        with self._failing(StoreUnusable, "cannot be opened"), self._engine.begin() as database:
            self._prepare(database)

    @property
    def place(self) -> str:
        return self._place

    def _prepare(self, database: Any) -> None:
        _run(database, "SELECT pg_advisory_xact_lock(:lock)", lock=_TABLES_LOCK)
        for table in _TABLES:
            _run(database, table)
        version = _run(database, "SELECT version FROM pnyx_store").scalar()
        if version is None:
            _run(database, "INSERT INTO pnyx_store VALUES (:version, 0)", version=VERSION)
        elif version > VERSION:
            raise StoreNewer(
                f"the call store `{self._place}` has version {version}; this Pnyx knows version {VERSION}",
                help="install the newer Pnyx, or name another database with `--store`",
            )

    def read(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        with self._failing(), self._engine.connect() as database:
            return _payloads(database, keys)

    def write(self, rows: Sequence[Row], used: Sequence[bytes]) -> dict[bytes, bytes]:
        standing: dict[bytes, bytes] = {}
        with self._failing(), self._engine.begin() as database:
            age = float(_run(database, "SELECT age FROM pnyx_store").scalar_one())
            models = {name: self._model(database, name) for name in sorted({row.model for row in rows})}
            # Always in the order of the keys, so that two writers never wait for each other.
            values = [
                {
                    "key": row.key,
                    "model": models[row.model],
                    "payload": row.payload,
                    "size": row.size,
                    "cost": row.cost,
                    "made": row.made,
                    "worth": age + row.cost / row.size,
                }
                for row in sorted(rows, key=lambda row: row.key)
            ]
            if values:
                insert = "INSERT INTO pnyx_records VALUES (:key, :model, :payload, :size, :cost, :made, 1, :worth)"
                added = _run(database, f"{insert} ON CONFLICT DO NOTHING", values).rowcount
                if added != len(values):
                    there = _payloads(database, [row.key for row in rows])
                    standing = {
                        row.key: there[row.key] for row in rows if there.get(row.key, row.payload) != row.payload
                    }
            if used:
                _run(
                    database,
                    "UPDATE pnyx_records SET uses = uses + 1, worth = :age + (uses + 1) * cost / size WHERE key = :key",
                    [{"age": age, "key": key} for key in sorted(set(used))],
                )
        return standing

    def _model(self, database: Any, name: str) -> int:
        if name not in self._models:
            _run(database, "INSERT INTO pnyx_models (name) VALUES (:name) ON CONFLICT DO NOTHING", name=name)
            self._models[name] = _run(database, "SELECT id FROM pnyx_models WHERE name = :name", name=name).scalar_one()
        return self._models[name]

    def size(self) -> int:
        with self._failing(), self._engine.connect() as database:
            return int(_run(database, "SELECT coalesce(sum(size), 0) FROM pnyx_records").scalar_one())

    def shrink(self, size: int) -> int:
        with self._failing(), self._engine.begin() as database:
            gone = _run(database, _SHRINK, size=size).scalars().all()
            if gone:
                _run(database, "UPDATE pnyx_store SET age = greatest(age, :age)", age=max(gone))
            return len(gone)

    def info(self) -> StoreInfo:
        with self._failing(), self._engine.connect() as database:
            models = [
                (str(name), int(count), int(size))
                for name, count, size in _run(
                    database,
                    "SELECT name, count(*), sum(size) FROM pnyx_records JOIN pnyx_models ON id = model "
                    "GROUP BY name ORDER BY name",
                )
            ]
            on_disk = int(_run(database, "SELECT pg_total_relation_size('pnyx_records')").scalar_one())
        return StoreInfo(self.place, sum(m[1] for m in models), sum(m[2] for m in models), on_disk, tuple(models))

    def entries(self, model: str | None, limit: int) -> Iterator[Entry]:
        where = "WHERE (CAST(:model AS TEXT) IS NULL OR name = :model) ORDER BY made DESC, key LIMIT :limit"
        with self._failing(), self._engine.connect() as database:
            return iter([_entry(row) for row in _run(database, f"{_ENTRY} {where}", model=model, limit=limit)])

    def find(self, prefix: str) -> list[Entry]:
        with self._failing(), self._engine.connect() as database:
            where = "WHERE encode(key, 'hex') LIKE :prefix LIMIT 10"
            return [_entry(row) for row in _run(database, f"{_ENTRY} {where}", prefix=f"{prefix.lower()}%")]

    def drop(self, *, model: str | None = None, before: int | None = None, key: bytes | None = None) -> int:
        with self._failing(), self._engine.begin() as database:
            where = (
                "(CAST(:model AS TEXT) IS NULL OR model = (SELECT id FROM pnyx_models WHERE name = :model)) "
                "AND (CAST(:before AS BIGINT) IS NULL OR made < :before) "
                "AND (CAST(:key AS BYTEA) IS NULL OR key = :key)"
            )
            statement = f"DELETE FROM pnyx_records WHERE {where}"
            return int(_run(database, statement, model=model, before=before, key=key).rowcount)

    def compact(self) -> None:
        with self._failing(), self._engine.connect() as database:
            _run(database.execution_options(isolation_level="AUTOCOMMIT"), "VACUUM pnyx_records")

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _failing(self, kind: type[RuntimeFailure] = StoreFailure, what: str = "failed") -> Iterator[None]:
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
            raise kind(f"the call store `{self._place}` {what}: {reason}", help=_WAY_OUT) from None


def _entry(row: Any) -> Entry:
    key, model, size, uses, made, payload = row
    return Entry(bytes(key), model, size, uses, made, bytes(payload))


def _payloads(database: Any, keys: Sequence[bytes]) -> dict[bytes, bytes]:
    rows = _run(database, "SELECT key, payload FROM pnyx_records WHERE key = ANY(:keys)", keys=list(keys))
    return {bytes(key): bytes(payload) for key, payload in rows}


def _run(database: Any, statement: str, many: Sequence[dict[str, Any]] | None = None, **values: object) -> Any:
    """`many`: the values of as many statements."""
    from sqlalchemy import text

    return database.execute(text(statement), values if many is None else many)
