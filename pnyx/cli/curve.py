"""`pnyx curve`: accuracy against a choice, such as how many samples are drawn."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from pnyx.cli.bench import exit_of, print_problems
from pnyx.cli.bindings import configuration
from pnyx.cli.failures import user_error
from pnyx.cli.interruptions import Interruption, draining
from pnyx.cli.limits import budget, query_limits, store_of
from pnyx.cli.plans import load_program
from pnyx.cli.progress import counting
from pnyx.cli.running import add_running_arguments, chosen_seed, positive
from pnyx.cli.summary import print_simulated
from pnyx.cli.tables import print_table
from pnyx.cli.terminal import count, folded, rendered

if TYPE_CHECKING:
    from pnyx.runtime.benchmarks.curve import Curve, CurvePoint, CurveTrial
    from pnyx.runtime.benchmarks.statistics import Interval
    from pnyx.runtime.config import Config

__all__ = ["add_arguments", "run"]

_MOST_SUBSETS = 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_running_arguments(parser)
    parser.add_argument("choice", metavar="CHOICE", help="a choice of the pipeline, as `--set` names it")
    parser.add_argument("--benchmark", metavar="NAME", help="which benchmark, where the program has several")
    parser.add_argument(
        "--split",
        choices=("search", "held-out", "all"),
        default="all",
        help="the questions that a search may see, those that it may not, or all; default: all",
    )
    parser.add_argument("--limit", metavar="N", type=positive, help="only N of the questions")
    parser.add_argument("--window", metavar="N", type=positive, help="questions in flight at once")
    parser.add_argument(
        "--subsets",
        metavar="N",
        type=_subsets,
        default=32,
        help="score fewer samples over so many subsets of the most; default: 32",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def _subsets(text: str) -> int:
    number = positive(text)
    if number > _MOST_SUBSETS:
        raise argparse.ArgumentTypeError(f"at most {_MOST_SUBSETS}")
    return number


def run(options: argparse.Namespace) -> int:
    trial, config = _prepare(options)
    print_problems(trial.problems)
    curve, interruption = asyncio.run(_measure(options, trial, config))
    if options.json:
        print(json.dumps(curve.to_data(), indent=1, ensure_ascii=False))
    else:
        _print(curve)
    sys.stdout.flush()
    if curve.simulated:
        print_simulated()
    if interruption.number:
        print("interrupted", file=sys.stderr)
        return interruption.exit
    if curve.stopped is not None:
        raise curve.stopped
    return exit_of([outcome for point in curve.points for outcome in point.evaluation.outcomes], curve.problems)


def _prepare(options: argparse.Namespace) -> tuple[CurveTrial, Config]:
    """Everything that can be wrong before an engine is opened."""
    from pnyx.compiler.diagnostics import CompileError
    from pnyx.compiler.elaborate.choosing import find_choice, unknown_choice
    from pnyx.compiler.trials import benchmark_of, compile_trial
    from pnyx.runtime.benchmarks import joined, load_problems, open_scoring
    from pnyx.runtime.benchmarks.curve import CurveTrial

    program = load_program(options)
    if program is None:
        message = f"`{options.file}` is a plan, in which every choice is closed"
        raise user_error("E607", message, "give the program instead")
    benchmark = benchmark_of(program, options.benchmark)
    warnings = [diagnostic for diagnostic in program.diagnostics if not diagnostic.is_error]
    if warnings:
        print(rendered(warnings, sys.stderr), file=sys.stderr)
    closed = dict(options.set)
    met = {choice.name: choice for choice in program.choices(options.pipeline, closed)}
    name = find_choice(options.choice, met)
    if name is None:
        raise CompileError([unknown_choice(options.choice, met)])
    optimise = not options.no_optimise
    plans = {
        option: compile_trial(program, benchmark, options.pipeline, None, closed | {name: option}, optimise=optimise)
        for option in met[name].options
    }
    first = next(iter(plans.values()))
    trial = CurveTrial(
        benchmark=benchmark,
        problems=load_problems(benchmark, options.split, options.limit),
        choice=name,
        plans={option: found.pipeline for option, found in plans.items()},
        scoring=open_scoring(benchmark, trust=options.trust),
        judge=first.judge,
        baseline=first.baseline,
        subsets=options.subsets,
    )
    return trial, configuration(options, joined(trial.needed))


async def _measure(options: argparse.Namespace, trial: CurveTrial, config: Config) -> tuple[Curve, Interruption]:
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
        pipelines = [plan for plan in trial.needed if plan is not trial.judge]
        opening = await stack.enter_async_context(opened(pipelines, config, terms, store, judge=trial.judge))
        with draining(trial.drain) as interruption, counting(trial.choice, trial.most_steps) as advance:
            curve = await trial.run(opening, advance)
    return curve, interruption


def _print(curve: Curve) -> None:
    simulated = " (SIMULATED)" if curve.simulated else ""
    title = f"{curve.choice} of {curve.pipeline}{simulated}: {count(len(curve.problems.problems), 'question')}"
    print(folded(f"{title} of {curve.benchmark}", sys.stdout))
    print()
    head = ("", "accuracy", "95 % interval", "more", "95 % interval", "subsets", "calls", "tokens")
    print_table(
        head,
        [_row(point, step) for point, step in zip(curve.points, curve.steps, strict=True)],
        right=range(1, len(head)),
    )
    for note in _notes(curve):
        print(f"\n{folded(note, sys.stdout)}")


def _row(point: CurvePoint, step: tuple[float, Interval] | None) -> tuple[str, ...]:
    accuracy, interval, cost = point.accuracy, point.interval, point.evaluation.cost
    return (
        point.option,
        "—" if accuracy is None else f"{100 * accuracy:.1f} %",
        "—" if interval is None else f"{100 * interval[0]:.1f} … {100 * interval[1]:.1f}",
        "" if step is None else f"{100 * step[0]:+.1f}",
        "" if step is None else f"{100 * step[1][0]:+.1f} … {100 * step[1][1]:+.1f}",
        str(point.subsets),
        str(cost.calls),
        str(cost.tokens),
    )


def _notes(curve: Curve) -> Iterator[str]:
    if len(curve.points) > 1:
        yield "more: points more than the option above, paired by question"
    if any(point.subsets > 1 for point in curve.points):
        yield "subsets: so many sets of the samples of the largest option were scored, at no further call"
    for why in dict.fromkeys(point.alone for point in curve.points if point.alone is not None):
        which = ", ".join(point.option for point in curve.points if point.alone == why)
        yield f"{which}: only the first samples count, since {why}"
    if curve.stopped is not None:
        yield "ended early: the options that were not reached are missing"
