"""Searches by what a judge says: the baseline that it compares with answers once, and the judge's part is reckoned
with."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest
from search.searches import PROGRAM, search, write_program

import pnyx
from pnyx.compiler.program import Program
from pnyx.compiler.trials import compile_trial
from pnyx.runtime.budgets import KINDS, Limits
from pnyx.runtime.engines.simulated import SimulatedEngine
from pnyx.runtime.request import Request, Response
from pnyx.runtime.search.reach import Judging, affordable, judging_of, least_of
from pnyx.runtime.search.spaces.program_space import ProgramSpace

DUEL = PROGRAM.replace("score = numeric", "limit = 24\n    score = pairwise(big, baseline = rival)").replace(
    "benchmark sums", "pipeline rival(query) {\n    query |> generate(small, max_tokens = 61)\n}\n\nbenchmark sums"
)
TOKENS = KINDS.index("tokens")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """How often by the most tokens of a reply, which say who asks."""
    complete, times = SimulatedEngine.complete, Counter[int]()

    async def counted(engine: SimulatedEngine, request: Request) -> Response:
        times[request.sampling.max_tokens] += 1
        return await complete(engine, request)

    monkeypatch.setattr(SimulatedEngine, "complete", counted)
    return times


def test_a_search_without_a_store_asks_the_baseline_once(tmp_path: Path, asked: Counter[int]) -> None:
    result = search(write_program(tmp_path, DUEL), store="none", budget=["1M tokens"])
    assert len(result.configurations) == 6
    assert result.complete
    assert asked[61] == result.questions + result.held_out == 24


def test_an_ablation_without_a_store_asks_the_baseline_once(tmp_path: Path, asked: Counter[int]) -> None:
    program = pnyx.load(write_program(tmp_path, DUEL))
    report = program.ablate(pipeline="voting", engine="simulated", store="none", limit=6, choices={"n": 4})
    assert len(report.parts) >= 2
    assert {len(evaluation.scores) for evaluation in report.evaluations} == {6}
    assert asked[61] == 6


def judging(path: Path) -> tuple[ProgramSpace, Judging]:
    program = Program.load(path)
    program.check()
    plans = compile_trial(program, program.benchmarks["sums"], "answer", None, {})
    return ProgramSpace(program, ["answer"]), judging_of(plans.judge, plans.baseline, lambda plan: plan.models)


def test_the_least_has_the_judges_part_in_it(tmp_path: Path) -> None:
    space, duel = judging(write_program(tmp_path, DUEL))
    assert duel.answer[TOKENS] > duel.question[TOKENS] > 0
    plain, none = judging(write_program(tmp_path))
    assert none == Judging((0.0,) * 5, (0.0,) * 5)
    first = list(space.points())[:3]
    with_judge = least_of(space, first, (), duel, confirms=True)
    without = least_of(plain, first, (), none, confirms=True)
    more = with_judge.searching["tokens"] - without.searching["tokens"]
    assert more == pytest.approx(10 * (3 * duel.answer[TOKENS] + duel.question[TOKENS]))
    assert with_judge.confirming["tokens"] > without.confirming["tokens"]


def test_what_a_judge_takes_may_make_a_grid_too_dear(tmp_path: Path) -> None:
    space, duel = judging(write_program(tmp_path, DUEL))
    alone = sum(space.expected(point)[TOKENS] for point in space.points())
    budget = Limits(tokens=20 * (alone + 1))
    assert affordable(space, 20, Judging((0.0,) * 5, (0.0,) * 5), budget)
    assert not affordable(space, 20, duel, budget)
    assert not affordable(space, 20, Judging((math.nan,) * 5, (0.0,) * 5), budget)
