"""Tracing of `run` and `map`: the argument, and the trace of a run that is open."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pnyx.cli.failures import user_error
from pnyx.cli.files import named
from pnyx.cli.terminal import rendered

if TYPE_CHECKING:
    from pnyx.compiler.plan import Plan
    from pnyx.runtime.config import Config
    from pnyx.runtime.results import Summary
    from pnyx.runtime.session import Session
    from pnyx.runtime.traces import Sink

__all__ = ["add_trace_argument", "recording", "trace_path"]

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
    if options.output == "-":
        raise user_error("E601", "there is no output for the trace to lie beside", "write `--trace FILE`, or `-o OUT`")
    return Path(f"{options.output}.trace.jsonl")


@contextmanager
def recording(
    options: argparse.Namespace, plan: Plan, config: Config, session: Session, *, goes_on: bool = False
) -> Iterator[Summary | None]:
    """What the session does inside is recorded where that is asked for. Gives the summary to add results to; None where
    nothing is recorded. `goes_on`: with a run whose results are kept."""
    sinks = list(_sinks(options, config, goes_on=goes_on))
    if not sinks:
        yield None
        return
    from pnyx.cli.bindings import with_facts
    from pnyx.cli.profiles import load_profile, profile_path
    from pnyx.compiler.cost import estimate, to_json
    from pnyx.runtime.results import Summary
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
    summary = Summary()
    try:
        yield summary
    finally:
        figures = {name: value for name, value in summary.to_data().items() if name != "by_node"}
        trace.close(figures)


def _sinks(options: argparse.Namespace, config: Config, *, goes_on: bool) -> Iterator[Sink]:
    path = trace_path(options)
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
