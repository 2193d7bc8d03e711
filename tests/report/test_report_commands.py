"""`--trace` of `map` and `run`, and `pnyx report`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pnyx.cli import main
from pnyx.cli.new import STARTER
from pnyx.runtime.traces import TraceReader

SIMULATED = ["--engine", "simulated", "--store", "none"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("PNYX_CACHE", str(tmp_path / "cache"))
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    (tmp_path / "first.pnyx").write_text(STARTER)
    rows(4)
    return tmp_path


def rows(count: int) -> None:
    text = "".join(json.dumps({"question": f"What is {i} + 3?"}) + "\n" for i in range(count))
    Path("rows.jsonl").write_text(text)


def mapped(*arguments: str) -> int:
    return main(["map", "first.pnyx", "rows.jsonl", *SIMULATED, *arguments])


def figures(capsys: pytest.CaptureFixture[str], trace: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["report", trace, "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_a_trace_lies_beside_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert mapped("-o", "out.jsonl", "--trace", "--summary-json", "s.json") == 0
    found, summary = figures(capsys, "out.jsonl.trace.jsonl"), json.loads(Path("s.json").read_text())
    for name in ("examples", "answered", "failed", "calls", "samples", "prompt_tokens", "generated_tokens"):
        assert found[name] == summary[name]
    assert found["unread"] >= summary["reading_failures"]
    assert found["predicted_per_question"] == summary["predicted_per_question"]
    header = TraceReader(Path("out.jsonl.trace.jsonl")).header
    assert header.source_text == STARTER


def test_the_output_is_the_same_with_a_trace() -> None:
    assert mapped("-o", "a.jsonl") == mapped("-o", "b.jsonl", "--trace", "elsewhere/t.jsonl") == 0
    assert Path("a.jsonl").read_bytes() == Path("b.jsonl").read_bytes()


def test_a_run_that_goes_on_adds_to_its_trace(capsys: pytest.CaptureFixture[str]) -> None:
    assert mapped("-o", "out.jsonl", "--trace", "--limit", "2") == 0
    assert mapped("-o", "out.jsonl", "--trace") == 0
    found = figures(capsys, "out.jsonl.trace.jsonl")
    assert (found["sittings"], found["examples"], found["answered"]) == (2, 4, 4)
    assert mapped("-o", "out.jsonl", "--trace", "--overwrite") == 0
    assert figures(capsys, "out.jsonl.trace.jsonl")["sittings"] == 1


def test_one_question_can_be_traced(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "first.pnyx", "What is 2 + 2?", "--trace", "t.jsonl", *SIMULATED]) == 0
    assert figures(capsys, "t.jsonl")["examples"] == 1


def test_the_page_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert mapped("-o", "out.jsonl", "--trace") == 0
    assert main(["report", "out.jsonl.trace.jsonl"]) == 0
    assert "out.jsonl.trace.html: 0." in capsys.readouterr().err
    text = Path("out.jsonl.trace.html").read_text()
    assert text.startswith("<!doctype html>")
    assert "Plan of the pipeline" in text
    assert main(["report", "out.jsonl.trace.jsonl", "-o", "-"]) == 0
    assert capsys.readouterr().out == text


def test_the_page_can_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert mapped("-o", "out.jsonl", "--trace") == 0
    assert main(["report", "out.jsonl.trace.jsonl", "-o", "p.html", "--open"]) == 0
    assert opened == [Path("p.html").resolve().as_uri()]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "-", "--trace"], "there is no output for the trace to lie beside"),
        (["-o", "out.jsonl", "--trace", "out.jsonl"], "`out.jsonl` is the output and the trace"),
        (["-o", "out.jsonl", "--trace", "first.pnyx"], "`first.pnyx` is the program"),
        (["-o", "out.jsonl", "--trace", "rows.jsonl/t"], "is not a folder"),
    ],
)
def test_a_trace_that_cannot_be_written(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert mapped(*arguments) == 1
    shown = capsys.readouterr().err
    assert "E601" in shown
    assert said in shown


def test_what_is_no_trace(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "rows.jsonl"]) == 1
    assert "E640" in capsys.readouterr().err
    assert main(["report", "absent.jsonl"]) == 1
    assert "E601" in capsys.readouterr().err
    assert mapped("-o", "out.jsonl", "--trace") == 0
    capsys.readouterr()
    assert main(["report", "out.jsonl.trace.jsonl", "-o", "out.jsonl.trace.jsonl"]) == 1
    assert "is the trace" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full disk to write to")
def test_a_full_disk_is_one_warning(capsys: pytest.CaptureFixture[str]) -> None:
    assert mapped("-o", "out.jsonl", "--trace", "/dev/full") == 0
    assert capsys.readouterr().err.count("W740") == 1
    assert len(Path("out.jsonl").read_text().splitlines()) == 4


def test_spans_are_sent_where_the_configuration_says(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody listens there, which is worth a warning and no more."""
    Path("pnyx.toml").write_text('[otel]\nendpoint = "http://127.0.0.1:9"\n')
    os.environ["OTEL_EXPORTER_OTLP_TIMEOUT"] = "1"
    try:
        assert mapped("-o", "out.jsonl") == 0
    finally:
        del os.environ["OTEL_EXPORTER_OTLP_TIMEOUT"]
    assert "the collector of OpenTelemetry did not take all spans" in capsys.readouterr().err


def test_the_environment_may_switch_spans_off(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert mapped("-o", "out.jsonl") == 0
    assert "W740" not in capsys.readouterr().err


def test_a_faulty_table_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    Path("pnyx.toml").write_text('[otel]\nendpont = "http://127.0.0.1:9"\n')
    assert mapped("-o", "out.jsonl") == 1
    assert "did you mean `endpoint`?" in capsys.readouterr().err
