"""Rows: good ones, every bad one, and that one bad row harms no other."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pnyx.runtime.request import Message
from pnyx.runtime.results import ErrorRecord
from pnyx.runtime.rows import LONGEST_LINE, Row, as_rows, in_thread, read_rows


def rows(data: bytes, field: str | None = None) -> list[Row]:
    return list(read_rows(io.BytesIO(data), field=field))


def fault(row: Row) -> ErrorRecord:
    assert isinstance(row.question, ErrorRecord)
    return row.question


@pytest.mark.parametrize(
    ("line", "question"),
    [
        (b'{"question": "Q?"}', "Q?"),
        (b'{"input": "i", "prompt": "p", "query": "q"}', "q"),
        ('{"problem": "é ☃"}'.encode(), "é ☃"),
        (b'\xef\xbb\xbf{"question": "Q?"}', "Q?"),
        (b'{"question": [{"role": "user", "content": "Q?"}]}', (Message("user", "Q?"),)),
        (b'{"question": "\\u00e9"}\r', "é"),
    ],
)
def test_good_rows(line: bytes, question: object) -> None:
    (row,) = rows(line)
    assert row == Row(1, question)  # type: ignore[arg-type]


def test_a_named_field_is_the_question_and_ids_are_kept() -> None:
    data = b'{"id": 7, "question": "no", "text": "yes"}\n{"id": "a", "text": "b"}\n{"id": [1], "text": "c"}\n'
    assert rows(data, "text") == [Row(1, "yes", 7), Row(2, "b", "a"), Row(3, "c", "[1]")]


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        (b"not json", "R801", "column 1"),
        (b'{"question": "a"', "R801", "not JSON"),
        (b'{"question": "a", "x": NaN}', "R801", "NaN"),
        (b'{"question": "a", "id": 1e999}', "R801", "id"),
        (b'["a"]', "R801", "a list"),
        (b"3", "R801", "a number"),
        (b"null", "R801", "null"),
        (b'{"question": ' + b"[" * 100_000, "R801", "nested too deeply"),
        (b'{"question": ' + b"9" * 10_000 + b"}", "R801", "not JSON"),
        (b'{"answer": "a"}', "R802", "no question"),
        (b"{}", "R802", "no question"),
        (b'{"question": 3}', "R802", "a number"),
        (b'{"question": [{"role": "robot", "content": "x"}]}', "R802", "message 1"),
        (b'{"question": [{"role": "user", "content": 3}]}', "R802", "message 1"),
        (b'{"question": ""}', "R803", "empty"),
        (b'{"question": " \\n "}', "R803", "empty"),
        (b'{"question": []}', "R803", "empty"),
        (b'{"question": [{"role": "user", "content": " "}]}', "R803", "empty"),
        (b'{"question": "\xff"}', "R808", "0xff"),
        (b'{"question": "\\ud800"}', "R808", "surrogate"),
    ],
)
def test_bad_rows_between_good_ones(line: bytes, code: str, says: str) -> None:
    good = b'{"question": "Q?"}\n'
    before, bad, after = rows(good + b"\n" + line + b"\n" + good)
    assert (before.question, after.question) == ("Q?", "Q?")
    assert (before.line, bad.line, after.line) == (1, 3, 4)
    assert fault(bad).code == code
    assert fault(bad).place == "line 3"
    assert says in fault(bad).message


def test_a_missing_field_names_the_nearest_or_those_there() -> None:
    (near,) = rows(b'{"questions": "x", "answer": "y"}', "question")
    assert fault(near).help == "it has `questions`"
    (far,) = rows(b'{"a": "x", "b": "y"}', "question")
    assert fault(far).help == "it has `a`, `b`"
    (unnamed,) = rows(b'{"a": "x"}')
    assert "`--field`" in (fault(unnamed).help or "")


def test_a_faulty_row_keeps_its_id(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b'{"id": 7, "question": ""}')
    with file.open("rb") as stream:
        (row,) = read_rows(stream)
    assert row.id == 7
    assert fault(row).place == f"{file}:1"


def test_a_line_that_is_too_long_is_skipped_without_being_held() -> None:
    line = json.dumps({"question": "x" * LONGEST_LINE}).encode()
    long, good = rows(line + b'\n{"question": "Q?"}')
    assert fault(long).code == "R801"
    assert "longer than 16 MB" in fault(long).message
    assert (good.line, good.question) == (2, "Q?")


def test_lines_are_read_one_by_one() -> None:
    stream = io.BytesIO(b'{"question": "Q?"}\n' * 10_000)
    next(read_rows(stream))
    assert stream.tell() < 1000


@pytest.mark.parametrize(
    "line", [b"{", b"[" * 100_000, b"3", b'{"question": NaN}', b'{"question": 3}', b'{"x": ' + b"1" * 5000 + b"}"]
)
def test_every_fault_of_form_names_a_way_out(line: bytes) -> None:
    (row,) = rows(line)
    assert fault(row).help
    assert "set_int_max_str_digits" not in fault(row).message


def test_items_of_any_type_are_rows_or_faults() -> None:
    items: list[Any] = ["Q?", {"id": 2, "query": "Q?"}, 3, None, ["Q?"], {5: "Q?"}, {"id": object(), "query": "Q?"}]
    made = list(as_rows(items))
    assert made[:2] == [Row(1, "Q?"), Row(2, "Q?", 2)]
    assert [fault(row).code for row in made[2:]] == ["R801", "R801", "R801", "R802", "R801"]
    assert [fault(row).place for row in made[2:]] == [f"row {number}" for number in range(3, 8)]
    assert all(fault(row).help for row in made[2:])


@given(st.lists(st.binary(max_size=40)))
def test_no_bytes_raise(lines: list[bytes]) -> None:
    for row in rows(b"\n".join(lines)):
        if isinstance(row.question, ErrorRecord):
            assert row.question.code in {"R801", "R802", "R803", "R808"}


async def test_rows_of_a_slow_source_come_as_they_come() -> None:
    def slow() -> Iterator[Row]:
        for number in range(3):
            time.sleep(0.02)
            yield Row(number, "Q?")

    ticks = 0
    source = in_thread(slow())
    first = asyncio.ensure_future(anext(source))
    while not first.done():
        ticks += 1
        await asyncio.sleep(0.001)
    assert ticks > 3
    assert [first.result().line, *[row.line async for row in source]] == [0, 1, 2]


async def test_a_fault_of_a_slow_source_is_passed_on() -> None:
    def broken() -> Iterator[Row]:
        yield Row(1, "Q?")
        raise OSError("disk")

    source = in_thread(broken())
    assert (await anext(source)).line == 1
    with pytest.raises(OSError, match="disk"):
        await anext(source)
