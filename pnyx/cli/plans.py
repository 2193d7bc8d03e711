"""A plan from what the user names: a program to compile, or a plan file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pnyx.cli.failures import user_error
from pnyx.cli.files import read_text
from pnyx.cli.terminal import rendered

if TYPE_CHECKING:
    from pnyx.compiler.plan import Plan
    from pnyx.compiler.program import Program

__all__ = ["add_plan_arguments", "load_plan", "load_program", "pair"]


def add_plan_arguments(parser: argparse.ArgumentParser, *, plans: bool = True) -> None:
    """`plans`: whether a plan file will do."""
    or_plan = ", or a plan written by `pnyx compile`" if plans else ""
    parser.add_argument("file", metavar="FILE", help=f"a program{or_plan}")
    parser.add_argument("--pipeline", metavar="NAME", help="which pipeline, where the program has several")
    parser.add_argument(
        "--set",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        type=pair,
        help="close an open choice, one that `explain` lists; may be repeated",
    )
    parser.add_argument("--no-optimise", action="store_true", help="compile without the optimising passes")


def pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (equals and name.strip()):
        raise argparse.ArgumentTypeError(f"`{text}` is not NAME=VALUE")
    return name.strip(), value.strip()


def load_program(options: argparse.Namespace) -> Program | None:
    """The program of the arguments; None where they name a plan file."""
    if options.file.endswith(".json"):
        return None
    from pnyx.compiler.program import Program

    return Program.load(Path(options.file))


def load_plan(options: argparse.Namespace, program: Program | None = None) -> Plan:
    """Raises CompileError for everything that is wrong with the program or the plan file; prints warnings."""
    program = program or load_program(options)
    if program is None:
        return _read_plan(options)
    plan = program.compile(options.pipeline, dict(options.set), optimise=not options.no_optimise)
    warnings = [diagnostic for diagnostic in program.diagnostics if not diagnostic.is_error]
    if warnings:
        print(rendered(warnings, sys.stderr), file=sys.stderr)
    return plan


def _read_plan(options: argparse.Namespace) -> Plan:
    from pnyx.compiler.plan import Plan, PlanError

    try:
        plan = Plan.from_json(read_text(options.file))
    except PlanError as error:
        way_out = "write it again with `pnyx compile PROGRAM -o PLAN`"
        raise user_error("E607", f"`{options.file}` is not a usable plan: {error}", way_out) from None
    if options.set or options.no_optimise:
        raise user_error("E607", f"`{options.file}` is a plan: its choices are closed", "give the program instead")
    if options.pipeline not in (None, plan.pipeline):
        raise user_error("E603", f"`{options.file}` is a plan of the pipeline `{plan.pipeline}`")
    return plan
