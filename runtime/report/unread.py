"""Which calls of an example had a reply that could not be read."""

from __future__ import annotations

from pnyx.runtime.results import REPLY_SHOWN
from pnyx.runtime.traces.reader import TracedExample

__all__ = ["unread_calls"]


def unread_calls(example: TracedExample) -> frozenset[int]:
    """By number. The node asked again after it, or the result lists the reply as the last of its tries."""
    last: dict[tuple[tuple[int, ...], int], int] = {}
    for call in example.calls:
        slot = call.place, call.slot
        last[slot] = max(last.get(slot, 0), call.attempt)
    labels = {node.place: node.label for node in example.waiting}
    result = example.ended.result if example.ended is not None else None
    listed = {(unread.node, unread.attempts, unread.reply) for unread in (result.unread if result else ())}
    return frozenset(
        call.call
        for call in example.calls
        if call.answered
        and (
            call.attempt < last[call.place, call.slot]
            or (labels.get(call.place, ""), call.attempt + 1, _said(call.replies, call.probabilities)) in listed
        )
    )


def _said(replies: tuple[object, ...], probabilities: tuple[float, ...]) -> str:
    """As the result shows it."""
    if replies:
        return str(getattr(replies[0], "text", ""))[:REPLY_SHOWN]
    return f"p(Yes), p(No) = {probabilities}"
