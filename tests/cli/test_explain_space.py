"""`pnyx explain --space`: the choices of a program as a table, and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pnyx.cli import main

PROGRAM = """model small = "smollm2-135m"
model judge = "smollm2-360m"

pipeline single(query) { query |> generate(tune(small, judge), max_tokens = 64) |> extract(number) }
pipeline voting(query) {
    pool = query |> generate(small, n = tune(4, 8, 16, 32), max_tokens = 64)
    if tune(true, false) { pool = pool |> critique(judge) |> fuse(judge, n = tune(1..3)) }
    pool |> extract(number) |> vote
}

benchmark sums { data = jsonl("sums.jsonl")
    query = question
    target = answer
    score = numeric }
search both { pipeline = [single, voting]
    benchmark = sums
    budget = 1M tokens
    per query = 20 samples }
search one { pipeline = voting
    benchmark = sums
    budget = 1M tokens }
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("PNYX_CACHE", str(tmp_path / "cache"))
    (tmp_path / "p.pnyx").write_text(PROGRAM)
    (tmp_path / "sums.jsonl").write_text('{"question": "1 + 1?", "answer": 2}\n')
    return tmp_path


def explain(*arguments: str) -> int:
    return main(["explain", "p.pnyx", *arguments])


def test_the_space_of_a_search(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain("--search", "both") == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "pipelines single, voting of p.pnyx"
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in lines[4:9]}
    assert rows["pipeline"] == "single (default), voting always"
    assert rows["voting.generate.n"] == "4 (default), 8, 16, 32 pipeline = voting p.pnyx:6:41"
    assert rows["voting.fuse.n"] == "1 (default), 2, 3 voting = true p.pnyx:7:78"
    assert "18 points" in lines
    assert "  7 points pruned: at the very least they take more than the limit of 20 samples" in lines
    assert "  11 points left" in lines
    assert any(line.startswith("  1 to 19 samples") for line in lines)


def test_the_space_of_a_pipeline(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain("--space", "--pipeline", "voting") == 0
    shown = capsys.readouterr().out
    assert "16 points" in shown
    assert "pruned" not in shown
    assert explain("--space", "--pipeline", "voting", "--search", "both") == 0
    assert "pruned" in capsys.readouterr().out


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain("--space", "--search", "both", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["points"], data["exact"], data["feasible"]) == (18, True, 11)
    assert data["pruned"] == {"samples": 7}
    choice = data["choices"][1]
    assert (choice["name"], choice["default"], choice["models"]) == ("single.generate.model", "small", True)
    assert choice["met"] == [{"name": "pipeline", "options": ["single"]}]
    assert data["costs"]["samples"] == {"least": 1, "most": 19}


def test_a_pipeline_without_choices(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "p.pnyx").write_text('model small = "smollm2-135m"\npipeline main(query) { query |> generate(small) }\n')
    assert explain("--space") == 0
    assert "1 point: nothing is open" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--space"], "the program has 2 searches"),
        (["--search", "boht"], "did you mean `both`?"),
        (["--space", "--pipeline", "votin"], "did you mean `voting`?"),
        (["--space", "--pipeline", "voting", "--set", "n=4"], "E607"),
    ],
)
def test_what_cannot_be_shown_is_told(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    assert explain(*arguments) == 1
    assert said in capsys.readouterr().err


def test_a_plan_has_no_space(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", "p.pnyx", "--pipeline", "voting", "-o", "plan.json"]) == 0
    assert main(["explain", "plan.json", "--space"]) == 1
    assert "its choices are closed" in capsys.readouterr().err
