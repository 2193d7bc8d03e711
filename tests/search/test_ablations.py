"""Variants of a pipeline without one of its parts, and what each part earns."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from search.spaces import MODELS, program

import pnyx
from pnyx.cli import main
from pnyx.compiler.ablations import Ablations, ablations
from pnyx.compiler.diagnostics import CompileError
from pnyx.compiler.program import Program
from pnyx.runtime.benchmarks import Comparison
from pnyx.runtime.search.ablation import Ablation, Earning, holm

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.pnyx"))


def of(body: str, rest: str = "", **settings: object) -> Ablations:
    text = f"{MODELS}\n{rest}\npipeline main(query) {{\n{body}\n}}\n"
    return ablations(program(text), "main", **settings)  # type: ignore[arg-type]


def names(found: Ablations) -> list[str]:
    return [variant.name for variant in found.variants]


# What is changed ---------------------------------------------------------------------------------


def test_stages_samples_and_models() -> None:
    found = of("query |> generate([small, large], n = 4) |> critique(large) |> rank(large) |> fuse(large)")
    assert names(found) == [
        "generate without small", "generate without large", "generate with n = 1 (of 4)", "generate with n = 2 (of 4)",
        "without critique", "critique by small (not large)", "without rank", "rank by small (not large)",
        "without fuse", "fuse by small (not large)",
    ]  # fmt: skip
    kinds = {variant.kind for variant in found.variants}
    assert kinds == {"without", "fewer", "replaced"}
    assert [(a.name, a.reason) for a in found.unmeasured] == [
        ("without generate", "`critique` works on candidates, and this is the question")
    ]
    assert {variant.plan.pipeline for variant in found.variants} == set(names(found))


def test_a_variant_is_what_its_name_says() -> None:
    found = of("query |> generate(small, n = 4) |> critique(large) |> fuse(large)")
    plans = {variant.name: variant.plan for variant in found.variants}
    by_hand = program(f"{MODELS}pipeline main(query) {{ query |> generate(small, n = 4) |> fuse(large) }}")
    assert plans["without critique"].digest == by_hand.compile().digest
    by_hand = program(f"{MODELS}pipeline main(query) {{ query |> generate(small) |> critique(large) |> fuse(large) }}")
    assert plans["generate with n = 1 (of 4)"].digest == by_hand.compile().digest


def test_stages_that_only_go_together_are_left_out_together() -> None:
    found = of("query |> generate(small, n = 2) |> score(grade(_, small)) |> best")
    assert names(found) == ["generate with n = 1 (of 2)", "without score |> best", "without best"]
    assert [a.name for a in found.unmeasured] == ["without generate", "without score"]


def test_rounds() -> None:
    found = of(
        "pool = query |> generate(small)\nrepeat 4 { pool = pool |> fuse(large) }\n"
        "loop max 5 until pool.logprob > 0 { pool = pool |> fuse(small) }\npool"
    )
    assert [n for n in names(found) if "(of" in n] == [
        "repeat 0 (of 4)", "repeat 1 (of 4)", "repeat 2 (of 4)", "loop max 1 (of 5)", "loop max 2 (of 5)"
    ]  # fmt: skip


def test_numbers_that_have_a_name_are_lowered_too() -> None:
    found = of(
        "pool = query |> generate(small, n = samples)\n"
        "repeat rounds { pool = pool |> fuse(large, n = 3) }\npool |> fuse(large)",
        "let samples = tune(2, 6)\nlet rounds = 2",
        choices={"samples": 6},
    )
    assert [n for n in names(found) if "(of" in n] == [
        "generate with n = 1 (of 6)", "generate with n = 3 (of 6)", "repeat 0 (of 2)", "repeat 1 (of 2)"
    ]  # fmt: skip


def test_sides_of_a_sum_and_fallbacks() -> None:
    found = of(
        "pool = (query |> generate(small)) + (query |> generate(large))\n"
        "pool |> extract(number) |> vote else pool |> take(1)"
    )
    assert "without … |> generate, line 7, column 8" in names(found)
    assert "without vote" in names(found)
    assert "without take" in names(found)
    assert len(names(found)) == len(set(names(found)))


def test_operators_of_the_program_have_parts_too() -> None:
    rest = "op answers(query: Chat) -> Pool { query |> generate(small, 6) |> critique(small) |> top(2, by = logprob) }"
    found = of("query |> answers |> fuse(small)", rest)
    assert "generate with n = 3 (of 6)" in names(found)
    assert "without critique" in names(found)
    (critique,) = [v for v in found.variants if v.name == "without critique"]
    assert critique.span.text == "critique(small)"


def test_parts_of_one_name_say_where_they_stand() -> None:
    found = of("query |> generate(small)\n|> critique(small) |> fuse(small)\n|> critique(large) |> fuse(small)")
    assert [n for n in names(found) if n.startswith("without")] == [
        "without critique, line 8", "without fuse, line 8", "without critique, line 9", "without fuse, line 9"
    ]  # fmt: skip


def test_choices_are_closed_first() -> None:
    body = "query |> generate(small, n = tune(2, 8)) |> tune(critique(_, small), skip) |> fuse(small)"
    found = of(body, choices={"n": 8})
    assert "generate with n = 4 (of 8)" in names(found)
    assert "without critique" in names(found)
    other = of(body, choices={"main.stage": "skip"})
    assert [(a.name, a.reason) for a in other.unmeasured if a.name == "without skip"] == [
        ("without skip", "it changes nothing")
    ]


def test_only_some_kinds() -> None:
    body = "query |> generate(small, n = 4) |> critique(large) |> fuse(small)"
    assert names(of(body, kinds=["replaced"])) == ["critique by small (not large)"]
    assert {v.kind for v in of(body, kinds=["without", "fewer"]).variants} == {"without", "fewer"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_examples(path: Path) -> None:
    made = Program.load(path)
    for name in made.pipelines:
        found = ablations(made, name)
        assert len({found.whole.digest, *(v.plan.digest for v in found.variants)}) == 1 + len(found.variants)
        assert len({v.name for v in found.variants}) == len(found.variants)


def test_nothing_to_ablate() -> None:
    with pytest.raises(CompileError) as raised:
        of("query |> generate(small)")
    (diagnostic,) = raised.value.diagnostics
    assert diagnostic.code == "E671"
    assert diagnostic.message.startswith("`main` has no part that can be left out")
    with pytest.raises(CompileError):
        of("query |> generate(small, n = 2)", kinds=["replaced"])


# What it earns -----------------------------------------------------------------------------------


def test_holm_adjusts_for_how_many_there_are() -> None:
    assert holm([]) == []
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]


def earning(differences: list[float], saved: float = 10.0) -> Earning:
    comparison = Comparison(differences=tuple(differences), seed=0)
    found = of("query |> generate(small, n = 2)")
    return Earning(variant=found.variants[0], evaluation=None, comparison=comparison, saved=saved, p=comparison.p)


@pytest.mark.parametrize(
    ("differences", "saved", "verdict"),
    [
        ([1.0] * 12 + [0.0] * 20, 10, "yes"),
        ([-1.0] * 12 + [0.0] * 20, 10, "no"),
        ([0.0] * 20, 10, "not shown"),
        ([0.0] * 400, 10, "no"),
        ([1.0] * 3 + [-1.0] * 3, 10, "not shown"),
        ([1.0] * 3 + [-1.0] * 3, 0, "saves"),
        ([1.0] * 12, -5, "yes"),
    ],
)
def test_verdicts(differences: list[float], saved: float, verdict: str) -> None:
    assert earning(differences, saved).verdict == verdict


PROGRAM = f"""{MODELS}
pipeline main(query) {{
    query |> generate(small, n = tune(3, 5), max_tokens = 64) |> extract(number) |> vote
}}
pipeline single(query) {{ query |> generate(small, max_tokens = 64) }}

benchmark sums {{ data = jsonl("sums.jsonl")
    query = question
    target = answer
    score = numeric }}
benchmark graded {{ data = jsonl("sums.jsonl")
    query = question
    score = judge(large) }}
benchmark duel {{ data = jsonl("sums.jsonl")
    query = question
    score = pairwise(large, baseline = single) }}
"""
ROWS = [{"question": f"What is {i} * 37 + {i + 5}?", "answer": i * 37 + i + 5} for i in range(11, 31)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("PNYX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PNYX_STORE", str(tmp_path / "calls.sqlite"))
    (tmp_path / "p.pnyx").write_text(PROGRAM)
    (tmp_path / "sums.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    return tmp_path


def ablate(*arguments: str, benchmark: str = "sums") -> int:
    return main(["ablate", "p.pnyx", "--engine", "simulated", "--benchmark", benchmark, *arguments])


def test_a_variant_scores_what_its_pipeline_scores(folder: Path) -> None:
    report = pnyx.load("p.pnyx").ablate("sums", pipeline="main", engine="simulated")
    assert report.stopped is None
    parts = {part.variant.name: part for part in report.parts}
    one = parts["generate with n = 1 (of 3)"]
    text = PROGRAM.replace("tune(3, 5)", "1")
    (folder / "one.pnyx").write_text(text)
    bench = pnyx.load("one.pnyx").bench("sums", pipeline="main", engine="simulated", store="none")
    assert one.evaluation is not None
    assert one.evaluation.scores == bench.evaluations[0].scores
    whole = pnyx.load("p.pnyx").bench("sums", pipeline="main", engine="simulated", store="none")
    assert report.evaluation.scores == whole.evaluations[0].scores
    assert one.saved == pytest.approx((whole.evaluations[0].cost.tokens - bench.evaluations[0].cost.tokens) / 20)
    assert one.comparison is not None
    assert one.comparison.mean == pytest.approx((whole.accuracy or 0) - (bench.accuracy or 0))


def test_what_variants_share_is_drawn_once(folder: Path) -> None:
    report = pnyx.load("p.pnyx").ablate("sums", pipeline="main", engine="simulated")
    for part in report.parts:
        assert part.evaluation is not None
        assert part.evaluation.cost.cached_samples == part.evaluation.cost.samples


@pytest.mark.parametrize("benchmark", ["graded", "duel"])
def test_judges_judge_every_variant(folder: Path, benchmark: str) -> None:
    report = asyncio.run(
        pnyx.load("p.pnyx").aablate(benchmark, pipeline="main", engine="simulated", limit=4, kinds=["fewer"])
    )
    assert [len(e.scores) for e in report.evaluations] == [4, 4]


def test_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ablate("--pipeline", "main", "-o", "out.md", "--set", "n=5") == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0] == "main on sums (SIMULATED): 20 questions"
    assert lines[2].split()[:2] == ["variant", "accuracy"]
    assert any(line.startswith("generate with n = 2 (of 5)") for line in lines)
    assert "adjusted for 4 comparisons (Holm)" in shown.out
    assert "SIMULATED" in shown.err
    written = (folder / "out.md").read_text()
    assert written.startswith("# Ablation of `main`\n")
    assert "| generate with n = 1 (of 5) |" in written
    assert r"| without extract \|> vote |" in written


def test_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ablate("--pipeline", "main", "--json", "--limit", "5") == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["pipeline"], data["problems"], data["simulated"]) == ("main", 5, True)
    first = data["parts"][0]
    assert first["name"] == "generate with n = 1 (of 3)"
    assert first["place"].startswith("p.pnyx:6:")
    assert first["earns_its_tokens"] == "not shown"
    assert 0 <= first["p_adjusted"] <= 1
    assert data["unmeasured"][0]["name"] == "without generate"


def test_a_budget_that_ends_shows_what_is_done(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # The store holds what the variants share with the whole pipeline, so another budget would not end it.
    assert ablate("--pipeline", "main", "--store", "none", "--budget", "calls=30") == 3
    shown = capsys.readouterr()
    assert "ended early" in shown.out
    assert "not measured" in shown.out
    assert "R820" in shown.err
    assert "internal error" not in shown.err


def test_one_that_is_told_to_end_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Ablation] = []
    run = Ablation._try

    async def noted(ablation: Ablation, *arguments: object) -> object:
        tried.append(ablation)
        if len(tried) == 2:
            ablation.drain()
        return await run(ablation, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Ablation, "_try", noted)
    report = pnyx.load("p.pnyx").ablate("sums", pipeline="main", engine="simulated")
    assert (report.stopped, report.ended_early) == (None, True)
    assert len(report.evaluation.scores) == 20
    assert report.parts[-1].verdict == "not measured"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--pipeline", "single"], "E671"),
        (["--pipeline", "nothing"], "E603"),
        (["--pipeline", "main", "--only", "replaced"], "E671"),
        (["--pipeline", "main", "--set", "x=1"], "E403"),
    ],
)
def test_what_cannot_be_done_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: str
) -> None:
    assert ablate(*arguments) == 1
    assert code in capsys.readouterr().err


def test_a_plan_and_a_program_without_a_benchmark(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", "p.pnyx", "--pipeline", "main", "-o", "plan.json"]) == 0
    assert main(["ablate", "plan.json", "--engine", "simulated"]) == 1
    assert "E607" in capsys.readouterr().err
    (folder / "bare.pnyx").write_text(f"{MODELS}pipeline main(query) {{ query |> generate(small, n = 2) }}\n")
    assert main(["ablate", "bare.pnyx", "--engine", "simulated"]) == 1
    assert "E643" in capsys.readouterr().err
