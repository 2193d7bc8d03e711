"""Engine tuning: finds the settings that are fastest, says so only where it is sure, and survives those that fail."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import pytest
from search.virtual_time import Machine, in_virtual_time

from pnyx.compiler.plan import Plan
from pnyx.compiler.program import Program
from pnyx.runtime.config import Config, EngineConfig, ModelConfig, RunConfig
from pnyx.runtime.engines.engine import EngineInfo
from pnyx.runtime.errors import EngineFailure
from pnyx.runtime.externs import Externs
from pnyx.runtime.rows import Row
from pnyx.runtime.search.engine_tuning import space as space_module
from pnyx.runtime.search.engine_tuning.measurement import Subject
from pnyx.runtime.search.engine_tuning.space import EngineSpace, Setting, engine_space
from pnyx.runtime.search.engine_tuning.trials import TuningReport, paired_interval
from pnyx.runtime.search.engine_tuning.tuning import Terms, Tuning
from pnyx.runtime.search.failures import NothingToTune, TimeTooShort


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    path = tmp_path_factory.mktemp("tuning") / "p.pnyx"
    path.write_text('model small = "m"\npipeline main(query) { query |> generate(small, max_tokens = 16) }\n')
    return Program.load(path).compile()


def tuning(
    plan: Plan,
    machine: Machine,
    *,
    window: int | None = None,
    seconds: float = 600.0,
    questions: int = 2000,
    watch: Callable[[str, float, float | None], None] | None = None,
    **options: Any,
) -> Tuning:
    rows = [Row(number, f"question {number}") for number in range(questions)]
    config = Config(models={"small": ModelConfig(engine="simulated", **options)}, run=RunConfig(window=window))
    subject = Subject(plan=plan, questions=rows, seed=0, opening=machine.opener(plan), externs=Externs({}))
    return Tuning(subject, config, Terms(seconds=seconds), watch)


def tuned(plan: Plan, machine: Machine, **settings: Any) -> TuningReport:
    report = in_virtual_time(tuning(plan, machine, **settings).run())
    assert report is not None
    assert machine.open_now == 0
    return report


def peak(at: int) -> Callable[[Mapping[str, Any], int, float], float]:
    """Twice as fast with twice as much at once up to there; above, as much slower."""
    return lambda _options, n, _now: 5.0 * (n if n <= at else at * at / n)


def changes(report: TuningReport) -> dict[str, Any]:
    return {} if report.best is None else {".".join(keys[-2:]): value for keys, value in report.best.changes.items()}


def at_once(report: TuningReport, window: int, questions: int) -> int:
    """In flight with the best setting, where an engine has `window` and so many `questions` are, as it is."""
    found = changes(report)
    return min(found.get("small.window", window), found.get("run.window", questions))


# What is found


@pytest.mark.parametrize(("window", "questions", "best"), [(2, 64, 16), (16, 64, 4), (64, 32, 8)])
def test_the_fastest_window_is_found_from_either_side(plan: Plan, window: int, questions: int, best: int) -> None:
    report = tuned(plan, Machine(peak(best), window=window), window=questions)
    assert report.verdict == "faster"
    assert at_once(report, window, questions) == best
    assert report.best is not None
    assert report.best.ratio is not None
    now = min(window, questions)
    assert report.best.ratio > 0.7 * max(best / now, now / best)  # at the end of a run less is in flight
    assert report.best.interval is not None
    assert report.best.interval[0] > 1.5
    assert report.trials[0].name == "as it is"
    assert report.trials[0].ratio == 1.0


def test_where_a_larger_window_alone_does_nothing_there_are_more_questions_too(plan: Plan) -> None:
    report = tuned(plan, Machine(peak(16), window=4), window=4)
    assert at_once(report, 4, 4) == 16
    assert report.verdict == "faster"
    alone = [trial.ratio for trial in report.trials if len(trial.changes) == 1]
    assert [ratio for ratio in alone if ratio is None or ratio > 1.01] == []


def test_nothing_is_faster_where_speed_depends_on_nothing(plan: Plan) -> None:
    report = tuned(plan, Machine(lambda _options, _n, _now: 40.0))
    assert (report.verdict, report.best, report.complete) == ("nothing better", None, True)
    assert len(report.trials) > 3


def unsteady(seed: int) -> Callable[[Mapping[str, Any], int, float], float]:
    """A machine that others use too: its speed swings by 30 % and jumps every five seconds, whatever is set."""
    period = Random(seed).uniform(30, 300)

    def speed(_options: Mapping[str, Any], _n: int, now: float) -> float:
        jump = math.exp(Random(seed * 1_000_003 + int(now / 5)).gauss(0, 0.15))
        return 8.0 * (1 + 0.3 * math.sin(2 * math.pi * now / period)) * jump

    return speed


def test_an_unsteady_machine_makes_nothing_clearly_faster(plan: Plan) -> None:
    """One in forty may be; of 60 others, one was."""
    verdicts = [tuned(plan, Machine(unsteady(seed)), window=16).verdict for seed in range(6)]
    assert verdicts.count("faster") <= 1
    assert verdicts.count("not clearly faster") >= 3


def test_on_an_unsteady_machine_the_window_is_found(plan: Plan) -> None:
    def machine(seed: int) -> Machine:
        unsteadily, steadily = unsteady(seed), peak(32)
        return Machine(lambda o, n, now: unsteadily(o, n, now) / 8 * steadily(o, n, now), window=8)

    for seed in range(2):
        report = tuned(plan, machine(seed), window=64)
        assert report.verdict == "faster"
        assert at_once(report, 8, 64) in (16, 32)


# How it is measured


def test_every_run_asks_the_same_of_engines_that_forgot(plan: Plan) -> None:
    machine = Machine(lambda _options, _n, _now: 40.0)
    report = tuned(plan, machine)
    # What follows a run in the list warms up the engines that were opened next.
    runs = [sorted(seeds[: report.questions]) for seeds in machine.asked[1:] if len(seeds) >= report.questions]
    assert len(runs) == sum(trial.runs for trial in report.trials) > 5
    assert all(run == runs[0] for run in runs)
    assert len(set(runs[0])) == report.questions


def test_questions_in_flight_are_tried_without_opening_anything(plan: Plan) -> None:
    machine = Machine(peak(32), window=32)
    opened: dict[str, int] = {}
    tuned(plan, machine, window=2, watch=lambda setting, _rate, _ratio: opened.setdefault(setting, len(machine.opened)))
    alone = [times for setting, times in opened.items() if "small" not in setting]
    assert len(alone) == 3  # 2, 4, and 16, which is all of a run
    assert set(alone) == {1}
    assert max(opened.values()) > 1


def test_engines_that_are_slow_to_open_are_opened_rarely(plan: Plan) -> None:
    slow = Machine(peak(32), opening=60.0, window=2)
    report = tuned(plan, slow, seconds=2400, window=16)
    assert report.verdict == "faster"
    settings = len({tuple(sorted(options.items())) for options in slow.opened})
    defaults = sum("window" not in options for options in slow.opened) - 2 * report.pairs
    assert defaults < settings


def test_what_is_much_slower_is_broken_off(plan: Plan) -> None:
    def speed(options: Mapping[str, Any], _n: int, _now: float) -> float:
        return 40.0 if options.get("window", 8) >= 8 else 0.01

    report = tuned(plan, Machine(speed), seconds=600)
    slow = next(trial for trial in report.trials if trial.name.startswith("small.window = 4"))
    assert slow.ratio is not None
    assert slow.ratio < 0.1
    assert report.seconds < 600


def test_the_interval_of_pairs() -> None:
    assert paired_interval([0.1, 0.2]) is None
    low, high = paired_interval([0.1, 0.2, 0.3]) or (0, 0)
    assert (low, high) == pytest.approx((0.2 - 4.303 * 0.1 / math.sqrt(3), 0.2 + 4.303 * 0.1 / math.sqrt(3)))
    assert paired_interval([0.5] * 10) == pytest.approx((0.5, 0.5))


# What goes wrong


@pytest.mark.parametrize("error", [EngineFailure("no room"), RuntimeError("CUDA out of\nmemory"), MemoryError()])
def test_a_setting_that_cannot_be_opened_fails_alone(plan: Plan, error: Exception) -> None:
    machine = Machine(peak(64), unfit=lambda options: error if options.get("window", 8) > 16 else None)
    report = tuned(plan, machine, window=64)
    assert report.verdict == "faster"
    assert changes(report)["small.window"] == 16
    failed = [trial for trial in report.trials if trial.failure is not None]
    assert failed
    assert all("small.window = 32" in trial.name or "small.window = 64" in trial.name for trial in failed)
    assert failed[0].ratio is None
    assert failed[0].failure is not None
    assert "\n" not in failed[0].failure.message


def test_a_setting_that_runs_out_of_memory_fails_alone(plan: Plan) -> None:
    machine = Machine(peak(64), broken=lambda _options, in_flight: in_flight > 16)
    report = tuned(plan, machine, window=64)
    assert changes(report)["small.window"] == 16
    assert [t.failure.message for t in report.trials if t.failure is not None][:1] == ["out of memory"]


def test_a_default_that_fails_is_an_error(plan: Plan) -> None:
    with pytest.raises(EngineFailure, match="no room"):
        tuned(plan, Machine(peak(8), unfit=lambda _options: EngineFailure("no room")))
    with pytest.raises(EngineFailure, match="out of memory"):
        tuned(plan, Machine(peak(8), broken=lambda _options, in_flight: in_flight > 1))


def test_a_default_that_fails_later_ends_it_with_what_is_known(plan: Plan) -> None:
    machine = Machine(peak(64))
    machine.unfit = lambda options: (
        EngineFailure("gone") if "window" not in options and len(machine.opened) > 3 else None
    )
    report = tuned(plan, machine)
    assert report.stopped is not None
    assert report.stopped.message == "gone"
    assert len(report.trials) > 2
    assert report.verdict == "not confirmed"


def test_stopping_keeps_what_is_known(plan: Plan) -> None:
    async def stopped(after: float) -> TuningReport | None:
        work = tuning(plan, machine)
        asyncio.get_running_loop().call_later(after, work.stop)
        return await work.run()

    machine = Machine(peak(64))
    report = in_virtual_time(stopped(150.0))
    assert report is not None
    assert len(report.trials) > 2
    assert (report.verdict, report.complete, machine.open_now) == ("not confirmed", False, 0)
    assert report.seconds == pytest.approx(150.0)
    assert in_virtual_time(stopped(0.5)) is None
    assert machine.open_now == 0


@pytest.mark.parametrize("seconds", [20.0, 60.0, 200.0, 900.0])
def test_it_takes_no_longer_than_it_may(plan: Plan, seconds: float) -> None:
    assert tuned(plan, Machine(peak(16), opening=5.0), seconds=seconds).seconds <= seconds


def test_too_little_time(plan: Plan) -> None:
    with pytest.raises(TimeTooShort, match="3 seconds were over"):
        tuned(plan, Machine(peak(16), opening=5.0), seconds=3.0)


def test_a_replay_has_nothing_to_tune(plan: Plan) -> None:
    subject = Subject(
        plan=plan, questions=[Row(1, "q")], seed=0, opening=Machine(peak(1)).opener(plan), externs=Externs({})
    )
    for config, engine in ((Config(models={"small": ModelConfig(engine="replay")}), None), (Config(), "replay")):
        with pytest.raises(NothingToTune, match="a replay"):
            in_virtual_time(Tuning(subject, config, Terms(seconds=60, engine=engine)).run())


# The space


def info(window: int = 64, variant: str = "abc bfloat16") -> EngineInfo:
    return EngineInfo(engine="e", model="m", context=100, window=window, variant=variant)


def space(config: Config, text: str = "", *, samples: int = 10_000, **options: Any) -> EngineSpace:
    models = 'model small = "m"\nmodel judge = "m"\nmodel other = "o"\n'
    body = "query |> generate([small, judge, other], max_tokens = 16)"
    program = Program.parse(f"{models}pipeline main(query) {{ {body} }}\n{text}", "p.pnyx")
    compiled = program.compile()
    infos = {model.name: info() for model in compiled.models}
    return engine_space(compiled, config, infos, window=32, questions=400, samples=samples, **options)


def axes(found: EngineSpace) -> list[tuple[tuple[str, ...], str, tuple[Any, ...]]]:
    return [(axis.models, axis.option, axis.values) for axis in found.axes]


def test_models_that_share_an_engine_are_set_together() -> None:
    shared = Config(engines={"own": EngineConfig(kind="simulated")})
    shared = shared.model_copy(
        update={"models": {name: ModelConfig(engine="own") for name in ("small", "judge", "other")}}
    )
    found = space(shared)
    ladder = (1, 2, 4, 8, 16, 32, 64, 128, 256)
    assert axes(found) == [(("small", "judge"), "window", ladder), (("other",), "window", ladder)]
    setting = Setting((7, 6), 64)
    assert found.describe(setting) == "small+judge.window = 128, run.window = 64"
    applied = found.applied(setting, shared)
    assert [applied.model(name).window for name in ("small", "judge", "other")] == [128, 128, None]
    assert [applied.model(name).engine for name in ("small", "judge", "other")] == ["own"] * 3
    assert applied.run.window == 64
    small, judge = (applied.options(applied.model(name), "own") for name in ("small", "judge"))
    assert small == judge  # or they would no longer share it
    assert found.describe(found.default) == "as it is"
    assert found.changes(found.default) == {}


def test_number_formats_only_on_request() -> None:
    config = Config(models={name: ModelConfig(engine="transformers") for name in ("small", "judge", "other")})
    assert {option for _, option, _ in axes(space(config))} == {"window"}
    found = [values for _, option, values in axes(space(config, dtypes=True)) if option == "dtype"]
    assert {"bfloat16", "float32"} <= set(found[0])
    assert found[0][0] == "bfloat16"


@pytest.mark.parametrize("gpu", [True, False])
def test_vllm_has_settings_of_its_own(monkeypatch: pytest.MonkeyPatch, gpu: bool) -> None:
    monkeypatch.setattr(space_module, "_vllm_on_gpu", lambda: gpu)
    config = Config(models={"small": ModelConfig(block=64, batched_tokens=4096)})
    options = {option: values for models, option, values in axes(space(config, engine="vllm")) if "small" in models}
    assert set(options) == ({"window", "batched_tokens", "block"} if gpu else {"window", "block"})
    assert options["block"][0] == 64
    assert not gpu or options["batched_tokens"] == (4096, 2048, 8192, 32768)


def test_a_server_has_its_window_and_nothing_else() -> None:
    servers = {name: ModelConfig(engine="openai", url="http://127.0.0.1:1/v1") for name in ("small", "judge", "other")}
    assert {option for _, option, _ in axes(space(Config(models=servers), dtypes=True))} == {"window"}


def test_what_the_questions_cannot_tell_apart_is_not_offered() -> None:
    found = space(Config(), engine="simulated", samples=100)
    assert found.axes[0].values[-1] == 128
    assert found.windows == (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
    few = EngineSpace(found.axes, (8, 32), found.default)
    assert few.asked(few.default, 1) is None
    assert few.moved(0, few.default, 1) == Setting((few.default.engines[0] + 1, *few.default.engines[1:]), 32)
    assert few.largest(few.default)
    assert not found.largest(found.default)


@pytest.mark.parametrize(
    ("default", "useful", "ladder"),
    [(32, 400, (1, 2, 4, 8, 16, 32, 64, 128, 256)), (32, 8, (1, 2, 4, 32)), (48, 70, (1, 3, 6, 12, 24, 48, 96)),
     (1, 3, (1, 2, 4)), (300, 900, (1, 2, 4, 9, 18, 37, 75, 150, 300))],
)  # fmt: skip
def test_ladders(default: int, useful: int, ladder: tuple[int, ...]) -> None:
    assert space_module._ladder(default, most=256, useful=useful) == ladder
