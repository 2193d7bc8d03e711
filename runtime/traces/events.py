"""The events of a run, as data. A `Sink` takes them.

Invariants: times are seconds on the clock of the event loop; places are those of the interpreter (numbers of nodes as
`Plan.everywhere` counts, and between them rounds of loops, candidates of `each`, arms of branches); nothing here knows
a key of a server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from pnyx.compiler.plan import Plan
from pnyx.runtime.calls import Answer, Draw
from pnyx.runtime.candidates import Value
from pnyx.runtime.engines.engine import EngineInfo
from pnyx.runtime.errors import RuntimeFailure
from pnyx.runtime.externs import Invocation, Returned
from pnyx.runtime.question import Question, RowId
from pnyx.runtime.request import Request
from pnyx.runtime.results import ErrorRecord, Result

__all__ = [
    "CallEnded", "Event", "ExampleBegan", "ExampleEnded", "ExternEnded", "NodeBegan", "NodeEnded", "Place", "RunBegan",
    "RunEnded", "Sink",
]  # fmt: skip

Place: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RunBegan:
    """`engines` by logical model. `wall`: the time `at` as seconds since 1970. `predicted`: what a question was
    expected to cost, as `pnyx.compiler.cost.to_json` gives it."""

    plan: Plan
    seed: int
    engines: Mapping[str, EngineInfo]
    source_text: str | None
    predicted: Mapping[str, object] | None
    versions: Mapping[str, str]
    wall: float
    at: float


@dataclass(frozen=True, slots=True)
class ExampleBegan:
    """`question` is None where the row holds none."""

    index: int
    id: RowId
    question: Question | None
    at: float


@dataclass(frozen=True, slots=True)
class NodeBegan:
    """A node that has to wait. `path` tells its streams from those of other rounds and candidates."""

    index: int
    place: Place
    label: str
    source: str | None
    path: str
    at: float


@dataclass(frozen=True, slots=True)
class NodeEnded:
    """A node with its value, or with the error that ended the example."""

    index: int
    place: Place
    label: str
    source: str | None
    path: str
    began: float
    at: float
    value: Value
    error: ErrorRecord | None


@dataclass(frozen=True, slots=True)
class CallEnded:
    """`outcome` is None where nobody waited for it any more. `draws`: what engines did for it; none where all was
    stored, or on its way for another call."""

    index: int
    call: int
    place: Place
    slot: int
    attempt: int
    model: str
    engine: EngineInfo
    request: Request
    queued: float
    at: float
    outcome: Answer | RuntimeFailure | None
    draws: tuple[Draw, ...]


@dataclass(frozen=True, slots=True)
class ExternEnded:
    """A function of the user's was called."""

    index: int
    call: int
    place: Place
    invocation: Invocation
    queued: float
    at: float
    outcome: Returned | RuntimeFailure | None


@dataclass(frozen=True, slots=True)
class ExampleEnded:
    """`result` is None where the run ended before the example did. `states`: what it leaves to later examples."""

    index: int
    result: Result | None
    states: Mapping[str, Value]
    at: float


@dataclass(frozen=True, slots=True)
class RunEnded:
    """`summary`: figures of the run, as `Summary.to_data` gives them."""

    summary: Mapping[str, object]
    at: float


Event: TypeAlias = RunBegan | ExampleBegan | NodeBegan | NodeEnded | CallEnded | ExternEnded | ExampleEnded | RunEnded


class Sink(Protocol):
    """Takes the events in the order in which they happen, in the event loop: neither waits nor raises."""

    def take(self, event: Event, /) -> None: ...

    def close(self) -> None:
        """Waits until what was taken is where it should be."""
