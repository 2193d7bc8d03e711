"""`pnyx search`, and what is wrong with a search, each said where it is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from search.searches import PROGRAM, ROWS, halving, write_program

from pnyx.cli import main
from pnyx.runtime.engines.simulated import SimulatedEngine
from pnyx.runtime.errors import EngineFailure
from pnyx.runtime.request import Request, Response

__all__ = ["halving"]

TWO_OBJECTIVES = PROGRAM.replace("    baseline =", "    minimize = tokens\n    baseline =")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("PNYX_CACHE", str(tmp_path / "cache"))
    write_program(tmp_path)
    return tmp_path


def search(*arguments: str) -> int:
    return main(["search", "p.pnyx", "--engine", "simulated", "--store", "calls.db", *arguments])


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err


@pytest.mark.usefixtures("halving")
def test_what_is_printed_and_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert search() == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0].startswith("best (SIMULATED): 6 of 6 configurations asked on ")
    assert any(line.startswith("note: there are only ") for line in lines)
    assert any(re.match(r"winner +\d", line) for line in lines)
    assert any(line.startswith("winner − defaults: +") for line in lines)
    assert any(line.startswith("winner − voting: ") for line in lines)
    assert "ended: everything was asked" in lines
    assert lines[-1] == "in p.best.search: best.pnyx, plan.json, result.json, report.md, report.html"
    assert "confirming the best one, 0 of 16 questions, " in shown.err
    assert re.search(r"; [\d.]+k? of 60k tokens left", shown.err)
    assert "SIMULATED" in shown.err
    assert Path("p.best.search.db").exists()
    assert main(["check", "p.best.search/best.pnyx"]) == 0
    source = Path("p.best.search/best.pnyx").read_text()
    assert source.startswith("# found by the search `best` of p.pnyx, by halving, seed 0\n# SIMULATED")
    assert "tune" not in source.split("pipeline answer")[1]
    result = json.loads(Path("p.best.search/result.json").read_text())
    assert (
        json.loads(Path("p.best.search/plan.json").read_text())["digest"]
        == (result["configurations"][result["winner"]]["digest"])
    )


@pytest.mark.usefixtures("halving")
def test_the_winners_source_has_the_rows_of_the_search(capsys: pytest.CaptureFixture[str]) -> None:
    """They are all in the store."""
    search("--json")
    result = json.loads(capsys.readouterr().out)
    source = ["p.best.search/best.pnyx", "--engine", "simulated", "--store", "calls.db"]
    assert main(["bench", *source, "--split", "search", "--json", "-o", "lines.jsonl", "--budget", "calls=1"]) == 0
    scores = [json.loads(line)["score"] for line in Path("lines.jsonl").read_text().splitlines()]
    assert scores == result["configurations"][result["winner"]]["scores"]


def test_without_held_out_questions_nothing_confirms(capsys: pytest.CaptureFixture[str]) -> None:
    write_program(Path(), PROGRAM.replace("search best {", "search best {\n    held out = 0"))
    assert search("--algorithm", "random") == 0
    out = capsys.readouterr().out
    assert "not confirmed: no questions are held out, so nothing confirms it" in out
    assert "note: no questions are held out" in out


def test_one_configuration_is_only_confirmed(capsys: pytest.CaptureFixture[str]) -> None:
    write_program(Path(), PROGRAM.replace("tune(small, big), n = tune(1, 2, 4)", "big, n = tune(4)"))
    assert search() == 0
    out = capsys.readouterr().out
    assert "note: there is only one configuration: nothing was searched" in out
    assert "ended: there is only one configuration, so there was nothing to search" in out
    assert "winner − voting: " in out


def test_a_budget_that_reaches_for_everything_asks_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert search("--budget", "tokens=10M", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["algorithm"] == "grid"
    assert result["notes"][0].startswith("the budget reaches to ask every configuration")


def test_assignments_to_try_come_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert search("--try", "model=big,n=4", "--json", "--budget", "60k tokens") == 0
    first = json.loads(capsys.readouterr().out)["configurations"][0]
    assert first["origin"] == "given"
    assert dict(first["choices"]) == {"answer.generate.model": "big", "answer.generate.n": "4"}


def test_two_objectives_have_a_front(capsys: pytest.CaptureFixture[str]) -> None:
    write_program(Path(), TWO_OBJECTIVES)
    assert search() == 0
    shown = capsys.readouterr().out
    result = json.loads(Path("p.best.search/result.json").read_text())
    _, _, table = shown.partition("the front: no configuration is better than one of these in accuracy and tokens; ")
    head, _, *rows = table.splitlines()[2 : 4 + len(result["front"])]
    assert head.split()[:5] == ["accuracy", "±", "95", "%", "tokens"]
    assert [f"{100 * p['values'][0]:.1f} ±" in row for p, row in zip(result["front"], rows, strict=True)]
    assert [o["metric"] for o in result["objectives"]] == ["accuracy", "tokens"]
    values = [point["values"] for point in result["front"]]
    assert values == sorted(values, reverse=True)
    assert [tokens for _, tokens in values] == sorted((tokens for _, tokens in values), reverse=True)


@pytest.mark.parametrize(
    ("program", "arguments", "code", "words"),
    [
        (PROGRAM, ("worst",), "E680", "there is no search `worst`"),
        (PROGRAM.split("search best")[0], (), "E680", "the program has no search"),
        (PROGRAM.replace("tune(small, big), n = tune(1, 2, 4)", "big"), (), "E681", "`answer` has no choice"),
        (PROGRAM, ("--budget", "tokens=300"), "E682", "tokens at least"),
        (PROGRAM, ("--budget", "calls=3"), "E682", "calls"),
        (
            PROGRAM.replace("tune(1, 2, 4)", "tune(2, 4)"),
            ("--per-query", "samples=1"),
            "E683",
            "of 4 that were looked at, ",
        ),
        (PROGRAM, ("--try", "n=3"), "E403", "the options are `1`, `2`, `4`"),
        (PROGRAM, ("--try", "temprature=0.1"), "E403", "there is no choice `temprature`"),
        (PROGRAM, ("--join",), "E664", "begin it without `--join`"),
        (PROGRAM, ("--storage", "mysql://x/y"), "E660", "cannot be kept at `mysql://"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_asked(
    program: str, arguments: tuple[str, ...], code: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_program(Path(), program)
    assert search(*arguments) == 1
    shown = said(capsys)
    assert f"error[{code}]" in shown
    assert words in shown
    assert "help:" in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize(
    ("rows", "code", "exit"),
    [
        ([], "E642", 1),
        ([{"question": "What is 2 + 2?"}], "E644", 1),
        ([*ROWS, ROWS[3]], "W741", 0),
        ([*ROWS, {"question": "What is 1 + 1?"}], "R830", 0),
    ],
)
@pytest.mark.usefixtures("halving")
def test_rows_that_cannot_be_used(rows: list[object], code: str, exit: int, capsys: pytest.CaptureFixture[str]) -> None:
    write_program(Path(), rows=rows)
    assert search() == exit
    assert f"[{code}]" in said(capsys)


def test_a_scorer_that_raises(capsys: pytest.CaptureFixture[str]) -> None:
    own = 'extern op close(answer: Text, target: Float) -> Float = "closeness:close"\n'
    write_program(Path(), own + PROGRAM.replace("score = numeric", "score = close"))
    Path("closeness.py").write_text("def close(answer, target):\n    raise ValueError('oh')\n")
    assert search("--trust") == 1
    shown = said(capsys)
    assert "error[E684]" in shown
    assert "ValueError: oh" in shown
    assert "sums.jsonl:" in shown


def test_a_changed_program_is_refused_and_new_begins_another(capsys: pytest.CaptureFixture[str]) -> None:
    assert search("--algorithm", "random") == 0
    write_program(
        Path(),
        PROGRAM.replace(
            "0.8, max_tokens = 64)\n    |> extract(number)\n    |> vote\n}\n\npipeline v",
            "0.7, max_tokens = 64)\n    |> extract(number)\n    |> vote\n}\n\npipeline v",
        ),
    )
    capsys.readouterr()
    assert search("--algorithm", "random") == 1
    shown = said(capsys)
    assert "error[E663]" in shown
    assert "`answer`" in shown
    assert "`--new` begins another search" in shown
    assert search("--algorithm", "random", "--new") == 0
    assert search("--algorithm", "random") == 0


def test_a_pipeline_with_a_state(capsys: pytest.CaptureFixture[str]) -> None:
    stateful = (
        "state seen: Pool[0..4]{text} = empty\n\n"
        "pipeline answer(query) {\n    now = query |> generate(small, n = tune(1, 3), max_tokens = 64)\n"
        "    seen = (seen + now) |> take(4)\n    now |> extract(number) |> vote\n}\n\npipeline voting"
    )
    before, rest = PROGRAM.split("pipeline answer")
    write_program(Path(), before + stateful + rest.split("pipeline voting", 1)[1])
    assert search() == 1
    assert "error[E685]" in said(capsys)


def test_without_the_packages(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "optuna", None)
    assert search() == 1
    shown = said(capsys)
    assert "error[E608]" in shown
    assert "pip install 'pnyx[search]'" in shown


def test_with_two_objectives_a_grid_asks_everything(capsys: pytest.CaptureFixture[str]) -> None:
    write_program(Path(), TWO_OBJECTIVES)
    assert search("--budget", "tokens=10M", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["algorithm"] == "grid"
    assert {len(c["scores"]) for c in result["configurations"]} == {result["questions"]}


def test_with_two_objectives_others_say_that_they_go_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    write_program(Path(), TWO_OBJECTIVES)
    assert search("--algorithm", "random", "--budget", "100 calls") == 0
    assert "note: `random` goes by accuracy alone: the front is of what it came by" in capsys.readouterr().out


def test_limits_that_no_configuration_stays_within(capsys: pytest.CaptureFixture[str]) -> None:
    """The least that they take is not known before, so they are asked."""
    assert search("--per-query", "tokens=1", "--algorithm", "random") == 1
    shown = said(capsys)
    assert "error[E683]: none of 6 configurations that were asked stays within what one question may take: " in shown
    assert "raise `per query`" in shown


def test_time_that_is_over_before_anything_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert search("--budget", "0.01 s") == 3
    assert "no winner: nothing was asked" in capsys.readouterr().out


def test_an_engine_that_dies(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone(engine: SimulatedEngine, request: Request) -> Response:
        raise EngineFailure("the engine is gone", help="start it again")

    monkeypatch.setattr(SimulatedEngine, "complete", gone)
    assert search() == 4
    shown = said(capsys)
    assert "error[R807]: the engine is gone" in shown
    assert "what was done is kept, and the same command goes on" in shown


def test_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (("--algorithm", "best"), ("--try", "n"), ("--try", "n=1,n=2"), ("--budget", "lots")):
        assert search(*arguments) == 2
        assert "error" in said(capsys)
    Path("plan.json").write_text("{}")
    assert main(["search", "plan.json"]) == 1
    assert "error[E607]" in said(capsys)
