"""A worker: a process's part in a search, and what it does for those that died.

Invariants
- Every change of a search is made by a worker, is one durable transaction, and is a sign of its life; changes of all
  workers come one after the other.
- A worker that was taken for dead and was not enters anew with its next change.
- The clock counts the seconds during which at least one worker was at work: from one change of a worker to its next,
  one was. A worker that is killed takes the time since its last change with it, a second or so.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, RLock, Thread

from sqlalchemy import Connection, bindparam, delete, func, select, update

from pnyx.runtime.search.book.account import Account, Head, charge_of
from pnyx.runtime.search.book.failures import BookFailure
from pnyx.runtime.search.book.leases import Sign, Watch, this_process
from pnyx.runtime.search.book.tables import Database, claims, keys, searches, tasks, workers

__all__ = ["Worker"]

_BEAT_SECONDS = 1.0

_HEAD = select(searches).where(searches.c.id == bindparam("of"))
_LOCKED_HEAD = _HEAD.with_for_update()
_SIGN = update(workers).where(workers.c.id == bindparam("me")).values(beat=workers.c.beat + 1)
_OTHERS = select(workers.c.id, workers.c.process, workers.c.beat).where(
    workers.c.search == bindparam("of"), workers.c.id != bindparam("me")
)
_FIRST = select(func.min(workers.c.id)).where(workers.c.search == bindparam("of"))


class Worker:
    """Of the search with this number. `lease`: seconds without a sign after which another worker is taken for dead."""

    def __init__(self, database: Database, search: int, lease: float) -> None:
        self.database = database
        self.search = search
        self.number = 0
        self._watch = Watch(lease)
        self._process = this_process()
        self._changing = RLock()
        self._seconds, self._since = 0.0, time.monotonic()
        self._sweep()
        self._ended = Event()
        interval = min(_BEAT_SECONDS, lease / 5)
        self._beating = Thread(target=self._beat, args=(interval,), name="pnyx-search-beat", daemon=True)
        self._beating.start()

    @contextmanager
    def change(self) -> Iterator[tuple[Connection, Head]]:
        """A transaction on the search; what is said of its head is written. Any thread may ask for one. Raises
        BookFailure."""
        with self._changing, self.database.write() as connection:
            head = Head.of(connection.execute(_LOCKED_HEAD, {"of": self.search}).one())
            head.mark += 1
            number = self._sign(connection)
            now = time.monotonic()
            if number == self.number:
                head.seconds = max(head.seconds, self._seconds + now - self._since)
            self.number, self._seconds, self._since = number, head.seconds, now
            yield connection, head
            connection.execute(update(searches).where(searches.c.id == self.search).values(head.values))

    def head(self, connection: Connection) -> Head:
        """As it is now, to be read."""
        return Head.of(connection.execute(_HEAD, {"of": self.search}).one())

    def account(self) -> Account:
        with self.database.read() as connection:
            return self.head(connection).account

    @property
    def seconds(self) -> float:
        """During which at least one worker was at work, up to now."""
        with self._changing:
            return self._seconds + time.monotonic() - self._since

    def leads(self) -> bool:
        """Whether it has been there longest of those that live."""
        with self.database.read() as connection:
            return bool(connection.scalar(_FIRST, {"of": self.search}) == self.number)

    def close(self) -> None:
        """Leaves the search. Its claims that are not settled count as lost."""
        self._ended.set()
        self._beating.join()
        with self.change() as (connection, head):
            self._bury(connection, head, self.number)

    def _sign(self, connection: Connection) -> int:
        """Its number; a new one at first, and where it was taken for dead."""
        if connection.execute(_SIGN, {"me": self.number}).rowcount:
            return self.number
        entering = workers.insert().values(search=self.search, process=self._process, beat=0)
        return int(connection.execute(entering.returning(workers.c.id)).scalar_one())

    def _beat(self, interval: float) -> None:
        while not self._ended.wait(interval):
            with suppress(BookFailure):  # whoever changes something hears of it
                self._sweep()

    def _sweep(self) -> None:
        with self.change() as (connection, head):
            signs = [Sign(*row) for row in connection.execute(_OTHERS, {"of": self.search, "me": self.number})]
            for sign in self._watch.dead(signs):
                self._bury(connection, head, sign.worker)

    def _bury(self, connection: Connection, head: Head, number: int) -> None:
        """What a worker had under way is free for others; its calls may have been made, so they count in full."""
        connection.execute(delete(workers).where(workers.c.id == number))
        of_worker = tasks.c.search == self.search, tasks.c.worker == number
        connection.execute(update(tasks).where(*of_worker).values(worker=None))
        left = claims.c.search == self.search, claims.c.worker == number
        lost = connection.execute(select(claims.c.number, claims.c.bound).where(*left)).all()
        for row in lost:
            head.lose(charge_of(row.bound))
        connection.execute(update(claims).where(*left).values(worker=None))
        on_way = keys.c.search == self.search, keys.c.claim.in_([row.number for row in lost])
        connection.execute(update(keys).where(*on_way).values(claim=None, mark=head.mark))
