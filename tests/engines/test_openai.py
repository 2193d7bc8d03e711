"""The engine for OpenAI-compatible servers: conformance, what is asked of a server, and what is made of its faults."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import pickle
import socket
import time
import traceback
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from engines.fault_server import Answer, Fault, FaultServer, Silent, changed, raw, status

from pnyx.compiler.operators import Reads, Sampling
from pnyx.runtime.config import EngineOptions
from pnyx.runtime.engines.conformance import CHECKS, check_closed
from pnyx.runtime.engines.engine import Capability
from pnyx.runtime.engines.openai import OpenAIEngine
from pnyx.runtime.engines.openai.failures import retry_after
from pnyx.runtime.engines.openai.key import Key
from pnyx.runtime.errors import (
    BrokenReply,
    CapabilityMissing,
    EngineFailure,
    KeyRefused,
    ModelNotFound,
    PromptTooLong,
    ReplyRefused,
    RuntimeFailure,
    ServerAway,
    ServerBusy,
    ServerFailed,
    ServerUnusable,
)
from pnyx.runtime.request import Message, Request, Subject

SECRET = "sk-0123456789-very-secret"


async def opened(server: FaultServer, **options: Any) -> OpenAIEngine:
    return await OpenAIEngine.open(model=server.model, options=EngineOptions(url=server.url, **options))


def ask(text: str = "What is 2 + 2?", **settings: Any) -> Request:
    sampling = Sampling(temperature=settings.pop("temperature", 1.0), max_tokens=settings.pop("max_tokens", 40))
    return Request(messages=(Message("user", text),), sampling=sampling, **settings)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("latency", [0.0, 0.002])
async def test_conforms_on_a_server_like_vllm(check: Any, latency: float) -> None:
    async with FaultServer("vllm", latency=latency) as server:
        engine = await opened(server, guide=False)
        assert engine.info.capabilities == frozenset(Capability) - {Capability.GUIDE}
        await check(engine)
        await engine.close()


async def test_conforms_when_closed() -> None:
    async with FaultServer("vllm") as server:
        await check_closed(await opened(server))


async def test_a_plain_server_is_asked_what_it_can() -> None:
    async with FaultServer() as server:
        engine = await opened(server)
        assert engine.info.capabilities == {Capability.CHOICES, Capability.LOGPROBS}
        assert (engine.info.engine, engine.info.model, engine.info.remote) == ("openai", "tiny-1B", True)
        assert len(server.asked) == 1
        chances = (await engine.complete(ask(choices=("Yes", "No")))).probabilities
        assert len(chances) == 2
        assert all(0 < chance < 1 for chance in chances)
        response = await engine.complete(ask(n=3))
        assert [len(sample.logprobs) == sample.tokens > 0 for sample in response.samples] == [True] * 3
        with pytest.raises(CapabilityMissing):
            await engine.complete(ask(prefix="So"))
        await engine.close()


@pytest.mark.parametrize(
    ("owner", "known"),
    [("vllm", {"top_k", "min_p", "min_tokens"}), ("sglang", {"top_k", "min_p", "min_tokens"}),
     ("llamacpp", {"top_k", "min_p"}), ("openai", set()), (None, set())],
)  # fmt: skip
async def test_settings_of_servers_that_say_who_they_are(owner: str | None, known: set[str]) -> None:
    """What is off is said to those that know it, since they may have defaults of their own."""
    off: dict[str, Any] = {"top_k": -1, "min_p": 0.0}
    given: dict[str, Any] = {"top_k": 7, "min_p": 0.25, "min_tokens": 9}
    async with FaultServer("vllm" if owner == "vllm" else "plain", owner=owner) as server:
        engine = await opened(server)
        assert engine.info.capabilities & given.keys() == known
        await engine.complete(ask())
        assert {name: server.asked[-1][name] for name in given.keys() & server.asked[-1].keys()} == {
            name: value for name, value in off.items() if name in known
        }
        for name, value in given.items():
            asked = replace(ask(), sampling=Sampling(**{name: value}))
            if name in known:
                await engine.complete(asked)
                assert server.asked[-1][name] == value
            else:
                with pytest.raises(CapabilityMissing, match=name):
                    await engine.complete(asked)
        await engine.close()


async def test_a_server_of_few_words_is_asked_for_little() -> None:
    async with FaultServer(many=False, logprobs=False, limit="max_completion_tokens") as server:
        engine = await opened(server)
        assert engine.info.capabilities == frozenset()
        response = await engine.complete(ask(n=3, seed=5))
        assert [body["seed"] for body in server.asked[-3:]] == [5, 6, 7]
        assert len({sample.text for sample in response.samples}) == 3
        assert all("max_tokens" not in body for body in server.asked[-3:])
        assert all(sample.tokens > 0 and not sample.logprobs for sample in response.samples)
        assert response.usage.generated == sum(sample.tokens for sample in response.samples)
        await engine.close()


async def test_tokens_are_shared_out_where_nobody_says() -> None:
    async with FaultServer(logprobs=False) as server:
        engine = await opened(server)
        response = await engine.complete(ask(n=4))
        counts = [sample.tokens for sample in response.samples]
        assert sum(counts) == response.usage.generated > 40
        lengths = [len(sample.text) for sample in response.samples]
        assert sorted(counts) == [count for _, count in sorted(zip(lengths, counts, strict=True))]
        await engine.close()


async def test_completions_without_chat() -> None:
    async with FaultServer() as server:
        engine = await opened(server, api="completions")
        assert Capability.PREFIX in engine.info.capabilities
        response = await engine.complete(ask("Count", prefix="One,"))
        assert server.asked[-1]["prompt"] == "Count\n\nOne,"
        assert response.samples[0].logprobs
        await engine.close()


async def test_the_form_of_a_reply_is_asked_of_a_server_that_guides() -> None:
    async with FaultServer("vllm") as server:
        engine = await opened(server)
        assert Capability.GUIDE in engine.info.capabilities
        await engine.complete(ask(reads=Reads.VERDICT))
        assert server.asked[-1]["structured_outputs"] == {"regex": "Verdict: (correct|incorrect)"}
        await engine.complete(ask(reads=Reads.TEXT, subject=Subject("?")))
        assert "structured_outputs" not in server.asked[-1]
        plain = await opened(server, guide=False)
        await plain.complete(ask(reads=Reads.VERDICT))
        assert "structured_outputs" not in server.asked[-1]
        assert plain.info.variant != engine.info.variant
        await engine.close()
        await plain.close()


async def test_stop_strings_that_a_server_does_not_take_cut_here() -> None:
    async with FaultServer() as server:
        engine = await opened(server)
        stops = ("☃1", "☃2", "☃3", "☃4", "answer")
        request = Request(messages=ask().messages, sampling=Sampling(temperature=1.0, max_tokens=60, stop=stops))
        sample = (await engine.complete(request)).samples[0]
        assert len(server.asked[-1]["stop"]) == 4
        assert "answer" not in sample.text
        assert (sample.finish, sample.stopped) == ("stop", "answer")
        await engine.close()


async def test_cancelling_hangs_up() -> None:
    async with FaultServer("vllm", latency=30.0) as server:
        engine = await opened(server)
        task = asyncio.ensure_future(engine.complete(ask()))
        await server.until(lambda: server.asked)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.until(lambda: server.cancelled)
        await engine.close()


def first_choice(**change: Any) -> Fault:
    return changed(lambda said: said["choices"][0].update(change))


NAN = b'{"choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": "stop", "logprobs": {"content": [{"token": "a", "logprob": NaN}]}}], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}'  # noqa: E501
FAULTS: list[tuple[str, Fault, type[RuntimeFailure], bool, str]] = [
    ("bad request", status(400, "temperature is too hot"), EngineFailure, False, "too hot"),
    (
        "too long",
        status(400, "This model's maximum context length is 9 tokens."),
        PromptTooLong,
        False,
        "context length",
    ),
    (
        "too long by code",
        status(400, b'{"error": {"code": "context_length_exceeded", "message": "x"}}'),
        PromptTooLong,
        False,
        "too long",
    ),
    (
        "filtered",
        status(400, b'{"error": {"code": "content_filter", "message": "bad words"}}'),
        ReplyRefused,
        False,
        "declines",
    ),
    ("no key", status(401, "who are you"), KeyRefused, False, "wants a key"),
    ("forbidden", status(403, "not you"), KeyRefused, False, "403"),
    ("no model", status(404, "no such model"), ModelNotFound, False, "no such model"),
    ("request timeout", status(408), ServerBusy, True, "408"),
    ("conflict", status(409), ServerBusy, True, "409"),
    ("too large", status(413, "body"), EngineFailure, False, "413"),
    ("unprocessable", status(422, b'{"detail": [{"loc": ["body", "n"]}]}'), EngineFailure, False, "loc"),
    ("too many", status(429, "slow down"), ServerBusy, True, "slow down"),
    ("error", status(500, b"<html><b>Oops</b></html>"), ServerFailed, True, "Oops"),
    ("bad gateway", status(502, b""), ServerAway, True, "502"),
    ("unavailable", status(503, b'"maintenance"'), ServerBusy, True, "maintenance"),
    ("gateway timeout", status(504), ServerAway, True, "504"),
    ("overloaded", status(529), ServerBusy, True, "529"),
    ("elsewhere", status(307, location="http://127.0.0.1:1/"), EngineFailure, False, "elsewhere"),
    ("teapot", status(418, "tea" * 500), EngineFailure, False, "tea…"),
    ("reset", raw(b""), ServerFailed, True, "closed the connection"),
    ("half a head", raw(b"HTTP/1.1 200 OK\r\ncontent-le"), ServerFailed, True, "the server"),
    ("half a body", lambda a: Answer(200, a.body[:40], length=len(a.body)), ServerFailed, True, "broke off"),
    (
        "half a chunk",
        raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\n{"),
        ServerFailed,
        True,
        "broke off",
    ),
    ("no HTTP", raw(b"220 mail.example ESMTP\r\n\r\n"), ServerFailed, True, "does not speak HTTP"),
    ("no JSON", lambda _: Answer(body=b"<html>welcome</html>"), BrokenReply, True, "not JSON"),
    ("cut JSON", lambda a: Answer(body=a.body[:-9]), BrokenReply, True, "not JSON"),
    ("nothing", lambda _: Answer(body=b""), BrokenReply, True, "not JSON"),
    ("not UTF-8", lambda a: Answer(body=a.body.replace(b"simulated", b"\xff\xfe")), BrokenReply, True, "not JSON"),
    ("nested JSON", lambda _: Answer(body=b"[" * 100_000), BrokenReply, True, "not JSON"),
    ("another JSON", lambda _: Answer(body=b"[1]"), BrokenReply, True, "fault"),
    ("no choices", changed(lambda said: said.pop("choices")), BrokenReply, True, "`choices`"),
    ("empty choices", changed(lambda said: said["choices"].clear()), BrokenReply, True, "0 samples where 1"),
    (
        "wrong n",
        changed(lambda said: said["choices"].append({**said["choices"][0], "index": 1})),
        BrokenReply,
        True,
        "2 samples",
    ),
    ("same index", changed(lambda said: said["choices"].append(said["choices"][0])), BrokenReply, True, "2 samples"),
    ("NaN", lambda _: Answer(body=NAN), BrokenReply, True, "finite"),
    (
        "text for a number",
        changed(lambda said: said["usage"].update(prompt_tokens="many")),
        BrokenReply,
        True,
        "prompt_tokens",
    ),
    (
        "negative usage",
        changed(lambda said: said["usage"].update(completion_tokens=-1)),
        BrokenReply,
        True,
        "completion_tokens",
    ),
    (
        "more tokens than there are",
        changed(lambda said: said["usage"].update(prompt_tokens=2**40)),
        BrokenReply,
        True,
        "prompt_tokens",
    ),
    ("no usage", changed(lambda said: said.pop("usage")), BrokenReply, True, "`usage`"),
    ("null content", first_choice(message={"content": None}, finish_reason="stop"), BrokenReply, True, "no text"),
    ("refusal", first_choice(message={"content": None, "refusal": "I will not."}), ReplyRefused, False, "declines"),
    ("content filter", first_choice(finish_reason="content_filter"), ReplyRefused, False, "declines"),
    ("aborted", first_choice(finish_reason="abort"), BrokenReply, True, "'abort'"),
    ("no reason", first_choice(finish_reason=None), BrokenReply, True, "no known reason"),
]


@pytest.mark.parametrize(("fault", "kind", "retryable", "said"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
async def test_every_fault_is_one_failure(fault: Fault, kind: type[RuntimeFailure], retryable: bool, said: str) -> None:
    async with FaultServer("vllm") as server:
        engine = await opened(server)
        server.faults.append(fault)
        with pytest.raises(RuntimeFailure) as caught:
            await engine.complete(ask())
        failure = caught.value
        assert isinstance(failure, kind)
        assert type(failure) is kind or kind in (PromptTooLong, EngineFailure)
        assert failure.retryable is retryable
        assert said in failure.message
        assert len(failure.message) < 500
        assert "\n" not in failure.message
        assert (await engine.complete(ask())).samples, "the next request is answered"
        await engine.close()


async def test_a_silent_server_is_left_after_the_timeout() -> None:
    def silent(_: Answer) -> Answer:
        raise Silent

    async with FaultServer("vllm") as server:
        engine = await opened(server, timeout=0.2)
        server.faults.append(silent)
        started = time.perf_counter()
        with pytest.raises(ServerFailed, match=r"silent for 0\.2 seconds") as caught:
            await engine.complete(ask())
        assert caught.value.retryable
        assert time.perf_counter() - started < 5
        await engine.close()


async def test_a_server_that_goes_away() -> None:
    async with FaultServer("vllm") as server:
        engine = await opened(server)
    with pytest.raises(ServerFailed, match="cannot be reached: ") as caught:
        await engine.complete(ask())
    assert caught.value.retryable
    await engine.close()


async def test_a_name_without_an_address() -> None:
    with pytest.raises(ServerUnusable, match="cannot be reached"):
        await OpenAIEngine.open(model="m", options=EngineOptions(url="http://no-such-host.invalid/v1"))


def dated(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


async def wait_asked_for(said: str) -> float:
    async with FaultServer("vllm") as server:
        engine = await opened(server)
        server.faults.append(status(429, retry_after=said))
        with pytest.raises(ServerBusy) as caught:
            await engine.complete(ask())
        assert caught.value.overloaded
        assert caught.value.retry_after is not None
        await engine.close()
        return caught.value.retry_after


@pytest.mark.parametrize(
    ("said", "seconds"), [("7", 7), ("0.5", 0.5), ("-3", 0), ("99999999999", 86400), ("inf", 86400)]
)
async def test_retry_after(said: str, seconds: float) -> None:
    assert await wait_asked_for(said) == seconds


async def test_retry_after_a_date() -> None:
    assert 3000 <= await wait_asked_for(dated(3600)) <= 3600
    assert await wait_asked_for(dated(-30)) == 0


async def test_a_server_that_is_busy_when_it_is_opened_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pnyx.runtime.engines.openai.engine._BACKOFF", 0.001)
    async with FaultServer() as server:
        server.faults.extend([status(503, "loading the model"), status(429, retry_after="0.01")])
        engine = await opened(server)
        assert (await engine.complete(ask())).samples
        await engine.close()
        server.faults.extend([status(429, retry_after="0")] * 100)
        with pytest.raises(ServerBusy) as caught:
            await opened(server)
        assert "`window`" in (caught.value.help or "")


@pytest.mark.parametrize("off", [-7200, 7200])
async def test_a_date_is_read_by_the_clock_of_the_server(off: float) -> None:
    """Whether this machine's clock is two hours late or early."""
    assert retry_after({"Retry-After": dated(off + 30), "Date": dated(off)}) == pytest.approx(30, abs=1)
    assert retry_after({"Retry-After": dated(30), "Date": "soon"}) == pytest.approx(30, abs=2)


@pytest.mark.parametrize("said", ["", "soon", "nan", "Sun, 99 Foo 2031"])
def test_retry_after_that_says_nothing(said: str) -> None:
    assert retry_after({"Retry-After": said}) is None


async def test_opening_where_no_server_is() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ServerUnusable, match="cannot be reached") as caught:
        await OpenAIEngine.open(model="m", options=EngineOptions(url=f"http://127.0.0.1:{port}/v1"))
    assert caught.value.code == "E617"


@pytest.mark.parametrize("kind", ["plain", "vllm"])
async def test_opening_a_model_that_is_not_there(kind: Any) -> None:
    async with FaultServer(kind) as server:
        with pytest.raises(ModelNotFound, match="`other`") as caught:
            await OpenAIEngine.open(model="other", options=EngineOptions(url=server.url))
        assert caught.value.help == "its models: `tiny-1B`"


async def test_opening_a_server_that_refuses_all() -> None:
    async with FaultServer() as server:
        server.faults.extend([status(400, "I never answer")] * 12)
        with pytest.raises(ServerUnusable, match="I never answer; not even one short sample"):
            await opened(server)


# The key


async def test_a_key_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PNYX_TEST_KEY", raising=False)
    with pytest.raises(KeyRefused, match="`PNYX_TEST_KEY`, which should hold the server's key, is not set") as caught:
        await OpenAIEngine.open(model="m", options=EngineOptions(url="http://127.0.0.1:1/v1", key_env="PNYX_TEST_KEY"))
    assert caught.value.code == "E618"
    monkeypatch.setenv("PNYX_TEST_KEY", "a\nb: c")
    with pytest.raises(KeyRefused, match="characters that no key has"):
        await OpenAIEngine.open(model="m", options=EngineOptions(url="http://127.0.0.1:1/v1", key_env="PNYX_TEST_KEY"))


async def test_a_key_that_is_refused_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PNYX_TEST_KEY", "sk-wrong-key")
    async with FaultServer("vllm", key=SECRET) as server:
        with pytest.raises(
            KeyRefused, match="does not accept the key in the environment variable `PNYX_TEST_KEY`"
        ) as caught:
            await opened(server, key_env="PNYX_TEST_KEY")
        assert "sk-wrong" not in caught.value.message
        with pytest.raises(KeyRefused, match="wants a key") as caught:
            await opened(server)
        assert "key_env" in (caught.value.help or "")


async def test_the_key_is_nowhere_to_be_seen(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Not in failures and their tracebacks, whatever the server repeats; not in reprs, logs, or any object's text."""
    monkeypatch.setenv("PNYX_TEST_KEY", SECRET + "\n")
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    echo = json.dumps({"error": {"message": f"Bearer {SECRET} was here", "code": SECRET}}).encode()
    echoes = [status(code, echo, retry_after="1") for code in (400, 401, 403, 404, 422, 429, 500, 503, 302)]
    echoes += [
        raw(f"HTTP/1.1 200 {SECRET}\r\n{SECRET}\r\n\r\n".encode()),
        raw(SECRET.encode()),
        lambda _: Answer(body=echo),
    ]
    async with FaultServer("vllm", key=SECRET) as server:
        engine = await opened(server, key_env="PNYX_TEST_KEY")
        assert (await engine.complete(ask())).samples
        for fault in [*echoes, *(f[1] for f in FAULTS)]:
            server.faults.append(fault)
            try:
                await engine.complete(ask())
            except RuntimeFailure as failure:
                shown += [repr(failure), failure.message, failure.help or "", *traceback.format_exception(failure)]
        shown += [repr(engine), repr(engine.info), repr(vars(engine)), repr(vars(engine._client))]
        shown += [repr(thing) for thing in gc.get_objects() if str(type(thing).__module__).startswith("pnyx.")]
        await engine.close()
    shown += [record.getMessage() for record in caplog.records]
    assert len(shown) > 100
    assert [text for text in shown if "very-secret" in text] == []


def test_a_key_is_written_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PNYX_TEST_KEY", SECRET)
    key = Key("PNYX_TEST_KEY")
    assert repr(key) == "Key('PNYX_TEST_KEY')"
    assert key.headers == {"Authorization": f"Bearer {SECRET}"}
    with pytest.raises(TypeError):
        pickle.dumps(key)
