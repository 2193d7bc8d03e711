"""The scheduler: which request goes to its engine when, and what happens when one fails.

Invariants
- Never more samples in flight at an engine than its window (a request larger than the window goes alone).
- The lowest priority value goes first, and among equals the first come; nobody is overtaken for being large.
- A failed request that may be tried again waits outside the window.
- Cancelling `complete` cancels the call at the engine, or gives the place in the queue back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from heapq import heappop, heappush
from random import Random

from pnyx.runtime.engines.engine import Engine
from pnyx.runtime.errors import EngineFailure, RuntimeFailure
from pnyx.runtime.request import Request, Response

__all__ = ["Scheduler"]

TRIES = 3


class Scheduler:
    """Sends requests to the engines of the logical models. Logical models may share an engine, and then its window.

    `backoff`: seconds before the second try; twice as long before each further one, give or take a quarter.
    """

    def __init__(self, engines: Mapping[str, Engine], *, backoff: float = 0.5) -> None:
        lanes = {id(engine): _Lane(engine) for engine in engines.values()}
        self._lanes = {model: lanes[id(engine)] for model, engine in engines.items()}
        self._backoff = backoff

    async def complete(self, model: str, request: Request) -> Response:
        """Raises RuntimeFailure, and nothing else, where the engine does not answer."""
        lane = self._lanes[model]
        for attempt in range(1, TRIES + 1):
            try:
                return await lane.complete(request)
            except RuntimeFailure as failure:
                if not failure.retryable or attempt == TRIES:
                    raise
            # Deterministic, and different for each request, so that failed requests do not come back all at once.
            jitter = Random(request.seed + request.first + attempt).uniform(0.75, 1.25)
            await asyncio.sleep(self._backoff * 2 ** (attempt - 1) * jitter)
        raise AssertionError("the last try returns or raises")


class _Lane:
    """One engine and the queue before it."""

    __slots__ = ("_arrivals", "_engine", "_free", "_queue", "_window")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._window = self._free = max(1, engine.info.window)
        self._queue: list[tuple[int, int, int, asyncio.Future[None]]] = []
        self._arrivals = 0

    async def complete(self, request: Request) -> Response:
        room = min(max(1, request.n), self._window)
        if self._queue or room > self._free:
            await self._wait(request.priority, room)
        else:
            self._free -= room
        try:
            return await self._engine.complete(request)
        except RuntimeFailure:
            raise
        except Exception as error:
            name = self._engine.info.engine
            message = f"the engine `{name}` failed: {type(error).__name__}: {error}"
            raise EngineFailure(message, help="this is a fault of the engine, not of the program") from error
        finally:
            self._free += room
            self._admit()

    async def _wait(self, priority: int, room: int) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._arrivals += 1
        heappush(self._queue, (priority, self._arrivals, room, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._free += room
            self._admit()
            raise

    def _admit(self) -> None:
        """Gives the free room to those who wait; taken at once, so that nobody slips in between."""
        while self._queue:
            _, _, room, turn = self._queue[0]
            if turn.done():  # cancelled while it waited
                heappop(self._queue)
            elif room <= self._free:
                heappop(self._queue)
                self._free -= room
                turn.set_result(None)
            else:
                return
