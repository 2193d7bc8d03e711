"""Events as lines of JSON: the form of a trace file, which `reader` reads.

A text of forty characters or more is written once for each example, in the `texts` of the first line that has it, under
a hash; elsewhere `{"$": hash}` stands for it. So the lines of one example need no others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any, assert_never, cast

from pnyx.compiler.operators import Sampling
from pnyx.runtime.calls import Answer, Draw
from pnyx.runtime.candidates import Candidate, Value
from pnyx.runtime.engines.engine import EngineInfo
from pnyx.runtime.errors import RuntimeFailure
from pnyx.runtime.externs import Returned
from pnyx.runtime.question import Chat
from pnyx.runtime.request import Request, Response
from pnyx.runtime.traces.events import (
    CallEnded,
    Event,
    ExampleBegan,
    ExampleEnded,
    ExternEnded,
    NodeBegan,
    NodeEnded,
    RunBegan,
    RunEnded,
)

__all__ = ["TRACE_VERSION", "Encoder"]

TRACE_VERSION = 1
_LONG = 40
_SHOWN = 2000
_JSON = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"))


class Encoder:
    """Makes a line of every event. Times become seconds since the run began, plus `offset`."""

    def __init__(self, offset: float = 0.0) -> None:
        self._offset = offset
        self._start = 0.0
        self._texts: dict[int, set[str]] = {}

    def line(self, event: Event) -> bytes:
        """With the line break."""
        if isinstance(event, RunBegan):
            self._start = event.at - self._offset
        texts: dict[str, str] = {}
        data = _Writing(self, event, texts).data()
        if texts:
            data["texts"] = texts
        if isinstance(event, ExampleEnded):
            self.forget(event.index)
        try:
            return _JSON.encode(data).encode() + b"\n"
        except UnicodeEncodeError:  # half of a surrogate pair, in what a model wrote
            return json.dumps(data, separators=(",", ":")).encode() + b"\n"

    def forget(self, index: int) -> None:
        """Nothing more comes of this example."""
        self._texts.pop(index, None)

    def time(self, at: float) -> float:
        return round(at - self._start, 6)

    def known(self, index: int) -> set[str]:
        return self._texts.setdefault(index, set())


class _Writing:
    """One event on its way; new texts of its example go into `texts`."""

    def __init__(self, encoder: Encoder, event: Event, texts: dict[str, str]) -> None:
        self._encoder, self._event, self._texts = encoder, event, texts

    def data(self) -> dict[str, Any]:
        match self._event:
            case RunBegan() as event:
                return self._header(event)
            case ExampleBegan() as event:
                asked = event.question
                return {
                    "event": "example_began",
                    "example": event.index,
                    "id": event.id,
                    "messages": self._messages(asked.messages) if asked is not None else [],
                    "at": self._time(event.at),
                }
            case NodeBegan() as event:
                return {"event": "node_began", **self._node(event), "at": self._time(event.at)}
            case NodeEnded() as event:
                return {
                    "event": "node_ended",
                    **self._node(event),
                    "began": self._time(event.began),
                    "at": self._time(event.at),
                    "value": self._value(event.value),
                    "error": asdict(event.error) if event.error is not None else None,
                }
            case CallEnded() as event:
                return self._call(event)
            case ExternEnded() as event:
                return self._extern(event)
            case ExampleEnded() as event:
                return self._example_ended(event)
            case RunEnded() as event:
                return {"event": "run_ended", "at": self._time(event.at), "summary": dict(event.summary)}
            case event:
                assert_never(event)

    def _time(self, at: float) -> float:
        return self._encoder.time(at)

    def _header(self, event: RunBegan) -> dict[str, Any]:
        plan = event.plan
        return {
            "event": "run_began",
            "pnyx": "trace",
            "version": TRACE_VERSION,
            "pipeline": plan.pipeline,
            "digest": plan.digest,
            "seed": event.seed,
            "started": datetime.fromtimestamp(event.wall, UTC).isoformat(timespec="milliseconds"),
            "models": {name: _engine(info) for name, info in event.engines.items()},
            "simulated": any(info.simulated for info in event.engines.values()),
            "versions": dict(event.versions),
            "source": plan.source,
            "source_text": event.source_text,
            "plan": json.loads(plan.to_json()),
            "predicted": event.predicted,
            "at": self._time(event.at),
        }

    def _node(self, event: NodeBegan | NodeEnded) -> dict[str, Any]:
        return {
            "example": event.index,
            "node": event.place[-1],
            "place": list(event.place),
            "path": event.path,
            "label": event.label,
            "source": event.source,
        }

    def _call(self, event: CallEnded) -> dict[str, Any]:
        answer = event.outcome if isinstance(event.outcome, Answer) else None
        data = {
            "event": "call",
            "example": event.index,
            "node": event.place[-1],
            "place": list(event.place),
            "call": event.call,
            "slot": event.slot,
            "attempt": event.attempt,
            "model": event.model,
            "engine": event.engine.engine,
            "request": self._request(event.request),
            "queued": self._time(event.queued),
            "at": self._time(event.at),
            "draws": [self._draw(draw) for draw in event.draws],
            "outcome": _outcome(event.outcome),
        }
        if answer is not None:
            data |= self._answer(answer, sum(draw.usage.cached for draw in event.draws if draw.usage is not None))
        return data

    def _request(self, request: Request) -> dict[str, Any]:
        data: dict[str, Any] = {
            "messages": self._messages(request.messages),
            "sampling": _sampling(request.sampling),
            "n": request.n,
            "first": request.first,
            "seed": request.seed,
            "reads": str(request.reads),
            "priority": request.priority,
        }
        if request.prefix:
            data["prefix"] = self._text(request.prefix)
        if request.choices:
            data["choices"] = list(request.choices)
        if request.continuations:
            data["continuations"] = [self._text(text) for text in request.continuations]
        return data

    def _answer(self, answer: Answer, cached_prompt: int) -> dict[str, Any]:
        response: Response = answer.response
        usage = response.usage
        return {
            "usage": {"prompt": usage.prompt, "generated": usage.generated, "cached": cached_prompt},
            "stored": {"whole": answer.cached, "samples": answer.cached_samples, "tokens": answer.cached_tokens},
            "seconds": response.seconds,
            "replies": [
                {"text": self._text(sample.text), "tokens": sample.tokens, "finish": sample.finish}
                for sample in response.samples
            ],
            "probabilities": list(response.probabilities),
        }

    def _draw(self, draw: Draw) -> dict[str, Any]:
        return {
            "first": draw.first,
            "n": draw.n,
            "began": self._time(draw.began),
            "ended": self._time(draw.ended),
            "failed": [
                {"began": self._time(began), "ended": self._time(ended), "code": why.code, "message": why.message}
                for began, ended, why in draw.failures
            ],
        }

    def _extern(self, event: ExternEnded) -> dict[str, Any]:
        given = {name: _shown(value) for name, value in event.invocation.arguments.items()}
        gave = event.outcome.value if isinstance(event.outcome, Returned) else None
        return {
            "event": "extern",
            "example": event.index,
            "node": event.place[-1],
            "place": list(event.place),
            "call": event.call,
            "target": event.invocation.target,
            "arguments": {name: self._text(text) for name, text in given.items()},
            "queued": self._time(event.queued),
            "at": self._time(event.at),
            "outcome": _outcome(event.outcome),
            "gave": self._text(_shown(gave)) if gave is not None else None,
        }

    def _example_ended(self, event: ExampleEnded) -> dict[str, Any]:
        result = event.result
        data: dict[str, Any] = {
            "event": "example_ended",
            "example": event.index,
            "at": self._time(event.at),
            "states": {name: self._value(value) for name, value in event.states.items()},
            "result": None,
        }
        if result is not None:
            data["result"] = {
                "answer": self._text(result.answer) if result.answer is not None else None,
                "error": asdict(result.error) if result.error is not None else None,
                "usage": asdict(result.usage),
                "unread": [
                    {**asdict(unread), "reply": self._text(unread.reply), "candidate": self._text(unread.candidate)}
                    for unread in result.failures
                ],
            }
        return data

    def _messages(self, messages: Any) -> list[dict[str, Any]]:
        return [{"role": message.role, "content": self._text(message.content)} for message in messages]

    def _value(self, value: Value) -> Any:
        """A pool as `{"pool": […]}`, several results as `{"parts": […]}`, a question as `{"chat": …}`, or a scalar."""
        match value:
            case Chat():
                return {"chat": self._text(value.text)}
            case tuple() if all(isinstance(part, Candidate) for part in value):
                pool = cast("tuple[Candidate, ...]", value)
                return {"pool": [{k: self._text(v) for k, v in c.fields.items()} for c in pool]}
            case tuple():
                return {"parts": [self._value(part) for part in cast("tuple[Value, ...]", value)]}
            case _:
                return self._text(value)

    def _text(self, text: Any) -> Any:
        if not isinstance(text, str) or len(text) < _LONG:
            return text
        digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        assert not isinstance(self._event, RunBegan | RunEnded)
        known = self._encoder.known(self._event.index)
        if digest not in known:
            known.add(digest)
            self._texts[digest] = text
        return {"$": digest}


@lru_cache(maxsize=256)
def _sampling(sampling: Sampling) -> dict[str, Any]:
    return sampling.told()


def _engine(info: EngineInfo) -> dict[str, Any]:
    return {
        "engine": info.engine,
        "model": info.model,
        "variant": info.variant,
        "context": info.context,
        "window": info.window,
        "parameters": info.parameters,
        "remote": info.remote,
        "simulated": info.simulated,
    }


def _outcome(outcome: object) -> dict[str, Any] | None:
    """None where nobody waited for it any more."""
    match outcome:
        case None:
            return None
        case RuntimeFailure():
            return {"code": outcome.code, "message": outcome.message, "failure": type(outcome).__name__}
        case _:
            return {}


def _shown(value: object) -> str:
    """What went to or came from a user's function, as text of bounded length."""
    if isinstance(value, Mapping):
        value = dict(value)
    elif isinstance(value, tuple | list):
        value = [dict(item) if isinstance(item, Mapping) else item for item in value[:50]]
    try:
        text = value if isinstance(value, str) else repr(value)
    except Exception as error:  # it is the user's own class
        text = f"({type(error).__name__} while it was shown)"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
