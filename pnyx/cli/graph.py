"""`pnyx graph`: a pipeline as a picture."""

from __future__ import annotations

import argparse
from pathlib import PurePath

from pnyx.cli.bindings import add_binding_arguments, configuration, with_facts
from pnyx.cli.files import write_text
from pnyx.cli.plans import add_plan_arguments, load_plan
from pnyx.cli.profiles import load_profile, profile_path

__all__ = ["add_arguments", "run"]

_FORMATS = ("mermaid", "svg", "html")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_plan_arguments(parser)
    add_binding_arguments(parser)
    parser.add_argument("--format", choices=_FORMATS, help="default: by the name of the output, else mermaid")
    parser.add_argument("-o", "--output", metavar="OUT", default="-", help="default: standard output")


def run(options: argparse.Namespace) -> int:
    from pnyx.compiler import draw
    from pnyx.compiler.cost import estimate

    plan = load_plan(options)
    config = configuration(options, plan)
    report = estimate(with_facts(plan, config), load_profile(profile_path(options, plan, config)))
    suffix = PurePath(options.output).suffix.removeprefix(".").lower()
    match options.format or (suffix if suffix in _FORMATS else "mermaid"):
        case "svg":
            picture = draw.svg(plan, report)
        case "html":
            picture = draw.html(plan, report)
        case _:
            picture = draw.mermaid(plan, report)
    write_text(options.output, picture if picture.endswith("\n") else f"{picture}\n")
    return 0
