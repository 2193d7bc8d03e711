"""Tracing of `run`, `map` and `bench`: the argument, and the traces of what is open."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pnyx.cli.failures import user_error
from pnyx.cli.files import named
from pnyx.cli.terminal import rendered

if TYPE_CHECKING:
    from pnyx.compiler.plan import Plan
    from pnyx.runtime.benchmarks import Opener
    from pnyx.runtime.config import Config
    from pnyx.runtime.externs import Externs
    from pnyx.runtime.results import Summary
    from pnyx.runtime.session import Session
    from pnyx.runtime.traces import Sink
    from pnyx.runtime.traces.events import Event

__all__ = ["add_trace_argument", "recording", "recording_each", "trace_path"]

_STANDARD = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def add_trace_argument(parser: argparse.ArgumentParser, *, beside: str | None = None) -> None:
    """`beside`: the option whose file the trace lies beside where it has no path of its own."""
    said = "write every call and every node's value to this file, for `pnyx report`"
    if beside is None:
        parser.add_argument("--trace", metavar="FILE", help=said)
        return
    default = f"{said}; default: {beside}.trace.jsonl"
    parser.add_argument("--trace", metavar="FILE", nargs="?", const="", help=default)


def trace_path(options: argparse.Namespace) -> Path | None:
    """None where no trace is asked for. Raises CompileError (E601) where it would lie beside standard output."""
    if options.trace is None:
        return None
    if options.trace:
        return Path(options.trace)
    if options.output in (None, "-"):
        raise user_error("E601", "there is no output for the trace to lie beside", "write `--trace FILE`, or `-o OUT`")
    return Path(f"{options.output}.trace.jsonl")


@contextmanager
def recording(
    options: argparse.Namespace, plan: Plan, config: Config, session: Session, *, goes_on: bool = False
) -> Iterator[Summary | None]:
    """What the session does inside is recorded where that is asked for. Gives the summary to add results to; None where
    nothing is recorded. `goes_on`: with a run whose results are kept."""
    sinks = list(_sinks(trace_path(options), config, goes_on=goes_on))
    if not sinks:
        yield None
        return
    from pnyx.runtime.results import Summary

    summary = Summary()
    with _recorded(options, plan, config, session, sinks, summary):
        yield summary


@contextmanager
def recording_each(options: argparse.Namespace, config: Config, opener: Opener) -> Iterator[Opener]:
    """An opener of sessions, each of which is recorded where that is asked for: the first one in the file that is
    named, and each further one in a file of its own, which has the name of its pipeline too."""
    with ExitStack() as stack:
        files: list[Path] = []

        def opened(plan: Plan, externs: Externs | None) -> Session:
            session = opener(plan, externs)
            path = trace_path(options)
            if path is not None:
                path = path if not files else _beside(path, plan.pipeline, files)
                files.append(path)
            sinks = list(_sinks(path, config, goes_on=False))
            if sinks:
                tally = _Tally()
                stack.enter_context(_recorded(options, plan, config, session, [tally, *sinks], tally.summary))
            return session

        yield opened
    for file in files[1:]:
        print(f"another trace is in {file}", file=sys.stderr)


def _beside(path: Path, name: str, taken: list[Path]) -> Path:
    """`x.trace.jsonl` with a name: `x.trace.NAME.jsonl`; where that is taken, with a number too."""
    made = path.with_name(f"{path.stem}.{name}{path.suffix}")
    number = 2
    while made in taken:
        made = path.with_name(f"{path.stem}.{name}-{number}{path.suffix}")
        number += 1
    return made


class _Tally:
    """A sink that adds up the results of the questions that were answered."""

    def __init__(self) -> None:
        from pnyx.runtime.results import Summary

        self.summary = Summary()

    def take(self, event: Event, /) -> None:
        from pnyx.runtime.traces.events import ExampleEnded

        if isinstance(event, ExampleEnded) and event.result is not None:
            self.summary.add(event.result)

    def close(self) -> None:
        """Nothing is left to be written."""


@contextmanager
def _recorded(
    options: argparse.Namespace, plan: Plan, config: Config, session: Session, sinks: list[Sink], summary: Summary
) -> Iterator[None]:
    """`summary`: as it will be in the end."""
    from pnyx.cli.bindings import with_facts
    from pnyx.cli.profiles import load_profile, profile_path
    from pnyx.compiler.cost import estimate, to_json
    from pnyx.runtime.traces import Trace

    predicted = estimate(with_facts(plan, config), load_profile(profile_path(options, plan, config)))
    trace = Trace(
        plan,
        session.engines,
        seed=session.seed,
        sinks=sinks,
        source_text=_text(plan.source),
        predicted=to_json(plan, predicted),
    )
    session.record(trace)
    try:
        yield
    finally:
        figures = {name: value for name, value in summary.to_data().items() if name != "by_node"}
        trace.close(figures)


def _sinks(path: Path | None, config: Config, *, goes_on: bool) -> Iterator[Sink]:
    if path is not None:
        from pnyx.runtime.traces import TraceFile

        with named(str(path)):
            yield TraceFile(path, warn=_warn, append=goes_on)
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none"
    asked = any(os.environ.get(name) for name in _STANDARD)
    if off or not (asked or config.otel.endpoint):
        return
    from pnyx.runtime.errors import PackageMissing

    try:
        from pnyx.runtime.traces.opentelemetry import open_spans
    except PackageMissing as missing:
        if config.otel.endpoint:
            raise
        _warn(f"{missing.message}; the environment names a collector", missing.help)  # perhaps for other programs
        return
    otel = config.otel
    yield open_spans(endpoint=otel.endpoint, service=otel.service, content=otel.content, warn=_warn)


def _warn(message: str, help: str | None = None) -> None:
    from pnyx.compiler.diagnostics import Diagnostic

    print(rendered([Diagnostic("W740", message, help=help)], sys.stderr), file=sys.stderr)


def _text(source: str) -> str | None:
    """Of the program, where it is still there."""
    try:
        return Path(source).read_bytes().decode("utf-8-sig")
    except (OSError, ValueError):
        return None
