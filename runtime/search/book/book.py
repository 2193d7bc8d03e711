"""The book of a search: all of it that outlives its processes.

It holds the proposals of its rounds as numbered tasks, the rows of the response matrix, and what workers agreed on.
What the search depends on is `identity.py`'s, the account of its budget `ledger.py`'s, who is at work `worker.py`'s.

Invariants
- A row is settled once: the first one counts, whoever writes another. A point has rows for its first questions, without
  gaps.
- A task is at work in at most one worker that lives; those of a worker that died or left are free again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias, cast

from sqlalchemy import Connection, bindparam, func, select, update

from pnyx.runtime.search.book import tables
from pnyx.runtime.search.book.account import Account
from pnyx.runtime.search.book.identity import Identity, identify
from pnyx.runtime.search.book.places import Place, parse_place
from pnyx.runtime.search.book.tables import Database
from pnyx.runtime.search.book.worker import Worker
from pnyx.runtime.search.rows import Rows, Settled
from pnyx.runtime.search.space import Point
from pnyx.runtime.search.strategy import Origin, Proposal

__all__ = ["Book", "Ending", "Task", "open_book"]

Ending: TypeAlias = Literal["done", "raced out", "over budget"]
"""How a task ended: it saw all its questions; it was beaten before; a question may cost less than it takes."""

_SPENT = ("calls", "samples", "tokens", "flops", "money")
_of: Any = bindparam("of")
_COUNT_TASKS = select(func.count()).where(tables.tasks.c.search == _of)
_TASKS = select(tables.tasks).where(tables.tasks.c.search == _of).order_by(tables.tasks.c.number)
_FREE_TASKS = _TASKS.where(tables.tasks.c.ending.is_(None), tables.tasks.c.worker.is_(None)).limit(bindparam("most"))
_NEW_POINTS = (
    select(tables.points.c.point)
    .where(tables.points.c.search == _of, tables.points.c.number >= bindparam("known"))
    .order_by(tables.points.c.number)
)
_COUNT_ROWS = select(func.count()).where(tables.rows.c.search == _of, tables.rows.c.point == bindparam("point"))
_NEW_ROWS = (
    select(tables.rows)
    .where(tables.rows.c.search == _of, tables.rows.c.mark > bindparam("since"))
    .order_by(tables.rows.c.point, tables.rows.c.question)
)
_DECIDED = select(tables.decisions.c.value).where(
    tables.decisions.c.search == _of, tables.decisions.c.name == bindparam("name")
)


@dataclass(frozen=True, slots=True)
class Task:
    """A proposal, by its number in the order of proposals. `taken`: a worker is at it; `ending` None: not yet over."""

    number: int
    proposal: Proposal
    taken: bool
    ending: Ending | None


def open_book(
    place: Place | str,
    name: str,
    fingerprint: Mapping[str, object],
    *,
    new: bool = False,
    join: bool = False,
    lease: float = 30.0,
) -> Book:
    """The search of this name at a place; begun where there is none. It is this process's to close.

    `fingerprint`: what the search depends on, by what people call it; JSON values. `new` begins another one of this
    name and leaves the old one as it is; `join` begins none. `lease`: seconds without a sign after which a worker of
    another machine is taken for dead. Raises BookUnusable (E660), BookNewer (E661), OtherSearch (E663), NoSearch (E664)
    and, without psycopg, PackageMissing (E608).
    """
    database = Database(parse_place(place) if isinstance(place, str) else place)
    try:
        return Book(database, identify(database, name, fingerprint, new=new, join=join), lease)
    except BaseException:
        database.close()
        raise


class Book:
    """One worker's view. Its methods are for one thread at a time; all raise BookFailure (E662)."""

    def __init__(self, database: Database, identity: Identity, lease: float) -> None:
        self.place = database.place
        self.identity = identity
        self.worker = Worker(database, identity.number, lease)
        self._database = database
        self._of = {"of": identity.number}
        self._points: list[Point] = []
        self._numbers: dict[Point, int] = {}

    # Tasks

    def add(self, proposals: Sequence[Proposal], after: int) -> bool:
        """As tasks numbered from `after` on. False, and nothing is added, where there are not just `after` of them:
        another worker was first. A rival is proposed before, or beside."""
        with self.worker.change() as (connection, _):
            if connection.scalar(_COUNT_TASKS, self._of) != after:
                return False
            self._read_points(connection)
            wanted = dict.fromkeys(proposal.point for proposal in proposals)
            new = {
                point: number
                for number, point in enumerate((p for p in wanted if p not in self._numbers), len(self._points))
            }
            numbers = self._numbers | new
            self._insert(connection, tables.points, [{"number": new[p], "point": json.dumps(p)} for p in new])
            added = [
                {
                    "number": number, "point": numbers[proposal.point], "origin": proposal.origin,
                    "upto": proposal.upto, "rival": None if proposal.rival is None else numbers[proposal.rival],
                }
                for number, proposal in enumerate(proposals, after)
            ]  # fmt: skip
            self._insert(connection, tables.tasks, added)
        return True

    def tasks(self) -> tuple[Task, ...]:
        """All, in the order of their numbers."""
        with self._database.read() as connection:
            return self._tasks(connection, connection.execute(_TASKS, self._of).all())

    def take(self, most: int = 1) -> tuple[Task, ...]:
        """The first tasks that are neither over nor taken; they are this worker's now."""
        with self.worker.change() as (connection, _):
            free = connection.execute(_FREE_TASKS, {**self._of, "most": most}).all()
            self._set_tasks(connection, [row.number for row in free], worker=self.worker.number)
            return self._tasks(connection, free)

    def release(self, number: int) -> None:
        """A task that was taken is free again, for who comes later."""
        with self.worker.change() as (connection, _):
            self._set_tasks(connection, [number], worker=None)

    def finish(self, number: int, ending: Ending) -> None:
        """A task that is over already stays as it ended."""
        with self.worker.change() as (connection, _):
            self._set_tasks(connection, [number], worker=None, ending=ending)

    # Rows

    def settle(self, point: Point, first: int, rows: Sequence[Settled]) -> None:
        """The questions of a point from number `first` on. Those that have rows keep them."""
        with self.worker.change() as (connection, head):
            self._read_points(connection)
            number = self._numbers[point]
            there = connection.scalar(_COUNT_ROWS, {**self._of, "point": number}) or 0
            assert first <= there, "the questions of a point have no gaps"
            added = [
                {
                    "point": number, "question": question, "mark": head.mark,
                    "score": None if row.score is None or math.isnan(row.score) else row.score,
                    "seconds": row.seconds, **dict(zip(_SPENT, row.spent, strict=True)),
                }
                for question, row in enumerate(rows, first) if question >= there
            ]  # fmt: skip
            self._insert(connection, tables.rows, added)

    def read(self, rows: Rows, since: int = 0) -> int:
        """Brings `rows`, which were read up to the mark `since`, up to date: new points in the order in which they were
        proposed, new rows of all workers. Gives the mark up to which they are read now."""
        with self._database.read() as connection:
            mark = self.worker.head(connection).mark
            self._read_points(connection)
            found = connection.execute(_NEW_ROWS, {**self._of, "since": since}).all()
        for point in self._points:
            rows.propose(point)
        for row in found:
            spent = (row.calls, row.samples, row.tokens, row.flops, row.money)
            rows.settle(self._points[row.point], [Settled(row.score, spent, row.seconds)])
        return mark

    # What workers agree on

    def decide(self, name: str, value: object) -> Any:
        """What is decided under this name: `value`, in JSON, unless somebody was first, or this worker was before."""
        with self.worker.change() as (connection, _):
            said = connection.scalar(_DECIDED, {**self._of, "name": name})
            if said is None:
                said = json.dumps(value)
                self._insert(connection, tables.decisions, [{"name": name, "value": said}])
        return json.loads(said)

    def decided(self, name: str) -> Any:
        """None where nothing is."""
        with self._database.read() as connection:
            said = connection.scalar(_DECIDED, {**self._of, "name": name})
        return None if said is None else json.loads(said)

    def leads(self) -> bool:
        """Whether this worker has been there longest of those that live."""
        return self.worker.leads()

    # Meters

    def account(self) -> Account:
        return self.worker.account()

    @property
    def seconds(self) -> float:
        """During which at least one worker was at work, up to now."""
        return self.worker.seconds

    def close(self) -> None:
        """Leaves the search to the others, and to those who come later."""
        try:
            self.worker.close()
        finally:
            self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _insert(self, connection: Connection, table: Any, values: list[Any]) -> None:
        if values:
            connection.execute(table.insert(), [{"search": self.identity.number, **row} for row in values])

    def _set_tasks(self, connection: Connection, numbers: Sequence[int], **values: object) -> None:
        columns = tables.tasks.c
        where = columns.search == self.identity.number, columns.number.in_(numbers), columns.ending.is_(None)
        connection.execute(update(tables.tasks).where(*where).values(**values))

    def _tasks(self, connection: Connection, found: Sequence[Any]) -> tuple[Task, ...]:
        self._read_points(connection)
        return tuple(
            Task(
                row.number,
                Proposal(
                    self._points[row.point],
                    cast(Origin, row.origin),
                    row.upto,
                    None if row.rival is None else self._points[row.rival],
                ),
                row.worker is not None,
                cast("Ending | None", row.ending),
            )
            for row in found
        )

    def _read_points(self, connection: Connection) -> None:
        """Those that are new."""
        for (said,) in connection.execute(_NEW_POINTS, {**self._of, "known": len(self._points)}).all():
            point = tuple((name, option) for name, option in json.loads(said))
            self._numbers[point] = len(self._points)
            self._points.append(point)
