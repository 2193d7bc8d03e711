"""`pnyx explain`: what a pipeline will cost, node by node, before it runs."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from pnyx.cli.bindings import add_binding_arguments, configuration, with_facts
from pnyx.cli.plans import add_plan_arguments, load_plan, load_program
from pnyx.cli.profiles import load_profile, profile_path
from pnyx.cli.tables import print_table

if TYPE_CHECKING:
    from pnyx.compiler.cost import CostReport, Profile
    from pnyx.compiler.plan import Plan
    from pnyx.compiler.program import Program

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_plan_arguments(parser)
    add_binding_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the estimates as JSON")


def run(options: argparse.Namespace) -> int:
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
    print(f"pipeline {plan.pipeline} of {plan.source}, per question; plan {plan.digest[:12]}\n")
    _print_costs(plan, report)
    _print_choices(plan, choices)
    print(f"\n{_basis(report, profile)}")
    return 0


def _print_costs(plan: Plan, report: CostReport) -> None:
    from pnyx.compiler.cost import COLUMNS, explain_rows

    rows = [row.cells for row in explain_rows(plan, report)]
    # A column that says nothing (no prices, no sizes) only takes room.
    telling = [i for i in range(len(COLUMNS)) if any(cells[i] not in ("", "—") for cells in rows)]
    print_table(
        [COLUMNS[i] for i in telling],
        [[cells[i] for i in telling] for cells in rows],
        right=[at for at, i in enumerate(telling) if i >= 3],
        last_is_total=True,
    )


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
        print(f"  {name:<{width}} = {plan.choices[name]}{among}")
    if any(options for _, options in choices):
        print("  `--set NAME=VALUE` closes one")


def _basis(report: CostReport, profile: Profile) -> str:
    if report.measured:
        return f"lengths as measured in former runs ({profile.question.examples} questions)"
    return "nothing measured yet: lengths are assumed until `pnyx map` or `pnyx run` has run this program"
