"""Calls of the user's own functions: in threads, so that one that takes its time stalls nobody.

Invariant: `done` is called once, from the event loop; after `cancel` it is not called. A function cannot be stopped:
one that was cancelled runs to its end, and what it gives is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from pnyx.runtime.errors import RuntimeFailure
from pnyx.runtime.externs import Externs, Invocation, Returned

__all__ = ["Functions", "Running"]


class Running:
    """A call under way."""

    __slots__ = ("_over",)

    def __init__(self) -> None:
        self._over = False

    def cancel(self) -> None:
        self._over = True

    def end(self, done: Callable[[Returned | RuntimeFailure], None], ended: asyncio.Future[Returned]) -> None:
        if self._over or ended.cancelled():
            return
        error = ended.exception()
        if isinstance(error, RuntimeFailure):
            done(error)
        elif error is not None:
            raise error
        else:
            done(ended.result())


class Functions:
    def __init__(self, externs: Externs) -> None:
        self._externs = externs

    def submit(self, invocation: Invocation, done: Callable[[Returned | RuntimeFailure], None]) -> Running:
        running = Running()
        ending = asyncio.get_running_loop().run_in_executor(None, self._externs.call, invocation)
        ending.add_done_callback(partial(running.end, done))
        return running
