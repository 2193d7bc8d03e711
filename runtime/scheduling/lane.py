"""A lane: one engine and the queue before it. The invariants are those of `pnyx.runtime.scheduling.scheduler`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from typing import TypeAlias

from pnyx.runtime.engines.engine import Engine
from pnyx.runtime.errors import EngineFailure, RuntimeFailure, ServerAway
from pnyx.runtime.request import Request, Response
from pnyx.runtime.scheduling.concurrency import Adaptive, Concurrency
from pnyx.runtime.scheduling.residency import Seat
from pnyx.runtime.scheduling.retries import wait_before_next

__all__ = ["Again", "Done", "Lane", "Ticket"]

Done: TypeAlias = Callable[[Response | RuntimeFailure | None], None]
"""Hears the answer, or why there is none; None: a try failed that would be made again, and the scheduler drains."""
Again: TypeAlias = Callable[[RuntimeFailure, Callable[[], None]], None]
"""Hears why a try failed, when the next one is due, and makes it by calling the function that comes with it."""

_LATENCIES = 200
_LATENCIES_NEEDED = 20
_COUNTS = range(2**31)
"""What a number of tokens may be."""


class Ticket:
    """A request on its way. `started`: whether the engine ever had it. `failures`: of the tries that failed, when they
    began and ended and why."""

    __slots__ = (
        "_lane", "again", "arrival", "began", "done", "failures", "over", "queued", "request", "room", "started",
        "tasks", "timers", "tried",
    )  # fmt: skip

    def __init__(self, lane: Lane, request: Request, arrival: int, done: Done, again: Again | None) -> None:
        self._lane = lane
        self.request = request
        self.arrival = arrival
        self.room = max(1, request.n)
        self.done, self.again = done, again
        self.tried = 0
        self.began = 0.0
        self.failures: tuple[tuple[float, float, RuntimeFailure], ...] = ()
        self.tasks: list[asyncio.Task[Response]] = []
        self.timers: list[asyncio.TimerHandle] = []
        self.queued = self.started = self.over = False

    @property
    def at_work(self) -> bool:
        """Whether the engine has it now."""
        return bool(self.tasks)

    def cancel(self) -> None:
        if not self.over:
            self.over = True
            self._lane.withdraw(self)


class Lane:
    __slots__ = (
        "_answered", "_arrivals", "_backoff", "_concurrency", "_deadline", "_draining", "_engine", "_gone", "_hedge",
        "_in_flight", "_latencies", "_leaving", "_loop", "_pause", "_queue", "_seat", "_waking",
    )  # fmt: skip

    def __init__(
        self,
        engine: Engine,
        *,
        backoff: float,
        deadline: float | None,
        hedge: float | None,
        seat: Seat | None = None,
    ) -> None:
        self._engine, self._seat = engine, seat
        info = engine.info
        self._concurrency = Adaptive(info.window) if info.remote else Concurrency(info.window)
        self._backoff, self._deadline, self._hedge = backoff, deadline, hedge
        self._in_flight = 0
        self._draining = False
        self._answered = self._gone = float("-inf")
        self._arrivals = 0
        self._queue: list[tuple[int, int, Ticket]] = []
        self._pause = float("-inf")
        self._waking: asyncio.TimerHandle | None = None
        self._latencies: deque[float] = deque(maxlen=_LATENCIES)
        self._leaving: set[asyncio.Task[Response]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def submit(self, request: Request, done: Done, again: Again | None) -> Ticket:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        self._arrivals += 1
        ticket = Ticket(self, request, self._arrivals, done, again)
        self._enter(ticket)
        return ticket

    def withdraw(self, ticket: Ticket) -> None:
        """The ticket was cancelled. Its tasks give their room back when the engine lets go of them."""
        self._stop_timers(ticket)
        self._dismiss(ticket.tasks)
        self._unqueue(ticket)

    def drain(self) -> None:
        """From now on no try is made again."""
        self._draining = True

    async def settled(self) -> None:
        """Waits until the engine has let go of every cancelled request."""
        while self._leaving:
            await asyncio.wait(self._leaving)

    def _dismiss(self, tasks: list[asyncio.Task[Response]]) -> None:
        for task in tasks:
            if task.cancel():
                self._leaving.add(task)

    @property
    def _now(self) -> float:
        assert self._loop is not None
        return self._loop.time()

    def _fits(self, ticket: Ticket) -> bool:
        if self._seat is not None and not self._seat.open:
            return False
        return self._in_flight == 0 or self._in_flight + ticket.room <= self._concurrency.limit

    def _enter(self, ticket: Ticket) -> None:
        if not self._queue and self._fits(ticket) and not self._paused():
            self._send(ticket)
        else:
            heappush(self._queue, (ticket.request.priority, ticket.arrival, ticket))
            if self._seat is not None:
                ticket.queued = True
                self._seat.queued(self)
                self.admit()  # those before it may all have been cancelled while the engine was away

    def _unqueue(self, ticket: Ticket) -> None:
        if ticket.queued and self._seat is not None:
            ticket.queued = False
            self._seat.unqueued(self)

    def refuse(self, reason: str) -> None:
        """The engine will not be there again: those who wait for it get an error."""
        while self._queue:
            ticket = heappop(self._queue)[2]
            if not ticket.over:
                if not ticket.started:
                    ticket.began = self._now
                help = "see whether its files are still whole, and whether something else takes the memory"
                self._finish(ticket, EngineFailure(reason, help=help))

    def admit(self) -> None:
        """Sends those who wait, in their order, as far as there is room."""
        while self._queue:
            ticket = self._queue[0][2]
            if ticket.over:  # cancelled while it waited
                heappop(self._queue)
            elif self._fits(ticket) and not self._paused():
                heappop(self._queue)
                self._send(ticket)
                self._unqueue(ticket)
            else:
                return

    def _paused(self) -> bool:
        """Whether the engine asked to be left alone; if so, wakes up when that is over."""
        if self._pause == float("-inf"):
            return False
        assert self._loop is not None
        if self._now >= self._pause:
            self._pause = float("-inf")
            return False
        if self._waking is None:
            self._waking = self._loop.call_at(self._pause, self._wake)
        return True

    def _wake(self) -> None:
        self._waking = None
        self.admit()

    def _send(self, ticket: Ticket) -> None:
        assert self._loop is not None
        ticket.started = True
        ticket.tried += 1
        ticket.began = self._now
        self._launch(ticket)
        if self._deadline is not None:
            ticket.timers.append(self._loop.call_later(self._deadline, self._expire, ticket, self._deadline))
        if self._hedge is not None and len(self._latencies) >= _LATENCIES_NEEDED:
            ordered = sorted(self._latencies)
            late = self._hedge * ordered[len(ordered) * 9 // 10]
            ticket.timers.append(self._loop.call_later(late, self._send_again, ticket))

    def _launch(self, ticket: Ticket) -> None:
        assert self._loop is not None
        self._in_flight += ticket.room
        if self._seat is not None:
            self._seat.began()
        task = self._loop.create_task(self._engine.complete(ticket.request))
        ticket.tasks.append(task)
        task.add_done_callback(lambda ended: self._ended(ticket, ended))

    def _send_again(self, ticket: Ticket) -> None:
        if not ticket.over and len(ticket.tasks) == 1 and not self._queue and self._fits(ticket):
            self._launch(ticket)

    def _expire(self, ticket: Ticket, seconds: float) -> None:
        if ticket.over or not ticket.tasks:
            return
        tasks, ticket.tasks = ticket.tasks, []
        self._dismiss(tasks)
        message = f"the engine `{self._engine.info.engine}` gave no answer for {seconds:g} seconds"
        self._failed(ticket, EngineFailure(message, retryable=True, help="see whether it is still at work"))

    def _ended(self, ticket: Ticket, task: asyncio.Task[Response]) -> None:
        filled = bool(self._queue) or 2 * self._in_flight >= self._concurrency.limit
        self._in_flight -= ticket.room
        self._leaving.discard(task)
        waited_for = task in ticket.tasks and not ticket.over
        if task in ticket.tasks:
            ticket.tasks.remove(task)
        if waited_for:
            self._settle(ticket, task, filled=filled)
        elif not task.cancelled():
            task.exception()  # nobody waits for it any more; taken, so that it is not reported as lost
        self.admit()
        if self._seat is not None:
            self._seat.ended()

    def _settle(self, ticket: Ticket, task: asyncio.Task[Response], *, filled: bool) -> None:
        """`filled`: whether so much was in flight that the answer says something of how much the engine bears."""
        outcome = self._outcome(ticket.request, task)
        if isinstance(outcome, RuntimeFailure):
            if not ticket.tasks:  # otherwise the other one of a hedged pair may still answer
                self._failed(ticket, outcome)
            return
        self._answered = self._now
        if filled:
            self._concurrency.succeeded(ticket.room)
        if self._hedge is not None:
            self._latencies.append(self._now - ticket.began)
        self._finish(ticket, outcome)

    def _finish(self, ticket: Ticket, outcome: Response | RuntimeFailure | None) -> None:
        ticket.over = True
        self.withdraw(ticket)
        ticket.done(outcome)

    def _failed(self, ticket: Ticket, failure: RuntimeFailure) -> None:
        assert self._loop is not None
        self._stop_timers(ticket)
        now = self._now
        ticket.failures = (*ticket.failures, (ticket.began, now, failure))
        if isinstance(failure, EngineFailure) and failure.overloaded:
            self._concurrency.overloaded(ticket.began, now)
        wait = wait_before_next(failure, ticket.tried, ticket.request, self._backoff)
        if isinstance(failure, ServerAway):
            if wait is None and self._answered < ticket.failures[0][0]:
                self._gone = now
            if self._gone > self._answered:  # waited for long enough, and for all
                wait = None
        if wait is None:
            self._finish(ticket, failure)
            return
        if self._draining:
            self._finish(ticket, None)
            return
        if isinstance(failure, EngineFailure) and failure.retry_after:
            self._pause = max(self._pause, now + failure.retry_after)
        ticket.timers.append(self._loop.call_later(wait, self._return, ticket))

    def _return(self, ticket: Ticket) -> None:
        ticket.timers.clear()
        if ticket.again is None:
            self._enter(ticket)
        else:
            ticket.again(ticket.failures[-1][2], partial(self._reenter, ticket))

    def _reenter(self, ticket: Ticket) -> None:
        if not ticket.over:
            self._enter(ticket)

    @staticmethod
    def _stop_timers(ticket: Ticket) -> None:
        for timer in ticket.timers:
            timer.cancel()
        ticket.timers.clear()

    def _outcome(self, request: Request, task: asyncio.Task[Response]) -> Response | RuntimeFailure:
        name = self._engine.info.engine
        if task.cancelled():
            return EngineFailure(f"the engine `{name}` dropped a call", retryable=True)
        error = task.exception()
        if error is None:
            return _checked(request, task.result(), name)
        if isinstance(error, RuntimeFailure):
            return error
        if not isinstance(error, Exception):
            raise error
        message = f"the engine `{name}` failed: {type(error).__name__}: {error}"
        failure = EngineFailure(message, help="this is a fault of the engine, not of the program")
        failure.__cause__ = error
        return failure


def _checked(request: Request, response: Response, engine: str) -> Response | EngineFailure:
    """An answer of another shape than asked for is none."""
    got, asked, what = len(response.samples), request.n, "samples"
    if request.choices:
        got, asked, what = len(response.probabilities), len(request.choices), "probabilities"
    elif request.continuations:
        got, asked, what = len(response.likelihoods), len(request.continuations), "likelihoods"
    if got != asked:
        return EngineFailure(f"the engine `{engine}` gave {got} {what} where {asked} were asked for", retryable=True)
    if not all(count in _COUNTS for count in (response.usage.prompt, *(s.tokens for s in response.samples))):
        return EngineFailure(f"the engine `{engine}` gave a number of tokens that cannot be", retryable=True)
    return response
