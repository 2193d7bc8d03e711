"""`pnyx export`: a pipeline in the format of another tool."""

from __future__ import annotations

import argparse
import sys
from pathlib import PurePath

from pnyx.cli.failures import EXIT_USER, user_error
from pnyx.cli.files import write_text
from pnyx.cli.plans import pair
from pnyx.cli.terminal import count, rendered
from pnyx.compiler.diagnostics import Diagnostics

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("format", choices=["archon"], help="what to write: archon, a JSON configuration")
    parser.add_argument("file", metavar="FILE", help="a program")
    parser.add_argument("--pipeline", metavar="NAME", help="which pipeline, where the program has several")
    parser.add_argument(
        "--set", metavar="NAME=VALUE", action="append", default=[], type=pair, help="close an open choice"
    )
    parser.add_argument(
        "--model-type",
        metavar="NAME=TYPE",
        action="append",
        default=[],
        type=pair,
        help="Archon's engine for the program's model NAME, where the likely one by its id is wrong",
    )
    parser.add_argument("-o", "--output", metavar="OUT", default="-", help="default: standard output")


def run(options: argparse.Namespace) -> int:
    from pnyx.compiler.archon import export_archon
    from pnyx.compiler.program import Program

    program = Program.load(options.file)
    choices = dict(options.set)
    plan = program.compile(options.pipeline, choices, optimise=False)
    models = {model.name: model.id for model in plan.models}
    name = plan.pipeline if options.output == "-" else PurePath(options.output).stem
    found = Diagnostics()
    text = export_archon(
        program.graph(options.pipeline, choices), models, found, name=name, engines=_engines(options, models)
    )
    if found:
        print(rendered(found.sorted(), sys.stderr), file=sys.stderr)
    if text is None:
        return EXIT_USER
    write_text(options.output, text)
    warned = f", {count(len(found), 'warning')}" if found else ""
    print(f"exported pipeline {plan.pipeline}{warned}", file=sys.stderr)
    return 0


def _engines(options: argparse.Namespace, models: dict[str, str]) -> dict[str, str]:
    from pnyx.compiler.archon.schema import ENGINES
    from pnyx.compiler.nearest import nearest

    engines = dict(options.model_type)
    for name, engine in engines.items():
        if name not in models:
            listed = ", ".join(f"`{known}`" for known in models)
            raise user_error("E624", f"the pipeline has no model `{name}`", f"it has {listed}")
        if engine not in ENGINES:
            likely = nearest(engine, ENGINES)
            way_out = f"did you mean `{likely}`?" if likely else f"the engines are {', '.join(ENGINES)}"
            raise user_error("E624", f"`{engine}` is no `model_type`", way_out)
    return engines
