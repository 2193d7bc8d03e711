"""`pnyx compile`: a pipeline as a plan file."""

from __future__ import annotations

import argparse

from pnyx.cli.files import write_text
from pnyx.cli.plans import add_plan_arguments, load_plan

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_plan_arguments(parser)
    parser.add_argument("-o", "--output", metavar="PLAN", default="-", help="default: standard output")


def run(options: argparse.Namespace) -> int:
    write_text(options.output, load_plan(options).to_json())
    return 0
