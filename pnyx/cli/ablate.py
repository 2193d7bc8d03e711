"""`pnyx ablate`: what each part of a pipeline earns, measured by leaving it out."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pnyx.cli.ablation_tables import markdown, print_ablation
from pnyx.cli.bench import exit_of, print_problems
from pnyx.cli.bindings import configuration
from pnyx.cli.failures import located, user_error
from pnyx.cli.files import check_writable, write_text
from pnyx.cli.interruptions import Interruption, draining
from pnyx.cli.limits import budget, query_limits, store_of
from pnyx.cli.plans import load_program
from pnyx.cli.progress import counting, passing
from pnyx.cli.running import add_running_arguments, chosen_seed, positive
from pnyx.cli.summary import print_simulated
from pnyx.cli.terminal import count, rendered

if TYPE_CHECKING:
    from pnyx.compiler.plan import Plan
    from pnyx.runtime.benchmarks import Outcome, Watch
    from pnyx.runtime.config import Config
    from pnyx.runtime.search.ablation import Ablation, AblationReport

__all__ = ["add_arguments", "run"]

_FAULTS_SHOWN = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_running_arguments(parser, plans=False)
    parser.add_argument("--benchmark", metavar="NAME", help="which benchmark, where the program has several")
    parser.add_argument(
        "--only",
        choices=("without", "fewer", "replaced"),
        action="append",
        help="only parts left out, only fewer samples and rounds, or only other models; may be repeated",
    )
    parser.add_argument(
        "--split",
        choices=("search", "held-out", "all"),
        default="all",
        help="the questions that a search may see, those that it may not, or all; default: all",
    )
    parser.add_argument("--limit", metavar="N", type=positive, help="only N of the questions")
    parser.add_argument("--window", metavar="N", type=positive, help="questions in flight at once")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("-o", "--output", metavar="OUT", help="write the report as Markdown")


def run(options: argparse.Namespace) -> int:
    ablation, config = _prepare(options)
    print_problems(ablation.problems)
    report, interruption = asyncio.run(_ablate(options, ablation, config))
    if options.output:
        write_text(options.output, markdown(report))
    if options.json:
        print(json.dumps(report.to_data(), indent=1, ensure_ascii=False))
    else:
        print_ablation(report)
    sys.stdout.flush()
    if report.simulated:
        print_simulated()
    outcomes = [outcome for evaluation in report.evaluations for outcome in evaluation.outcomes]
    _print_failures(outcomes)
    if interruption.number:
        kept = "" if options.store == "none" else "; what was asked is in the call store, and the same command goes on"
        print(f"interrupted{kept}", file=sys.stderr)
        return interruption.exit
    if report.stopped is not None:
        raise report.stopped
    return exit_of(outcomes, report.problems)


def _prepare(options: argparse.Namespace) -> tuple[Ablation, Config]:
    """Everything that can be wrong before an engine is opened."""
    from pnyx.compiler.ablations import ablations
    from pnyx.compiler.trials import benchmark_of
    from pnyx.runtime.benchmarks import joined
    from pnyx.runtime.search.ablation import ablation_of

    if options.output:
        check_writable(Path(options.output))
    program = load_program(options)
    if program is None:
        raise user_error("E607", f"`{options.file}` is a plan: its parts have no names", "give the program instead")
    benchmark = benchmark_of(program, options.benchmark)
    warnings = [diagnostic for diagnostic in program.diagnostics if not diagnostic.is_error]
    if warnings:
        print(rendered(warnings, sys.stderr), file=sys.stderr)
    found = ablations(
        program, options.pipeline, dict(options.set), kinds=options.only, optimise=not options.no_optimise
    )
    ablation = ablation_of(program, benchmark, found, split=options.split, limit=options.limit, trust=options.trust)
    return ablation, configuration(options, joined(ablation.plans))


async def _ablate(
    options: argparse.Namespace, ablation: Ablation, config: Config
) -> tuple[AblationReport, Interruption]:
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
        with passing("opening the engine …"):
            opening = opened(ablation.pipelines, config, terms, store, judge=ablation.judge)
            opener = await stack.enter_async_context(opening)
        with draining(ablation.drain) as interruption, counting(ablation.benchmark.name, ablation.steps) as advance:
            report = await ablation.run(opener, _watching(advance))
    return report, interruption


def _watching(advance: Callable[[str], None]) -> Watch:
    def watch(plan: Plan, *, judge: bool, mean: float | None) -> None:
        who = "judging" if judge else plan.pipeline
        advance(who if mean is None else f"{who} {mean:.1%}")

    return watch


def _print_failures(outcomes: list[Outcome]) -> None:
    """Why questions were not scored or not answered, once for each reason."""
    errors = [replace(o.error, place=o.error.place or o.problem.place) for o in outcomes if o.error is not None]
    times = Counter((error.code, error.message) for error in errors)
    first = {(error.code, error.message): error for error in reversed(errors)}
    shown = []
    for reason, many in times.most_common(_FAULTS_SHOWN):
        error = first[reason]
        more = f"; and {count(many - 1, 'other')} like it" if many > 1 else ""
        shown.append(located(error.code, error.message + more, error.place, error.help))
    if shown:
        print(rendered(shown, sys.stderr), file=sys.stderr)
