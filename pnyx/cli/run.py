"""`pnyx run`: one question, one answer."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import Counter
from time import perf_counter
from typing import TYPE_CHECKING, Any

from pnyx.cli.bindings import configuration
from pnyx.cli.failures import exit_code, located, user_error
from pnyx.cli.files import check_writable, read_text
from pnyx.cli.plans import load_plan
from pnyx.cli.profiles import add_to_profile, profile_path
from pnyx.cli.running import add_running_arguments, open_session
from pnyx.cli.summary import print_line, print_simulated
from pnyx.cli.terminal import rendered
from pnyx.cli.tracing import add_trace_argument, recording, trace_path

if TYPE_CHECKING:
    from pnyx.compiler.cost import Profile
    from pnyx.compiler.plan import Plan
    from pnyx.runtime.config import Config
    from pnyx.runtime.results import Result

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_running_arguments(parser)
    add_trace_argument(parser)
    parser.add_argument(
        "question",
        metavar="QUESTION",
        nargs="*",
        action=_OneQuestion,
        default="-",
        help="in quotes; without it, or `-`: standard input",
    )
    parser.add_argument("--json", action="store_true", help="print the whole result as JSON")
    parser.add_argument("--candidates", action="store_true", help="print all candidates of the final pool")


class _OneQuestion(argparse.Action):
    """Takes the words of a question without quotes together, to say what is wrong."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, *_: object) -> None:
        if isinstance(values, list) and len(values) > 1:
            parser.error(f"one question is expected; put it in quotes: '{' '.join(values)}'")
        namespace.question = values[0] if isinstance(values, list) and values else "-"


def run(options: argparse.Namespace) -> int:
    from pnyx.compiler.cost import Profile
    from pnyx.runtime.results import Summary

    plan = load_plan(options)
    config = configuration(options, plan)
    question = _question(options)
    if (trace := trace_path(options)) is not None:
        check_writable(trace)
    measured = Profile()
    started = perf_counter()
    result = asyncio.run(_answer(options, plan, config, question, measured))
    seconds = perf_counter() - started
    summary = Summary()
    summary.add(result)
    add_to_profile(profile_path(options, plan, config), measured)
    if options.json:
        print(result.to_json())
    elif options.candidates:
        _print_candidates(result)
    elif result.answer is not None:
        print(result.answer)
    sys.stdout.flush()
    if result.simulated:
        print_simulated()
    if result.error is not None:
        error = result.error
        shown = located(error.code, error.message, error.place, error.help)
        print(rendered([shown], sys.stderr), file=sys.stderr)
    print_line(summary, Counter(failure.node for failure in result.failures), seconds)
    if result.error is None:
        return 0
    return exit_code(result.error.code)


def _question(options: argparse.Namespace) -> str:
    if options.question != "-":
        return str(options.question)
    if sys.stdin.isatty():
        print("the question, then Ctrl-D:", file=sys.stderr)
    text = read_text("-").strip()
    if not text:
        raise user_error("R803", "the question is empty", "give it as an argument or on standard input")
    return text


async def _answer(options: argparse.Namespace, plan: Plan, config: Config, question: str, measured: Profile) -> Result:
    async with open_session(options, plan, config, measured) as session:
        with recording(options, plan, config, session) as recorded:
            result = await session.run(question)
            if recorded is not None:
                recorded.add(result)
            return result


def _print_candidates(result: Result) -> None:
    for number, candidate in enumerate(result.candidates, 1):
        fields = "  ".join(f"{name}={value}" for name, value in candidate.items() if name != "text")
        print(f"[{number}] {fields}\n{candidate.get('text', '')}\n")
