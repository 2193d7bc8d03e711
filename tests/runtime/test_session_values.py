"""Sessions whose examples leave something to later ones, and sessions that call the user's functions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted import ScriptedEngine, prompt_of
from test_extern import asking
from test_states import counting

from pnyx import load
from pnyx.cli import main
from pnyx.runtime.errors import EngineFailure, ExternUnusable
from pnyx.runtime.externs import Externs
from pnyx.runtime.request import Request
from pnyx.runtime.results import ErrorRecord, Result
from pnyx.runtime.rows import Row
from pnyx.runtime.session import Session


def rows(n: int) -> Iterator[Row]:
    return (Row(i + 1, f"question {i}", id=i) for i in range(n))


async def collect(session: Session, items: Iterator[Row]) -> list[Result]:
    async with asyncio.timeout(20):
        return [result async for result in session.map(items)]


@pytest.mark.parametrize("window", [1, 2, 8])
@pytest.mark.parametrize("chunk", [1, 3, 50])
async def test_rows_see_what_the_last_whole_chunk_left(window: int, chunk: int) -> None:
    engine = ScriptedEngine(prompt_of, delay=lambda r: 0.003 if r.priority % 3 == 0 else 0)
    session = Session(counting(chunk), {"m": engine}, window=window)
    for _ in range(2):  # every run begins anew
        results = await collect(session, rows(10))
        # Each adds one to what it saw, which is one for every whole chunk before.
        assert [r.answer for r in results] == [f"question {i} {i // chunk}" for i in range(10)]


async def test_a_row_that_fails_leaves_nothing_and_holds_up_nobody() -> None:
    def script(request: Request) -> str | Exception:
        return EngineFailure("no") if "question 2" in prompt_of(request) else prompt_of(request)

    broken = Row(2, ErrorRecord("R801", "the row is not JSON"), id="broken")
    items = iter([Row(1, "question 0"), broken, Row(3, "question 2"), Row(4, "question 3")])
    results = await collect(Session(counting(1), {"m": ScriptedEngine(script)}), items)
    assert [r.answer for r in results] == ["question 0 0", None, None, "question 3 1"]


async def test_a_function_of_the_user_is_called_in_a_thread() -> None:
    def slow(pool: list[dict[str, object]], query: object, depth: int) -> list[dict[str, object]]:
        time.sleep(0.05)
        return pool[:1]

    began = time.monotonic()
    session = Session(asking(), {"m": ScriptedEngine(prompt_of)}, externs=Externs({"user:f": slow}))
    results = await collect(session, rows(4))
    assert [len(r.candidates) for r in results] == [1] * 4
    assert [r.usage.calls for r in results] == [1] * 4
    assert time.monotonic() - began < 5


async def test_a_function_that_fails_fails_its_example_alone() -> None:
    def picky(pool: list[dict[str, object]], query: object, depth: int) -> list[dict[str, object]]:
        raise ZeroDivisionError("oops")

    session = Session(asking(), {"m": ScriptedEngine(prompt_of)}, externs=Externs({"user:f": picky}))
    assert [r.error and r.error.code for r in await collect(session, rows(2))] == ["R810", "R810"]


PROGRAM = """\
model small = "m-7b"

extern op shortest(pool: Pool{text}) -> Pool{text} = "picking:shortest"

pipeline answer(query) {
    query |> generate(small, n = 3) |> shortest
}
"""
FUNCTION = "def shortest(pool):\n    return [min(pool, key=lambda c: len(c['text']))]\n"


def test_a_program_with_functions_runs_when_it_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PNYX_CACHE", str(tmp_path / "cache"))
    Path("p.pnyx").write_text(PROGRAM)
    Path("picking.py").write_text(FUNCTION)
    words = ["run", "p.pnyx", "What is 2 + 2?", "--engine", "simulated"]
    assert main(words) == 1
    assert "--trust" in capsys.readouterr().err
    assert main([*words, "--trust"]) == 0
    pipeline = load("p.pnyx").compile()
    with pytest.raises(ExternUnusable):
        pipeline.run("What is 2 + 2?", engine="simulated")
    result = pipeline.run("What is 2 + 2?", engine="simulated", trust=True)
    assert len(result.candidates) == 1
