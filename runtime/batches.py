"""Work in batches, in a thread beside the event loop.

Invariants
- What comes while a batch is on its way is the next batch, so the busier it is, the larger the batches.
- Things are worked on in the order in which they came; answers are given in the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

__all__ = ["Batches"]

T = TypeVar("T")


class Batches(Generic[T]):
    """A thread that does things in batches: all that came since it last took one. What `work` gives is called in the
    event loop. Things that come within one turn of the loop are handed over together."""

    _MOST = 4096

    def __init__(self, name: str, work: Callable[[list[T]], Callable[[], None]]) -> None:
        self._name, self._work = name, work
        self._coming: list[T] = []
        self._queue: SimpleQueue[list[T] | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def put(self, thing: T) -> None:
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._coming.append(thing)
        if len(self._coming) == 1:
            assert self._loop is not None
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        if self._coming:
            self._queue.put(self._coming)
            self._coming = []

    def _run(self) -> None:
        assert self._loop is not None
        ended = False
        while not ended:
            batch: list[T] = []
            waiting: list[T] | None = self._queue.get()
            while waiting is not None:
                batch += waiting
                if self._queue.empty() or len(batch) >= self._MOST:
                    break
                waiting = self._queue.get()
            ended = waiting is None
            if batch:
                tell = self._work(batch)
                with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
                    self._loop.call_soon_threadsafe(tell)

    async def close(self) -> None:
        self._hand_over()
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None
