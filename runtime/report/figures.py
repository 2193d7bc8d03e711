"""The figures of a traced run: in all, by node, and a short row for every example.

Invariant: memory is bounded: of the examples at most `MOST_ROWS` have a row, those that failed before the others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pnyx.compiler.cost import estimate, to_json
from pnyx.compiler.plan import Plan, PlanError, PlanNode
from pnyx.runtime.report.timeline import Timeline
from pnyx.runtime.report.unread import unread_calls
from pnyx.runtime.traces.reader import TracedExample, TraceReader
from pnyx.runtime.traces.records import CallRecord, Header

__all__ = ["MOST_ROWS", "ExampleRow", "NodeFigures", "RunFigures", "figures_of"]

MOST_ROWS = 20_000
_SHOWN = 160


@dataclass(slots=True)
class NodeFigures:
    """Of one node, over the whole run. `runs`: how often it ran; `calls` that were answered, of which `stored` came
    from the call store as a whole; `cached_tokens` of the prompts were not computed anew by the engine; `queue_seconds`
    and `engine_seconds` summed over the calls; `failed` calls that no try could save."""

    node: int
    label: str
    source: str | None = None
    model: str = ""
    runs: int = 0
    calls: int = 0
    samples: int = 0
    prompt_tokens: int = 0
    generated_tokens: int = 0
    cached_tokens: int = 0
    stored: int = 0
    stored_tokens: int = 0
    retries: int = 0
    failed: int = 0
    dropped: int = 0
    unread: int = 0
    errors: int = 0
    queue_seconds: float = 0.0
    engine_seconds: float = 0.0

    def add(self, call: CallRecord, *, unread: bool) -> None:
        self.model = call.model
        self.retries += call.retries
        self.dropped += call.outcome is None
        self.failed += call.outcome is not None and not call.answered
        for queue, began, ended in spans(call):
            self.queue_seconds += queue
            self.engine_seconds += ended - began
        if call.answered:
            self.calls += 1
            self.samples += len(call.replies)
            self.prompt_tokens += call.usage.prompt
            self.generated_tokens += call.usage.generated
            self.cached_tokens += call.usage.cached
            self.stored += call.stored.whole
            self.stored_tokens += call.stored.tokens
            self.unread += unread


@dataclass(frozen=True, slots=True)
class ExampleRow:
    """`state`: `answered`, `failed`, or `cut off` where the run or the file ended before it. `nth` tells it from an
    earlier attempt at the same row; `size` is about what its details take, in characters."""

    index: int
    id: str
    question: str
    answer: str
    state: str
    code: str
    calls: int
    tokens: int
    seconds: float
    retries: int
    unread: int
    stored: int
    nth: int
    size: int


@dataclass(slots=True)
class RunFigures:
    """`predicted` is what was expected of one question, as `pnyx.compiler.cost.to_json` gives it; `plan` is None where
    that in the trace is not one that this Pnyx reads. `rows` of the examples, failures first."""

    header: Header
    plan: Plan | None
    predicted: Mapping[str, Any] | None
    examples: int = 0
    answered: int = 0
    failed: int = 0
    cut_off: int = 0
    seconds: float = 0.0
    sittings: int = 0
    damaged: int = 0
    lost: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    nodes: dict[int, NodeFigures] = field(default_factory=dict)
    rows: list[ExampleRow] = field(default_factory=list)
    timeline: Timeline = field(default_factory=Timeline)
    depths: dict[int, int] = field(default_factory=dict)
    """By node, how many bodies it is in."""

    def total(self, name: str) -> Any:
        """The sum of a figure over the nodes."""
        return sum(getattr(node, name) for node in self.nodes.values())

    def predicted_of(self, node: int, name: str) -> float | None:
        """What was expected of a node for one question; None where it is not known."""
        nodes = (self.predicted or {}).get("nodes")
        try:
            value = nodes[node][name]["expected"] if nodes else None
        except (LookupError, TypeError):
            return None
        return float(value) if isinstance(value, int | float) else None

    def to_data(self) -> dict[str, Any]:
        """As JSON data, without the rows."""
        header = self.header
        names = [f for f in NodeFigures.__slots__ if f not in ("node", "label", "source", "model", "runs")]
        return {
            "pipeline": header.pipeline,
            "digest": header.digest,
            "seed": header.seed,
            "started": header.started,
            "source": header.source,
            "simulated": header.simulated,
            "models": {name: model.model_dump() for name, model in header.models.items()},
            "versions": header.versions,
            "seconds": round(self.seconds, 6),
            **{name: getattr(self, name) for name in ("sittings", "damaged", "lost", "examples", "answered", "failed")},
            "cut_off": self.cut_off,
            "errors_by_code": dict(sorted(self.errors.items())),
            **{name: _rounded(self.total(name)) for name in names},
            "nodes": [self._node_data(number) for number in sorted(self.nodes)],
            "predicted_per_question": (self.predicted or {}).get("total"),
        }

    def _node_data(self, number: int) -> dict[str, Any]:
        found = {name: _rounded(value) for name, value in asdict(self.nodes[number]).items()}
        names = ("calls", "samples", "prompt_tokens", "generated_tokens")
        return found | {"predicted_per_question": {name: self.predicted_of(number, name) for name in names}}


def figures_of(reader: TraceReader, advance: Callable[[int], None] = lambda _bytes: None) -> RunFigures:
    """Reads the whole trace. `advance` hears how many bytes were read."""
    header = reader.header
    plan = _plan(header)
    predicted = header.predicted
    if predicted is None and plan is not None:
        predicted = to_json(plan, estimate(plan))
    figures = RunFigures(header, plan, predicted)
    if plan is not None:
        figures.depths = dict(enumerate(_depths(plan.nodes, 0)))
    listed = _Rows()
    for example in reader.examples(advance):
        listed.add(_example(figures, example, listed.nth(example.index)))
    figures.rows = listed.chosen()
    figures.seconds = reader.last
    figures.sittings, figures.damaged, figures.lost = reader.sittings, reader.damaged, reader.lost
    return figures


def spans(call: CallRecord) -> Iterator[tuple[float, float, float]]:
    """For everything that engines did for a call: seconds that it waited first, and when it began and ended; failed
    tries and the pauses after them count as engine time."""
    for draw in call.draws:
        began = draw.failed[0].began if draw.failed else draw.began
        yield max(0.0, began - call.queued), began, max(began, draw.ended)


class _Rows:
    """Rows as far as they fit. A later attempt at a row of the data replaces an earlier one."""

    def __init__(self) -> None:
        self._failed: dict[int, ExampleRow] = {}
        self._others: dict[int, ExampleRow] = {}

    def nth(self, index: int) -> int:
        """How many attempts came before."""
        there = self._failed.get(index) or self._others.get(index)
        return there.nth + 1 if there is not None else 0

    def add(self, row: ExampleRow) -> None:
        self._failed.pop(row.index, None)
        self._others.pop(row.index, None)
        kept = self._others if row.state == "answered" else self._failed
        if len(kept) < MOST_ROWS:
            kept[row.index] = row

    def chosen(self) -> list[ExampleRow]:
        failed = sorted(self._failed.values(), key=lambda row: row.index)
        others = sorted(self._others.values(), key=lambda row: row.index)
        return [*failed, *others][:MOST_ROWS]


def _depths(nodes: Sequence[PlanNode], depth: int) -> Iterator[int]:
    """In the order of `Plan.everywhere`."""
    for node in nodes:
        yield depth
        for body in node.bodies:
            yield from _depths(body.nodes, depth + 1)


def _plan(header: Header) -> Plan | None:
    try:
        return Plan.from_json(json.dumps(header.plan))
    except PlanError:
        return None


def _example(figures: RunFigures, example: TracedExample, nth: int) -> ExampleRow:
    """Adds an example to the figures; gives its row."""
    unread = unread_calls(example)
    for node in example.nodes:
        known = _node(figures, node.place[-1])
        known.label, known.source = node.label, node.source
        known.runs += 1
        known.errors += node.error is not None
    for call in example.calls:
        _node(figures, call.place[-1]).add(call, unread=call.call in unread)
        for queue, began, ended in spans(call):
            figures.timeline.add(began - queue, began, 0)
            figures.timeline.add(began, ended, 1)
    result = example.ended.result if example.ended is not None else None
    state = "cut off" if result is None else "answered" if result.error is None else "failed"
    if not nth:
        figures.examples += 1
    figures.answered += state == "answered"
    figures.failed += state == "failed"
    figures.cut_off += state == "cut off"
    error = result.error if result is not None else None
    if error is not None:
        figures.errors[error.code] = figures.errors.get(error.code, 0) + 1
    answered = [call for call in example.calls if call.answered]
    ended = example.ended.at if example.ended is not None else max((c.at for c in example.calls), default=0.0)
    return ExampleRow(
        index=example.index,
        id="" if example.began.id is None else _short(str(example.began.id)),
        question=_short(example.question),
        answer=_short(
            (result.answer or "") if error is None and result is not None else error.message if error else ""
        ),
        state=state,
        code=error.code if error is not None else "",
        calls=len(answered),
        tokens=sum(call.usage.prompt + call.usage.generated for call in answered),
        seconds=max(0.0, ended - example.began.at),
        retries=sum(call.retries for call in example.calls),
        unread=len(unread),
        stored=sum(call.stored.whole for call in answered),
        nth=nth,
        size=_size(example),
    )


def _size(example: TracedExample) -> int:
    size = 500 + 200 * len(example.nodes)
    for call in example.calls:
        size += 300 + sum(len(m.content) for m in call.request.messages) + sum(len(r.text) for r in call.replies)
    return size


def _node(figures: RunFigures, number: int) -> NodeFigures:
    return figures.nodes.setdefault(number, NodeFigures(number, f"node {number}"))


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _rounded(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value
