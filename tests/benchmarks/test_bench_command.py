"""`pnyx bench`, and the same from Python, on the simulated engine."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import pnyx
from pnyx.cli import main
from pnyx.runtime.results import ErrorRecord

PROGRAM = """model small = "smollm2-135m"
model big = "qwen2.5-72b"

extern op close(answer: Text, target: Float) -> Float = "closeness:close"

pipeline weak(query) { query |> generate(small, max_tokens = 64) |> extract(number) }
pipeline strong(query) { query |> generate(big, n = tune(1, 4), temperature = 0.8) |> extract(number) |> vote }

benchmark sums { data = jsonl("sums.jsonl")
    query = question
    target = answer
    id = id
    score = numeric }
benchmark graded { data = jsonl("sums.jsonl")
    query = question
    score = judge(big) }
benchmark duel { data = jsonl("sums.jsonl")
    query = question
    score = pairwise(big, baseline = weak) }
benchmark own { data = jsonl("sums.jsonl")
    query = question
    target = answer
    score = close }
"""
ROWS = [{"id": f"s{i:02}", "question": f"What is {i} * 37 + {i + 5}?", "answer": i * 37 + i + 5} for i in range(11, 31)]
SIMULATED = ["--engine", "simulated"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("PNYX_CACHE", str(tmp_path / "cache"))
    (tmp_path / "p.pnyx").write_text(PROGRAM)
    (tmp_path / "sums.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    return tmp_path


def bench(*arguments: str) -> int:
    return main(["bench", "p.pnyx", *SIMULATED, *arguments])


def without_time(text: str) -> list[str]:
    """The lines, without the column of times and the line above it, which is as wide."""
    lines = [re.sub(r"\s+(time|[\d.e-]+ (s|min))$", "", line) for line in text.splitlines()]
    return [line for line in lines if not set(line) <= {"─"} or not line]


def test_one_pipeline(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--benchmark", "sums", "--pipeline", "weak", "--limit", "6", "--worst", "2") == 0
    shown = capsys.readouterr()
    assert without_time(shown.out) == [
        "sums (SIMULATED): 6 questions from 20 rows, 2 of them held out",
        "",
        "      accuracy  95 % interval  scored  no answer  failed  calls  tokens",
        "weak    16.7 %     3.0 … 56.4       6          0       0      6     264",
        "",
        "score  answer  target  question",
        "    0  1097    1107    What is 29 * 37 + 34?",
        "    0  956     955     What is 25 * 37 + 30?",
    ]
    assert "SIMULATED" in shown.err


def test_two_pipelines(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        bench("--benchmark", "sums", "--pipeline", "strong", "--against", "weak", "--worst", "1", "--set", "n=4") == 0
    )
    out = without_time(capsys.readouterr().out)
    assert out[:2] == ["sums (SIMULATED): 20 questions, 8 of them held out", ""]
    assert out[6].startswith("strong − weak: +")
    assert "(paired, 20 questions)" in out[6]
    assert "(sign test)" in out[6]


def test_json_and_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--benchmark", "sums", "--pipeline", "strong", "--against", "weak", "--json", "-o", "out.jsonl") == 0
    data = json.loads(capsys.readouterr().out)
    lines = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [line["pipeline"] for line in lines] == ["strong"] * 20 + ["weak"] * 20
    first, second = ({line["id"]: line["score"] for line in lines[i : i + 20]} for i in (0, 20))
    assert first.keys() == second.keys() == {row["id"] for row in ROWS}
    comparison = data["comparison"]
    assert comparison["difference"] == pytest.approx(sum(first[k] - second[k] for k in first) / 20)
    assert comparison["wins"] == sum(first[k] > second[k] for k in first)
    assert comparison["ties"] == sum(first[k] == second[k] for k in first)
    assert data["simulated"] is True
    assert [e["accuracy"] for e in data["evaluations"]] == [sum(first.values()) / 20, sum(second.values()) / 20]


def test_the_sides_of_the_split_are_disjoint(capsys: pytest.CaptureFixture[str]) -> None:
    ids = {}
    for side in ("search", "held-out", "all"):
        arguments = ("--benchmark", "sums", "--pipeline", "weak", "--split", side, "-o", "out.jsonl", "--json")
        assert bench(*arguments) == 0
        ids[side] = {json.loads(line)["id"] for line in Path("out.jsonl").read_text().splitlines()}
    assert ids["search"] | ids["held-out"] == ids["all"]
    assert not ids["search"] & ids["held-out"]
    assert json.loads(capsys.readouterr().out.split("\n}\n")[1] + "\n}")["split"] == "held-out"


def test_a_judge_and_what_it_costs_apart(capsys: pytest.CaptureFixture[str]) -> None:
    bench("--benchmark", "graded", "--pipeline", "strong", "--json")
    (evaluation,) = json.loads(capsys.readouterr().out)["evaluations"]
    assert evaluation["cost"]["calls"] == 20
    assert evaluation["judging"]["calls"] == 20
    assert set(evaluation["judging"]["errors"]) == set()
    assert 0 < evaluation["accuracy"] < 1
    bench("--benchmark", "graded", "--pipeline", "weak", "--json")
    (weaker,) = json.loads(capsys.readouterr().out)["evaluations"]
    assert weaker["accuracy"] < evaluation["accuracy"]


def test_win_rate_in_both_orders() -> None:
    report = pnyx.load("p.pnyx").bench("duel", pipeline="strong", engine="simulated")
    (evaluation,) = report.evaluations
    assert evaluation.judging is not None
    different = sum(o.score != 0.5 for o in evaluation.outcomes)
    assert evaluation.judging.calls == 2 * evaluation.judging.examples
    assert 0 < different <= evaluation.judging.examples <= 20
    assert {o.score for o in evaluation.outcomes} <= {0.0, 0.5, 1.0, None}
    assert report.accuracy is not None
    assert report.accuracy > 0.5
    against_itself = pnyx.load("p.pnyx").bench("duel", pipeline="weak", engine="simulated")
    assert against_itself.accuracy == 0.5
    judging = against_itself.evaluations[0].judging
    assert judging is not None
    assert judging.calls == 0


def test_a_score_of_python_must_be_trusted(capsys: pytest.CaptureFixture[str]) -> None:
    Path("closeness.py").write_text("def close(answer, target):\n    return float(float(answer) == target)\n")
    assert bench("--benchmark", "own", "--pipeline", "weak") == 1
    assert "error[E612]" in capsys.readouterr().err
    assert bench("--benchmark", "own", "--pipeline", "weak", "--trust", "--json") == 0
    own = json.loads(capsys.readouterr().out)["evaluations"][0]["accuracy"]
    assert own == pnyx.load("p.pnyx").bench("sums", pipeline="weak", engine="simulated").accuracy


def test_a_score_that_raises_fails_its_row_alone(capsys: pytest.CaptureFixture[str]) -> None:
    body = "def close2(answer, target):\n    assert target != 1069, 'not this'\n    return 1\n"
    Path("closeness2.py").write_text(body)
    Path("p.pnyx").write_text(PROGRAM.replace("closeness:close", "closeness2:close2"))
    assert bench("--benchmark", "own", "--pipeline", "weak", "--trust") == 1
    shown = capsys.readouterr()
    assert "weak: 1 question not scored, and left out" in shown.out
    assert (
        "error[R810]: the function `closeness2:close2` failed: AssertionError: not this (at sums.jsonl:18)" in shown.err
    )
    assert without_time(shown.out)[3].startswith("weak   100.0 %   83.2 … 100.0      19")


def test_what_was_asked_is_not_asked_again(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--benchmark", "graded", "--pipeline", "strong", "--store", "calls.db", "--json")
    bench(*arguments)
    first = json.loads(capsys.readouterr().out)["evaluations"][0]
    bench(*arguments)
    again = json.loads(capsys.readouterr().out)["evaluations"][0]
    assert first["cost"]["cached_calls"] == 0
    assert again["cost"]["cached_calls"] == again["cost"]["calls"] == 20
    assert again["judging"]["cached_calls"] == again["judging"]["calls"]
    assert (again["accuracy"], again["interval"]) == (first["accuracy"], first["interval"])


def test_one_budget_for_everything(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--benchmark", "sums", "--pipeline", "strong", "--against", "weak", "--store", "calls.db")
    assert bench(*arguments, "--budget", "calls=30", "-o", "out.jsonl") == 3
    shown = capsys.readouterr()
    assert "ended early: of 20 questions these were done: strong 20, weak 10" in shown.out
    assert "error[R820]" in shown.err
    pipelines = [json.loads(line)["pipeline"] for line in Path("out.jsonl").read_text().splitlines()]
    assert pipelines == ["strong"] * 20 + ["weak"] * 10
    assert "(paired, 10 questions)" in shown.out
    assert bench(*arguments, "--budget", "calls=30") == 0  # goes on from there


def test_an_interruption_reports_what_was_done(folder: Path) -> None:
    latency = "\n".join(f'[models.{name}]\nengine = "simulated"\nlatency = 0.2' for name in ("small", "big"))
    (folder / "pnyx.toml").write_text(latency)
    command = [sys.executable, "-m", "pnyx", "bench", "p.pnyx", "--benchmark", "sums", "--pipeline", "strong"]
    arguments = ["--window", "1", "--store", "none", "--trace", "t.jsonl", "--set", "n=1"]
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not Path("t.jsonl").exists() or "example_ended" not in Path("t.jsonl").read_text():
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "sums (SIMULATED): 20 questions" in out
    assert re.search(r"ended early: of 20 questions these were done: strong 1?\d\n", out)
    assert err.endswith("interrupted\n")
    assert json.loads(Path("t.jsonl").read_text().splitlines()[-1])["event"] == "run_ended"


def test_each_pipeline_and_each_judging_has_a_trace(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--benchmark", "graded", "--pipeline", "strong", "--against", "weak", "--store", "none")
    assert bench(*arguments, "-o", "plain.jsonl") == 0
    plain = without_time(capsys.readouterr().out)
    assert bench(*arguments, "-o", "out.jsonl", "--trace") == 0
    shown = capsys.readouterr()
    assert without_time(shown.out) == plain
    assert Path("out.jsonl").read_bytes() == Path("plain.jsonl").read_bytes()
    traces = sorted(Path().glob("out.jsonl.trace*.jsonl"))
    assert len(traces) == 4
    assert [f"another trace is in {trace}" in shown.err for trace in traces].count(True) == 3
    digests = set()
    for trace in traces:
        assert main(["report", str(trace), "--json"]) == 0
        figures = json.loads(capsys.readouterr().out)
        assert (figures["examples"], figures["answered"]) == (20, 20)
        digests.add(figures["digest"])
    assert len(digests) == 3  # one judge for both
    ended = json.loads(Path("out.jsonl.trace.jsonl").read_text().splitlines()[-1])
    assert (ended["event"], ended["summary"]["examples"]) == ("run_ended", 20)
    assert main(["report", "out.jsonl.trace.weak.jsonl"]) == 0


def test_a_trace_without_a_name_lies_beside_an_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--benchmark", "sums", "--pipeline", "weak", "--trace") == 1
    assert "there is no output for the trace to lie beside" in capsys.readouterr().err


def test_the_judge_spends_from_the_same_budget(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--benchmark", "graded", "--pipeline", "strong", "--budget", "calls=25", "--json") == 3
    data = json.loads(capsys.readouterr().out)
    (evaluation,) = data["evaluations"]
    assert evaluation["cost"]["calls"] + evaluation["judging"]["calls"] == 25
    assert evaluation["scored"] == 5
    assert "budget" in data["stopped"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--pipeline", "weak"], "E643", "the program has 4 benchmarks"),
        (["--benchmark", "sum"], "E643", "did you mean `sums`?"),
        (["--benchmark", "sums"], "E603", "weak"),
        (["--benchmark", "sums", "--pipeline", "week"], "E603", "did you mean `weak`?"),
        (["--benchmark", "sums", "--pipeline", "weak", "--against", "week"], "E603", "did you mean `weak`?"),
        (["--benchmark", "sums", "--pipeline", "strong", "--set", "m=3"], "E403", "there is no choice `m`"),
        (["--benchmark", "sums", "--pipeline", "weak", "-o", "nowhere/../p.pnyx/x"], "E601", "p.pnyx"),
    ],
)
def test_wrong_usage(arguments: list[str], code: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(*arguments) == 1
    shown = capsys.readouterr()
    assert f"error[{code}]" in shown.err
    assert says in shown.err
    assert "Traceback" not in shown.err


def test_a_choice_goes_to_the_pipeline_that_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--benchmark", "sums", "--pipeline", "weak", "--against", "strong", "--set", "n=4", "--json") == 0
    first, second = json.loads(capsys.readouterr().out)["evaluations"]
    assert (first["cost"]["samples"], second["cost"]["samples"]) == (20, 80)


def test_a_plan_and_a_program_without_benchmarks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", "p.pnyx", "--pipeline", "weak", "-o", "plan.json"]) == 0
    assert main(["bench", "plan.json", *SIMULATED]) == 1
    assert "a plan has no benchmarks" in capsys.readouterr().err
    Path("none.pnyx").write_text(PROGRAM.split("benchmark", maxsplit=1)[0])
    assert main(["bench", "none.pnyx", *SIMULATED]) == 1
    assert "the program has no benchmark" in capsys.readouterr().err


def test_faulty_rows_are_shown_and_the_others_asked(capsys: pytest.CaptureFixture[str]) -> None:
    with Path("sums.jsonl").open("a") as file:
        file.write('{"question": "What is 1 + 1?", "answer": null}\n' * 7 + json.dumps(ROWS[0]) + "\n")
    assert bench("--benchmark", "sums", "--pipeline", "weak") == 1
    shown = capsys.readouterr()
    assert shown.err.count("error[R831]: the row has no target (at sums.jsonl:") == 5
    assert "2 more rows cannot be used either" in shown.err
    assert "warning[W741]: 1 row asks what an earlier one does" in shown.err
    assert "sums (SIMULATED): 20 questions from 28 rows" in shown.out


def test_from_python() -> None:
    program = pnyx.load("p.pnyx")
    assert program.benchmarks == ("sums", "graded", "duel", "own")
    report = program.bench(
        "sums", pipeline="strong", against="weak", split="search", choices={"n": 4}, engine="simulated"
    )
    assert report.accuracy == report.evaluations[0].accuracy
    assert report.interval is not None
    assert report.comparison is not None
    assert report.comparison.wins + report.comparison.ties + report.comparison.losses == 12
    assert not any(outcome.problem.held_out for e in report.evaluations for outcome in e.outcomes)
    with pytest.raises(pnyx.CompileError, match="there is no benchmark"):
        program.bench("products", pipeline="weak", engine="simulated")
    stopped = program.bench("sums", pipeline="weak", engine="simulated", budget=["calls=3"])
    assert stopped.stopped is not None
    assert len(stopped.evaluations[0].outcomes) == 3


async def test_from_an_event_loop() -> None:
    program = pnyx.load("p.pnyx")
    with pytest.raises(RuntimeError, match="abench"):
        program.bench("sums", pipeline="weak", engine="simulated")
    report = await program.abench("sums", pipeline="weak", engine="simulated", limit=2)
    assert len(report.evaluations[0].outcomes) == 2


def test_failures_of_the_engine_are_not_scored() -> None:
    """An engine's fault is no fault of the pipeline; a pipeline's is."""
    from dataclasses import replace

    from pnyx.runtime.benchmarks import Evaluation

    report = pnyx.load("p.pnyx").bench("sums", pipeline="weak", engine="simulated", limit=3)
    (evaluation,) = report.evaluations
    failed = replace(
        evaluation.outcomes[0], result=replace(evaluation.outcomes[0].result, error=ErrorRecord("R809", ""))
    )
    lost = replace(evaluation.outcomes[1], score=None, error=ErrorRecord("R815", "gone"))
    mixed = Evaluation(
        pipeline="weak", digest="", seed=0, outcomes=(replace(failed, score=0.0), lost, evaluation.outcomes[2]),
        cost=evaluation.cost,
    )  # fmt: skip
    assert (len(mixed.scores), mixed.not_scored, mixed.failed) == (2, 1, 1)
