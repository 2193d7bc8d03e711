"""What a page shows when an example is opened: its nodes as a tree, each with its calls and what it gave."""

from __future__ import annotations

import math
from typing import Any

from pnyx.runtime.report.figures import spans
from pnyx.runtime.report.unread import unread_calls
from pnyx.runtime.traces.reader import TracedExample
from pnyx.runtime.traces.records import CallRecord, ExternRecord, NodeBeganRecord, NodeEndedRecord

__all__ = ["details_of"]

_INSIDE = {"loop": "round", "each": "candidate", "branch": "arm"}


def details_of(example: TracedExample, kinds: dict[int, str]) -> dict[str, Any]:
    """As JSON data. `kinds` of the nodes by number, to name the parts of a tree."""
    tree = _Tree(example, kinds)
    result = example.ended.result if example.ended is not None else None
    ended = example.ended.at if example.ended is not None else None
    return {
        "began": example.began.at,
        "ended": ended,
        "messages": [m.model_dump() for m in example.began.messages],
        "answer": result.answer if result is not None else None,
        "error": result.error.model_dump() if result is not None and result.error is not None else None,
        "usage": _finite(result.usage.model_dump()) if result is not None else None,
        "states": _finite(example.ended.states) if example.ended is not None else {},
        "nodes": tree.nodes(()),
    }


class _Tree:
    """Places alternate: a node, which of its rounds or candidates, a node in that, …"""

    def __init__(self, example: TracedExample, kinds: dict[int, str]) -> None:
        self._kinds = kinds
        self._unread = unread_calls(example)
        self._ended = {node.place: node for node in example.nodes}
        self._waiting = {node.place: node for node in example.waiting if node.place not in self._ended}
        self._calls: dict[tuple[int, ...], list[CallRecord]] = {}
        self._externs: dict[tuple[int, ...], list[ExternRecord]] = {}
        for call in example.calls:
            self._calls.setdefault(call.place, []).append(call)
        for extern in example.externs:
            self._externs.setdefault(extern.place, []).append(extern)
        self._within: dict[tuple[int, ...], set[int]] = {}
        for place in {*self._ended, *self._waiting, *self._calls, *self._externs}:
            for end in range(len(place), 0, -1):
                self._within.setdefault(place[: end - 1], set()).add(place[end - 1])

    def nodes(self, within: tuple[int, ...]) -> list[dict[str, Any]]:
        return [self._node((*within, number)) for number in sorted(self._within.get(within, ()))]

    def _node(self, place: tuple[int, ...]) -> dict[str, Any]:
        found: NodeEndedRecord | NodeBeganRecord | None = self._ended.get(place) or self._waiting.get(place)
        data: dict[str, Any] = {"node": place[-1], "kind": self._kinds.get(place[-1], "")}
        if found is not None:
            data |= {"label": found.label, "source": found.source}
        else:
            data["label"] = f"node {place[-1]}"
        match found:
            case NodeEndedRecord():
                data |= {"began": found.began, "at": found.at, "value": _finite(found.value)}
                data["error"] = found.error.model_dump() if found.error is not None else None
            case NodeBeganRecord():
                data |= {"began": found.at, "unfinished": True}
        calls = sorted(self._calls.get(place, ()), key=lambda call: (call.slot, call.attempt))
        if calls:
            data["calls"] = [self._call(call) for call in calls]
        if place in self._externs:
            data["externs"] = [_finite(one.model_dump(exclude={"event", "place"})) for one in self._externs[place]]
        inside = sorted(self._within.get(place, ()))
        if inside:
            word = _INSIDE.get(data["kind"], "part")
            data["inside"] = [
                {"name": f"{word} {number + 1}", "nodes": self.nodes((*place, number))} for number in inside
            ]
        return data

    def _call(self, call: CallRecord) -> dict[str, Any]:
        request = call.request
        data: dict[str, Any] = {
            "slot": call.slot,
            "attempt": call.attempt,
            "model": call.model,
            "engine": call.engine,
            "messages": [m.model_dump() for m in request.messages],
            "sampling": request.sampling,
            "n": request.n,
            "seed": str(request.seed + request.first),  # larger than the numbers of a browser
            "prefix": request.prefix,
            "choices": list(request.choices),
            "queued": call.queued,
            "at": call.at,
            "spans": [[queue, began, ended] for queue, began, ended in spans(call)],
            "retries": call.retries,
            "failed_tries": [failed.model_dump() for failed in call.failed_tries],
            "usage": call.usage.model_dump(),
            "stored": call.stored.model_dump(),
            "replies": [reply.model_dump() for reply in call.replies],
            "probabilities": list(call.probabilities),
            "unread": call.call in self._unread,
        }
        if call.outcome is None:
            data["dropped"] = True
        elif not call.answered:
            data["failure"] = call.outcome
        return _finite(data)  # type: ignore[no-any-return]


def _finite(value: Any) -> Any:
    """With texts in the place of numbers that JSON does not have."""
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case dict():
            return {str(name): _finite(item) for name, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
        case _:
            return value
