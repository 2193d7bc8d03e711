"""What `map` reads and writes: pipes, full disks, closed streams, files that must not be lost; interruptions."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pnyx.cli import main

PROGRAM = """model small = "sim-7b"
pipeline answer(query) { query |> generate(small, n = 2) }
"""
ROWS = "".join(json.dumps({"question": f"What is {i} + 1?"}) + "\n" for i in range(8))
SIMULATED = ["--engine", "simulated"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("PNYX_CACHE", str(tmp_path / "cache"))
    (tmp_path / "p.pnyx").write_text(PROGRAM)
    (tmp_path / "rows.jsonl").write_text(ROWS)
    return tmp_path


def pnyx(*arguments: str, **streams: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "pnyx", *arguments], stderr=subprocess.PIPE, **streams)


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """The exit code and what was said."""
    try:
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
    return process.returncode, said.decode()


@pytest.mark.parametrize(
    ("outputs", "says"),
    [
        (["-o", "p.pnyx"], "`p.pnyx` is the program"),
        (["-o", "rows.jsonl"], "`rows.jsonl` is the file of the rows"),
        (["--summary-json", "./rows.jsonl"], "`rows.jsonl` is the file of the rows"),
        (["-o", "new", "--summary-json", "./new"], "`new` is the output and the summary"),
        (["-o", "rows.jsonl/new"], "`rows.jsonl` is not a folder"),
        (["--summary-json", "."], "`.` is a folder"),
    ],
)
def test_outputs_that_would_destroy_something_are_refused(
    folder: Path, outputs: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["map", "p.pnyx", "rows.jsonl", *SIMULATED, *outputs]) == 1
    shown = capsys.readouterr()
    assert "error[E601]" in shown.err
    assert says in shown.err
    assert "= help:" in shown.err
    assert shown.out == ""
    assert ((folder / "p.pnyx").read_text(), (folder / "rows.jsonl").read_text()) == (PROGRAM, ROWS)


def test_rows_on_standard_input_are_not_overwritten_either(folder: Path) -> None:
    with (folder / "rows.jsonl").open("rb") as rows:
        code, said = ended(pnyx("map", "p.pnyx", "-", *SIMULATED, "-o", "rows.jsonl", stdin=rows))
    assert code == 1
    assert "`rows.jsonl` is the file of the rows" in said
    assert (folder / "rows.jsonl").read_text() == ROWS


def test_outputs_that_keep_nothing_may_be_the_same() -> None:
    sink = os.devnull
    assert main(["map", "p.pnyx", "rows.jsonl", *SIMULATED, "-o", sink, "--summary-json", sink]) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
def test_a_full_disk_is_named_and_nothing_is_claimed() -> None:
    code, said = ended(pnyx("map", "p.pnyx", "rows.jsonl", *SIMULATED, "-o", "/dev/full"))
    assert code == 1
    assert "error[E601]: `/dev/full`: no space left on device" in said
    assert "0 results in /dev/full" in said
    with Path("/dev/full").open("wb") as full:
        code, said = ended(pnyx("run", "p.pnyx", "why?", *SIMULATED, stdout=full))
    assert code == 1
    assert "no space left on device" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("redirection", "command", "code"),
    [
        (">&-", ["map", "p.pnyx", "rows.jsonl"], 0),
        ("2>&-", ["map", "p.pnyx", "rows.jsonl"], 0),
        ("<&-", ["map", "p.pnyx", "-"], 0),
        ("<&-", ["run", "p.pnyx"], 1),  # the question is empty
        (">&- 2>&- <&-", ["run", "p.pnyx", "why?"], 0),
    ],
)
def test_closed_streams_are_no_crash(redirection: str, command: list[str], code: int) -> None:
    words = shlex.join([sys.executable, "-m", "pnyx", *command, *SIMULATED])
    done = subprocess.run(["sh", "-c", f"{words} {redirection}"], capture_output=True, timeout=30, check=False)
    assert done.returncode == code
    assert b"internal error" not in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.fixture
def pipe(folder: Path) -> str:
    os.mkfifo(folder / "pipe")
    return "pipe"


def test_rows_come_through_a_named_pipe(pipe: str) -> None:
    with pnyx("map", "p.pnyx", pipe, *SIMULATED, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        with Path(pipe).open("wb", buffering=0) as source:
            for number, line in enumerate(ROWS.splitlines()[:3]):
                source.write(f"{line}\n".encode())
                assert json.loads(process.stdout.readline())["index"] == number  # before the next row is there
        assert process.wait(timeout=30) == 0


def test_a_silent_pipe_can_be_interrupted(pipe: str) -> None:
    writer = os.open(pipe, os.O_RDWR)
    try:
        process = pnyx("map", "p.pnyx", pipe, *SIMULATED, "-o", "out.jsonl")
        deadline = time.monotonic() + 30
        while not Path("out.jsonl").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        code, said = ended(process)
    finally:
        os.close(writer)
    assert (code, said.splitlines()[-1]) == (130, "interrupted")
    assert "Traceback" not in said


OPENS_SLOWLY = """
import sys, time
from pnyx.runtime.engines import open as opening
def slow(*_):
    print("opening", flush=True)
    time.sleep(60)
opening._open = slow
sys.argv[1:] = ["run", "p.pnyx", "why?"]
from pnyx.cli import main
sys.exit(main())
"""


def test_an_interruption_does_not_wait_for_a_model_that_loads() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", OPENS_SLOWLY], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"opening\n"
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert ended(process) == (130, "interrupted\n")
    assert time.monotonic() - started < 20
