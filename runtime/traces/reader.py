"""Reading a trace file, example by example.

Invariants: memory is bounded by the examples that were in flight at once; a torn last line is no fault (a run may have
been killed); any other line that cannot be read is counted and passed over.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pnyx.runtime.traces.encoding import TRACE_VERSION
from pnyx.runtime.traces.records import (
    RECORDS,
    CallRecord,
    ExampleBeganRecord,
    ExampleEndedRecord,
    ExternRecord,
    Header,
    LostRecord,
    NodeBeganRecord,
    NodeEndedRecord,
    RunEndedRecord,
)

__all__ = ["MISSING", "TraceError", "TraceReader", "TracedExample"]

MISSING = "(this text is missing in the trace)"
_LONGEST_HEADER = 256_000_000


class TraceError(ValueError):
    """A file that is no trace, or one of another version. `str()` says which."""


@dataclass(slots=True)
class TracedExample:
    """One example, its events in the order of the file. `ended` is None where the run or the file ended before it."""

    began: ExampleBeganRecord
    waiting: list[NodeBeganRecord] = field(default_factory=list)
    nodes: list[NodeEndedRecord] = field(default_factory=list)
    calls: list[CallRecord] = field(default_factory=list)
    externs: list[ExternRecord] = field(default_factory=list)
    ended: ExampleEndedRecord | None = None

    @property
    def index(self) -> int:
        return self.began.example

    @property
    def question(self) -> str:
        """The last message of the user, or all that there are."""
        asked = [m.content for m in self.began.messages if m.role == "user"]
        return asked[-1] if asked else "\n\n".join(f"{m.role}: {m.content}" for m in self.began.messages)


class TraceReader:
    """Raises TraceError where the file is no trace, and OSError. `damaged` lines, `lost` examples, the `sittings` in
    which the run was made and its `summary` are known when `examples` is through."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size
        with path.open("rb") as file:
            self.header = _header(file.readline(_LONGEST_HEADER))
        self._start()

    def _start(self) -> None:
        self.damaged = self.lost = self.sittings = 0
        self.last = 0.0
        self.summary: dict[str, Any] | None = None

    def examples(self, advance: Callable[[int], None] = lambda _bytes: None) -> Iterator[TracedExample]:
        """In the order in which they ended; then those that did not. One that was made again comes again. `advance`
        hears how many bytes were read."""
        self._start()
        open_: dict[int, tuple[TracedExample, dict[str, str]]] = {}
        with self.path.open("rb") as file:
            for line in file:
                advance(len(line))
                whole = line.endswith(b"\n")
                try:
                    data = json.loads(line)
                    found = self._take(data, open_)
                except (ValueError, TypeError, KeyError, RecursionError):  # pydantic's are ValueErrors
                    self.damaged += whole
                    continue
                if found is not None:
                    yield found
        for example, _ in open_.values():
            yield example

    def _take(self, data: Any, open_: dict[int, tuple[TracedExample, dict[str, str]]]) -> TracedExample | None:
        index = data.get("example") if isinstance(data, dict) else None
        if index is None:
            self._of_the_run(RECORDS.validate_python(data))
            return None
        texts = open_[index][1] if index in open_ and data.get("event") != "example_began" else {}
        texts.update(data.pop("texts", {}))
        record = RECORDS.validate_python(_resolved(data, texts))
        if isinstance(record, ExampleBeganRecord):
            cut_off = open_.pop(index, None)
            open_[index] = TracedExample(record), texts
            self.last = max(self.last, record.at)
            return cut_off[0] if cut_off is not None else None
        example = open_[index][0]
        match record:
            case NodeBeganRecord():
                example.waiting.append(record)
            case NodeEndedRecord():
                example.nodes.append(record)
            case CallRecord():
                example.calls.append(record)
            case ExternRecord():
                example.externs.append(record)
            case ExampleEndedRecord():
                example.ended = record
                self.last = max(self.last, record.at)
                del open_[index]
                return example
        return None

    def _of_the_run(self, record: object) -> None:
        match record:
            case Header():
                self.sittings += 1
            case LostRecord():
                self.lost += record.examples
            case RunEndedRecord():
                self.summary = record.summary
                self.last = max(self.last, record.at)


def _header(line: bytes) -> Header:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        raise TraceError("its first line is not JSON") from None
    if not isinstance(data, dict) or data.get("pnyx") != "trace":
        raise TraceError("it does not begin as a trace does")
    if data.get("version") != TRACE_VERSION:
        raise TraceError(f"version {data.get('version')!r}; this Pnyx reads version {TRACE_VERSION}")
    try:
        return Header.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise TraceError(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None


def _resolved(data: Any, texts: dict[str, str]) -> Any:
    """With the texts in the place of their hashes."""
    match data:
        case {"$": str(digest)}:
            return texts.get(digest, MISSING)
        case dict():
            return {name: _resolved(value, texts) for name, value in data.items()}
        case list():
            return [_resolved(value, texts) for value in data]
        case _:
            return data
