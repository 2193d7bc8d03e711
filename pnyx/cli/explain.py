"""`pnyx explain`: what a pipeline will cost, node by node, before it runs; with `--space` its open choices."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from pnyx.cli.bindings import add_binding_arguments, configuration, with_facts
from pnyx.cli.plans import add_plan_arguments, load_plan, load_program
from pnyx.cli.profiles import load_profile, profile_path
from pnyx.cli.tables import fits, print_table
from pnyx.cli.terminal import count, folded

if TYPE_CHECKING:
    from pnyx.compiler.cost import CostReport, Profile
    from pnyx.compiler.plan import Plan
    from pnyx.compiler.program import Program

__all__ = ["add_arguments", "run"]

_FIRST_FIGURE = 3  # what stands in the columns before is text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_plan_arguments(parser)
    add_binding_arguments(parser)
    parser.add_argument("--space", action="store_true", help="show the open choices and how many points they make")
    parser.add_argument("--search", metavar="NAME", help="with `--space`: the pipelines and limits of this search")
    parser.add_argument("--json", action="store_true", help="print the estimates as JSON")


def run(options: argparse.Namespace) -> int:
    if options.space or options.search is not None:
        from pnyx.cli.space import print_space

        return print_space(options)
    from pnyx.compiler.cost import estimate, to_json

    program = load_program(options)
    plan = load_plan(options, program)
    config = configuration(options, plan)
    profile = load_profile(profile_path(options, plan, config))
    report = estimate(with_facts(plan, config), profile)
    choices = _choices(plan, program)
    if options.json:
        listed = [{"name": name, "value": plan.choices[name], "options": list(known)} for name, known in choices]
        print(json.dumps(to_json(plan, report) | {"choices": listed}, indent=1, ensure_ascii=False))
        return 0
    head = f"pipeline {plan.pipeline} of {plan.source}, per question; plan {plan.digest[:12]}"
    print(f"{folded(head, sys.stdout)}\n")
    _print_costs(plan, report)
    _print_choices(plan, choices)
    print(f"\n{folded(_basis(report, profile), sys.stdout)}")
    return 0


def _print_costs(plan: Plan, report: CostReport) -> None:
    from pnyx.compiler.cost import COLUMNS, explain_rows, telling_columns

    rows = explain_rows(plan, report)
    telling = telling_columns(rows)
    head = [COLUMNS[i] for i in telling]
    table = [[row.cells[i] for i in telling] for row in rows]
    figures = [at for at, i in enumerate(telling) if i >= _FIRST_FIGURE]
    shown = table
    if not (whole := fits(head, table)):  # only what is expected
        shown = [[*row[: figures[0]], *(_split(cell)[0] for cell in row[figures[0] :])] for row in table]
    if not fits(head, shown):  # what the candidates have is left out
        gives = COLUMNS.index("gives")
        shown = [[*row[:gives], row[gives].partition("{")[0], *row[gives + 1 :]] for row in shown]
    print_table(head, shown, right=figures, last_is_total=True)
    bounds = [f"{head[at]} {between}" for at in figures if (between := _split(table[-1][at])[1])]
    if bounds:
        words = "expected (least–most)" if whole else f"in all, least to most: {', '.join(bounds)}"
        print(f"\n{folded(words, sys.stdout)}")


def _split(figure: str) -> tuple[str, str]:
    """`5 (2–8)` as `5` and `2–8`."""
    expected, _, bounds = figure.partition(" (")
    return expected, bounds.removesuffix(")")


def _choices(plan: Plan, program: Program | None) -> list[tuple[str, tuple[str, ...]]]:
    """The choices of the plan with their options, which a plan file no longer knows."""
    known = {choice.name: choice.options for choice in program.choices(plan.pipeline, plan.choices)} if program else {}
    return [(name, known.get(name, ())) for name in plan.choices]


def _print_choices(plan: Plan, choices: list[tuple[str, tuple[str, ...]]]) -> None:
    if not choices:
        return
    print("\nchoices")
    width = max(len(name) for name, _ in choices)
    for name, options in choices:
        among = f"   of {', '.join(options)}" if options else ""
        print(folded(f"  {name:<{width}} = {plan.choices[name]}{among}", sys.stdout, indent=" " * (width + 5)))
    if any(options for _, options in choices):
        print("  `--set NAME=VALUE` closes one")


def _basis(report: CostReport, profile: Profile) -> str:
    if report.measured:
        return f"lengths as measured in former runs ({count(profile.question.examples, 'question')})"
    return "nothing measured yet: lengths are assumed until `pnyx map` or `pnyx run` has run this program"
