"""`pnyx search`: the choices of a program that do best on a benchmark, within a budget."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pnyx.cli.bench import print_problems
from pnyx.cli.failures import EXIT_BUDGET, EXIT_ENGINE, exit_code, user_error
from pnyx.cli.files import check_writable
from pnyx.cli.interruptions import Interruption, draining
from pnyx.cli.limits import budget, query_limits, store_of
from pnyx.cli.plans import load_program
from pnyx.cli.progress import passing
from pnyx.cli.running import add_asking_arguments, positive
from pnyx.cli.search_tables import print_result
from pnyx.cli.searching import watching
from pnyx.cli.summary import print_simulated
from pnyx.cli.terminal import folded, rendered

if TYPE_CHECKING:
    from pnyx.runtime.config import Config
    from pnyx.runtime.search.outputs import Outputs
    from pnyx.runtime.search.results import SearchResult
    from pnyx.runtime.search.subject import Subject

__all__ = ["add_arguments", "run"]

_ALGORITHMS = ("rms", "tpe", "random", "grid")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a program that declares a search")
    parser.add_argument("name", metavar="NAME", nargs="?", help="which search, where the program has several")
    add_asking_arguments(parser)
    parser.add_argument("--window", metavar="N", type=positive, help="questions in flight of one configuration")
    parser.add_argument("--algorithm", choices=_ALGORITHMS, help="in place of the one that the program says")
    parser.add_argument(
        "--try",
        dest="tried",
        metavar="NAME=VALUE,…",
        action="append",
        default=[],
        type=assignment,
        help="choices to ask first: `--try n=4,temperature=0.7`; may be repeated",
    )
    parser.add_argument(
        "--storage",
        metavar="PLACE",
        help="where the search is kept: a file, `journal:FILE`, or a PostgreSQL address; default: beside the program",
    )
    parser.add_argument("--join", action="store_true", help="take part in a search that another process has begun")
    parser.add_argument("--new", action="store_true", help="begin another search of this name")
    parser.add_argument("--report", metavar="FOLDER", help="for the winner, its plan and the report")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def assignment(text: str) -> dict[str, object]:
    """`n=4,models=[a, b]`: commas within brackets or quotes belong to a value."""
    parts, depth, quoted = [""], 0, False
    for character in text:
        quoted ^= character == '"'
        depth += (character in "[(") - (character in "])") if not quoted else 0
        if character == "," and depth == 0 and not quoted:
            parts.append("")
        else:
            parts[-1] += character
    said: dict[str, object] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if not (equals and name.strip() and value.strip()):
            raise argparse.ArgumentTypeError(f"`{part.strip()}` is not NAME=VALUE")
        if name.strip() in said:
            raise argparse.ArgumentTypeError(f"`{name.strip()}` is said twice")
        said[name.strip()] = value.strip()
    return said


def run(options: argparse.Namespace) -> int:
    from pnyx.runtime.search import require_packages

    require_packages()
    from pnyx.runtime.search.outputs import default_folder, write_outputs

    subject, config = _prepare(options)
    name = subject.declared.name
    folder = Path(options.report) if options.report else default_folder(Path(options.file), name)
    check_writable(folder / "result.json")
    print_problems(subject.problems)
    result, interruption = asyncio.run(_search(options, subject, config))
    outputs = write_outputs(result, subject, folder)
    _print(options, result, outputs)
    if interruption.number:
        print(f"interrupted; {_how_to_go_on(options)}", file=sys.stderr)
        return interruption.exit
    return 0 if result.best is not None else EXIT_BUDGET


def _prepare(options: argparse.Namespace) -> tuple[Subject, Config]:
    """Everything that can be wrong before an engine is opened."""
    from pnyx.compiler.trials import search_of
    from pnyx.runtime.config import load_config, override
    from pnyx.runtime.engines.open import describe_models
    from pnyx.runtime.search.subject import Wishes, subject_of

    program = load_program(options)
    if program is None:
        raise user_error("E607", f"`{options.file}` is a plan, and a plan has no choices", "give the program instead")
    declared = search_of(program, options.name)
    warnings = [diagnostic for diagnostic in program.diagnostics if not diagnostic.is_error]
    if warnings:
        print(rendered(warnings, sys.stderr), file=sys.stderr)
    config = load_config(Path(options.config) if options.config else None, near=Path(options.file))
    config = override(config, options.model, known=program.models)
    wishes = Wishes(
        budget=budget(options),
        per_query=query_limits(options),
        algorithm=options.algorithm,
        seed=options.seed,
        tried=tuple(options.tried),
    )
    return subject_of(program, declared, wishes, lambda plan: describe_models(plan, config)), config


async def _search(options: argparse.Namespace, subject: Subject, config: Config) -> tuple[SearchResult, Interruption]:
    from pnyx.runtime.errors import RuntimeFailure
    from pnyx.runtime.search.course import Manner, opened_course
    from pnyx.runtime.search.outputs import default_place

    manner = Manner(
        place=options.storage or default_place(Path(options.file), subject.declared.name),
        engine=options.engine,
        window=options.window or config.run.window,
        trust=options.trust,
        new=options.new,
        join=options.join,
    )
    async with AsyncExitStack() as stack:
        with passing("opening the engine …"):
            opening = opened_course(subject, manner, config, partial(store_of, options, config))
            course = await stack.enter_async_context(opening)
        with draining(course.drain) as interruption, watching(subject) as watch:
            try:
                result = await course.run(watch)
            except RuntimeFailure as failure:
                if exit_code(failure.code) == EXIT_ENGINE:
                    print(_how_to_go_on(options), file=sys.stderr)
                raise
    return result, interruption


def _print(options: argparse.Namespace, result: SearchResult, outputs: Outputs) -> None:
    if options.json:
        print(json.dumps(result.to_data(), indent=1, ensure_ascii=False))
    else:
        print_result(result)
        written = (outputs.program, outputs.plan, outputs.result, outputs.markdown, outputs.page)
        names = ", ".join(path.name for path in written if path is not None)
        print(folded(f"\nin {outputs.folder}: {names}", sys.stdout))
    sys.stdout.flush()
    if result.simulated:
        print_simulated()


def _how_to_go_on(options: argparse.Namespace) -> str:
    return "what was done is kept, and the same command goes on" + (" without `--new`" if options.new else "")
