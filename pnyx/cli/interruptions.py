"""Ctrl-C and SIGTERM while a run is under way: the first one ends it in order, the second one at once."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

__all__ = ["Interruption", "draining"]


@dataclass(slots=True)
class Interruption:
    """`number` of the signal that came, 0 for none."""

    number: int = 0

    @property
    def exit(self) -> int:
        return 128 + self.number


@contextmanager
def draining(drain: Callable[[], None]) -> Iterator[Interruption]:
    """Inside, in a task, the first signal calls `drain`, and the second one cancels the task. Where signals cannot be
    handled (not the main thread, not this system), they do what they do."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    came = Interruption()

    def handle(number: int) -> None:
        if came.number:
            if task is not None:
                task.cancel()
            return
        came.number = number
        print("ending: what is under way is kept; once more to stop at once", file=sys.stderr, flush=True)
        drain()

    handled = []
    for number in (signal.SIGINT, signal.SIGTERM):
        before = signal.getsignal(number)
        with suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, handle, number)
            handled.append((number, before))
    try:
        yield came
    except asyncio.CancelledError:
        if not came.number:
            raise
        raise KeyboardInterrupt from None
    finally:
        for number, before in handled:
            loop.remove_signal_handler(number)
            signal.signal(number, before)
