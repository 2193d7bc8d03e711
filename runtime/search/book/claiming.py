"""Claims on the budget of a search, and the transactions that grant and settle them.

```text
of samples that somebody is drawing? wait ─ paid by somebody since? look again ─ fits? set aside, commit, call
```
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeAlias, TypeVar

from sqlalchemy import Connection, bindparam, delete, select, update

from pnyx.runtime.budgets import Charge, Refused
from pnyx.runtime.budgets.purse import exceeded
from pnyx.runtime.search.book.account import NOTHING, Head, charge_of, plus
from pnyx.runtime.search.book.failures import BookFailure
from pnyx.runtime.search.book.tables import claims, keys
from pnyx.runtime.search.book.worker import Worker

__all__ = ["Answer", "Counter", "LedgerClaim", "Settlement"]

T = TypeVar("T")

_IN_ONE_STATEMENT = 5000
_FREE = (None, 0)
_DRAW_AGAIN = (
    update(keys)
    .where(keys.c.search == bindparam("of"), keys.c.key == bindparam("which"))
    .values(claim=bindparam("for"))
)


class LedgerClaim:
    """Of a `Budget`; `settled` hears of it when it is settled or given up. `number`: in the tables, once granted."""

    __slots__ = (
        "caps", "charge", "elsewhere", "granted", "keys", "mark", "number", "order", "over", "refused", "settled",
    )  # fmt: skip

    def __init__(
        self,
        charge: Charge,
        caps: Sequence[float],
        order: tuple[int, int],
        keys: Sequence[bytes],
        mark: int,
        *,
        granted: Callable[[], None],
        refused: Refused,
        elsewhere: Callable[[], None] | None,
        settled: Callable[[LedgerClaim, Charge | None], None],
    ) -> None:
        self.charge, self.caps, self.order = charge, caps, order
        self.keys, self.mark = keys, mark
        self.granted, self.refused, self.elsewhere, self.settled = granted, refused, elsewhere, settled
        self.number: int | None = None
        self.over = False

    def settle(self, spent: Charge | None = None) -> None:
        if not self.over:
            self.over = True
            self.settled(self, spent)

    def hear(self, answer: Callable[[], None], *, over: bool) -> None:
        """In the event loop; it may have been given up meanwhile."""
        if not self.over:
            self.over = over
            answer()


Settlement: TypeAlias = tuple[LedgerClaim, Charge | None]
Answer: TypeAlias = Callable[[], None]
"""To be called in the event loop."""


class Counter:
    """Where claims wait to be served. For one thread, but for what is known of the account."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._search = worker.search
        self._waiting: list[LedgerClaim] = []
        self._unsettled: list[Settlement] = []
        self.mark = 0
        self.account = worker.account()

    @property
    def waits(self) -> bool:
        return bool(self._waiting)

    def serve(self, coming: Sequence[LedgerClaim], settled: Sequence[Settlement]) -> list[Answer]:
        """One transaction for all of them; what it cannot answer yet waits. Where it fails, all are refused."""
        self._waiting += coming
        self._unsettled += settled
        try:
            with self._worker.change() as (connection, head):
                self._settle(connection, head)
                left, answers = self._decide(connection, head)
        except BookFailure as failure:
            refused, self._waiting = self._waiting, []
            return [partial(claim.hear, partial(claim.refused, failure), over=True) for claim in refused]
        self._waiting, self._unsettled = left, []
        self.mark, self.account = head.mark, head.account
        return answers

    def _settle(self, connection: Connection, head: Head) -> None:
        spent = {claim.number: charge for claim, charge in self._unsettled if claim.number is not None}
        for numbers in _some(list(spent)):
            these = claims.c.search == self._search, claims.c.number.in_(numbers)
            for row in connection.execute(select(claims).where(*these)).all():
                bound = charge_of(row.bound)
                if row.worker is None:  # this worker was taken for dead, and was not
                    head.find(bound)
                else:
                    head.release(bound)
                head.charged = plus(head.charged, spent[row.number] or NOTHING)
            connection.execute(delete(claims).where(*these))
            self._pay(connection, [number for number in numbers if spent[number] is not None], head.mark)
            self._give_up(connection, [number for number in numbers if spent[number] is None])

    def _pay(self, connection: Connection, numbers: Sequence[int], mark: int) -> None:
        if numbers:
            theirs = keys.c.search == self._search, keys.c.claim.in_(numbers)
            connection.execute(update(keys).where(*theirs).values(claim=None, mark=mark))

    def _give_up(self, connection: Connection, numbers: Sequence[int]) -> None:
        """Nothing was drawn for these claims: their keys are as they were before."""
        if numbers:
            theirs = keys.c.search == self._search, keys.c.claim.in_(numbers)
            connection.execute(delete(keys).where(*theirs, keys.c.mark == 0))
            connection.execute(update(keys).where(*theirs).values(claim=None))

    def _decide(self, connection: Connection, head: Head) -> tuple[list[LedgerClaim], list[Answer]]:
        """Who waits on, and what the others are told."""
        waiting = sorted((claim for claim in self._waiting if not claim.over), key=lambda claim: claim.order)
        known = self._known(connection, waiting)
        fresh: dict[bytes, int] = {}
        granted: list[LedgerClaim] = []
        left: list[LedgerClaim] = []
        answers: list[Answer] = []
        full = False
        for claim in waiting:
            if any(key in fresh or known.get(key, _FREE)[0] is not None for key in claim.keys):
                left.append(claim)
            elif claim.elsewhere and any(known.get(key, _FREE)[1] > claim.mark for key in claim.keys):
                answers.append(partial(claim.hear, claim.elsewhere, over=True))
            elif full:
                left.append(claim)
            elif (against := _against(claim, head)) is None:
                head.claims += 1
                head.set_aside(claim.charge)
                fresh |= dict.fromkeys(claim.keys, head.claims)
                claim.number = head.claims
                granted.append(claim)
                answers.append(partial(claim.hear, claim.granted, over=False))
            elif head.held == 0:
                answers.append(partial(claim.hear, partial(claim.refused, against), over=True))
            else:
                full = True
                left.append(claim)
        self._write(connection, granted, fresh, known)
        return left, answers

    def _known(self, connection: Connection, waiting: Sequence[LedgerClaim]) -> dict[bytes, tuple[int | None, int]]:
        """Of their keys: the claim for which each is being drawn, and when it was paid."""
        found: dict[bytes, tuple[int | None, int]] = {}
        wanted = select(keys.c.key, keys.c.claim, keys.c.mark)
        for some in _some([key for claim in waiting for key in claim.keys]):
            rows = connection.execute(wanted.where(keys.c.search == self._search, keys.c.key.in_(some)))
            found |= {bytes(key): (claim, mark) for key, claim, mark in rows}
        return found

    def _write(
        self,
        connection: Connection,
        granted: Sequence[LedgerClaim],
        fresh: dict[bytes, int],
        known: dict[bytes, tuple[int | None, int]],
    ) -> None:
        if granted:
            mine = {"search": self._search, "worker": self._worker.number}
            values = [{**mine, "number": claim.number, "bound": json.dumps(claim.charge)} for claim in granted]
            connection.execute(claims.insert(), values)
        added = [{"search": self._search, "key": k, "claim": n, "mark": 0} for k, n in fresh.items() if k not in known]
        if added:
            connection.execute(keys.insert(), added)
        again = [{"of": self._search, "which": k, "for": n} for k, n in fresh.items() if k in known]
        if again:  # paid before, and in the store no more
            connection.execute(_DRAW_AGAIN, again)


def _against(claim: LedgerClaim, head: Head) -> str | None:
    return exceeded(claim.caps, (head.charged, head.lost, head.aside, claim.charge))


def _some(items: list[T]) -> Iterator[list[T]]:
    for start in range(0, len(items), _IN_ONE_STATEMENT):
        yield items[start : start + _IN_ONE_STATEMENT]
