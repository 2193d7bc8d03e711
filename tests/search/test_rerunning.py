"""The winner's source has the rows of the search and of its confirmation, without a call."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from search.searches import PROGRAM, halving, write_program

from pnyx.cli import main
from pnyx.runtime.search.confirm import fresh_seed

__all__ = ["halving"]

pytestmark = pytest.mark.usefixtures("halving")

HEAVY = """pipeline heavy(query) {
    query
    |> generate([small, big], n = tune(1, 2), temperature = 0.8, max_tokens = 64)
    |> critique(big, max_tokens = 64)
    |> fuse(small, max_tokens = 64)
    |> extract(number)
}

"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PNYX_CACHE", str(tmp_path / "cache"))
    return tmp_path


def found(capsys: pytest.CaptureFixture[str], program: str = PROGRAM, *arguments: str) -> Any:
    write_program(Path(), program)
    assert main(["search", "p.pnyx", "--engine", "simulated", "--store", "calls.db", "--json", *arguments]) == 0
    return json.loads(capsys.readouterr().out)


def again(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[float | None]:
    """The scores of `pnyx bench`, which must draw nothing."""
    asked = ["bench", *arguments, "--engine", "simulated", "--store", "calls.db", "--json", "-o", "lines.jsonl"]
    assert main(asked) == 0
    (evaluation,) = json.loads(capsys.readouterr().out)["evaluations"]
    cost = evaluation["cost"]
    assert (cost["calls"], cost["samples"]) == (cost["cached_calls"], cost["cached_samples"])
    assert cost["samples"] > 0
    return [json.loads(line)["score"] for line in Path("lines.jsonl").read_text().splitlines()]


def said_command(source: str) -> list[str]:
    (command,) = re.findall("# its scores in the search: `pnyx bench best.pnyx(.*)`", source)
    return shlex.split(command)


@pytest.mark.parametrize(
    "search",
    [
        "pipeline = answer",
        "pipeline = [answer, heavy]\n    seed = 7",
        "pipeline = answer\n    held out = 0.5",
        "pipeline = heavy\n    per query = [8 calls, 1300 tokens]",
    ],
)
def test_the_command_in_the_source_gives_the_rows(search: str, capsys: pytest.CaptureFixture[str]) -> None:
    program = PROGRAM.replace("pipeline voting", HEAVY + "pipeline voting").replace("pipeline = answer", search)
    result = found(capsys, program, "--budget", "200k tokens")
    winner = result["configurations"][result["winner"]]
    assert 0 < sum(winner["scores"]) < len(winner["scores"]) == result["questions"]
    source = Path("p.best.search/best.pnyx")
    assert re.findall(r"^pipeline (\w+)", source.read_text(), re.MULTILINE) == [winner["pipeline"]]
    assert again(capsys, str(source), *said_command(source.read_text())) == winner["scores"]
    seed = ["--seed", str(fresh_seed(result["seed"]))]
    limits = [f"--per-query={kind}={amount}" for kind, amount in result["per_query"].items()]
    confirmed = again(capsys, str(source), "--split", "held-out", *seed, *limits)
    assert confirmed == result["confirmation"]["pipelines"][0]["scores"]


def test_another_seed_draws_anew(capsys: pytest.CaptureFixture[str]) -> None:
    found(capsys)
    with pytest.raises(AssertionError):
        again(capsys, "p.best.search/best.pnyx", "--split", "search", "--seed", "3")
