"""What comes out of an example and of a run, as data and as JSON.

Invariants: JSON keys have a fixed order; a `Result` has an answer or an error, never both; everything is
the same whatever order the calls came back in, and whatever the call store holds, but for `seconds` and what is cached:
a line of `pnyx map` leaves these out, so that a run that was stopped and goes on writes the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pnyx.runtime.candidates import FieldValue
from pnyx.runtime.errors import EmptyPool, RuntimeFailure, UnreadableReply
from pnyx.runtime.question import RowId

__all__ = ["ErrorRecord", "NodeUsage", "ReadingFailure", "Result", "ResultUsage", "Summary"]

REPLY_SHOWN = 500
_MEASURED = frozenset({"seconds", "cached_calls", "cached_samples", "cached_tokens"})
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """Why there is no answer. `place` is in the program or in the rows."""

    code: str
    message: str
    place: str | None = None
    help: str | None = None

    @classmethod
    def of(cls, failure: RuntimeFailure) -> ErrorRecord:
        return cls(failure.code, failure.message, failure.place, failure.help)


@dataclass(frozen=True, slots=True)
class ReadingFailure:
    """A reply that could not be read, after all tries. `reply` is its last text, cut to 500 characters."""

    node: str
    place: str | None
    candidate: str
    reply: str
    attempts: int

    @classmethod
    def of(cls, node: str, place: str | None, candidate: str, reply: str, attempts: int) -> ReadingFailure:
        return cls(node, place, candidate, reply[:REPLY_SHOWN], attempts)


@dataclass(frozen=True, slots=True)
class ResultUsage:
    """Answered calls and what they drew. `seconds`: wall time of the example, waiting for a free engine included.

    Of the calls, samples and tokens, those `cached` came from the call store, or were drawn for another example at the
    same time, and cost nothing.
    """

    calls: int = 0
    samples: int = 0
    prompt_tokens: int = 0
    generated_tokens: int = 0
    seconds: float = 0.0
    cached_calls: int = 0
    cached_samples: int = 0
    cached_tokens: int = 0


@dataclass(slots=True)
class NodeUsage:
    """The same for one node of the plan; `seconds` sums what the engine reports for each call."""

    node: int
    label: str
    place: str | None
    calls: int = 0
    samples: int = 0
    prompt_tokens: int = 0
    generated_tokens: int = 0
    seconds: float = 0.0

    def add(self, other: NodeUsage) -> None:
        self.calls += other.calls
        self.samples += other.samples
        self.prompt_tokens += other.prompt_tokens
        self.generated_tokens += other.generated_tokens
        self.seconds += other.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One example. `candidates`: the fields of the final pool, in order. `nodes`: usage by node, not in the JSON."""

    index: int
    id: RowId = None
    question: str = ""
    answer: str | None = None
    candidates: tuple[Mapping[str, FieldValue], ...] = ()
    failures: tuple[ReadingFailure, ...] = ()
    error: ErrorRecord | None = None
    usage: ResultUsage = field(default_factory=ResultUsage)
    simulated: bool = False
    nodes: tuple[NodeUsage, ...] = ()

    @property
    def ran(self) -> bool:
        """Whether the pipeline ran as written, which may end without an answer: an empty pool, a reply that the program
        does not forgive. Otherwise the data or the engine stopped it."""
        return self.error is None or self.error.code in (EmptyPool.code, UnreadableReply.code)

    def to_data(self, *, measured: bool = True) -> dict[str, Any]:
        """`measured`: with times, and what the call store saved."""
        usage = asdict(self.usage)
        if not measured:
            usage = {name: value for name, value in usage.items() if name not in _MEASURED}
        return {
            "index": self.index,
            "id": self.id,
            "question": self.question,
            "answer": self.answer,
            "candidates": [dict(c) for c in self.candidates],
            "failures": [asdict(f) for f in self.failures],
            "error": asdict(self.error) if self.error else None,
            "usage": usage,
            "simulated": self.simulated,
        }

    def to_json(self, *, measured: bool = True) -> str:
        """One line, without a line break at the end."""
        data = self.to_data(measured=measured)
        text = json.dumps(data, ensure_ascii=False)
        # What UTF-8 cannot carry stays escaped, so that the line can always be written.
        return json.dumps(data) if _SURROGATE.search(text) else text


@dataclass(slots=True)
class Summary:
    """Sums over the results of a run. `ran`: examples whose pipeline ran as written, with an answer or without.
    `seconds` is the examples' own time, so it grows faster than the clock."""

    examples: int = 0
    ran: int = 0
    answered: int = 0
    failed: int = 0
    calls: int = 0
    samples: int = 0
    prompt_tokens: int = 0
    generated_tokens: int = 0
    cached_calls: int = 0
    cached_samples: int = 0
    cached_tokens: int = 0
    reading_failures: int = 0
    seconds: float = 0.0
    simulated: bool = False
    errors: dict[str, int] = field(default_factory=dict)
    nodes: dict[int, NodeUsage] = field(default_factory=dict)

    def add(self, result: Result) -> None:
        self.examples += 1
        self.ran += result.ran
        if result.error is None:
            self.answered += 1
        else:
            self.failed += 1
            self.errors[result.error.code] = self.errors.get(result.error.code, 0) + 1
        self.calls += result.usage.calls
        self.samples += result.usage.samples
        self.prompt_tokens += result.usage.prompt_tokens
        self.generated_tokens += result.usage.generated_tokens
        self.cached_calls += result.usage.cached_calls
        self.cached_samples += result.usage.cached_samples
        self.cached_tokens += result.usage.cached_tokens
        self.seconds += result.usage.seconds
        self.reading_failures += len(result.failures)
        self.simulated = self.simulated or result.simulated
        for used in result.nodes:
            self.nodes.setdefault(used.node, NodeUsage(used.node, used.label, used.place)).add(used)

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.generated_tokens

    def to_data(self) -> dict[str, Any]:
        by_node = [asdict(used) for _, used in sorted(self.nodes.items())]
        data = {name: getattr(self, name) for name in self.__slots__ if name != "nodes"}
        return data | {"errors": dict(sorted(self.errors.items())), "by_node": by_node}
