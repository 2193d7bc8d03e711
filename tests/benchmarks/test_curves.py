"""Accuracy against a choice: pooled where only the number of samples differs, and then what all subsets give."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from itertools import combinations
from pathlib import Path
from statistics import fmean, pvariance

import pytest

from pnyx.cli import main
from pnyx.compiler.program import Program
from pnyx.compiler.trials import benchmark_of, compile_trial
from pnyx.runtime.benchmarks import load_problems, open_scoring
from pnyx.runtime.benchmarks.curve import Curve, CurveTrial
from pnyx.runtime.benchmarks.pooling import pooled_streams, subsets
from pnyx.runtime.benchmarks.sessions import Terms, opened
from pnyx.runtime.budgets import Limits
from pnyx.runtime.config import load_config
from pnyx.runtime.engines.simulated import SimulatedEngine
from pnyx.runtime.request import Request, Response
from pnyx.runtime.session import Session
from pnyx.runtime.store import open_store

PROGRAM = """model small = "smollm2-135m"
model judge = "qwen2.5-72b"

pipeline voting(query) {
    query
    |> generate(small, n = tune(1, 3, 6), temperature = tune(0.9, 0.2), max_tokens = 64)
    |> extract(number)
    |> vote
}
pipeline graded(query) {
    query |> generate(small, n = tune(2, 4), max_tokens = 64) |> grade(judge) |> top(1, by = score) |> extract(number)
}
pipeline fused(query) {
    query |> generate(small, n = tune(2, 4), max_tokens = 64) |> fuse(judge, max_tokens = 64) |> extract(number)
}
pipeline limited(query) limit 100 samples {
    query |> generate(small, n = tune(1, 3), max_tokens = 64) |> extract(number) |> vote
}
benchmark sums {
    data = jsonl("sums.jsonl")
    query = question
    target = answer
    score = numeric
}
benchmark judged {
    data = jsonl("sums.jsonl")
    query = question
    target = answer
    score = judge(judge)
}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PNYX_CACHE", str(tmp_path / "cache"))
    (tmp_path / "p.pnyx").write_text(PROGRAM)
    rows = ({"question": f"What is {i} * 37?", "answer": i * 37} for i in range(11, 31))
    (tmp_path / "sums.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return tmp_path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """What engines are asked."""
    requests: list[Request] = []
    complete = SimulatedEngine.complete

    async def noting(self: SimulatedEngine, request: Request) -> Response:
        requests.append(request)
        return await complete(self, request)

    monkeypatch.setattr(SimulatedEngine, "complete", noting)
    return requests


def curve_of(
    pipeline: str, choice: str = "generate.n", *, benchmark: str = "sums", store: str | None = "s.db", **settings: int
) -> Curve:
    program = Program.load("p.pnyx")
    declared, name = benchmark_of(program, benchmark), f"{pipeline}.{choice}"
    (options,) = [c.options for c in program.choices(pipeline) if c.name == name]
    found = {option: compile_trial(program, declared, pipeline, None, {name: option}) for option in options}
    judge = next(iter(found.values())).judge
    trial = CurveTrial(
        benchmark=declared, problems=load_problems(declared), choice=name, judge=judge,
        plans={option: plans.pipeline for option, plans in found.items()}, scoring=open_scoring(declared, trust=False),
        subsets=settings.get("subsets", 32),
    )  # fmt: skip
    terms = Terms(
        seed=settings.get("seed", 7), window=None, engine="simulated", budget=Limits(), limits=Limits(), trust=False
    )

    async def measured() -> Curve:
        config = load_config(None, near=Path("p.pnyx"))
        kept = None if store is None else open_store(store, None)
        try:
            async with opened(trial.plans.values(), config, terms, kept, judge=judge) as opening:
                return await trial.run(opening)
        finally:
            if kept is not None:
                await kept.close()

    return asyncio.run(measured())


def by_hand(k: int, seed: int) -> dict[str, float]:
    """The vote of every k of the six samples, scored, by the question's text."""
    program = Program.parse(PROGRAM.replace("\n    |> vote", ""), "p.pnyx")
    plan = program.compile("voting", {"n": 6, "temperature": 0.9})
    problems = load_problems(benchmark_of(Program.load("p.pnyx"), "sums")).problems

    async def answers() -> list[list[str | None]]:
        session = Session(plan, {"small": SimulatedEngine(model="smollm2-135m")}, seed=seed)
        results = [await session.run(problem.asked) for problem in problems]
        return [[None if (a := c.get("answer")) is None else str(a) for c in r.candidates] for r in results]

    scores = {}
    for problem, drawn in zip(problems, asyncio.run(answers()), strict=True):
        assert len(drawn) == 6
        right = [
            (votes := Counter(a for a in some if a is not None)) and votes.most_common(1)[0][0] in problem.targets
            for some in combinations(drawn, k)
        ]
        scores[problem.text] = fmean(map(bool, right))
    return scores


def test_each_number_of_samples_scores_what_all_subsets_do() -> None:
    curve = curve_of("voting")
    assert [(point.option, point.subsets) for point in curve.points] == [("1", 6), ("3", 20), ("6", 1)]
    for point in curve.points:
        assert point.alone is None
        assert point.scores == pytest.approx(by_hand(int(point.option), 7))


def test_pooling_asks_no_model_anything(asked: list[Request]) -> None:
    curve_of("voting")
    assert sum(request.n for request in asked) == 20 * 6
    asked.clear()
    curve_of("voting")
    assert asked == []


def test_questions_about_one_sample_each_are_pooled_too(asked: list[Request]) -> None:
    curve = curve_of("graded")
    assert [(point.subsets, point.alone) for point in curve.points] == [(6, None), (1, None)]
    assert sum(request.n for request in asked) == 20 * (4 + 4)


def test_questions_about_several_samples_are_not(asked: list[Request]) -> None:
    curve = curve_of("fused")
    assert [point.subsets for point in curve.points] == [1, 1]
    assert "several samples together" in (curve.points[0].alone or "")
    assert sum(request.n for request in asked) == 20 * (4 + 1 + 1)
    run = curve.points[0].evaluation
    assert curve.points[0].accuracy == run.accuracy


@pytest.mark.parametrize(
    ("pipeline", "settings", "why"),
    [
        ("voting", {"store": None}, "call store"),
        ("limited", {}, "limit"),
        ("voting", {"benchmark": "judged"}, "judged"),
    ],
)
def test_why_only_the_first_samples_count(pipeline: str, settings: dict[str, str], why: str) -> None:
    curve = curve_of(pipeline, **settings)  # type: ignore[arg-type]
    assert all(point.subsets == 1 for point in curve.points)
    assert all(why in (point.alone or "") for point in curve.points[:-1])
    assert curve.points[-1].alone is None
    assert all(point.accuracy == point.evaluation.accuracy for point in curve.points)


def test_a_choice_that_changes_what_is_drawn() -> None:
    curve = curve_of("voting", "generate.temperature")
    assert [(point.option, point.subsets, point.alone) for point in curve.points] == [
        ("0.9", 1, None),
        ("0.2", 1, None),
    ]


def test_the_luck_of_the_draw_is_less() -> None:
    pooled, first = [], []
    for seed in range(12):
        one, three, _ = curve_of("voting", seed=seed).points
        pooled.append((three.accuracy or 0) - (one.accuracy or 0))
        first.append((three.evaluation.accuracy or 0) - (one.evaluation.accuracy or 0))
    assert pvariance(pooled) < pvariance(first) / 4


def test_subsets() -> None:
    assert subsets(2, 4, 6) == list(combinations(range(4), 2))
    some = subsets(3, 12, 32, seed=1)
    assert len(some) == 32
    assert some == subsets(3, 12, 32, seed=1) != subsets(3, 12, 32, seed=2)
    assert all(len(set(one)) == 3 and list(one) == sorted(one) and max(one) < 12 for one in some)
    counts = Counter(number for one in some for number in one)
    assert set(counts.values()) == {8}  # eight shuffles of four sets


def test_only_what_draws_fewer_is_pooled() -> None:
    program = Program.load("p.pnyx")
    few, many = (program.compile("voting", {"n": n}) for n in (1, 6))
    (stream,) = pooled_streams(few, many)
    assert pooled_streams(few, many)[stream] == (1, 6)
    assert pooled_streams(many, many) == pooled_streams(many, few) == {}
    other = program.compile("voting", {"n": 1, "temperature": 0.2})
    assert pooled_streams(other, many) == {}


# The command


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["curve", "p.pnyx", "n", "--pipeline", "voting", "--benchmark", "sums", "--engine", "simulated"]
    assert main([*command, "--store", "s.db"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "voting.generate.n of voting (SIMULATED): 20 questions of sums"
    assert [line.split()[0] for line in lines[4:7]] == ["1", "3", "6"]
    assert main([*command, "--store", "s.db", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [(point["option"], point["subsets"]) for point in data["points"]] == [("1", 6), ("3", 20), ("6", 1)]
    assert data["points"][0]["more_than_before"] is None
    low, high = data["points"][1]["more_than_before"]["interval"]
    assert low <= data["points"][1]["more_than_before"]["difference"] <= high


def test_what_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--pipeline", "voting", "--benchmark", "sums", "--engine", "simulated"]
    assert main(["curve", "p.pnyx", "nn", *command]) == 1
    assert "E403" in capsys.readouterr().err
    assert main(["compile", "p.pnyx", "--pipeline", "voting", "-o", "plan.json"]) == 0
    assert main(["curve", "plan.json", "n", "--engine", "simulated"]) == 1
    assert "E607" in capsys.readouterr().err
    assert main(["curve", "p.pnyx", "n", *command, "--subsets", "0"]) == 2


def test_a_budget_that_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["curve", "p.pnyx", "n", "--pipeline", "fused", "--benchmark", "sums", "--engine", "simulated"]
    assert main([*command, "--store", "s.db", "--budget", "calls=55"]) == 3
    shown = capsys.readouterr()
    assert "ended early" in shown.out
    assert [line.split()[0] for line in shown.out.splitlines()[4:5]] == ["4"]
