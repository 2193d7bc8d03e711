"""`pnyx map`: every row of a JSONL file, in order, streaming."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, aclosing, contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, BinaryIO, TextIO

from pnyx.cli.bindings import configuration, with_facts
from pnyx.cli.failures import EXIT_ENGINE, EXIT_USER, exit_code, user_error
from pnyx.cli.files import check_writable, named, open_binary, write_text
from pnyx.cli.interruptions import Interruption, draining
from pnyx.cli.plans import load_plan
from pnyx.cli.profiles import add_to_profile, load_profile, profile_path
from pnyx.cli.progress import counting
from pnyx.cli.resume import ResultsFile
from pnyx.cli.running import add_running_arguments, chosen_seed, open_session, positive
from pnyx.cli.summary import print_simulated, print_summary, print_turns
from pnyx.cli.terminal import count, interactive
from pnyx.cli.tracing import add_trace_argument, recording, trace_path

if TYPE_CHECKING:
    from pnyx.compiler.cost import Profile
    from pnyx.compiler.plan import Plan
    from pnyx.runtime.config import Config
    from pnyx.runtime.results import Result, Summary
    from pnyx.runtime.session import Session

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_running_arguments(parser)
    parser.add_argument("rows", metavar="ROWS", help='a file of lines {"question": "…"}; `-`: standard input')
    parser.add_argument("-o", "--output", metavar="OUT", default="-", help="for the results; default: standard output")
    parser.add_argument("--field", metavar="NAME", help="the field of a row that holds the question")
    parser.add_argument(
        "--window",
        metavar="N",
        type=positive,
        help="questions in flight at once; default: 32, or 512 where models take turns",
    )
    parser.add_argument("--limit", metavar="N", type=positive, help="only the first N rows")
    parser.add_argument("--show", action="store_true", help="print questions and answers as text, to be read")
    parser.add_argument("--overwrite", action="store_true", help="start over, whatever OUT holds")
    parser.add_argument("--retry-failed", action="store_true", help="go on from the first row that an engine failed on")
    add_trace_argument(parser, beside="OUT")
    parser.add_argument("--summary-json", metavar="FILE", help="write the summary as JSON too")


@dataclass(slots=True)
class _Account:
    """One run: what is to be done, and what was done so far. `started` when the engines were open; `before`
    counts the rows that an earlier run did. `session`: once it was open."""

    plan: Plan
    config: Config
    summary: Summary
    measured: Profile
    unread: Counter[str] = field(default_factory=Counter)
    started: float | None = None
    before: int = 0
    failed_before: int = 0
    session: Session | None = None

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
            interruption = asyncio.run(_map(options, account, stream))
        finally:  # an interruption keeps what was done, and says what it was
            if account.started is not None:
                _close(options, account)
    if interruption.number:
        print("interrupted", file=sys.stderr)
        return interruption.exit
    if not account.summary.failed + account.failed_before:
        return 0
    failed = sum(n for code, n in account.summary.errors.items() if exit_code(code) == EXIT_ENGINE)
    gone = failed == account.summary.examples > 0
    return EXIT_ENGINE if gone else EXIT_USER


async def _map(options: argparse.Namespace, account: _Account, stream: BinaryIO) -> Interruption:
    from pnyx.runtime.rows import in_thread, read_rows

    rows = islice(read_rows(stream, field=options.field), options.limit)
    async with open_session(options, account.plan, account.config, account.measured) as session:
        # Only now, so that a missing model leaves an older output alone.
        with (
            draining(session.drain) as interruption,
            _output(options, account, session) as output,
            recording(options, account.plan, account.config, session, goes_on=account.before > 0) as recorded,
        ):
            to_do = output.rows(rows) if isinstance(output, ResultsFile) else rows
            account.started, account.session = perf_counter(), session
            mapped = session.map(to_do if stream.seekable() else in_thread(to_do), first=account.before)
            with _bar(options, account) as advance:
                async with aclosing(mapped) as results:
                    async for result in results:
                        _deliver(result, options, output)
                        account.add(result)
                        if recorded is not None:
                            recorded.add(result)
                        advance(_note(account))
    return interruption


def _bar(options: argparse.Namespace, account: _Account) -> AbstractContextManager[Callable[[str], None]]:
    # A bar and results would break into each other on one terminal.
    shown = not interactive(sys.stdout) or not (options.show or options.output == "-")
    return counting(account.plan.pipeline, _total(options), done=account.before, shown=shown)


def _deliver(result: Result, options: argparse.Namespace, output: ResultsFile | TextIO) -> None:
    if isinstance(output, ResultsFile):
        output.write(result)
    elif not options.show or options.output != "-":
        with named(options.output):
            output.write(f"{result.to_json(measured=False)}\n")
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
    assert account.session is not None, "it was open when the run began"
    stays = account.session.stays
    print_turns(stays, account.session.window)
    if options.output != "-":
        before = f", {account.before} of them from before" if account.before else ""
        print(f"{count(summary.examples + account.before, 'result')} in {options.output}{before}", file=sys.stderr)
        if any(exit_code(code) == EXIT_ENGINE for code in summary.errors) and Path(options.output).is_file():
            print("the rows that an engine failed on are made again with `--retry-failed`", file=sys.stderr)
    if options.summary_json:
        data = summary.to_data() | {
            "wall_seconds": round(seconds, 6),
            "unread_by_operator": dict(sorted(account.unread.items())),
            "predicted_per_question": to_json(plan, predicted)["total"],
            "brought_in": [asdict(model) for model in stays],
        }
        write_text(options.summary_json, json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def _check_outputs(options: argparse.Namespace, rows: BinaryIO) -> None:
    """What can be known to be wrong with the outputs before a model is loaded. Standard input may be a file too."""
    read = (("the file of the rows", _status(rows)), ("the program", _status(Path(options.file))))
    names = {"the output": options.output, "the summary": options.summary_json, "the trace": trace_path(options)}
    outputs = {what: Path(name) for what, name in names.items() if name not in (None, "-")}
    for output in outputs.values():
        check_writable(output)
        for what, status in read:
            if output.is_file() and status is not None and os.path.samestat(output.stat(), status):
                raise user_error("E601", f"`{output}` is {what}", "name another output: this one would be lost")
    whose: dict[str, str] = {}
    for what, output in outputs.items():
        if output.is_file() or not output.exists():
            other = whose.setdefault(os.path.realpath(output), what)
            if other != what:
                raise user_error("E601", f"`{output}` is {other} and {what}", "name another file for one of them")


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
def _output(options: argparse.Namespace, account: _Account, session: Session) -> Iterator[ResultsFile | TextIO]:
    """Standard output, a device and a pipe keep nothing to go on from."""
    name = options.output
    if name == "-":
        yield sys.stdout
        return
    if Path(name).exists() and not Path(name).is_file():
        device = Path(name).open("w", encoding="utf-8", newline="\n")  # noqa: SIM115
        try:
            yield device
        finally:
            with named(name):
                device.close()
        return
    file = ResultsFile.open(
        name,
        _identity(options, account, session),
        overwrite=options.overwrite,
        retry=options.retry_failed,
        replay=bool(account.plan.states),  # what the rows before left behind is not in the output
    )
    account.before, account.failed_before = file.kept, file.failed
    try:
        yield file
    finally:
        file.close()


def _identity(options: argparse.Namespace, account: _Account, session: Session) -> dict[str, str]:
    """What decides the results, in the words of the message that says what changed."""
    return {
        "program": account.plan.digest,
        "seed": str(chosen_seed(options, account.config)),
        "models": json.dumps(session.identities, sort_keys=True),
        "limits of a question": repr(session.limits),
    }


def _total(options: argparse.Namespace) -> int | None:
    """How many rows there are to do, for the progress bar; None where that is not known before."""
    if options.rows == "-" or not Path(options.rows).is_file():
        return None
    with Path(options.rows).open("rb") as stream:
        return sum(1 for line in islice(stream, options.limit) if line.strip())
