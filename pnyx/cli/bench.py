"""`pnyx bench`: a pipeline, or two, evaluated on a benchmark of the program."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from pnyx.cli.bench_tables import print_report
from pnyx.cli.bindings import configuration
from pnyx.cli.failures import EXIT_ENGINE, EXIT_USER, exit_code, located, user_error
from pnyx.cli.files import check_writable, write_text
from pnyx.cli.interruptions import Interruption, draining
from pnyx.cli.limits import budget, query_limits, store_of
from pnyx.cli.plans import load_program
from pnyx.cli.progress import counting
from pnyx.cli.running import add_running_arguments, chosen_seed, positive
from pnyx.cli.summary import print_simulated
from pnyx.cli.terminal import count, interactive, rendered
from pnyx.cli.tracing import add_trace_argument, recording_each, trace_path

if TYPE_CHECKING:
    from pnyx.compiler.diagnostics import Diagnostic
    from pnyx.compiler.plan import Plan
    from pnyx.runtime.benchmarks import Outcome, Problems, Report, Trial, Watch
    from pnyx.runtime.config import Config

__all__ = ["add_arguments", "exit_of", "print_problems", "run"]

_FAULTS_SHOWN = 5
_PLACES_SHOWN = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_running_arguments(parser, plans=False)
    parser.add_argument("--benchmark", metavar="NAME", help="which benchmark, where the program has several")
    parser.add_argument("--against", metavar="NAME", help="a second pipeline, compared with the first one in pairs")
    parser.add_argument(
        "--split",
        choices=("search", "held-out", "all"),
        default="all",
        help="the questions that a search may see, those that it may not, or all; default: all",
    )
    parser.add_argument("--limit", metavar="N", type=positive, help="only N of the questions")
    parser.add_argument(
        "--window",
        metavar="N",
        type=positive,
        help="questions in flight at once; default: 32, or 512 where models take turns in memory",
    )
    parser.add_argument("--worst", metavar="N", type=_shown, default=10, help="show so many of the worst answers")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("-o", "--output", metavar="OUT", help="a line of JSON for every question and pipeline")
    add_trace_argument(parser, beside="OUT")


def _shown(text: str) -> int:
    return 0 if text == "0" else positive(text)


def run(options: argparse.Namespace) -> int:
    trial, config = _prepare(options)
    print_problems(trial.problems)
    report, interruption = asyncio.run(_bench(options, trial, config))
    if options.output:
        write_text(options.output, report.to_jsonl())
    if options.json:
        print(json.dumps(report.to_data(), indent=1, ensure_ascii=False))
    else:
        print_report(report, worst=options.worst)
    sys.stdout.flush()
    if report.simulated:
        print_simulated()
    _print_failures(report)
    if interruption.number:
        print("interrupted", file=sys.stderr)
        return interruption.exit
    if report.stopped is not None:
        raise report.stopped
    outcomes = [outcome for evaluation in report.evaluations for outcome in evaluation.outcomes]
    return exit_of(outcomes, report.problems)


def _prepare(options: argparse.Namespace) -> tuple[Trial, Config]:
    """Everything that can be wrong before an engine is opened."""
    from pnyx.compiler.trials import benchmark_of, compile_trial
    from pnyx.runtime.benchmarks import Trial, joined, load_problems, open_scoring

    for output in (options.output, trace_path(options)):
        if output:
            check_writable(Path(output))
    program = load_program(options)
    if program is None:
        message = f"`{options.file}` is a plan, and a plan has no benchmarks"
        raise user_error("E607", message, "give the program instead")
    benchmark = benchmark_of(program, options.benchmark)
    warnings = [diagnostic for diagnostic in program.diagnostics if not diagnostic.is_error]
    if warnings:
        print(rendered(warnings, sys.stderr), file=sys.stderr)
    plans = compile_trial(
        program, benchmark, options.pipeline, options.against, dict(options.set), optimise=not options.no_optimise
    )
    trial = Trial(
        benchmark=benchmark,
        problems=load_problems(benchmark, options.split, options.limit),
        plan=plans.pipeline,
        against=plans.against,
        baseline=plans.baseline,
        judge=plans.judge,
        scoring=open_scoring(benchmark, trust=options.trust),
    )
    return trial, configuration(options, joined(trial.plans))


async def _bench(options: argparse.Namespace, trial: Trial, config: Config) -> tuple[Report, Interruption]:
    from pnyx.runtime.benchmarks.sessions import Terms, opened

    terms = Terms(
        seed=chosen_seed(options, config),
        window=options.window or config.run.window,
        engine=options.engine,
        budget=budget(options),
        limits=query_limits(options),
        trust=options.trust,
    )
    async with AsyncExitStack() as stack:
        store = await asyncio.to_thread(store_of, options, config)
        if store is not None:
            await stack.enter_async_context(store)
        if interactive(sys.stderr):
            print("opening the engine …", end="\r", file=sys.stderr, flush=True)
        opening = opened(trial.pipelines, config, terms, store, judge=trial.judge)
        opener = await stack.enter_async_context(opening)
        if interactive(sys.stderr):
            print("\033[K", end="", file=sys.stderr, flush=True)
        with (
            draining(trial.drain) as interruption,
            recording_each(options, config, opener) as recorded,
            counting(trial.benchmark.name, trial.steps) as advance,
        ):
            report = await trial.run(recorded, _watching(advance))
    return report, interruption


def _watching(advance: Callable[[str], None]) -> Watch:
    def watch(plan: Plan, *, judge: bool, mean: float | None) -> None:
        who = "judging" if judge else plan.pipeline
        advance(who if mean is None else f"{who} {mean:.1%}")

    return watch


def print_problems(problems: Problems) -> None:
    """What is wrong with rows, which does not stop the others."""
    from pnyx.compiler.diagnostics import Diagnostic

    shown: list[Diagnostic] = [located(f.code, f.message, f.place, f.help) for f in problems.faults[:_FAULTS_SHOWN]]
    if problems.duplicates:
        rows = count(len(problems.duplicates), "row")
        asks = "asks what an earlier one does" if len(problems.duplicates) == 1 else "ask what earlier ones do"
        other = f", {problems.conflicts} with another target" if problems.conflicts else ""
        places = ", ".join(problems.duplicates[:_PLACES_SHOWN])
        more = ", …" if len(problems.duplicates) > _PLACES_SHOWN else ""
        help = f"the first one counts; remove the others: {places}{more}"
        shown.append(Diagnostic("W741", f"{rows} {asks}{other}", help=help))
    if shown:
        print(rendered(shown, sys.stderr), file=sys.stderr)
    if len(problems.faults) > _FAULTS_SHOWN:
        print(f"{len(problems.faults) - _FAULTS_SHOWN} more rows cannot be used either", file=sys.stderr)


def _print_failures(report: Report) -> None:
    """Why questions were not scored or not answered, once for each reason; and letters that never come."""
    from pnyx.compiler.diagnostics import Diagnostic

    reasons: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in (outcome for evaluation in report.evaluations for outcome in evaluation.outcomes):
        if outcome.error is not None:
            reasons.setdefault((outcome.error.code, outcome.error.message), []).append(outcome)
    shown = []
    for outcome, *others in list(reasons.values())[:_FAULTS_SHOWN]:
        assert outcome.error is not None
        error, more = outcome.error, f"; and {count(len(others), 'other')} like it" if others else ""
        shown.append(located(error.code, error.message + more, error.place or outcome.problem.place, error.help))
    if report.never_given:
        letters = ", ".join(f"{letter} (right for {times})" for letter, times in report.never_given.items())
        help = "look at the answers with `-o`: the prompt, or how they are read, may rule it out"
        shown.append(Diagnostic("W742", f"no answer is ever {letters}", help=help))
    if shown:
        print(rendered(shown, sys.stderr), file=sys.stderr)
    if len(reasons) > _FAULTS_SHOWN:
        print(f"{len(reasons) - _FAULTS_SHOWN} more kinds of failure: see them with `-o`", file=sys.stderr)


def exit_of(outcomes: Sequence[Outcome], problems: Problems) -> int:
    """4 where engines failed on everything, 1 where something could not be scored or read."""
    unscored = [outcome.error.code for outcome in outcomes if outcome.score is None and outcome.error is not None]
    if unscored:
        gone = len(unscored) == len(outcomes) and all(exit_code(code) == EXIT_ENGINE for code in unscored)
        return EXIT_ENGINE if gone else EXIT_USER
    return EXIT_USER if problems.faults else 0
