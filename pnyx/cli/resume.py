"""The output of `pnyx map`, which goes on where it was after any stop.

Beside the output `OUT` lies `.OUT.resume`: a line that names the run, then a line for every row with the digest of the
question. A row's digest is written before its result, so for every whole line of the output there is one. What is kept
is what both files have whole; anything after that is cut off.

Invariant: with the same program, seed, models and rows, the output of a run that was stopped any number of times has
the bytes of one that was not.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from pnyx.cli.failures import user_error
from pnyx.cli.files import named
from pnyx.runtime.errors import ENGINE_CODES
from pnyx.runtime.results import Result
from pnyx.runtime.rows import Row

__all__ = ["ResultsFile"]

_DIGEST = 16
_LINE = _DIGEST + 1
_KNOWN = rb"(?:[0-9a-f]{%d}\n)*" % _DIGEST  # a machine that lost its power may leave anything behind them
_FORM = 1
_START_OVER = "name another output, or start over with `--overwrite`; calls that are stored cost nothing"


@dataclass(slots=True)
class ResultsFile:
    """Open for results. `kept` rows are there from before, `failed` of them without an answer."""

    _name: str
    _out: IO[bytes]
    _digests: IO[bytes]
    kept: int = 0
    failed: int = 0
    _known: bytes = b""
    _coming: deque[bytes] = field(default_factory=deque)

    @classmethod
    def open(cls, name: str, run: Mapping[str, str], *, overwrite: bool, retry: bool, replay: bool) -> ResultsFile:
        """`run` says what decides the results, part by part. With `retry` rows that an engine failed on, and all after
        them, are made again; with `replay` all rows are. Raises CompileError (E616) for results of another run."""
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        header = json.dumps({"pnyx": "map", "form": _FORM, **run}, sort_keys=True).encode() + b"\n"
        with named(name), ExitStack() as opened:
            beside = opened.enter_context(_opened(path.with_name(f".{path.name}.resume")))
            _lock(beside, name)
            begun = not overwrite and path.exists() and path.stat().st_size > 0
            known = _checked(name, beside.read(), header) if begun else b""
            out = opened.enter_context(_opened(path))
            kept, failed, end = (0, 0, 0) if replay else _whole_results(out, len(known) // _LINE, retry=retry)
            # The output first: an empty one is begun anew, whatever lies beside it.
            _cut(out, end)
            _cut(beside, len(header) + kept * _LINE if begun else 0)
            if not begun:
                beside.write(header)
                beside.flush()
            opened.pop_all()
        return cls(name, out, beside, kept, failed, known)

    def rows(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows that are still to do. Those that are done are compared with what they were."""
        number = 0
        for number, row in enumerate(rows, 1):
            digest = _digest(row)
            if number > self.kept:
                self._coming.append(digest)
                yield row
            elif not self._known.startswith(digest, (number - 1) * _LINE):
                message = f"row {number} is not the one that `{self._name}` has an answer to"
                raise user_error("E616", message, _START_OVER)
        if number < self.kept:
            message = f"`{self._name}` has {self.kept} results, and there are {number} rows"
            raise user_error("E616", message, _START_OVER)

    def write(self, result: Result) -> None:
        with named(self._name):
            self._digests.write(self._coming.popleft() + b"\n")
            self._digests.flush()
            self._out.write(f"{result.to_json(measured=False)}\n".encode())
            self._out.flush()

    def close(self) -> None:
        with named(self._name):
            try:
                os.fsync(self._out.fileno())
            finally:
                self._digests.close()
                self._out.close()


def _digest(row: Row) -> bytes:
    said = repr((row.question, row.id)).encode("utf-8", "backslashreplace")
    return hashlib.blake2b(said, digest_size=_DIGEST // 2).hexdigest().encode()


def _opened(path: Path) -> IO[bytes]:
    """For reading and writing, made where it is not there."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666), "r+b")


def _cut(file: IO[bytes], size: int) -> None:
    file.seek(size)
    file.truncate()


def _checked(name: str, old: bytes, header: bytes) -> bytes:
    """The digests of the rows that were done, a line each."""
    first, _, rest = old.partition(b"\n")
    try:
        was = json.loads(first)
    except ValueError:
        was = None
    if not isinstance(was, dict) or was.get("pnyx") != "map":
        raise user_error("E616", f"`{name}` is there, and not by a run that can go on", _START_OVER)
    now = json.loads(header)
    changed = [part for part in now if was.get(part) != now[part]]
    if changed:
        what = ", ".join(changed)
        raise user_error("E616", f"`{name}` holds results of another run: not the same {what}", _START_OVER)
    whole = re.match(_KNOWN, rest)
    assert whole is not None, "it may match nothing"
    return whole[0]


def _whole_results(out: IO[bytes], most: int, *, retry: bool) -> tuple[int, int, int]:
    """How many results stand whole at the start of the file, how many of these are failures, and where they end."""
    kept = failed = end = 0
    for line in out if most else ():
        try:
            data = json.loads(line) if line.endswith(b"\n") else None
        except ValueError:
            data = None
        if kept == most or not isinstance(data, dict) or data.get("index") != kept:
            break
        error = data.get("error")
        if retry and error is not None and error.get("code") in ENGINE_CODES:
            break
        kept, failed, end = kept + 1, failed + (error is not None), end + len(line)
    return kept, failed, end


def _lock(file: IO[bytes], name: str) -> None:
    """Two runs never write one output. Where the system has no such locks, nobody is kept away."""
    with suppress(ImportError):
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise user_error(
                "E616", f"another run is writing `{name}`", "wait for it, or name another output"
            ) from None
