"""`pnyx tune-engine` on the simulated engine: its questions, its table, what it writes, and how it ends."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from search.virtual_time import in_virtual_time

from pnyx.cli import main
from pnyx.cli.tuning_toml import toml_lines, write_toml
from pnyx.runtime.config import load_config

PROGRAM = """model small = "smollm2-135m"

pipeline main(query) {
    query |> generate(small, n = 2, max_tokens = 16)
}
"""
BENCHMARK = """
benchmark sums {
    data = jsonl("rows.jsonl")
    query = question
    target = answer
    score = numeric
}
"""
CONFIG = """# what stands behind the models
[models.small]
engine = "simulated"
latency = 0.02  # seconds
window = 2

[run]
window = 16
"""
ROWS = [{"question": f"What is {i} * 37?", "answer": 37 * i} for i in range(40)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.pnyx").write_text(PROGRAM)
    (tmp_path / "pnyx.toml").write_text(CONFIG)
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    return tmp_path


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that stalls of the machine do not move."""
    monkeypatch.setattr(asyncio, "run", in_virtual_time)


def tune(*arguments: str) -> int:
    return main(["tune-engine", "p.pnyx", *arguments])


@pytest.mark.usefixtures("steady")
def test_a_table_the_lines_and_the_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "pnyx.toml").write_text(CONFIG.replace("0.02", "0.2"))  # longer calls, so fewer of them
    assert tune("--rows", "rows.jsonl", "--budget", "20 s", "--write") == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0].startswith("main (SIMULATED): ")
    assert lines[2].split()[:2] == ["setting", "runs"]
    assert lines[4].startswith("as it is ")
    assert "times as fast as the default" in shown.out
    assert "\n[models.small]\nwindow = " in shown.out
    assert "SIMULATED" in shown.err
    written = (folder / "pnyx.toml").read_text()
    assert "# what stands behind the models" in written
    assert "# seconds" in written
    config = load_config(folder / "pnyx.toml", near=None)
    assert (config.model("small").window or 0) > 2
    assert config.model("small").latency == 0.2


@pytest.mark.usefixtures("steady")
def test_as_json_with_the_questions_of_a_benchmark(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "p.pnyx").write_text(PROGRAM + BENCHMARK)
    assert tune("--benchmark", "sums", "--budget", "1 min", "--json", "--limit", "6", "--write") == 0
    shown = capsys.readouterr()
    data = json.loads(shown.out)
    assert data["pipeline"] == "main"
    assert data["questions"] <= 6
    assert data["trials"][0]["setting"] == {}
    assert data["trials"][0]["tokens_per_second"] > 0
    if not data["toml"]:
        assert "stays as it is" in shown.err
        assert (folder / "pnyx.toml").read_text() == CONFIG


@pytest.mark.usefixtures("steady")
def test_a_plan_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", "p.pnyx", "-o", "plan.json"]) == 0
    assert main(["tune-engine", "plan.json", "--budget", "1 s"]) == 1
    assert "E690" in capsys.readouterr().err
    assert main(["tune-engine", "plan.json", "--rows", "rows.jsonl", "--budget", "1 min"]) == 0


def test_questions_that_cannot_be_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bad.jsonl").write_text('{"text": 1}\n[]\n')
    assert tune("--rows", "bad.jsonl") == 1
    shown = capsys.readouterr().err
    assert [code for code in ("R802", "R801", "E690") if code not in shown] == []
    (folder / "some.jsonl").write_text('{"text": 1}\n{"question": "What is 2 + 2?"}\n{"question": "What is 3 + 2?"}\n')
    assert tune("--rows", "some.jsonl", "--budget", "1 s") == 0
    assert "R802" in capsys.readouterr().err
    assert tune("--rows", "none.jsonl") == 1
    assert "E601" in capsys.readouterr().err


@pytest.mark.parametrize("budget", ["2M tokens", "soon", "$5", ""])
def test_a_budget_that_is_no_time(folder: Path, capsys: pytest.CaptureFixture[str], budget: str) -> None:
    assert tune("--rows", "rows.jsonl", "--budget", budget) == 2
    assert "--budget" in capsys.readouterr().err


def test_a_default_that_fails(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "pnyx.toml").write_text(f"{CONFIG}\n".replace("window = 2\n", "window = 2\nfails = 1.0\n"))
    assert tune("--rows", "rows.jsonl") == 4
    assert "R807" in capsys.readouterr().err


def test_an_interruption_shows_what_is_known(folder: Path) -> None:
    command = [sys.executable, "-m", "pnyx", "tune-engine", "p.pnyx", "--rows", "rows.jsonl"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert process.stderr.readline().startswith("as it is: ")
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    out, said = process.communicate(timeout=60)
    assert time.monotonic() - began < 30
    assert process.returncode == 130
    assert out.startswith("main (SIMULATED): ")
    assert "ended before all settings were tried" in out
    assert said.endswith("interrupted\n")
    assert "Traceback" not in said


# What is written


def test_lines() -> None:
    changes = {("models", "small", "window"): 128, ("models", "small", "dtype"): "float32", ("run", "window"): 64}
    assert toml_lines(changes) == '[models.small]\nwindow = 128\ndtype = "float32"\n\n[run]\nwindow = 64\n'


@pytest.mark.parametrize(
    "before",
    ["", "[store]\nplace = 'none'\n", "[models.judge]\nid = 'a'\n", "[models]\nsmall = {engine = 'vllm'}\n",
     "run = {seed = 3}\n[models.small]\nwindow = 3 # few\nengine = 'vllm'\n", "models.small.engine = 'vllm'\n",
     "[run] # all\nwindow = 1\n[models.judge]\n[models.small]\n"],
)  # fmt: skip
def test_files_that_are_there_keep_what_they_say(before: str, tmp_path: Path) -> None:
    path = tmp_path / "pnyx.toml"
    if before:
        path.write_text(before)
    was = load_config(path, near=None) if before else None
    write_toml(path, {("models", "small", "window"): 128, ("run", "window"): 64})
    config = load_config(path, near=None)
    assert (config.model("small").window, config.run.window) == (128, 64)
    assert was is None or config.model("small").engine == was.model("small").engine
    assert was is None or (config.run.seed, config.store) == (was.run.seed, was.store)
    assert all(note in path.read_text() for note in ("# few", "# all") if note in before)
