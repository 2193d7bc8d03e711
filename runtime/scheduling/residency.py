"""Which engines are in memory, where they do not fit into it together.

Work goes on with what is there until nothing of an engine waits or runs; then the one with most calls waiting comes in,
and those that were idle longest make room. An engine whose calls have waited for `patience` seconds comes in whatever
the others have to do, once these have had as long.

Invariants
- The engines in memory, and the one that is brought in, take no more than `memory` together.
- No call is sent to an engine that is not in memory, and none leaves it while it is at work.
- Every engine whose calls wait comes in after a bounded time.
- An engine that cannot be brought in fails its calls; the others go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Lodger", "Residency", "Seat", "Stays", "Waiting"]

_LINGER = 0.05
"""Seconds. The calls that follow from an answer come after the store has kept it, so an engine that has just become
idle is left in peace for a moment."""
_LINGER_SHARE = 1 / 20
"""Of the time that bringing in takes."""
_PATIENCE = 30.0
_PATIENCE_SHARE = 10
"""So bringing in takes about a tenth of the time at most where all engines always have something to do."""


class Lodger(Protocol):
    """An engine as residency sees it. `leave` never raises, `close` neither, and is the last that is asked of it."""

    async def enter(self) -> None: ...

    async def leave(self) -> None: ...

    async def close(self) -> None: ...


class Waiting(Protocol):
    """A queue of calls before an engine. It is told when they may be sent, or why they never will be."""

    def admit(self) -> None: ...

    def refuse(self, reason: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Stays:
    """How often an engine was brought in since it was opened first, and how many seconds that took."""

    model: str
    times: int
    seconds: float


class Seat:
    """The place of one engine: what its queues tell, and whether it is there. `size` in bytes. Times are of the event
    loop: `idle` since when it has had nothing to do, `entered` since when it is there, `wanted` since when calls wait
    for it to come. `cost`: seconds that it took to bring it in the last time. `failure`: why it cannot be."""

    __slots__ = (
        "cost", "engine", "entered", "failure", "held", "idle", "model", "queues", "residency", "resident", "running",
        "seconds", "size", "times", "waiting", "wanted",
    )  # fmt: skip

    def __init__(self, model: str, engine: Lodger, size: int) -> None:
        self.model, self.engine, self.size = model, engine, size
        self.residency: Residency | None = None
        self.queues: dict[Waiting, int] = {}
        self.waiting = self.running = 0
        self.resident = self.held = False
        self.idle = self.entered = self.wanted = 0.0
        self.cost = self.seconds = 0.0
        self.times = 0
        self.failure: str | None = None

    @property
    def open(self) -> bool:
        """Whether calls may be sent to the engine."""
        return self.resident and not self.held

    @property
    def busy(self) -> bool:
        return bool(self.waiting or self.running)

    @property
    def stays(self) -> Stays:
        return Stays(self.model, self.times, self.seconds)

    def queued(self, queue: Waiting) -> None:
        """A call waits in `queue`."""
        self.queues[queue] = self.queues.get(queue, 0) + 1
        if not self.waiting:
            self.wanted = _now()
        self.waiting += 1
        if self.failure is not None:
            asyncio.get_running_loop().call_soon(queue.refuse, self.failure)
        self._changed()

    def unqueued(self, queue: Waiting) -> None:
        """A call waits there no more: it is sent, or nobody wants it."""
        self.queues[queue] -= 1
        if not self.queues[queue]:
            del self.queues[queue]
        self.waiting -= 1
        self._rest()

    def began(self) -> None:
        """The engine is at work on one call more."""
        self.running += 1

    def ended(self) -> None:
        self.running -= 1
        self._rest()

    def admit(self) -> None:
        for queue in list(self.queues):
            queue.admit()

    def _rest(self) -> None:
        if not self.busy:
            self.idle = _now()
        self._changed()

    def _changed(self) -> None:
        if self.residency is not None:
            self.residency.look()


class Residency:
    """Seats in the order of the plan, each no larger than `memory` (bytes). All of its engines are opened once, on
    `open`, since what is asked of an engine and where it is stored depends on what it says of itself."""

    def __init__(
        self, seats: Sequence[Seat], memory: int, *, linger: float = _LINGER, patience: float = _PATIENCE
    ) -> None:
        self.seats, self.memory = tuple(seats), memory
        self._linger, self._patience = linger, patience
        self._coming: tuple[Seat, list[Seat]] | None = None
        self._turning: asyncio.Task[None] | None = None
        self._entering = self._closed = False
        self._soon: asyncio.Handle | None = None
        self._later: asyncio.TimerHandle | None = None
        for seat in self.seats:
            seat.residency = self

    @property
    def taken(self) -> int:
        """Bytes of memory in use."""
        return sum(seat.size for seat in self.seats if seat.resident)

    async def open(self) -> None:
        """Opens every engine once, the last of the plan first, so that those with the first calls stay. Raises what
        opening raises."""
        for seat in reversed(self.seats):
            leaving = self._room(seat, lambda _: True)
            assert leaving is not None, "each is no larger than the memory"
            await self._clear(leaving)
            await self._bring(seat)

    async def close(self) -> None:
        """Closes the engines. One that is being brought in is not waited for."""
        self._closed = True
        for timer in (self._soon, self._later):
            if timer is not None:
                timer.cancel()
        if self._turning is not None:
            if self._entering:
                self._turning.cancel()
            await asyncio.wait([self._turning])
        for seat in self.seats:
            seat.resident = False
            await seat.engine.close()

    def look(self) -> None:
        """Something has changed: sees before long whether somebody is to come in."""
        if self._soon is None and not self._closed:
            self._soon = asyncio.get_running_loop().call_soon(self._decide)

    def _decide(self) -> None:
        self._soon = None
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._turning is not None or self._closed:
            return
        if self._coming is not None and not self._coming[0].waiting:  # nobody wants it any more
            _, staying = self._coming
            self._coming = None
            for seat in staying:
                seat.held = False
                seat.admit()
        if self._coming is None:
            self._coming = self._choose(_now())
        if self._coming is None:
            return
        seat, leaving = self._coming
        for other in leaving:
            other.held = True
        if not any(other.running for other in leaving):
            self._coming = None
            self._turning = asyncio.get_running_loop().create_task(self._turn(seat, leaving))

    def _choose(self, now: float) -> tuple[Seat, list[Seat]] | None:
        """Who comes in now, and who makes room; if nobody, looks again when that may be different."""
        cost = max(seat.cost for seat in self.seats)
        patience, linger = max(self._patience, _PATIENCE_SHARE * cost), max(self._linger, _LINGER_SHARE * cost)
        wanted = [seat for seat in self.seats if seat.waiting and not seat.resident and seat.failure is None]
        impatient = sorted((s for s in wanted if s.wanted + patience <= now), key=lambda s: s.wanted)
        for seat in impatient[:1]:  # before it is in, nobody else takes room
            leaving = self._room(seat, lambda s: not s.busy or s.entered + patience <= now)
            if leaving is not None:
                return seat, leaving
        for seat in sorted(wanted, key=lambda s: -s.waiting) if not impatient else ():
            leaving = self._room(seat, lambda s: not s.busy and s.idle + linger <= now)
            if leaving is not None:
                return seat, leaving
        there = [seat for seat in self.seats if seat.resident]
        moments = [seat.wanted + patience for seat in wanted]
        moments += [seat.entered + patience for seat in there if wanted]
        moments += [seat.idle + linger for seat in there if wanted and not seat.busy]
        later = min((moment for moment in moments if moment > now), default=None)
        if later is not None:
            self._later = asyncio.get_running_loop().call_at(later, self._decide)
        return None

    def _room(self, seat: Seat, may_leave: Callable[[Seat], bool]) -> list[Seat] | None:
        """Who leaves so that `seat` fits: those with least to do, of these the ones that were idle longest, and nobody
        in vain. None where it cannot fit."""
        missing = seat.size - (self.memory - self.taken)
        leaving: list[Seat] = []
        there = [other for other in self.seats if other.resident and may_leave(other)]
        for other in sorted(there, key=lambda s: (s.waiting + s.running, s.idle)):
            if missing > 0:
                leaving.append(other)
                missing -= other.size
        if missing > 0:
            return None
        for other in reversed(leaving.copy()):
            if missing + other.size <= 0:
                leaving.remove(other)
                missing += other.size
        return leaving

    async def _turn(self, seat: Seat, leaving: list[Seat]) -> None:
        began = _now()
        try:
            await self._clear(leaving)
            if self._closed:
                return
            await self._bring(seat)
        except Exception as error:  # an engine may raise anything
            reason = str(error) or type(error).__name__
            seat.failure = f"the model `{seat.model}` cannot be brought into memory again: {reason}"
            for queue in list(seat.queues):
                queue.refuse(seat.failure)
        else:
            seat.times += 1
            seat.seconds += seat.entered - began
        finally:
            self._turning = None
        seat.admit()
        self.look()

    async def _clear(self, leaving: list[Seat]) -> None:
        for seat in leaving:
            await seat.engine.leave()
            seat.resident = seat.held = False
            seat.wanted = _now()

    async def _bring(self, seat: Seat) -> None:
        began = _now()
        self._entering = True
        try:
            await seat.engine.enter()
        finally:
            self._entering = False
        seat.resident = True
        seat.entered = seat.idle = _now()
        seat.cost = seat.entered - began


def _now() -> float:
    return asyncio.get_running_loop().time()
