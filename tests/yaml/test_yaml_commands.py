"""`pnyx convert`, and programs in YAML wherever a program can stand."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from pnyx.cli import main
from pnyx.compiler.diagnostics import Diagnostics
from pnyx.compiler.format import format_source
from pnyx.compiler.source import Source

PNYX = """\
# Drafts, and the best of them.
model small = "smollm2-135m"

pipeline answer(query) {
    query
    |> generate(small, n = 2)  # two
    |> rank(small, keep = 1)
}
"""
YAML = """\
models:
  small: smollm2-135m

pipelines:
  answer:
    - generate: [small, n: 2]
    - rank: [small, keep: 1]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    (tmp_path / "a.pnyx").write_text(PNYX)
    (tmp_path / "b.yaml").write_text(YAML)
    return tmp_path


def test_to_yaml_and_back(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "a.pnyx"]) == 0
    printed = capsys.readouterr()
    assert printed.out == YAML
    assert printed.err == "2 comments not converted\n"
    assert main(["convert", "b.yaml", "-o", "c.pnyx"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main(["check", "c.pnyx"]) == 0
    written = (folder / "c.pnyx").read_text()
    assert format_source(Source("c.pnyx", written), Diagnostics()) == written


def test_the_name_of_the_output_or_an_option_says_the_notation(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", "b.yaml", "-o", "c.yml"]) == 0
    assert (folder / "c.yml").read_text() == YAML
    assert main(["convert", "a.pnyx", "-o", "c.txt", "--to", "pnyx"]) == 0
    assert (folder / "c.txt").read_text() == PNYX
    assert capsys.readouterr().err == ""


def test_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(YAML.encode())))
    assert main(["convert", "-", "--to", "pnyx"]) == 0
    assert "|> rank(small, keep = 1)" in capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(PNYX.encode())))
    assert main(["convert", "-", "--to", "yaml"]) == 0
    assert capsys.readouterr().out == YAML
    assert main(["convert", "-"]) == 1
    assert "`--to yaml`" in capsys.readouterr().err


def test_a_faulty_program_is_not_converted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "b.yaml").write_text(YAML.replace("rank:", "rank"))
    assert main(["convert", "b.yaml", "-o", "c.pnyx"]) == 1
    assert "error[E1" in capsys.readouterr().err
    assert not (folder / "c.pnyx").exists()
    assert main(["convert", "none.yaml"]) == 1
    assert "error[E601]" in capsys.readouterr().err


def test_a_program_in_yaml_is_a_program(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "b.yaml"]) == 0
    assert main(["compile", "a.pnyx", "-o", "a.plan.json"]) == 0
    assert main(["compile", "b.yaml", "-o", "b.plan.json"]) == 0
    digests = [
        line for name in "ab" for line in (folder / f"{name}.plan.json").read_text().splitlines() if "digest" in line
    ]
    assert digests[0] == digests[-1]
    capsys.readouterr()
    assert main(["run", "b.yaml", "What is 17 * 23?", "--engine", "simulated"]) == 0
    assert "391" in capsys.readouterr().out


def test_the_formatter_refuses_yaml(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fmt", "b.yaml"]) == 1
    assert "`b.yaml` is YAML, which has no standard form" in capsys.readouterr().err
    assert (folder / "b.yaml").read_text() == YAML
