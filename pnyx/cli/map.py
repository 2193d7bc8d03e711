"""`pnyx map`: every row of a JSONL file, in order, streaming."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, BinaryIO, TextIO

from pnyx.cli.bindings import configuration, with_facts
from pnyx.cli.failures import EXIT_ENGINE, EXIT_USER, user_error
from pnyx.cli.files import check_writable, named, open_binary, write_text
from pnyx.cli.plans import load_plan
from pnyx.cli.profiles import add_to_profile, load_profile, profile_path
from pnyx.cli.progress import counting
from pnyx.cli.running import add_running_arguments, open_session, positive
from pnyx.cli.summary import print_simulated, print_summary
from pnyx.cli.terminal import count, interactive

if TYPE_CHECKING:
    from pnyx.compiler.cost import Profile
    from pnyx.compiler.plan import Plan
    from pnyx.runtime.config import Config
    from pnyx.runtime.results import Result, Summary

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_running_arguments(parser)
    parser.add_argument("rows", metavar="ROWS", help='a file of lines {"question": "…"}; `-`: standard input')
    parser.add_argument("-o", "--output", metavar="OUT", default="-", help="for the results; default: standard output")
    parser.add_argument("--field", metavar="NAME", help="the field of a row that holds the question")
    parser.add_argument("--window", metavar="N", type=positive, help="questions in flight at once; default: 32")
    parser.add_argument("--limit", metavar="N", type=positive, help="only the first N rows")
    parser.add_argument("--show", action="store_true", help="print questions and answers as text, to be read")
    parser.add_argument("--summary-json", metavar="FILE", help="write the summary as JSON too")


@dataclass(slots=True)
class _Account:
    """One run: what is to be done, and what was done so far. `started` when the engines were open."""

    plan: Plan
    config: Config
    summary: Summary
    measured: Profile
    unread: Counter[str] = field(default_factory=Counter)
    started: float | None = None

    def add(self, result: Result) -> None:
        self.summary.add(result)
        self.unread.update(failure.node for failure in result.failures)

    @property
    def seconds(self) -> float:
        return perf_counter() - self.started if self.started is not None else 0.0


def run(options: argparse.Namespace) -> int:
    from pnyx.compiler.cost import Profile
    from pnyx.runtime.results import Summary

    plan = load_plan(options)
    account = _Account(plan, configuration(options, plan), Summary(), Profile())
    # Opened here and not in the event loop: a pipe that nobody writes to makes one wait, deaf to an interruption.
    with _input(options.rows) as stream:
        _check_outputs(options, stream)
        try:
            asyncio.run(_map(options, account, stream))
        finally:  # an interruption keeps what was done, and says what it was
            if account.started is not None:
                _close(options, account)
    if not account.summary.failed:
        return 0
    gone = account.summary.errors.get("R807", 0) == account.summary.examples
    return EXIT_ENGINE if gone else EXIT_USER


async def _map(options: argparse.Namespace, account: _Account, stream: BinaryIO) -> None:
    from pnyx.runtime.rows import in_thread, read_rows

    rows = islice(read_rows(stream, field=options.field), options.limit)
    async with open_session(options, account.plan, account.config, account.measured) as session:
        # Only now, so that a missing model leaves an older output alone.
        # A bar and results would break into each other on one terminal.
        shown = not interactive(sys.stdout) or not (options.show or options.output == "-")
        bar = counting(account.plan.pipeline, _total(options), shown=shown)
        with _output(options.output) as output, bar as advance:
            account.started = perf_counter()
            mapped = session.map(rows if stream.seekable() else in_thread(rows))
            async with aclosing(mapped) as results:
                async for result in results:
                    _deliver(result, options, output)
                    account.add(result)
                    advance(_note(account))


def _deliver(result: Result, options: argparse.Namespace, output: TextIO) -> None:
    if not options.show or options.output != "-":
        with named(options.output):
            output.write(f"{result.to_json()}\n")
            output.flush()
    if options.show:
        outcome = result.answer if result.error is None else f"{result.error.code}: {result.error.message}"
        print(f"[{result.index + 1}] {_indented(result.question)}\n →  {_indented(outcome or '')}\n", flush=True)


def _indented(text: str) -> str:
    return text.strip().replace("\n", "\n    ")


def _note(account: _Account) -> str:
    rate = account.summary.generated_tokens / account.seconds
    failed = f", {account.summary.failed} failed" if account.summary.failed else ""
    return f"{rate:.0f} tokens/s{failed}"


def _close(options: argparse.Namespace, account: _Account) -> None:
    """The account of a run, and what it measured. The prediction is the one made before it."""
    from pnyx.compiler.cost import estimate, to_json

    seconds, summary, plan = account.seconds, account.summary, account.plan
    profile = profile_path(options, plan, account.config)
    predicted = estimate(with_facts(plan, account.config), load_profile(profile))
    add_to_profile(profile, account.measured)
    if summary.simulated:
        print_simulated()
    print_summary(summary, account.unread, seconds, predicted)
    if options.output != "-":
        print(f"{count(summary.examples, 'result')} in {options.output}", file=sys.stderr)
    if options.summary_json:
        data = summary.to_data() | {
            "wall_seconds": round(seconds, 6),
            "unread_by_operator": dict(sorted(account.unread.items())),
            "predicted_per_question": to_json(plan, predicted)["total"],
        }
        write_text(options.summary_json, json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def _check_outputs(options: argparse.Namespace, rows: BinaryIO) -> None:
    """What can be known to be wrong with the outputs before a model is loaded. Standard input may be a file too."""
    read = (("the file of the rows", _status(rows)), ("the program", _status(Path(options.file))))
    outputs = [Path(name) for name in (options.output, options.summary_json) if name not in (None, "-")]
    for output in outputs:
        check_writable(output)
        for what, status in read:
            if output.is_file() and status is not None and os.path.samestat(output.stat(), status):
                raise user_error("E601", f"`{output}` is {what}", "name another output: this one would be lost")
    if len(outputs) > 1 and len({os.path.realpath(o) for o in outputs if o.is_file() or not o.exists()}) == 1:
        raise user_error("E601", f"`{outputs[1]}` is the output and the summary", "name another file for one of them")


def _status(file: Path | BinaryIO) -> os.stat_result | None:
    try:
        return file.stat() if isinstance(file, Path) else os.fstat(file.fileno())
    except (OSError, ValueError):
        return None


@contextmanager
def _input(name: str) -> Iterator[BinaryIO]:
    stream = _standard_input() if name == "-" else open_binary(name)
    try:
        yield stream
    finally:
        # A pipe stays open: at an interruption a thread still waits in it, and closing would wait for the thread.
        if name != "-" and stream.seekable():
            stream.close()


def _standard_input() -> BinaryIO:
    """A reader of its own: at an interruption a thread still waits in it, and Python must not wait for its lock."""
    try:
        descriptor = sys.stdin.fileno()
    except (OSError, ValueError):
        return sys.stdin.buffer
    return open(descriptor, "rb", closefd=False)


@contextmanager
def _output(name: str) -> Iterator[TextIO]:
    if name == "-":
        yield sys.stdout
        return
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = path.open("w", encoding="utf-8", newline="\n")
    try:
        yield stream
    finally:
        with named(name):
            stream.close()


def _total(options: argparse.Namespace) -> int | None:
    """How many rows there are to do, for the progress bar; None where that is not known before."""
    if options.rows == "-" or not Path(options.rows).is_file():
        return None
    with Path(options.rows).open("rb") as stream:
        return sum(1 for line in islice(stream, options.limit) if line.strip())
