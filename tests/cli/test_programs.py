"""Commands about programs: new, check, fmt, compile."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from pnyx.cli import main
from pnyx.cli.new import STARTER
from pnyx.compiler.plan import Plan

BROKEN = 'model small = "m"\n\npipeline p(query) {\n    query |> genrate(small)\n}\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    return tmp_path


@pytest.fixture
def starter(folder: Path) -> Path:
    path = folder / "first.pnyx"
    path.write_text(STARTER)
    return path


def test_new_writes_a_program_that_is_right(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new"]) == 0
    assert (folder / "first.pnyx").read_text() == STARTER
    said = capsys.readouterr().out
    assert "pnyx run first.pnyx" in said
    assert main(["check", "first.pnyx"]) == 0
    assert capsys.readouterr().out == "ok: 1 pipeline\n"
    assert main(["fmt", "--check", "first.pnyx"]) == 0


def test_new_keeps_what_is_there(starter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    starter.write_text("# mine\n")
    assert main(["new"]) == 1
    assert "error[E601]: `first.pnyx` exists already" in capsys.readouterr().err
    assert starter.read_text() == "# mine\n"
    assert main(["new", "--force"]) == 0
    assert starter.read_text() == STARTER


def test_new_refuses_a_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "d").mkdir()
    assert main(["new", "d"]) == 1
    assert "`pnyx new d/first.pnyx`" in capsys.readouterr().err


def test_check_counts(folder: Path, starter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "broken.pnyx").write_text(BROKEN)
    assert main(["check", "first.pnyx", "broken.pnyx"]) == 1
    said = capsys.readouterr().out
    assert "error[E201]" in said
    assert "broken.pnyx:4:14" in said
    assert said.endswith("1 error\n")


def test_check_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "broken.pnyx").write_text(BROKEN)
    assert main(["check", "--json", "broken.pnyx"]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["code"], found["severity"]) == ("E201", "error")
    assert found["place"]["line"] == found["place"]["end_line"] == 4
    assert (found["place"]["column"], found["place"]["end_column"]) == (14, 20)
    assert "generate" in found["help"]


@pytest.mark.parametrize("command", [["check"], ["fmt"], ["explain"], ["graph"], ["compile"], ["run"]])
def test_files_that_cannot_be_used(command: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "latin1.pnyx").write_bytes("# café\n".encode("latin-1"))
    (folder / "d").mkdir()
    question = ["why?"] if command == ["run"] else []
    for name, code in (("none.pnyx", "E601"), ("d", "E601"), ("latin1.pnyx", "E602")):
        assert main([*command, name, *question]) == 1
        shown = capsys.readouterr()
        assert f"error[{code}]" in shown.out + shown.err
        assert "Traceback" not in shown.err


def test_fmt_rewrites_only_what_differs(folder: Path, starter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loose = folder / "loose.pnyx"
    loose.write_text('model  small="m"\npipeline p( query ){ query|>generate(small) }\n')
    before = starter.stat().st_mtime_ns
    assert main(["fmt", "--check", "loose.pnyx", "first.pnyx"]) == 1
    assert "not in standard form: loose.pnyx" in capsys.readouterr().out
    assert main(["fmt", "loose.pnyx", "first.pnyx"]) == 0
    assert capsys.readouterr().out == "formatted loose.pnyx\n"
    assert loose.read_text().startswith('model small = "m"\n')
    assert starter.stat().st_mtime_ns == before
    assert main(["fmt", "--check", "loose.pnyx"]) == 0


def test_fmt_diff_changes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loose = folder / "loose.pnyx"
    loose.write_text('model  small = "m"\n')
    assert main(["fmt", "--diff", "loose.pnyx"]) == 1
    said = capsys.readouterr().out
    assert '-model  small = "m"\n+model small = "m"\n' in said
    assert loose.read_text() == 'model  small = "m"\n'


def test_fmt_of_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'model  small = "m"\n')))
    assert main(["fmt", "-"]) == 0
    assert capsys.readouterr().out == 'model small = "m"\n'


def test_fmt_leaves_a_broken_file_and_goes_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "broken.pnyx").write_text("pipeline {{{\n")
    (folder / "loose.pnyx").write_text('model  small = "m"\n')
    assert main(["fmt", "broken.pnyx", "loose.pnyx"]) == 1
    shown = capsys.readouterr()
    assert "error[E101]" in shown.err
    assert (folder / "broken.pnyx").read_text() == "pipeline {{{\n"
    assert (folder / "loose.pnyx").read_text() == 'model small = "m"\n'


def test_compile_writes_a_plan(folder: Path, starter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", "first.pnyx", "--set", "answer.generate.n=4", "-o", "plan.json"]) == 0
    plan = Plan.from_json((folder / "plan.json").read_text())
    assert plan.pipeline == "answer"
    assert plan.choices == {"answer.generate.n": 4}
    assert main(["compile", "first.pnyx"]) == 0
    assert Plan.from_json(capsys.readouterr().out).choices == {"answer.generate.n": 2}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--pipeline", "anwser"], "E603"),
        (["--set", "answer.generate.n=3"], "E403"),
        (["--set", "nothing=3"], "E403"),
    ],
)
def test_compile_refuses(arguments: list[str], code: str, starter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", "first.pnyx", *arguments]) == 1
    assert f"error[{code}]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "not JSON"), ("[]", "not a Pnyx plan"), ('{"nodes": [], "version": 0}', "this Pnyx reads version 1")],
)
def test_faulty_plan(text: str, said: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "plan.json").write_text(text)
    assert main(["explain", "plan.json"]) == 1
    shown = capsys.readouterr().err
    assert "error[E607]: `plan.json` is not a usable plan" in shown
    assert said in shown


def test_a_plan_has_no_open_choices(starter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", "first.pnyx", "-o", "plan.json"]) == 0
    for wrong in (["--set", "n=1"], ["--no-optimise"], ["--pipeline", "other"]):
        assert main(["explain", "plan.json", *wrong]) == 1
        assert "error[E60" in capsys.readouterr().err
