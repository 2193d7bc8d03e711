"""Commands that cost, draw and run pipelines: explain, graph, run, map, models."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from pnyx.cli import main
from pnyx.cli.new import STARTER

SIMULATED = ["--engine", "simulated"]
ROWS = [{"id": f"r{i}", "question": f"What is {i} + {i + 3}?"} for i in range(12)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("PNYX_CACHE", str(tmp_path / "cache"))
    (tmp_path / "first.pnyx").write_text(STARTER)
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    return tmp_path


def results(path: str | Path = "out.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def explained(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["explain", "first.pnyx", "--json", *arguments]) == 0
    return dict(json.loads(capsys.readouterr().out))


# explain, graph ----------------------------------------------------------------------------------


def test_explain_shows_every_node_and_the_total(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "first.pnyx"]) == 0
    shown = capsys.readouterr().out
    lines = {line.split()[0]: line.split() for line in shown.splitlines() if line.strip()}
    for node in ("query", "generate", "critique", "rank", "fuse", "total"):
        assert node in lines
    assert lines["total"][2:4] == ["5", "6"]  # calls and samples: 1 + 2 + 1 + 1; 2 + 2 + 1 + 1
    assert "answer.generate.n = 2   of 2, 4, 8" in shown
    assert shown.splitlines()[-1].startswith("nothing measured yet")


def test_explain_follows_the_choice(capsys: pytest.CaptureFixture[str]) -> None:
    data = explained(capsys, "--set", "n=8")
    assert data["total"]["calls"] == {"least": 11, "expected": 11, "most": 11}
    assert data["choices"] == [{"name": "answer.generate.n", "value": 8, "options": ["2", "4", "8"]}]
    assert explained(capsys, "--set", "n=8", "--no-optimise")["total"]["calls"]["most"] > 11


def test_explain_uses_what_runs_measured(capsys: pytest.CaptureFixture[str]) -> None:
    before = explained(capsys, *SIMULATED)
    assert not before["measured"]
    assert main(["map", "first.pnyx", "rows.jsonl", "-o", "out.jsonl", "--summary-json", "s.json", *SIMULATED]) == 0
    capsys.readouterr()
    after = explained(capsys, *SIMULATED)
    assert after["measured"]
    actual = json.loads(Path("s.json").read_text())
    predicted = after["total"]["prompt_tokens"]["expected"] * len(ROWS)
    assert predicted == pytest.approx(actual["prompt_tokens"], rel=0.15)
    assert after["total"]["calls"]["expected"] * len(ROWS) == pytest.approx(actual["calls"])
    # What was measured on the simulated engine says nothing of a real one.
    assert not explained(capsys)["measured"]
    assert main(["explain", "first.pnyx", *SIMULATED]) == 0
    assert "as measured in former runs (12 questions)" in capsys.readouterr().out


def test_damaged_profile_counts_as_absent(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "first.pnyx", "What is 2 + 2?", *SIMULATED]) == 0
    (profile,) = (folder / "cache" / "profiles").iterdir()
    profile.write_text("{")
    capsys.readouterr()
    assert not explained(capsys, *SIMULATED)["measured"]
    assert main(["run", "first.pnyx", "What is 2 + 2?", *SIMULATED]) == 0
    assert json.loads(profile.read_text())["question"]["examples"] == 1


def test_a_plan_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", "first.pnyx", "-o", "plan.json"]) == 0
    assert main(["explain", "plan.json"]) == 0
    assert "answer.generate.n = 2\n" in capsys.readouterr().out


def test_graph_writes_each_format(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", "first.pnyx"]) == 0
    assert capsys.readouterr().out.startswith("flowchart")
    assert main(["graph", "first.pnyx", "-o", "a.svg"]) == 0
    assert ElementTree.parse(folder / "a.svg").getroot().tag.endswith("svg")
    assert main(["graph", "first.pnyx", "-o", "a.html"]) == 0
    assert "<html" in (folder / "a.html").read_text()
    assert main(["graph", "first.pnyx", "--format", "svg"]) == 0
    assert "<svg" in capsys.readouterr().out


# run ---------------------------------------------------------------------------------------------


def test_run_prints_the_answer_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "first.pnyx", "What is 17 * 23?", *SIMULATED]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("(simulated) ")
    assert "SIMULATED" in shown.err
    assert "5 calls" in shown.err
    assert main(["run", "first.pnyx", "What is 17 * 23?", *SIMULATED]) == 0
    assert capsys.readouterr().out == shown.out


def test_options_may_stand_between_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "first.pnyx", "What is 2 + 2?", *SIMULATED]) == 0
    behind = capsys.readouterr().out
    assert main(["run", "first.pnyx", *SIMULATED, "What is 2 + 2?"]) == 0
    assert capsys.readouterr().out == behind
    assert main(["run", "first.pnyx", *SIMULATED, "What is 2 + 2?", "more"]) == 2
    assert "one question is expected" in capsys.readouterr().err


def test_a_question_behind_two_dashes_may_look_like_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "first.pnyx", *SIMULATED, "--json", "--", "-5 + 3?"]) == 0
    assert json.loads(capsys.readouterr().out)["question"] == "-5 + 3?"
    assert main(["run", *SIMULATED, "--json", "--", "first.pnyx", "--help"]) == 0
    assert json.loads(capsys.readouterr().out)["question"] == "--help"


def test_run_reads_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "first.pnyx", "What is 17 * 23?", *SIMULATED]) == 0
    expected = capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"What is 17 * 23?\n")))
    assert main(["run", "first.pnyx", *SIMULATED]) == 0
    assert capsys.readouterr().out == expected


def test_run_as_json_and_with_candidates(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "first.pnyx", "What is 17 * 23?", "--json", *SIMULATED]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["simulated"]
    assert data["usage"]["calls"] == 5
    assert main(["run", "first.pnyx", "What is 17 * 23?", "--candidates", *SIMULATED]) == 0
    assert capsys.readouterr().out.startswith("[1] ")


def test_seed_and_choice_change_the_samples(capsys: pytest.CaptureFixture[str]) -> None:
    shown = []
    for more in ([], ["--seed", "7"], ["--set", "n=8"]):
        assert main(["run", "first.pnyx", "What is 17 * 23?", "--json", *SIMULATED, *more]) == 0
        shown.append(json.loads(capsys.readouterr().out))
    assert shown[1]["candidates"] != shown[0]["candidates"]
    assert [data["usage"]["samples"] for data in shown] == [6, 6, 18]


def test_a_plan_runs_as_its_program_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", "first.pnyx", "-o", "plan.json"]) == 0
    answers = []
    for file in ("first.pnyx", "plan.json"):
        assert main(["run", file, "What is 17 * 23?", *SIMULATED]) == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("arguments", "code", "exit"),
    [
        (["first.pnyx", "  ", *SIMULATED], "R803", 1),
        (["first.pnyx", "why?", "--engine", "simulatd"], "E604", 1),
        (["first.pnyx", "why?", "--model", "smal=x", *SIMULATED], "E604", 1),
        (["first.pnyx", "why?", "--config", "none.toml", *SIMULATED], "E604", 1),
        (["first.pnyx", "why?", "--model", "small=smollm2-135m"], "E605", 1),
    ],
)
def test_run_refuses(arguments: list[str], code: str, exit: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", *arguments]) == exit
    shown = capsys.readouterr()
    assert f"[{code}]" in shown.err
    assert shown.out == ""


def test_fault_of_the_configuration_is_shown_at_its_place(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "pnyx.toml").write_text('[models.small]\nengin = "simulated"\n')
    assert main(["run", "first.pnyx", "why?"]) == 1
    shown = capsys.readouterr().err
    assert "pnyx.toml:2:1" in shown
    assert 'engin = "simulated"' in shown


def test_missing_model_says_how_to_get_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "first.pnyx", "why?"]) == 1
    assert "pnyx models pull smollm2-135m" in capsys.readouterr().err


# map ---------------------------------------------------------------------------------------------


def test_map_keeps_the_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["map", "first.pnyx", "rows.jsonl", "-o", "out.jsonl", "--window", "3", *SIMULATED]) == 0
    assert [result["id"] for result in results()] == [row["id"] for row in ROWS]
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "12 examples: 12 answered, 0 failed" in shown.err
    assert "SIMULATED" in shown.err


def test_map_to_standard_output_is_rows_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["map", "first.pnyx", "rows.jsonl", "--limit", "2", *SIMULATED]) == 0
    assert [json.loads(line)["index"] for line in capsys.readouterr().out.splitlines()] == [0, 1]


def test_map_shows_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["map", "first.pnyx", "rows.jsonl", "--limit", "2", "--show", "-o", "out.jsonl", *SIMULATED]) == 0
    shown = capsys.readouterr().out
    assert "[1] What is 0 + 3?\n →  (simulated)" in shown
    assert len(results()) == 2


def test_map_records_what_fails_and_answers_the_rest(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = [b"{", b"[1]", b'{"text": "x"}', b'{"question": " "}', b'{"question": "caf\xe9"}', b"[" * 100_000]
    good = b'{"question": "What is 2 + 2?"}'
    (folder / "bad.jsonl").write_bytes(b"\n".join([good, *bad, b"", good]))
    arguments = ["map", "first.pnyx", "bad.jsonl", "-o", "out.jsonl", "--summary-json", "s.json", *SIMULATED]
    assert main(arguments) == 1
    codes = [result["error"] and result["error"]["code"] for result in results()]
    assert codes == [None, "R801", "R801", "R802", "R803", "R808", "R801", None]
    assert json.loads((folder / "s.json").read_text())["errors"] == {"R801": 3, "R802": 1, "R803": 1, "R808": 1}
    assert "2 answered, 6 failed (R801 3, R802 1, R803 1, R808 1)" in capsys.readouterr().err


def test_map_takes_another_field(folder: Path) -> None:
    (folder / "other.jsonl").write_text('{"ask": "What is 2 + 2?"}\n')
    assert main(["map", "first.pnyx", "other.jsonl", "-o", "out.jsonl", *SIMULATED]) == 1
    assert (
        main(["map", "first.pnyx", "other.jsonl", "-o", "out.jsonl", "--field", "ask", "--overwrite", *SIMULATED]) == 0
    )


def test_map_of_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "none.jsonl").write_text("")
    assert main(["map", "first.pnyx", "none.jsonl", "-o", "out.jsonl", *SIMULATED]) == 0
    assert "0 examples" in capsys.readouterr().err
    assert results() == []


def test_map_never_overwrites_its_rows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "rows.jsonl").read_bytes()
    assert main(["map", "first.pnyx", "rows.jsonl", "-o", "./rows.jsonl", *SIMULATED]) == 1
    assert "error[E601]" in capsys.readouterr().err
    assert (folder / "rows.jsonl").read_bytes() == before


def test_map_leaves_an_older_output_where_it_cannot_start(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "out.jsonl").write_text("old\n")
    assert main(["map", "first.pnyx", "rows.jsonl", "-o", "out.jsonl"]) == 1  # the model was not pulled
    assert main(["map", "first.pnyx", "rws.jsonl", "-o", "out.jsonl", *SIMULATED]) == 1
    assert "did you mean `rows.jsonl`?" in capsys.readouterr().err
    assert (folder / "out.jsonl").read_text() == "old\n"


def pnyx(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "pnyx", *arguments], stderr=subprocess.PIPE, **options)


def test_map_streams_and_an_interruption_keeps_what_was_done() -> None:
    process = pnyx(
        "map", "first.pnyx", "-", *SIMULATED, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    with process, process.stdin as source:
        for row in ROWS[:3]:
            source.write(f"{json.dumps(row)}\n".encode())
            source.flush()
            assert json.loads(process.stdout.readline())["id"] == row["id"]  # answered before the next row is there
        process.send_signal(signal.SIGINT)
        said = process.stderr.read().decode()
        assert process.wait(timeout=30) == 130
    assert "3 examples: 3 answered" in said
    assert said.endswith("interrupted\n")
    assert "Traceback" not in said


def test_reader_that_leaves_is_no_failure(folder: Path) -> None:
    many = folder / "many.jsonl"
    many.write_text("".join(f'{{"question": "What is {i} + 1?"}}\n' for i in range(400)))
    read, write = os.pipe()
    with pnyx("map", "first.pnyx", "many.jsonl", *SIMULATED, stdout=write) as process:
        os.close(write)
        os.read(read, 100)
        os.close(read)
        assert process.stderr is not None
        said = process.stderr.read().decode()
        assert process.wait(timeout=30) == 0
    assert "Traceback" not in said
    assert "Broken" not in said


# models ------------------------------------------------------------------------------------------


def test_models_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list"]) == 0
    assert any(
        line.startswith("smollm2-135m") and "not pulled" in line for line in capsys.readouterr().out.splitlines()
    )
    assert main(["models", "list", "--json"]) == 0
    (known, *_) = json.loads(capsys.readouterr().out)
    assert (known["id"], known["pulled"], known["folder"]) == ("smollm2-135m", False, None)


@pytest.mark.parametrize("name", ["smollm2-135m", "smollm2", "nowhere.gguf"])
def test_model_that_is_not_here(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "path", name]) == 1
    assert "error[E605]" in capsys.readouterr().err


@pytest.mark.model
def test_path_of_a_pulled_model(
    smollm2: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PNYX_CACHE", str(smollm2.parents[1]))
    assert main(["models", "path", "smollm2-135m"]) == 0
    assert Path(capsys.readouterr().out.strip()) == smollm2
    assert main(["models", "pull", "smollm2-135m", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"name": "smollm2-135m", "folder": str(smollm2)}


def test_unknown_action(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "fetch", "x"]) == 2
    assert "invalid choice: 'fetch'" in capsys.readouterr().err
