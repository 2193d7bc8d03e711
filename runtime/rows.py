"""Rows of a JSONL file: each line becomes a question or says why it cannot.

Invariants: lines are read one by one and nothing else is kept; whatever stands in a line, the next one is read; blank
lines are no rows.
"""

from __future__ import annotations

import asyncio
import codecs
import json
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from typing import Any, BinaryIO

from pnyx.compiler.nearest import nearest
from pnyx.runtime.errors import ExampleFailure
from pnyx.runtime.question import RowId, checked
from pnyx.runtime.request import Message
from pnyx.runtime.results import ErrorRecord

__all__ = ["FIELDS", "LONGEST_LINE", "Line", "Row", "as_rows", "in_thread", "read_lines", "read_rows"]

FIELDS = ("question", "query", "prompt", "problem", "input")
"""Where the question is looked for when no field is named."""
LONGEST_LINE = 16 * 2**20
"""Bytes. A longer line is skipped without being held."""
_AHEAD = 64
_ROLES = ("system", "user", "assistant")
_AN_OBJECT = 'write `{"question": "…"}`, one object to a line'
_AS_TEXT = "write it as a text, in quotes"


@dataclass(frozen=True, slots=True)
class Row:
    """A question, or why there is none. `line` counts from 1."""

    line: int
    question: str | tuple[Message, ...] | ErrorRecord
    id: RowId = None


@dataclass(frozen=True, slots=True)
class Line:
    """The object on a line, or why there is none. `number` counts from 1, `place` names it."""

    number: int
    place: str
    held: dict[str, Any] | ErrorRecord


class _NoJson(ValueError):
    """A constant that Python reads and JSON does not have."""


class _Fault(Exception):
    def __init__(self, code: str, message: str, help: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.help = code, message, help

    def at(self, place: str) -> ErrorRecord:
        return ErrorRecord(self.code, self.message, place, self.help)


def read_rows(stream: BinaryIO, *, field: str | None = None) -> Iterator[Row]:
    """The rows of a binary stream. `field` names the question; without it the first of `FIELDS` that a row has.

    A question is a text or a list of messages `{"role": …, "content": …}`. Never raises for what a line holds.
    """
    for line in read_lines(stream):
        if isinstance(line.held, ErrorRecord):
            yield Row(line.number, line.held)
            continue
        row_id: RowId = None
        try:
            row_id = _row_id(line.held)
            yield Row(line.number, _question(line.held, field), row_id)
        except _Fault as fault:
            yield Row(line.number, fault.at(line.place), row_id)


def read_lines(stream: BinaryIO) -> Iterator[Line]:
    """The JSON objects of a binary stream, one for each line that is not blank. Never raises for what a line holds."""
    name = getattr(stream, "name", None)
    number = 0
    while line := stream.readline(LONGEST_LINE + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        place = f"{name}:{number}" if isinstance(name, str) else f"line {number}"
        try:
            if len(line) > LONGEST_LINE and not line.endswith(b"\n"):
                _skip_line(stream)
                raise _Fault("R801", f"the row is longer than {LONGEST_LINE >> 20} MB", "shorten it, or leave it out")
            if line.strip():
                yield Line(number, place, _object(line))
        except _Fault as fault:
            yield Line(number, place, fault.at(place))


def as_rows(items: Iterable[str | Mapping[str, object]], *, field: str | None = None) -> Iterator[Row]:
    """The same of Python values: a question, or a mapping like the object of a line. `line` counts the items. Never
    raises for what an item is."""
    for number, item in enumerate(items, 1):
        row_id: RowId = None
        try:
            data = {"question": item} if isinstance(item, str) else _mapped(item)
            row_id = _row_id(data)
            yield Row(number, _question(data, "question" if isinstance(item, str) else field), row_id)
        except _Fault as fault:
            yield Row(number, fault.at(f"row {number}"), row_id)


def _mapped(item: object) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        message = f"the row is of type `{type(item).__name__}`, not a question or a mapping"
        raise _Fault("R801", message, 'give a text, or `{"question": "…"}`')
    return {str(key): value for key, value in item.items()}


def _skip_line(stream: BinaryIO) -> None:
    while (piece := stream.readline(1 << 20)) and not piece.endswith(b"\n"):
        pass


def _object(line: bytes) -> dict[str, Any]:
    try:
        text = line.decode().rstrip()
    except UnicodeDecodeError as error:
        raise _Fault(
            "R808",
            f"the row is not UTF-8: byte {error.start + 1} of the line is {line[error.start]:#04x}",
            "save the file as UTF-8",
        ) from None
    try:
        data = json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise _Fault(
            "R801", f"the row is not JSON: {_lowered(error.msg)} at column {error.colno}", _AN_OBJECT
        ) from None
    except RecursionError:
        raise _Fault("R801", "the row is not JSON that can be read: it is nested too deeply", _AN_OBJECT) from None
    except _NoJson as error:
        raise _Fault("R801", f"the row is not JSON: `{error}` is no JSON value", "write `null` instead") from None
    except ValueError:  # Python reads no whole number of more than 4300 digits
        raise _Fault("R801", "the row is not JSON that can be read: a number has too many digits", _AS_TEXT) from None
    if not isinstance(data, dict):
        raise _Fault("R801", f"the row is {_kind(data)}, not a JSON object", _AN_OBJECT)
    return data


def _refuse(constant: str) -> Any:
    raise _NoJson(constant)


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a truth value"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case _:
            return "an object"


def _row_id(data: dict[str, Any]) -> RowId:
    """A text, number or truth value as it is; anything else as its JSON text."""
    value = data.get("id")
    if isinstance(value, float) and not isfinite(value):
        raise _Fault("R801", "the row is not JSON that can be read: its `id` is too large a number", _AS_TEXT)
    if value is None or isinstance(value, str | int | float):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        raise _Fault("R801", "the row is not JSON that can be read: it is nested too deeply", _AN_OBJECT) from None
    except (TypeError, ValueError):  # not from a file
        raise _Fault("R801", f"the row has an `id` of type `{type(value).__name__}`", _AS_TEXT) from None


def _question(data: dict[str, Any], field: str | None) -> str | tuple[Message, ...]:
    name = field if field is not None else next((f for f in FIELDS if f in data), None)
    if name is None or name not in data:
        raise _missing(data, field)
    value = data[name]
    question = value if isinstance(value, str) else _messages(name, value)
    try:
        checked(question)
    except ExampleFailure as failure:
        raise _Fault(failure.code, failure.message, failure.help) from None
    return question


def _missing(data: dict[str, Any], field: str | None) -> _Fault:
    has = ", ".join(f"`{_shown(key)}`" for key in list(data)[:8]) or "no field"
    if field is None:
        wanted = ", ".join(f"`{f}`" for f in FIELDS)
        return _Fault(
            "R802", f"the row has no question: none of {wanted}", f"it has {has}; name the field with `--field`"
        )
    near = nearest(field, data)
    help = f"it has `{_shown(near)}`" if near else f"it has {has}"
    return _Fault("R802", f"the row has no field `{field}`", help)


def _shown(key: str) -> str:
    return key if len(key) <= 40 else key[:39] + "…"


def _messages(name: str, value: object) -> tuple[Message, ...]:
    if not isinstance(value, list):
        raise _Fault("R802", f"`{name}` is {_kind(value)}, not a text or a list of messages", _AN_OBJECT)
    made = []
    for position, entry in enumerate(value, 1):
        match entry:
            case {"role": "system" | "user" | "assistant" as role, "content": str(content)}:
                made.append(Message(role, content))
            case _:
                raise _Fault(
                    "R802",
                    f"message {position} of `{name}` is not a message",
                    f'write `{{"role": "user", "content": "…"}}`; roles are {", ".join(_ROLES)}',
                )
    return tuple(made)


async def in_thread(rows: Iterable[Row]) -> AsyncIterator[Row]:
    """The rows, read in a thread of their own and a little ahead: for a source that makes one wait.

    The thread does not outlive the program; one that waits for its source ends with the next row.
    """
    loop = asyncio.get_running_loop()
    read: asyncio.Queue[Row | BaseException | None] = asyncio.Queue()
    room = threading.Semaphore(_AHEAD)
    left = threading.Event()

    def pull() -> None:
        end: BaseException | None = None
        with suppress(RuntimeError):  # the loop was closed meanwhile
            try:
                for row in rows:
                    room.acquire()
                    if left.is_set():
                        return
                    loop.call_soon_threadsafe(read.put_nowait, row)
            except BaseException as error:
                end = error
            loop.call_soon_threadsafe(read.put_nowait, end)

    threading.Thread(target=pull, name="pnyx-rows", daemon=True).start()
    try:
        while (row := await read.get()) is not None:
            if isinstance(row, BaseException):
                raise row
            room.release()
            yield row
    finally:
        left.set()
        room.release()
