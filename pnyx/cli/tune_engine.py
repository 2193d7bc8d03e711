"""`pnyx tune-engine`: the settings of engines with which a pipeline is fastest on this machine."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pnyx.cli.bindings import add_binding_arguments, configuration
from pnyx.cli.failures import located, user_error
from pnyx.cli.files import check_writable, open_binary
from pnyx.cli.interruptions import Interruption, draining
from pnyx.cli.plans import add_plan_arguments, load_plan, load_program
from pnyx.cli.running import add_seed_and_trust, chosen_seed, positive
from pnyx.cli.summary import print_simulated
from pnyx.cli.terminal import count, rendered
from pnyx.cli.tuning_tables import print_tuning
from pnyx.cli.tuning_toml import toml_lines, write_toml

if TYPE_CHECKING:
    from pnyx.compiler.program import Program
    from pnyx.runtime.results import ErrorRecord
    from pnyx.runtime.rows import Row
    from pnyx.runtime.search.engine_tuning.trials import TuningReport
    from pnyx.runtime.search.engine_tuning.tuning import Tuning

__all__ = ["add_arguments", "run"]

_FAULTS_SHOWN = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_plan_arguments(parser)
    add_binding_arguments(parser)
    add_seed_and_trust(parser)
    parser.add_argument("--rows", metavar="ROWS", help='questions: a file of lines {"question": "…"}')
    parser.add_argument("--field", metavar="NAME", help="the field of a row that holds the question")
    parser.add_argument("--benchmark", metavar="NAME", help="questions: those of this benchmark of the program")
    parser.add_argument("--limit", metavar="N", type=positive, help="only N of the questions")
    parser.add_argument(
        "--budget", metavar="TIME", type=_seconds, default=600.0, help="the time it may take; default: 10 min"
    )
    parser.add_argument("--dtypes", action="store_true", help="try other number formats too: they change answers")
    parser.add_argument("--write", action="store_true", help="put what is clearly faster into pnyx.toml")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def _seconds(text: str) -> float:
    from pnyx.runtime.budgets import Limits, parse_limits

    try:
        limits = parse_limits([text])
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if limits.seconds is None or limits != Limits(seconds=limits.seconds):
        raise argparse.ArgumentTypeError(f"`{text}` is no time; write `10 min`")
    return limits.seconds


def run(options: argparse.Namespace) -> int:
    tuning, target = _prepare(options)
    report, interruption = asyncio.run(_tune(tuning))
    if report is not None:
        _print(options, report, target)
    if interruption.number:
        print("interrupted", file=sys.stderr)
        return interruption.exit
    if report is not None and report.stopped is not None:
        raise report.stopped
    return 0


def _prepare(options: argparse.Namespace) -> tuple[Tuning, Path]:
    """Everything that can be wrong before an engine is opened; and the file that settings would go into."""
    from pnyx.runtime.config import FILE_NAME, find_config
    from pnyx.runtime.engines.open import open_engines
    from pnyx.runtime.externs import load_externs
    from pnyx.runtime.models.packages import require
    from pnyx.runtime.search.engine_tuning.measurement import Subject
    from pnyx.runtime.search.engine_tuning.tuning import Terms, Tuning

    program = load_program(options)
    plan = load_plan(options, program)
    config = configuration(options, plan)
    found = Path(options.config) if options.config else find_config(Path(options.file))
    target = found or Path(options.file).with_name(FILE_NAME)
    if options.write:
        require(("tomlkit",), "`--write`", extra="search")
        check_writable(target)
    subject = Subject(
        plan=plan,
        questions=_questions(options, program),
        seed=chosen_seed(options, config),
        opening=partial(open_engines, plan, engine=options.engine),
        externs=load_externs(plan, trust=options.trust),
    )
    terms = Terms(seconds=options.budget, engine=options.engine, dtypes=options.dtypes)
    return Tuning(subject, config, terms, _say), target


def _questions(options: argparse.Namespace, program: Program | None) -> list[Row]:
    """Raises CompileError where there are none (E690), and what a benchmark cannot give."""
    from pnyx.compiler.trials import benchmark_of
    from pnyx.runtime.benchmarks import load_problems
    from pnyx.runtime.results import ErrorRecord
    from pnyx.runtime.rows import Row, read_rows

    if options.rows is not None:
        with open_binary(options.rows) as stream:
            read = list(read_rows(stream, field=options.field))
        faults = [row.question for row in read if isinstance(row.question, ErrorRecord)]
        rows = [row for row in read if not isinstance(row.question, ErrorRecord)][: options.limit]
        _print_faults(faults)
        if not rows:
            raise user_error("E690", f"`{options.rows}` has no question that can be asked", 'write `{"question": "…"}`')
        return rows
    if program is None or not (options.benchmark or program.benchmarks):
        what = f"`{options.file}` is a plan" if program is None else "the program has no benchmark"
        help = 'give some of your own with `--rows FILE`, a line `{"question": "…"}` each'
        raise user_error("E690", f"there are no questions to measure with: {what}", help)
    problems = load_problems(benchmark_of(program, options.benchmark), "all", options.limit)
    return [Row(line, problem.asked) for line, problem in enumerate(problems.problems, 1)]


def _print_faults(faults: Sequence[ErrorRecord]) -> None:
    shown = [located(f.code, f.message, f.place, f.help) for f in faults[:_FAULTS_SHOWN]]
    if shown:
        print(rendered(shown, sys.stderr), file=sys.stderr)
    if len(faults) > _FAULTS_SHOWN:
        print(f"{count(len(faults) - _FAULTS_SHOWN, 'more row')} cannot be used either", file=sys.stderr)


def _say(setting: str, rate: float, ratio: float | None) -> None:
    figures = "failed" if ratio is None else f"{rate:.4g} tokens/s, {ratio:.2f} × the default"
    print(f"{setting}: {figures}", file=sys.stderr, flush=True)


async def _tune(tuning: Tuning) -> tuple[TuningReport | None, Interruption]:
    with draining(tuning.stop) as interruption:
        report = await tuning.run()
    return report, interruption


def _print(options: argparse.Namespace, report: TuningReport, target: Path) -> None:
    lines = toml_lines(report.best.changes) if report.best is not None and report.verdict == "faster" else ""
    if options.json:
        print(json.dumps(report.to_data() | {"toml": lines}, indent=1, ensure_ascii=False))
    else:
        print_tuning(report)
        if lines:
            print(f"\n{lines}", end="")
    sys.stdout.flush()
    if report.simulated:
        print_simulated()
    if options.write:
        if lines and report.best is not None:
            write_toml(target, report.best.changes)
        print(f"written to {target}" if lines else f"{target} stays as it is", file=sys.stderr)
