"""A trial that ends early, on a machine that cannot confine code, of programs in YAML and in several files."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pnyx
from pnyx.cli import main
from pnyx.compiler.plan import Plan
from pnyx.compiler.program import Program
from pnyx.compiler.trials import benchmark_of, compile_trial
from pnyx.runtime.benchmarks import Report, Trial, load_problems, open_scoring
from pnyx.runtime.benchmarks.sessions import Terms, opened
from pnyx.runtime.benchmarks.trial import joined
from pnyx.runtime.budgets import Limits
from pnyx.runtime.config import load_config
from pnyx.runtime.engines.engine import Capability
from pnyx.runtime.engines.needs import needs_of
from pnyx.runtime.errors import SandboxUnusable
from pnyx.runtime.sandbox import sandbox

PROGRAM = """model small = "smollm2-135m"
model big = "qwen2.5-72b"
pipeline weak(query) { query |> generate(small, max_tokens = 64) |> extract(number) }
pipeline strong(query) { query |> generate(big) |> extract(number) }
benchmark sums { data = jsonl("sums.jsonl")
    query = question
    target = answer
    score = numeric }
benchmark duel { data = jsonl("sums.jsonl")
    query = question
    score = pairwise(big, baseline = weak, prompt = which) }
benchmark graded { data = jsonl("sums.jsonl")
    query = question
    score = judge(big) }
prompt which(query, a, b) = "{{ query }} A: {{ a.text }} B: {{ b.text }} Which one?"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PNYX_CACHE", str(tmp_path / "cache"))
    (tmp_path / "p.pnyx").write_text(PROGRAM)
    rows = ({"question": f"What is {i} * 37?", "answer": i * 37} for i in range(11, 41))
    (tmp_path / "sums.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return tmp_path


def trial_of(name: str, against: str | None = None) -> Trial:
    program = Program.load("p.pnyx")
    benchmark = benchmark_of(program, name)
    plans = compile_trial(program, benchmark, "strong", against)
    return Trial(
        benchmark=benchmark, problems=load_problems(benchmark), plan=plans.pipeline, against=plans.against,
        baseline=plans.baseline, judge=plans.judge, scoring=open_scoring(benchmark, trust=False),
    )  # fmt: skip


async def run(trial: Trial, watch: Callable[..., None], window: int = 2) -> Report:
    terms = Terms(seed=0, window=window, engine="simulated", budget=Limits(), limits=Limits(), trust=False)
    config = load_config(None, near=Path("p.pnyx"))
    async with opened(trial.pipelines, config, terms, None, judge=trial.judge) as opener:
        return await trial.run(opener, watch)


@pytest.mark.parametrize(("name", "against"), [("sums", None), ("sums", "weak"), ("duel", None), ("graded", "weak")])
async def test_a_trial_is_watched_to_its_end(name: str, against: str | None) -> None:
    trial = trial_of(name, against)
    heard: list[tuple[str, bool]] = []

    def watch(plan: Plan, *, judge: bool, mean: float | None) -> None:
        heard.append((plan.pipeline, judge))

    report = await run(trial, watch)
    assert len(heard) <= trial.steps
    assert len(heard) == sum(e.cost.examples + (e.judging.examples if e.judging else 0) for e in report.evaluations) + (
        30 if trial.baseline is not None else 0
    )


async def test_the_running_mean_ends_as_the_accuracy() -> None:
    means: list[float | None] = []

    def watch(plan: Plan, *, judge: bool, mean: float | None) -> None:
        means.append(mean)

    report = await run(trial_of("sums"), watch)
    assert len(means) == 30
    assert means[-1] == pytest.approx(report.accuracy)


@pytest.mark.parametrize("after", [1, 12, 29, 31, 45])
async def test_a_trial_that_is_drained_reports_what_was_done(after: int) -> None:
    trial = trial_of("sums", "weak")
    whole = await run(trial_of("sums", "weak"), lambda *_, **__: None)
    heard = 0

    def watch(*_: Any, **__: Any) -> None:
        nonlocal heard
        heard += 1
        if heard == after:
            trial.drain()

    report = await run(trial, watch)
    done = [len(evaluation.outcomes) for evaluation in report.evaluations]
    assert after <= sum(done) <= after + 8
    assert done[1] == 0 or done[0] == 30
    for short, long in zip(report.evaluations, whole.evaluations, strict=True):
        assert [o.score for o in short.outcomes] == [o.score for o in long.outcomes][: len(short.outcomes)]
    assert (report.comparison is None) == (done[1] == 0)
    data = json.loads(json.dumps(report.to_data()))
    assert (data["problems"], data["ended_early"], data["simulated"]) == (30, sum(done) < 60, True)
    assert whole.to_data()["ended_early"] is False


async def test_results_do_not_depend_on_the_window() -> None:
    reports = [await run(trial_of("duel"), lambda *_, **__: None, window) for window in (1, 7, 64)]
    assert len({report.to_jsonl() for report in reports}) == 1


def test_plans_that_are_joined_need_what_each_of_them_needs(tmp_path: Path) -> None:
    """A loop of two pools, in the plan that comes second, reads inputs of its own plan."""
    text = """model small = "smollm2-135m"
model big = "qwen2.5-72b"
prompt again(query, candidate, other) = "{{ query }} {{ candidate.text }} {{ other.text }} Again?"
pipeline plain(query) { query |> generate(small) }
pipeline debate(query) {
    a = query |> generate(small)
    b = query |> generate(big) |> extract(number)
    loop max 2 {
        next = a |> ask(small, again, other = b)
        b = b |> ask(big, again, other = a) |> extract(number)
        a = next
    }
    a + b |> best(by = logprob)
}
"""
    (tmp_path / "debate.pnyx").write_text(text)
    program = Program.load(tmp_path / "debate.pnyx")
    plans = [program.compile(name) for name in ("plain", "debate")]
    needed = [{model: set(needs) for model, needs in needs_of(plan).items()} for plan in (plans[1], joined(plans))]
    assert needed == [{"small": {Capability.LOGPROBS}, "big": {Capability.LOGPROBS}}] * 2


def test_code_is_refused_where_it_cannot_be_confined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_refusal", sandbox._refusal.__wrapped__)
    monkeypatch.setattr(platform, "machine", lambda: "abacus")
    Path("p.pnyx").write_text(PROGRAM.replace("numeric", "code"))
    with pytest.raises(SandboxUnusable, match="`score = code` runs code that a model wrote") as raised:
        pnyx.load("p.pnyx").bench("sums", pipeline="weak", engine="simulated")
    assert raised.value.place == str(Path("p.pnyx:5:11"))


def test_a_program_in_yaml_has_judges_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "p.pnyx", "-o", "p.yaml"]) == 0
    for name in ("sums", "duel", "graded"):
        written, converted = (
            pnyx.load(file).bench(name, pipeline="strong", engine="simulated") for file in ("p.pnyx", "p.yaml")
        )
        assert written.to_jsonl() == converted.to_jsonl()
        assert written.accuracy is not None


def test_a_judged_program_in_a_file_of_any_name() -> None:
    name = 'my "best" \\ try.pnyx'
    Path("p.pnyx").rename(name)
    assert pnyx.load(name).bench("graded", pipeline="strong", engine="simulated").accuracy is not None


def test_a_benchmark_of_another_file(folder: Path) -> None:
    (folder / "shared").mkdir()
    shared = PROGRAM.replace("pipeline strong", "pipeline other")
    (folder / "shared" / "b.pnyx").write_text(shared)
    (folder / "sums.jsonl").rename(folder / "shared" / "sums.jsonl")
    pipeline = 'import "shared/b.pnyx"\npipeline mine(query) { query |> generate(big) |> extract(number) }\n'
    (folder / "p.pnyx").write_text(pipeline)
    program = pnyx.load("p.pnyx")
    assert program.bench("sums", engine="simulated").accuracy is not None
    assert program.bench("duel", engine="simulated").accuracy is not None
