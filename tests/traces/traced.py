"""Runs with a trace, for the tests of traces and reports."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pnyx.compiler.operators import Over, Reads
from pnyx.compiler.plan import Plan
from pnyx.compiler.program import Program
from pnyx.runtime.engines.engine import Engine
from pnyx.runtime.engines.simulated import SimulatedEngine
from pnyx.runtime.results import Result, Summary
from pnyx.runtime.rows import as_rows
from pnyx.runtime.session import Session
from pnyx.runtime.traces import Sink, Trace, TraceFile
from pnyx.runtime.traces.events import Event
from tests.runtime.scripted import ask, plan_of, sample

LOOPED = """
model small = "smollm2-135m"

pipeline looped(query) {
    pool = query |> generate(small, n = 2) |> each draft { draft |> critique(small) }
    loop max 2 {
        pool = pool |> fuse(small)
    }
    pool
}
"""


class Kept:
    """A sink that keeps the events."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.closed = False

    def take(self, event: Event) -> None:
        self.events.append(event)

    def close(self) -> None:
        self.closed = True

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def judged(**more: Any) -> Plan:
    """Two samples, each graded."""
    return plan_of((sample(2, joined=True), (0,)), (ask(Over.EACH, reads=Reads.GRADE, into="score", **more), (0, 1)))


def compiled(source: str, folder: Path, **choices: object) -> Plan:
    path = folder / "program.pnyx"
    path.write_text(source)
    return Program.load(path).compile(None, choices)


async def traced(
    plan: Plan,
    engines: Mapping[str, Engine] | Engine,
    questions: Sequence[str],
    sinks: Sequence[Sink],
    *,
    first: int = 0,
    source_text: str | None = None,
    **session: Any,
) -> list[Result]:
    bound = engines if isinstance(engines, Mapping) else {model.name: engines for model in plan.models}
    running = Session(plan, bound, backoff=0.0, **session)
    trace = Trace(plan, running.engines, seed=running.seed, sinks=sinks, source_text=source_text)
    running.record(trace)
    summary = Summary()
    results = []
    async for result in running.map(as_rows(questions, field=None), first=first):
        results.append(result)
        summary.add(result)
    trace.close({name: value for name, value in summary.to_data().items() if name != "by_node"})
    return results


async def trace_file(plan: Plan, engines: Mapping[str, Engine] | Engine, questions: Sequence[str], path: Path) -> Path:
    warned: list[str] = []
    await traced(plan, engines, questions, [TraceFile(path, warn=warned.append)])
    assert warned == []
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def simulated() -> SimulatedEngine:
    return SimulatedEngine(model="tiny-1B")


def without_times(data: Any) -> Any:
    """Times and how long things took become 0."""
    times = {"at", "began", "ended", "queued", "seconds", "queue"}
    match data:
        case dict():
            return {
                name: 0 if name in times and isinstance(value, int | float) else without_times(value)
                for name, value in data.items()
            }
        case list():
            return [without_times(item) for item in data]
        case _:
            return data
