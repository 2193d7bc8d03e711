"""The ledger: a budget that processes share, durable before a call is made.

Invariants
- Charged, set aside and lost together never exceed the limits, as long as no call costs more than was set aside for it;
  a call is made only when what it may cost is durably set aside.
- What does not fit waits while something is set aside, whoever did it; of one process, the lowest priority value goes
  first, and among equals the first come. What does not fit when nothing is set aside is refused.
- Samples under one key are drawn for one claim at a time, and never for one who has not looked into the call store
  since they were last paid.
- What a worker had set aside when it died is lost: it counts in full, and what it was to draw is free for others.
- Claims and settlements that come together are one transaction, in a thread of their own; callbacks come from the event
  loop, never from inside the call that they belong to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, TypeAlias

from pnyx.runtime.batches import Batches
from pnyx.runtime.budgets import Charge, Limits, Refused
from pnyx.runtime.search.book.account import Account
from pnyx.runtime.search.book.book import Book
from pnyx.runtime.search.book.claiming import Answer, Counter, LedgerClaim, Settlement

__all__ = ["Ledger", "LedgerPurse"]

_SOON, _LATE = 0.02, 0.5
"""Seconds after which what waits for other processes is looked at again: ever later, as long as nothing changes."""

_Thing: TypeAlias = LedgerClaim | Settlement | None
"""None: look again."""


class Ledger:
    """Of a book, for one event loop. It is closed before the book, and after the sessions and the call store."""

    def __init__(self, book: Book) -> None:
        self._counter = Counter(book.worker)
        self._batches = Batches[_Thing]("pnyx-search-ledger", self._work)
        self._arrivals = 0
        self._patience = _SOON
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def mark(self) -> int:
        return self._counter.mark

    @property
    def account(self) -> Account:
        """As of this process's last claim or settlement; that of the book is as of now."""
        return self._counter.account

    def put(self, thing: LedgerClaim | Settlement) -> None:
        self._batches.put(thing)

    def number(self) -> int:
        """Of the next claim, in the order in which they come."""
        self._arrivals += 1
        return self._arrivals

    async def close(self) -> None:
        """Settles what is left."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        await self._batches.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _work(self, batch: list[_Thing]) -> Callable[[], None]:
        coming = [thing for thing in batch if isinstance(thing, LedgerClaim)]
        settled = [thing for thing in batch if isinstance(thing, tuple)]
        answers = self._counter.serve(coming, settled)
        waits = self._counter.waits
        return lambda: self._tell(answers, waits)

    def _tell(self, answers: Sequence[Answer], waits: bool) -> None:
        for answer in answers:
            answer()
        self._patience = _SOON if answers else min(2 * self._patience, _LATE)
        if waits and self._timer is None and not self._closed:
            self._timer = asyncio.get_running_loop().call_later(self._patience, self._look_again)

    def _look_again(self) -> None:
        self._timer = None
        self._batches.put(None)


class LedgerPurse:
    """A `Budget` out of a ledger. Purses over one ledger share its account, each up to its own limits; one of lower
    limits leaves something for the others."""

    def __init__(self, ledger: Ledger, limits: Limits) -> None:
        self.limits = limits
        self._ledger = ledger
        self._caps = limits.caps

    @property
    def mark(self) -> int:
        return self._ledger.mark

    def claim(
        self,
        charge: Charge,
        granted: Callable[[], None],
        refused: Refused,
        *,
        priority: int = 0,
        keys: Sequence[bytes] = (),
        mark: int = 0,
        elsewhere: Callable[[], None] | None = None,
    ) -> LedgerClaim:
        order = priority, self._ledger.number()
        claim = LedgerClaim(
            charge, self._caps, order, keys, mark,
            granted=granted, refused=refused, elsewhere=elsewhere, settled=self._settle,
        )  # fmt: skip
        self._ledger.put(claim)
        return claim

    def _settle(self, claim: LedgerClaim, spent: Charge | None) -> None:
        self._ledger.put((claim, spent))
