"""Work that asks no model, of the user's own functions and of Pnyx itself: in threads, so that what takes its time
stalls nobody.

Invariant: `done` is called once, from the event loop; after `cancel` it is not called. A function of the user's cannot
be stopped: one that was cancelled runs to its end, and what it gives is dropped. All else is stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from pnyx.runtime.errors import RuntimeFailure
from pnyx.runtime.externs import Externs, Invocation, Returned
from pnyx.runtime.workshop import Task, Workshop

__all__ = ["Functions", "Running"]


class Running:
    """A call under way; `task` where it can be stopped."""

    __slots__ = ("_over", "_task")

    def __init__(self, task: Task | None = None) -> None:
        self._over = False
        self._task = task

    def cancel(self) -> None:
        self._over = True
        if self._task is not None:
            self._task.stop()

    def end(self, done: Callable[[Returned | RuntimeFailure], None], ended: asyncio.Future[Returned]) -> None:
        error = None if ended.cancelled() else ended.exception()
        if self._over or ended.cancelled():
            return
        if isinstance(error, RuntimeFailure):
            done(error)
        elif error is not None:
            raise error
        else:
            done(ended.result())


class Functions:
    def __init__(self, externs: Externs, workshop: Workshop) -> None:
        self._externs, self._workshop = externs, workshop

    def submit(self, invocation: Invocation, done: Callable[[Returned | RuntimeFailure], None]) -> Running:
        loop = asyncio.get_running_loop()
        if self._workshop.knows(invocation):
            task = self._workshop.task(invocation)
            running = Running(task)
            ending = loop.run_in_executor(task.threads, task.run)
        else:
            running = Running()
            ending = loop.run_in_executor(None, self._externs.call, invocation)
        ending.add_done_callback(partial(running.end, done))
        return running
