"""Trace files: written behind the run's back, whatever the disk does; read again, whatever is in them."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pnyx.runtime.traces import TraceError, TraceFile, TraceReader, writer
from pnyx.runtime.traces.reader import MISSING
from tests.runtime.scripted import ScriptedEngine, plan_of, sample
from tests.traces.traced import LOOPED, compiled, judged, lines, simulated, trace_file, traced

LONG = "a text that is long enough to be written only once for each example"


def saying(text: str) -> ScriptedEngine:
    return ScriptedEngine(lambda _: text)


# Writing -----------------------------------------------------------------------------------------


async def test_a_long_text_is_written_once_for_each_example(tmp_path: Path) -> None:
    plan = plan_of((sample(3, joined=True), (0,)))
    path = await trace_file(plan, saying(LONG), ["Q?", "R?"], tmp_path / "t.jsonl")
    assert path.read_text().count(LONG) == 2
    examples = list(TraceReader(path).examples())
    assert [[reply.text for reply in example.calls[0].replies] for example in examples] == [[LONG] * 3] * 2
    assert [example.nodes[0].value["pool"][0]["text"] for example in examples] == [LONG] * 2
    assert [example.ended.result.answer for example in examples if example.ended and example.ended.result] == [LONG] * 2


async def test_half_a_surrogate_pair_can_be_written(tmp_path: Path) -> None:
    path = await trace_file(plan_of((sample(), (0,))), saying("\ud800 é"), ["Q?"], tmp_path / "t.jsonl")
    (example,) = TraceReader(path).examples()
    assert example.calls[0].replies[0].text == "\ud800 é"


async def test_a_full_disk_ends_the_trace_and_not_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = 0

    def fill(file: int, data: bytes) -> None:
        nonlocal written
        written += len(data)
        if written > 6000:
            raise OSError(28, "No space left on device")
        os.write(file, data)

    monkeypatch.setattr(writer, "_write", fill)
    warned: list[str] = []
    path = tmp_path / "t.jsonl"
    results = await traced(
        judged(), ScriptedEngine(lambda _: "7"), [f"Q{i}" for i in range(50)], [TraceFile(path, warn=warned.append)]
    )
    assert all(result.error is None for result in results)
    assert warned == [f"`{path}` cannot be written: no space left on device; the run goes on without a trace"]


async def test_a_slow_disk_does_not_stall_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot wait is left out as whole examples, and said."""
    gate = threading.Event()
    real = writer._write

    def slow(file: int, data: bytes) -> None:
        gate.wait(20)
        real(file, data)

    monkeypatch.setattr(writer, "_write", slow)
    warned: list[str] = []
    path = tmp_path / "t.jsonl"
    file = TraceFile(path, warn=warned.append, most_waiting=30_000)
    closing = file.close

    def close() -> None:
        gate.set()
        closing()

    file.close = close  # type: ignore[method-assign]
    questions = [f"Q{i}" for i in range(100)]
    results = await traced(judged(), ScriptedEngine(lambda _: "7"), questions, [file], window=4)
    assert len(results) == 100
    reader = TraceReader(path)
    examples = list(reader.examples())
    whole = [example for example in examples if example.ended is not None]
    assert 0 < len(whole) < 100
    assert reader.lost == 100 - len(whole)
    assert warned == [f"the disk is too slow for the trace; {reader.lost} examples are not whole in it"]
    assert all(len(example.calls) == 3 for example in whole)  # none of these lacks a line
    assert reader.summary is not None
    assert reader.summary["examples"] == 100


async def test_a_run_that_goes_on_is_one_trace(tmp_path: Path) -> None:
    path, warned = tmp_path / "t.jsonl", []  # type: ignore[var-annotated]
    await trace_file(judged(), saying("7"), ["A", "B"], path)
    with path.open("ab") as file:
        file.write(b'{"event":"example_began","exa')  # it was killed here
    await traced(judged(), saying("7"), ["C"], [TraceFile(path, warn=warned.append, append=True)], first=2)
    reader = TraceReader(path)
    examples = list(reader.examples())
    assert [example.index for example in examples] == [0, 1, 2]
    assert (reader.sittings, reader.damaged, warned) == (2, 0, [])
    assert examples[2].began.at >= examples[1].calls[0].at


async def test_a_trace_of_another_plan_is_not_gone_on_with(tmp_path: Path) -> None:
    path = await trace_file(judged(), saying("7"), ["A", "B"], tmp_path / "t.jsonl")
    other = plan_of((sample(5), (0,)))
    await traced(other, saying("7"), ["C"], [TraceFile(path, warn=lambda _: None, append=True)])
    assert [example.question for example in TraceReader(path).examples()] == ["C"]


async def test_an_unwritable_file_is_known_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        TraceFile(tmp_path / "file" / "t.jsonl", warn=lambda _: None)


# Reading -----------------------------------------------------------------------------------------


async def test_a_torn_last_line_is_no_fault(tmp_path: Path) -> None:
    path = await trace_file(judged(), saying("7"), ["A", "B"], tmp_path / "t.jsonl")
    whole = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for cut in {ends[0], ends[0] + 1, *ends[1:], *(end - 1 for end in ends[1:]), len(whole) // 2}:
        path.write_bytes(whole[:cut])
        reader = TraceReader(path)
        examples = list(reader.examples())
        assert reader.damaged == 0
        assert len(examples) <= 2
        assert all(example.ended is not None for example in examples) or cut < ends[-2]


async def test_lines_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    path = await trace_file(judged(), saying(LONG), ["A", "B"], tmp_path / "t.jsonl")
    found = path.read_bytes().splitlines(keepends=True)
    broken = [i for i, line in enumerate(found) if b'"call"' in line and b'"texts"' in line]
    assert len(broken) >= 2
    found[broken[0]] = b"\xff not a line\n"
    path.write_bytes(b"".join([*found[:3], b'{"event":"tomorrow"}\n', b"[1]\n", b'{"example":[]}\n', *found[3:]]))
    reader = TraceReader(path)
    first, second = sorted(reader.examples(), key=lambda example: example.index)
    assert reader.damaged == 4
    assert len(first.calls) + 1 == len(second.calls)
    assert MISSING in json.dumps([node.value for node in first.nodes])  # where it was first written was lost
    assert MISSING not in json.dumps([node.value for node in second.nodes])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("no trace\n", "not JSON"),
        ('{"pnyx": "map"}\n', "does not begin"),
        ("[]\n", "does not begin"),
        ('{"pnyx": "trace", "version": 99}\n', "version 99"),
        ('{"pnyx": "trace", "version": 1}\n', "event: Field required"),
        ("[" * 100_000 + "\n", "not JSON"),
    ],
)
def test_what_is_no_trace(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "t.jsonl").write_text(text)
    with pytest.raises(TraceError, match=said):
        TraceReader(tmp_path / "t.jsonl")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    import asyncio

    folder = tmp_path_factory.mktemp("sound")
    plan = compiled(LOOPED, folder)
    return asyncio.run(trace_file(plan, simulated(), ["What is 2 + 3?", "Why?"], folder / "t.jsonl")).read_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_no_damage_ends_the_reader(data: st.DataObject, sound: bytes, tmp_path: Path) -> None:
    """Bytes changed, cut out and doubled anywhere behind the header."""
    start = sound.index(b"\n") + 1
    damaged = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(start, len(damaged) - 1))
        match data.draw(st.sampled_from(["change", "cut", "double"])):
            case "change":
                damaged[at] = data.draw(st.integers(0, 255))
            case "cut":
                del damaged[at : at + data.draw(st.integers(1, 300))]
            case _:
                damaged[at:at] = damaged[start : start + data.draw(st.integers(1, 300))]
        if len(damaged) <= start:
            break
    path = tmp_path / "t.jsonl"
    path.write_bytes(bytes(damaged))
    reader = TraceReader(path)
    assert len(list(reader.examples())) <= 10
    assert reader.damaged >= 0


async def test_all_bytes_are_told(tmp_path: Path) -> None:
    path = await trace_file(judged(), saying("7"), ["A"], tmp_path / "t.jsonl")
    heard: list[int] = []
    list(TraceReader(path).examples(heard.append))
    assert sum(heard) == path.stat().st_size
    assert len(heard) == len(lines(path))
