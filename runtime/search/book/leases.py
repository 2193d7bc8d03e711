"""Workers that live and workers that died.

A worker counts up its beat in the database. Who sees another's beat stand still for the length of a lease, by a clock
of its own that never jumps, takes it for dead; clocks of machines are never compared. A process of this machine that
is gone is dead at once.

Invariant: nothing depends on a worker that is taken for dead being so: what it had under way is charged in full, and
what it still hands in is taken or is there already.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["Sign", "Watch", "is_gone", "this_process"]


@dataclass(frozen=True, slots=True)
class Sign:
    """A worker as the database knows it: its `process`, and how often it has beaten."""

    worker: int
    process: str
    beat: int


class Watch:
    """Watches the signs of others, several times a lease. `lease` in seconds; `clock` in seconds, since any moment."""

    def __init__(self, lease: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._lease, self._clock = lease, clock
        self._seen: dict[int, tuple[int, float]] = {}
        self._looked = clock()

    def dead(self, signs: Iterable[Sign]) -> list[Sign]:
        """Those that died. Workers that are in the signs no more are forgotten."""
        now = self._clock()
        if now - self._looked > self._lease / 2:  # this process was stopped, and perhaps the others with it
            self._seen.clear()
        self._looked = now
        seen = {}
        dead = []
        for sign in signs:
            beat, since = self._seen.get(sign.worker, (None, now))
            seen[sign.worker] = (sign.beat, since if beat == sign.beat else now)
            if now - seen[sign.worker][1] >= self._lease or is_gone(sign.process):
                dead.append(sign)
        self._seen = seen
        return dead


def this_process() -> str:
    """Which process this is, among all that can be told from one another: start of the machine, namespace of process
    numbers, user, number, and when it began. Empty where the system does not say (it has no `/proc`)."""
    return f"{_system()} {os.getpid()} {_began(os.getpid())}" if _system() else ""


def is_gone(process: str) -> bool:
    """Whether a process of this machine is over. False for those of other machines: nothing is known of them."""
    if not process or process.rsplit(" ", 2)[0] != _system():
        return False
    _, number, began = process.rsplit(" ", 2)
    try:
        return _began(int(number)) != began
    except OSError:  # too many open files, say
        return False


@cache
def _system() -> str:
    """Within it, process numbers have one meaning, and this user sees its own processes."""
    try:
        started = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{started} {Path('/proc/self/ns/pid').readlink()} {os.getuid()}"
    except OSError:
        return ""


def _began(process: int) -> str:
    """When it began, in ticks; empty where there is none, or it is over and its parent has not yet asked for it."""
    try:
        said = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    fields = said.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]
