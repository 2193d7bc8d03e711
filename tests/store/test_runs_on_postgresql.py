"""`pnyx map` with its calls in a real PostgreSQL: killed and gone on with, in two processes, its server stopped."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from store.backends import postgresql

from pnyx.runtime.store import open_backend

PROGRAM = """
model m = "m-7b"

pipeline p(query) {
    query |> generate(m, n = 3) |> critique(m) |> rank(m, keep = 2) |> fuse(m)
}
"""
ROWS = 30


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("PNYX_CACHE", str(tmp_path / "cache"))
    Path("p.pnyx").write_text(PROGRAM)
    Path("pnyx.toml").write_text('[models.m]\nengine = "simulated"\nlatency = 0.03\n')
    rows = (json.dumps({"question": f"What is {i} + {i + 3}?", "id": i}) for i in range(ROWS))
    Path("rows.jsonl").write_text("\n".join(rows))
    return tmp_path


def mapped(output: str, store: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pnyx", "map", "p.pnyx", "rows.jsonl", "-o", output, "--store", store]
    return subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, said = process.communicate(timeout=120)
    return process.returncode, said


def until(there: Callable[[], object]) -> None:
    begun = time.monotonic()
    while not there():
        assert time.monotonic() - begun < 60
        time.sleep(0.01)


def results(output: str) -> int:
    return Path(output).read_bytes().count(b"\n") if Path(output).exists() else 0


def whole() -> bytes:
    code, said = ended(mapped("whole.jsonl", "none"))
    assert code == 0, said
    return Path("whole.jsonl").read_bytes()


@pytest.fixture
def store(server: str) -> str:
    backend = open_backend(server)
    backend.drop()
    backend.close()
    return server


def test_killed_and_gone_on_with(store: str) -> None:
    for done in (1, 10):
        process = mapped("out.jsonl", store, "--window", "4")
        until(lambda done=done: results("out.jsonl") >= done)  # type: ignore[misc]
        process.kill()
        process.communicate()
    backend = open_backend(store)
    before = backend.info().records
    backend.close()
    assert before > 50
    code, said = ended(mapped("out.jsonl", store))
    assert code == 0, said
    assert "of them from before" in said
    assert Path("out.jsonl").read_bytes() == whole()


def test_two_processes_at_once(store: str) -> None:
    processes = [mapped(f"{name}.jsonl", store) for name in "ab"]
    for code, said in map(ended, processes):
        assert code == 0, said
    assert Path("a.jsonl").read_bytes() == Path("b.jsonl").read_bytes() == whole()


def test_a_server_that_stops_ends_the_run_and_what_is_done_is_kept() -> None:
    pytest.importorskip("psycopg")
    with tempfile.TemporaryDirectory(prefix="pnyx-pg-") as folder:
        Path(folder).chmod(0o755)
        with postgresql(Path(folder) / "server") as address:
            process = mapped("out.jsonl", address, "--window", "4")
            until(lambda: results("out.jsonl") >= 5)
        code, said = ended(process)
    assert code == 4
    assert "error[E615]: the call store `postgresql://pnyx@/postgres" in said
    assert "Traceback" not in said
    done = results("out.jsonl")
    assert 5 <= done < ROWS
    assert f"{done} results in out.jsonl" in said
    code, said = ended(mapped("out.jsonl", "none"))
    assert code == 0, said
    assert Path("out.jsonl").read_bytes() == whole()
