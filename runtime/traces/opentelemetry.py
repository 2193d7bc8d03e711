"""Traces for OpenTelemetry: a span for the run and for each example, node and call, with the names of its conventions
for generative AI (`gen_ai.*`) and our own (`pnyx.*`).

Invariants: what models were told and what they said is in no span unless it is asked for; a collector that is slow or
away neither delays nor ends a run; one warning says that spans were not taken.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pnyx.runtime.calls import Answer
from pnyx.runtime.errors import PackageMissing, RuntimeFailure
from pnyx.runtime.request import Message
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
)

try:
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, set_span_in_context
except ImportError as missing:
    raise PackageMissing(
        f"spans for OpenTelemetry need the package `{missing.name}`", help="pip install 'pnyx[otel]'"
    ) from None

__all__ = ["SpanSink", "open_spans"]

_CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_LONGEST_FLUSH = 10_000


def open_spans(*, endpoint: str | None, service: str | None, content: bool, warn: Callable[[str], None]) -> SpanSink:
    """Sends spans where the standard variables (`OTEL_EXPORTER_OTLP_…`) say, or else to the collector at `endpoint`,
    by HTTP. `content`: with what models were told and said; the standard variable for that counts before it."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    said = any(os.environ.get(f"OTEL_EXPORTER_OTLP_{name}") for name in ("TRACES_ENDPOINT", "ENDPOINT"))
    there = None if said or endpoint is None else f"{endpoint.rstrip('/')}/v1/traces"
    exporter = _Noting(OTLPSpanExporter(endpoint=there))
    # It reports every span that it cannot send with a traceback; one warning of ours is enough.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    name = os.environ.get("OTEL_SERVICE_NAME") or service or "pnyx"
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
    provider.add_span_processor(BatchSpanProcessor(exporter))

    def end() -> None:
        provider.force_flush(_LONGEST_FLUSH)
        provider.shutdown()
        if exporter.failed:
            warn("the collector of OpenTelemetry did not take all spans")

    asked = os.environ.get(_CONTENT, "").strip().lower()
    shown = asked in ("true", "1", "span_only", "span_and_event") if asked else content
    return SpanSink(provider.get_tracer("pnyx"), content=shown, end=end)


class _Noting(SpanExporter):
    """Knows whether anything was not taken."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self.failed = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        self.failed = self.failed or result is not SpanExportResult.SUCCESS
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class SpanSink:
    """Makes spans with `tracer`; `end` sends what is left."""

    def __init__(self, tracer: Tracer, *, content: bool = False, end: Callable[[], None] = lambda: None) -> None:
        self._tracer, self._content, self._end = tracer, content, end
        self._epoch = 0.0
        self._pipeline = ""
        self._run: Span | None = None
        self._examples: dict[int, Span] = {}
        self._nodes: dict[int, dict[Place, Span]] = {}

    def take(self, event: Event) -> None:
        match event:
            case RunBegan():
                self._run_began(event)
            case ExampleBegan():
                self._example_began(event)
            case NodeBegan():
                self._nodes[event.index][event.place] = self._node(event, event.at)
            case NodeEnded():
                span = self._nodes[event.index].pop(event.place, None) or self._node(event, event.began)
                if event.error is not None:
                    _failed(span, event.error.code, event.error.message)
                if isinstance(event.value, tuple):
                    span.set_attribute("pnyx.node.candidates", len(event.value))
                span.end(self._time(event.at))
            case CallEnded():
                self._call(event)
            case ExternEnded():
                self._extern(event)
            case ExampleEnded():
                self._example_ended(event)
            case RunEnded() if self._run is not None:
                figures = {f"pnyx.run.{k}": v for k, v in event.summary.items() if isinstance(v, int | float)}
                self._run.set_attributes(figures)
                self._run.end(self._time(event.at))

    def close(self) -> None:
        self._end()

    def _time(self, at: float) -> int:
        """In nanoseconds since 1970."""
        return int((self._epoch + at) * 1e9)

    def _span(
        self,
        name: str,
        parent: Span | None,
        began: float,
        attributes: Mapping[str, Any],
        kind: SpanKind = SpanKind.INTERNAL,
    ) -> Span:
        context = set_span_in_context(parent) if parent is not None else None
        known = {name: value for name, value in attributes.items() if value is not None}
        return self._tracer.start_span(name, context, kind, known, start_time=self._time(began))

    def _around(self, index: int, place: Place) -> Span:
        """The innermost span that the node at this place is in."""
        nodes = self._nodes[index]
        for end in range(len(place), 0, -2):
            if place[:end] in nodes:
                return nodes[place[:end]]
        return self._examples[index]

    def _run_began(self, event: RunBegan) -> None:
        self._epoch, self._pipeline = event.wall - event.at, event.plan.pipeline
        attributes = {
            "pnyx.pipeline": event.plan.pipeline,
            "pnyx.plan.digest": event.plan.digest,
            "pnyx.seed": event.seed,
            "pnyx.version": event.versions.get("pnyx"),
        }
        self._run = self._span(f"pnyx {event.plan.pipeline}", None, event.at, attributes)

    def _example_began(self, event: ExampleBegan) -> None:
        messages = event.question.messages if event.question is not None else ()
        attributes = {
            "gen_ai.operation.name": "invoke_workflow",
            "gen_ai.agent.name": self._pipeline,
            "gen_ai.input.messages": _messages(messages) if self._content else None,
            "pnyx.example.index": event.index,
            "pnyx.example.id": event.id,
        }
        self._nodes[event.index] = {}
        self._examples[event.index] = self._span(f"invoke_workflow {self._pipeline}", self._run, event.at, attributes)

    def _example_ended(self, event: ExampleEnded) -> None:
        span = self._examples.pop(event.index)
        for node in self._nodes.pop(event.index).values():
            node.end(self._time(event.at))
        result = event.result
        if result is None:
            _failed(span, "cancelled", "the run ended before the example")
        elif result.error is not None:
            _failed(span, result.error.code, result.error.message)
        elif self._content and result.answer is not None:
            span.set_attribute("gen_ai.output.messages", _replies([(result.answer, "stop")]))
        if result is not None:
            span.set_attribute("pnyx.example.unread", len(result.failures))
        span.end(self._time(event.at))

    def _node(self, event: NodeBegan | NodeEnded, began: float) -> Span:
        attributes = {
            "pnyx.node.index": event.place[-1],
            "pnyx.node.place": ".".join(map(str, event.place)),
            "pnyx.node.label": event.label,
            "code.file.path": event.source.rsplit(":", 2)[0] if event.source else None,
            "code.line.number": int(event.source.rsplit(":", 2)[1]) if event.source else None,
        }
        return self._span(event.label, self._around(event.index, event.place[:-2]), began, attributes)

    def _call(self, event: CallEnded) -> None:
        request, sampling, outcome = event.request, event.request.sampling, event.outcome
        failed = sum(len(draw.failures) for draw in event.draws)
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": event.engine.engine,
            "gen_ai.request.model": event.engine.model,
            "gen_ai.request.temperature": sampling.temperature,
            "gen_ai.request.top_p": sampling.top_p,
            "gen_ai.request.top_k": sampling.top_k,
            "gen_ai.request.max_tokens": sampling.max_tokens,
            "gen_ai.request.stop_sequences": list(sampling.stop) or None,
            "gen_ai.request.seed": request.seed + request.first,
            "gen_ai.request.choice.count": request.n if request.n != 1 else None,
            "gen_ai.output.type": "text",
            "pnyx.model": event.model,
            "pnyx.call.slot": event.slot,
            "pnyx.call.attempt": event.attempt,
            "pnyx.call.retries": max(0, failed - isinstance(outcome, RuntimeFailure)),
        }
        if event.draws:
            first = event.draws[0]
            started = first.failures[0][0] if first.failures else first.began
            attributes["pnyx.call.queue_seconds"] = max(0.0, started - event.queued)
        if isinstance(outcome, Answer):
            attributes |= self._answered(outcome, event)
        if self._content:
            attributes["gen_ai.input.messages"] = _messages([m for m in request.messages if m.role != "system"])
            system = [{"type": "text", "content": m.content} for m in request.messages if m.role == "system"]
            attributes["gen_ai.system_instructions"] = json.dumps(system) if system else None
        kind = SpanKind.CLIENT if event.engine.remote else SpanKind.INTERNAL
        parent = self._around(event.index, event.place)
        span = self._span(f"chat {event.engine.model}", parent, event.queued, attributes, kind)
        for draw in event.draws:
            for _, ended, why in draw.failures:
                said = {"error.type": why.code, "exception.message": why.message}
                span.add_event("pnyx.retry", said, timestamp=self._time(ended))
        if outcome is None:
            _failed(span, "cancelled", "nobody waited for it any more")
        elif isinstance(outcome, RuntimeFailure):
            _failed(span, outcome.code, outcome.message)
        span.end(self._time(event.at))

    def _answered(self, answer: Answer, event: CallEnded) -> dict[str, Any]:
        """What came from the store was not used again, so it is no usage."""
        response = answer.response
        attributes: dict[str, Any] = {
            "gen_ai.response.model": event.engine.model,
            "gen_ai.response.finish_reasons": [sample.finish for sample in response.samples] or None,
            "pnyx.call.stored": answer.cached,
            "pnyx.call.stored_samples": answer.cached_samples,
        }
        if not answer.cached:
            cached = sum(draw.usage.cached for draw in event.draws if draw.usage is not None)
            attributes["gen_ai.usage.input_tokens"] = response.usage.prompt
            attributes["gen_ai.usage.output_tokens"] = max(0, response.usage.generated - answer.cached_tokens)
            attributes["gen_ai.usage.cache_read.input_tokens"] = cached
        if self._content and response.samples:
            attributes["gen_ai.output.messages"] = _replies([(s.text, s.finish) for s in response.samples])
        return attributes

    def _extern(self, event: ExternEnded) -> None:
        attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": event.invocation.target,
            "gen_ai.tool.type": "function",
        }
        parent = self._around(event.index, event.place)
        span = self._span(f"execute_tool {event.invocation.target}", parent, event.queued, attributes)
        if isinstance(event.outcome, RuntimeFailure):
            _failed(span, event.outcome.code, event.outcome.message)
        span.end(self._time(event.at))


def _failed(span: Span, code: str, message: str) -> None:
    span.set_attribute("error.type", code)
    span.set_status(StatusCode.ERROR, message)


def _messages(messages: Sequence[Message]) -> str:
    return json.dumps(
        [{"role": m.role, "parts": [{"type": "text", "content": m.content}]} for m in messages], ensure_ascii=False
    )


def _replies(replies: Sequence[tuple[str, str]]) -> str:
    return json.dumps(
        [
            {"role": "assistant", "parts": [{"type": "text", "content": text}], "finish_reason": finish}
            for text, finish in replies
        ],
        ensure_ascii=False,
    )
