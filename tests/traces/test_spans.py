"""Spans for OpenTelemetry, as its exporter in memory gets them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.trace import SpanKind, StatusCode

from pnyx.runtime.errors import EngineFailure, ServerBusy
from pnyx.runtime.traces.opentelemetry import SpanSink, open_spans
from tests.runtime.scripted import ScriptedEngine, plan_of, sample
from tests.traces.traced import LOOPED, compiled, judged, simulated, traced

SECRET = "the words of a question"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


async def spans(plan: Any, engine: Any, questions: list[str], *, content: bool = False) -> list[ReadableSpan]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    await traced(plan, engine, questions, [SpanSink(provider.get_tracer("test"), content=content)])
    return list(exporter.get_finished_spans())


def named(found: list[ReadableSpan], beginning: str) -> list[ReadableSpan]:
    return [span for span in found if span.name.startswith(beginning)]


def said(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


async def test_a_span_for_the_run_and_each_example_node_and_call() -> None:
    found = await spans(judged(), ScriptedEngine(lambda _: "7"), ["Q?", "R?"])
    (run,) = named(found, "pnyx p")
    examples = named(found, "invoke_workflow p")
    assert run.parent is None
    assert {example.parent.span_id for example in examples if example.parent} == {run.context.span_id}
    assert sorted(said(example)["pnyx.example.index"] for example in examples) == [0, 1]
    assert len(named(found, "sample1")) == len(named(found, "ask2")) == 2
    assert len(named(found, "chat m")) == 6
    assert len({span.context.trace_id for span in found}) == 1
    by_id = {span.context.span_id: span for span in found}
    for span in found:
        assert span.end_time is not None
        if span.parent is not None:
            around = by_id[span.parent.span_id]
            assert around.start_time is not None
            assert span.start_time is not None
            assert around.start_time <= span.start_time <= span.end_time <= (around.end_time or 0)


async def test_a_call_has_the_names_of_the_convention() -> None:
    found = await spans(plan_of((sample(2, joined=True), (0,))), ScriptedEngine(lambda _: "a"), ["Q?"])
    (call,) = named(found, "chat")
    attributes = said(call)
    assert attributes["gen_ai.operation.name"] == "chat"
    assert attributes["gen_ai.provider.name"] == "scripted"
    assert attributes["gen_ai.request.model"] == attributes["gen_ai.response.model"] == "m"
    assert attributes["gen_ai.request.choice.count"] == 2
    assert attributes["gen_ai.request.temperature"] == 0.7
    assert attributes["gen_ai.request.max_tokens"] == 512
    assert attributes["gen_ai.usage.input_tokens"] == 3
    assert attributes["gen_ai.usage.output_tokens"] == 4
    assert attributes["gen_ai.usage.cache_read.input_tokens"] == 0
    assert attributes["gen_ai.response.finish_reasons"] == ("stop", "stop")
    known = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
    assert {name for span in found for name in said(span) if name.startswith("gen_ai.")} <= known
    assert call.kind is SpanKind.INTERNAL  # CLIENT is for servers


async def test_rounds_are_inside_their_loop(tmp_path: Path) -> None:
    found = await spans(compiled(LOOPED, tmp_path), simulated(), ["What is 2 + 3?"])
    (loop,) = named(found, "loop")
    rounds = named(found, "fuse")
    assert len(rounds) == 2
    assert {span.parent.span_id for span in rounds if span.parent} == {loop.context.span_id}
    assert {said(span)["pnyx.node.place"].count(".") for span in rounds} == {2}
    assert all(said(span)["code.line.number"] == 7 for span in rounds)


async def test_what_was_said_is_in_no_span_unless_asked_for() -> None:
    plan, engine = judged(), ScriptedEngine(lambda _: "7, said the model")
    silent = "".join(span.to_json() for span in await spans(plan, engine, [SECRET]))
    assert SECRET not in silent
    assert "said the model" not in silent
    told = await spans(plan, engine, [SECRET], content=True)
    call = named(told, "chat")[0]
    (message,) = json.loads(said(call)["gen_ai.input.messages"])
    assert message == {"role": "user", "parts": [{"type": "text", "content": SECRET}]}
    replies = json.loads(said(call)["gen_ai.output.messages"])
    assert replies[0]["parts"][0]["content"] == "7, said the model"


async def test_failures_and_retries() -> None:
    left = [ServerBusy("too many")]
    engine = ScriptedEngine(lambda _: left.pop() if left else EngineFailure("no more"))
    found = await spans(plan_of((sample(), (0,))), engine, ["Q?"])
    (call,) = named(found, "chat")
    assert (call.status.status_code, call.status.description) == (StatusCode.ERROR, "no more")
    assert said(call)["error.type"] == "R807"
    assert [event.name for event in call.events] == ["pnyx.retry", "pnyx.retry"]
    assert dict(call.events[0].attributes or {})["error.type"] == "R816"
    assert said(call)["pnyx.call.retries"] == 1
    (node,) = named(found, "sample1")
    (example,) = named(found, "invoke_workflow")
    assert node.status.status_code is example.status.status_code is StatusCode.ERROR


async def test_a_collector_that_is_away_warns_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    warned: list[str] = []
    sink = open_spans(endpoint="http://127.0.0.1:9", service=None, content=False, warn=warned.append)
    results = await traced(judged(), ScriptedEngine(lambda _: "7"), ["Q?"], [sink])
    assert results[0].error is None
    assert warned == ["the collector of OpenTelemetry did not take all spans"]
