"""A trace file: lines of JSON, written behind the run's back.

Invariants
- A run never waits for the disk: at most `_MOST_WAITING` bytes wait to be written; where more would, the whole example
  is left out from there on, and the file says how many were.
- A disk that fails ends the trace with one warning; the run goes on.
- Every line that was handed to the system is whole but perhaps the last one.
"""

from __future__ import annotations

import json
import os
import stat
import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from pnyx.runtime.traces.encoding import TRACE_VERSION, Encoder
from pnyx.runtime.traces.events import Event, ExampleEnded, RunBegan, RunEnded

__all__ = ["TraceFile"]

_MOST_WAITING = 64_000_000
_LONGEST_WAIT = 60.0


class TraceFile:
    """Takes the events of one run. With `append` a run that goes on where `path` ends is added to it, if that is a
    trace of the same plan and seed; anything else there is replaced. `warn` hears at most once that something is
    missing. Raises OSError where the file cannot be opened."""

    def __init__(
        self,
        path: Path,
        *,
        warn: Callable[[str], None],
        append: bool = False,
        most_waiting: int = _MOST_WAITING,
    ) -> None:
        self.path = path
        self._warn, self._most = warn, most_waiting
        self._append = append
        self._encoder = Encoder()
        self._lost: set[int] = set()
        self._left_out = 0
        self._off = False
        self._failure: OSError | None = None
        self._lines: deque[bytes] = deque()
        self._waiting = 0
        self._changed = threading.Condition()
        self._ended = False
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        self._thread = threading.Thread(target=self._work, name="pnyx-trace", daemon=True)

    def take(self, event: Event) -> None:
        if self._off:
            return
        if isinstance(event, RunBegan):
            self._begin(event)
        elif not isinstance(event, RunEnded) and event.index in self._lost:
            if isinstance(event, ExampleEnded):
                self._lost.discard(event.index)
            return
        if isinstance(event, RunEnded) and self._left_out:
            lost = {"event": "lost", "examples": self._left_out}
            self._put(json.dumps(lost).encode() + b"\n")
        line = self._encoder.line(event)
        bounded = not isinstance(event, RunBegan | RunEnded)
        if bounded and self._waiting + len(line) > self._most:
            self._lose(event)
        else:
            self._put(line)
        if self._failure is not None:
            self._stop(self._failure)

    def close(self) -> None:
        """Waits until all is written, though not for ever."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        if self._thread.ident is None:
            os.close(self._file)
            return
        self._thread.join(_LONGEST_WAIT)
        if self._off:
            return
        if self._failure is not None:
            self._stop(self._failure)
        elif self._thread.is_alive():
            self._tell("the disk is too slow for the trace; its end is missing")
        elif self._left_out:
            self._tell(f"the disk is too slow for the trace; {self._left_out} examples are not whole in it")

    def _begin(self, event: RunBegan) -> None:
        end, offset = 0, 0.0
        if stat.S_ISREG(os.fstat(self._file).st_mode):  # a device or a pipe has neither a beginning nor an end
            end, offset = _end_of(self._file, event) if self._append else (0, 0.0)
            os.ftruncate(self._file, end)
            os.lseek(self._file, end, os.SEEK_SET)
        self._encoder = Encoder(offset)
        self._thread.start()

    def _put(self, line: bytes) -> None:
        with self._changed:
            self._lines.append(line)
            self._waiting += len(line)
            if len(self._lines) == 1:
                self._changed.notify()

    def _lose(self, event: Event) -> None:
        assert not isinstance(event, RunBegan | RunEnded)
        self._left_out += 1
        self._encoder.forget(event.index)
        if not isinstance(event, ExampleEnded):
            self._lost.add(event.index)

    def _stop(self, failure: OSError) -> None:
        self._off = True
        reason = (failure.strerror or str(failure)).lower()
        self._tell(f"`{self.path}` cannot be written: {reason}; the run goes on without a trace")

    def _tell(self, message: str) -> None:
        self._warn(message)

    def _work(self) -> None:
        """In a thread of its own."""
        try:
            while True:
                with self._changed:
                    while not self._lines and not self._ended:
                        self._changed.wait()
                    if not self._lines:
                        break
                    data = b"".join(self._lines)
                    self._lines.clear()
                _write(self._file, data)
                with self._changed:
                    self._waiting -= len(data)
        except OSError as failure:
            self._failure = failure
        finally:
            os.close(self._file)


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _end_of(file: int, event: RunBegan) -> tuple[int, float]:
    """Where the trace in the file ends, and when on its own clock `event` happens; zeros where it is of another run."""
    with os.fdopen(os.dup(file), "rb") as old:
        try:
            header = json.loads(old.readline())
            same = (header["pnyx"], header["version"], header["digest"], header["seed"]) == (
                "trace",
                TRACE_VERSION,
                event.plan.digest,
                event.seed,
            )
            began = datetime.fromisoformat(header["started"]).timestamp()
        except (ValueError, KeyError, TypeError):
            return 0, 0.0
        if not same:
            return 0, 0.0
        return _last_line(old), max(0.0, event.wall - began)


def _last_line(old: BinaryIO) -> int:
    """Behind the last whole line."""
    size = old.seek(0, os.SEEK_END)
    while size:
        start = max(0, size - 65536)
        old.seek(start)
        at = old.read(size - start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        size = start
    return 0
