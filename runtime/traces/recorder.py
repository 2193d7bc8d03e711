"""From a running session to events.

Invariants: an example's events lie between its own first and last; every call that was made has one event, also one
that was dropped; recording changes no result.
"""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version

from pnyx.compiler.operators import Branch, Constant, Each, Loop, Operator, Part
from pnyx.compiler.plan import Plan
from pnyx.runtime.calls import Answer, Draw
from pnyx.runtime.candidates import Value
from pnyx.runtime.engines.engine import EngineInfo
from pnyx.runtime.errors import RuntimeFailure
from pnyx.runtime.externs import Invocation, Returned
from pnyx.runtime.interpreter import Call, Execution
from pnyx.runtime.operators import Step
from pnyx.runtime.question import Question, RowId
from pnyx.runtime.results import ErrorRecord, Result
from pnyx.runtime.traces.events import (
    CallEnded,
    Event,
    ExampleBegan,
    ExampleEnded,
    ExternEnded,
    NodeBegan,
    NodeEnded,
    Place,
    RunBegan,
    RunEnded,
    Sink,
)

__all__ = ["ExampleTrace", "Trace"]


class Trace:
    """Of one run: hand it to `Session.record`. Made inside the event loop; `sinks` get every event and are closed with
    it. `source_text` and `predicted` are for the reader."""

    def __init__(
        self,
        plan: Plan,
        engines: Mapping[str, EngineInfo],
        *,
        seed: int,
        sinks: Sequence[Sink],
        source_text: str | None = None,
        predicted: Mapping[str, object] | None = None,
    ) -> None:
        self.now: Callable[[], float] = asyncio.get_running_loop().time
        self.engines = engines
        self._sinks = tuple(sinks)
        self._open: set[int] = set()
        self._most = -1
        versions = {"pnyx": version("pnyx"), "python": platform.python_version()}
        self.emit(RunBegan(plan, seed, engines, source_text, predicted, versions, time.time(), self.now()))

    def emit(self, event: Event) -> None:
        for sink in self._sinks:
            sink.take(event)

    def example(self, index: int, id: RowId) -> ExampleTrace:
        """Where an example of this number is in flight already, it gets the next free one."""
        number = index if index not in self._open else self._most + 1
        self._open.add(number)
        self._most = max(self._most, number)
        return ExampleTrace(self, number, id)

    def over(self, number: int) -> None:
        self._open.discard(number)

    def close(self, summary: Mapping[str, object]) -> None:
        """May wait for the disk, or for a collector of traces."""
        self.emit(RunEnded(summary, self.now()))
        for sink in self._sinks:
            sink.close()


class ExampleTrace:
    """Watches the execution of one example, and is told of its calls."""

    __slots__ = ("_began", "_calls", "_id", "_index", "_nodes", "_trace", "_waiting")

    def __init__(self, trace: Trace, index: int, id: RowId) -> None:
        self._trace, self._index, self._id = trace, index, id
        self._began = False
        self._nodes: dict[Place, tuple[Step[Operator], str, float]] = {}
        self._calls: dict[int, tuple[Call, float]] = {}
        self._waiting: set[Place] = set()

    def asked(self, question: Question | None) -> None:
        self._began = True
        self._trace.emit(ExampleBegan(self._index, self._id, question, self._trace.now()))

    def node_began(self, place: Place, step: Step[Operator], path: str) -> None:
        if isinstance(step.operator, Constant | Part):  # they only carry values
            return
        self._nodes[place] = step, path, self._trace.now()
        if isinstance(step.operator, Loop | Each | Branch):
            self._wait(place)

    def node_ended(self, place: Place, value: Value) -> None:
        self._node_over(place, value, None)

    def node_failed(self, place: Place, error: ErrorRecord) -> None:
        self._node_over(place, None, error)

    def call_began(self, call: Call) -> None:
        self._calls[call.id] = call, self._trace.now()
        for end in range(1, len(call.place) + 1, 2):  # what it is in waits with it
            self._wait(call.place[:end])

    def call_ended(
        self, call: Call, outcome: Answer | Returned | RuntimeFailure | None, draws: tuple[Draw, ...] = ()
    ) -> None:
        _, queued = self._calls.pop(call.id)
        trace, request = self._trace, call.request
        if isinstance(request, Invocation):
            assert not isinstance(outcome, Answer)
            trace.emit(ExternEnded(self._index, call.id, call.place, request, queued, trace.now(), outcome))
            return
        assert not isinstance(outcome, Returned)
        trace.emit(
            CallEnded(
                self._index,
                call.id,
                call.place,
                call.slot,
                call.attempt,
                call.model,
                trace.engines[call.model],
                request,
                queued,
                trace.now(),
                outcome,
                draws,
            )
        )

    def ended(self, result: Result | None, execution: Execution | None) -> None:
        """What is still on its way was dropped."""
        if not self._began:
            self.asked(None)
        for call, _ in list(self._calls.values()):
            self.call_ended(call, None)
        states = execution.states if execution is not None and execution.done else {}
        self._trace.emit(ExampleEnded(self._index, result, states, self._trace.now()))
        self._trace.over(self._index)

    def _wait(self, place: Place) -> None:
        if place not in self._waiting and place in self._nodes:
            self._waiting.add(place)
            step, path, began = self._nodes[place]
            self._trace.emit(NodeBegan(self._index, place, step.label, step.place, path, began))

    def _node_over(self, place: Place, value: Value, error: ErrorRecord | None) -> None:
        known = self._nodes.pop(place, None)
        if known is None:
            return
        self._waiting.discard(place)
        step, path, began = known
        self._trace.emit(
            NodeEnded(self._index, place, step.label, step.place, path, began, self._trace.now(), value, error)
        )
