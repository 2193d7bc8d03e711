"""A whole run against a server with a key: nothing that it prints or writes holds the key."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs.commands import run
from engines.fault_server import FaultServer, status

SECRET = "sk-0123456789-very-secret"
PROGRAM = """\
model small = "tiny-1B"

pipeline main(query) {
    query |> generate(small, n = 3) |> grade(small) |> best
}
"""


@pytest.fixture
def server() -> Iterator[FaultServer]:
    """In a thread of its own: the command line has the event loop of this one."""
    made, stop, ready = FaultServer("vllm", key=SECRET), threading.Event(), threading.Event()

    async def serve() -> None:
        async with made:
            ready.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    yield made
    stop.set()
    thread.join(10)


def test_a_run_leaves_no_trace_of_the_key(server: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PNYX_TEST_KEY", SECRET)
    monkeypatch.setenv("PNYX_STORE", str(tmp_path / "calls.sqlite"))
    (tmp_path / "main.pnyx").write_text(PROGRAM)
    (tmp_path / "rows.jsonl").write_text(
        "".join(json.dumps({"question": f"What is {k} + 2?"}) + "\n" for k in range(6))
    )
    (tmp_path / "pnyx.toml").write_text(
        f'[models.small]\nengine = "openai"\nurl = "{server.url}"\nkey_env = "PNYX_TEST_KEY"\nguide = false\n'
    )
    server.faults.extend(
        [status(400, f"no Bearer {SECRET} here"), status(403, f"{SECRET} may not"), lambda answer: answer]
    )
    code, printed = run("pnyx map main.pnyx rows.jsonl -o out.jsonl --window 1", tmp_path, monkeypatch)
    assert code == 1, printed
    results = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["error"] and row["error"]["code"] for row in results] == ["R807", "E618", None, None, None, None]
    assert "`PNYX_TEST_KEY`" in results[1]["error"]["message"]
    _, wrong = run("pnyx run main.pnyx 'Why?' --model small=openai:nobody", tmp_path, monkeypatch)
    monkeypatch.setenv("PNYX_TEST_KEY", "sk-wrong-very-secret")
    refused, more = run("pnyx run main.pnyx 'Why?'", tmp_path, monkeypatch)
    assert refused != 0
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert (tmp_path / "calls.sqlite") in files
    assert [path for path in files if b"very-secret" in path.read_bytes()] == []
    assert "very-secret" not in printed + wrong + more
