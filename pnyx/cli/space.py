"""`pnyx explain --space`: the open choices of pipelines, how many points they make, and what a question would take."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pnyx.cli.bindings import configuration
from pnyx.cli.failures import user_error
from pnyx.cli.plans import load_program
from pnyx.cli.tables import fits, print_table
from pnyx.cli.terminal import count, folded, rendered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pnyx.compiler.declarations import Search
    from pnyx.compiler.limits import Limits
    from pnyx.compiler.plan import Plan, PlanModel
    from pnyx.compiler.program import Program
    from pnyx.runtime.search.space import Parameter
    from pnyx.runtime.search.spaces.census import Census
    from pnyx.runtime.search.spaces.program_space import ProgramSpace

__all__ = ["print_space"]

_HEAD = ("choice", "options", "met", "at")
_SHOWN_OPTIONS = 12


def print_space(options: argparse.Namespace) -> int:
    from pnyx.runtime.search.spaces.census import census_of, to_data

    program = load_program(options)
    if program is None:
        raise user_error("E607", f"`{options.file}` is a plan: its choices are closed", "give the program instead")
    if options.set or options.no_optimise:
        raise user_error("E607", "`--set` and `--no-optimise` say nothing of a space", "leave them out")
    space = _space(options, program)
    census = census_of(space)
    if options.json:
        print(json.dumps(to_data(space, census), indent=1, ensure_ascii=False))
        return 0
    warnings = [diagnostic for diagnostic in program.diagnostics if not diagnostic.is_error]
    if warnings:
        print(rendered(warnings, sys.stderr), file=sys.stderr)
    print(folded(_title(space), sys.stdout))
    if space.parameters:
        print()
        _print_choices(space, census)
    print()
    for line in _facts(space, census):
        print(folded(line, sys.stdout))
    return 0


def _space(options: argparse.Namespace, program: Program) -> ProgramSpace:
    from pnyx.compiler.limits import NO_LIMITS
    from pnyx.compiler.trials import search_of
    from pnyx.runtime.engines.open import describe_models
    from pnyx.runtime.search.spaces.program_space import ProgramSpace

    declared: Search | None = None
    if options.search is not None or (options.pipeline is None and len(program.pipelines) != 1):
        declared = search_of(program, options.search)
    first = program.compile(options.pipeline if declared is None or options.pipeline else declared.pipelines[0])
    pipelines = (first.pipeline,) if declared is None or options.pipeline else declared.pipelines
    limits: Limits = declared.per_query if declared is not None else NO_LIMITS
    config = configuration(options, first)

    def models(plan: Plan) -> tuple[PlanModel, ...]:
        return describe_models(plan, config)

    return ProgramSpace(program, pipelines, limits=limits, models=models)


def _title(space: ProgramSpace) -> str:
    word = "pipeline" if len(space.pipelines) == 1 else "pipelines"
    return f"{word} {', '.join(space.pipelines)} of {space.program.source.name}"


def _print_choices(space: ProgramSpace, census: Census) -> None:
    rows = [(p.name, ", ".join(_options(p)), _met(census, p.name), _place(space, p)) for p in space.parameters]
    head: Sequence[str] = _HEAD
    table: list[tuple[str, ...]] = list(rows)
    if not fits(head, table):  # where it stands is left out
        head, table = head[:-1], [row[:-1] for row in table]
    print_table(head, table)


def _options(parameter: Parameter) -> Iterator[str]:
    for index, option in enumerate(parameter.options):
        if index < _SHOWN_OPTIONS or index == parameter.default:
            yield f"{option} (default)" if index == parameter.default else option
        elif index == _SHOWN_OPTIONS:
            yield "…"


def _met(census: Census, name: str) -> str:
    conditions = census.met[name]
    if not conditions:
        return "always"
    return " and ".join(f"{c.name} = {' or '.join(c.options)}" for c in conditions)


def _place(space: ProgramSpace, parameter: Parameter) -> str:
    return space.place(parameter) or ""


def _facts(space: ProgramSpace, census: Census) -> Iterator[str]:
    size = census.size
    about = "" if size.exact else "about "
    yield f"{about}{_points(size.points)}{'' if space.parameters else ': nothing is open'}"
    estimated = "" if census.looked_at == size.points else f" (estimated from {count(census.looked_at, 'point')})"
    for limit, many in census.pruned.items():
        amount = getattr(space.limits, limit)
        allowed = f"{amount:,.15g} {limit}" if amount is not None else f"{limit} of the pipeline"
        yield f"  {_points(many)} pruned{estimated}: at the very least they take more than the limit of {allowed}"
    if census.unfit:
        yield f"  {_points(census.unfit)} have choices that do not go together{estimated}: {census.reason}"
    if census.pruned or census.unfit:
        yield f"  {_points(census.feasible)} left{estimated}"
    if census.costs:
        yield "one question is predicted to take"
        for kind, (low, high) in census.costs.items():
            if high:
                yield f"  {_between(kind, low, high)}"


def _points(number: float) -> str:
    from pnyx.compiler.cost.interval import show_number

    return count(round(number), "point") if number < 100_000 else f"{show_number(number)} points"


def _between(kind: str, low: float, high: float) -> str:
    from pnyx.compiler.cost.interval import show_number

    least, most = show_number(low), show_number(high)
    shown = least if least == most else f"{least} to {most}"
    return {"money": f"${shown}", "flops": f"{shown} FLOPs"}.get(kind, f"{shown} {kind}")
