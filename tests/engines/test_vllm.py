"""A real vLLM with the real SmolLM2, in this process and as a server on loopback: both conform, and do what is theirs.

Run by `make test-vllm`; skipped where vllm is not installed.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from pnyx.compiler.operators import Reads, Sampling
from pnyx.runtime.config import EngineOptions
from pnyx.runtime.engines.conformance import CHECKS, check_closed
from pnyx.runtime.engines.engine import Capability, Engine
from pnyx.runtime.engines.vllm import VllmEngine
from pnyx.runtime.errors import ConfigurationError, EngineFailure, KeyRefused, ModelNotFound
from pnyx.runtime.models import find
from pnyx.runtime.reading import read
from pnyx.runtime.request import Message, Request, Subject

vllm = pytest.importorskip("vllm", reason="vllm is not installed", exc_type=ImportError)
pytestmark = [
    pytest.mark.vllm,
    pytest.mark.asyncio(loop_scope="module"),
    # vLLM leaves a context of zmq open when it is shut down.
    pytest.mark.filterwarnings("ignore:Exception ignored in.*Context.__del__:pytest.PytestUnraisableExceptionWarning"),
]

KEY = "sk-loopback-only"
CONTEXT = 1024
WINDOW = 16
SETTINGS = {"context": CONTEXT, "window": WINDOW, "dtype": "float32"}


@pytest.fixture(scope="module")
def folder() -> Path:
    try:
        return find("smollm2-135m").folder
    except ModelNotFound as failure:
        pytest.skip(failure.message)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def local(folder: Path) -> AsyncIterator[VllmEngine]:
    options = EngineOptions(**SETTINGS)
    engine = await asyncio.to_thread(VllmEngine.open, folder, model="smollm2-135m", options=options)
    yield engine
    await check_closed(engine)


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder)]
    command += [
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--served-model-name",
        "smollm2",
        "--max-model-len",
        str(CONTEXT),
    ]
    command += ["--max-num-seqs", str(WINDOW), "--enforce-eager", "--enable-prompt-tokens-details"]
    command += ["--dtype", "float32", "--api-key", KEY]
    quiet = {"VLLM_LOGGING_LEVEL": "ERROR", "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
    server = subprocess.Popen(command, env={**os.environ, **quiet}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        _wait(f"http://127.0.0.1:{port}/health", server)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.communicate(timeout=60)


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 240
    while time.monotonic() < until:
        if server.poll() is not None:
            pytest.fail(f"vllm serve has ended: {server.communicate()[1].decode()[-2000:]}")
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            time.sleep(0.5)
        else:
            return
    pytest.fail("vllm serve is not ready after four minutes")


async def connect(address: str, **options: Any) -> Engine:
    from pnyx.runtime.engines.openai import OpenAIEngine

    os.environ["PNYX_TEST_VLLM_KEY"] = KEY
    settings = {"url": address, "key_env": "PNYX_TEST_VLLM_KEY", "window": WINDOW} | options
    return await OpenAIEngine.open(model="smollm2", options=EngineOptions(**settings))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def remote(address: str) -> AsyncIterator[Engine]:
    engine = await connect(address)
    yield engine
    await check_closed(engine)


@pytest.fixture(params=["local", "remote"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(request.param)
    return found


def ask(text: str = "What is 2 + 2?", **settings: Any) -> Request:
    sampling = Sampling(temperature=settings.pop("temperature", 1.0), max_tokens=settings.pop("max_tokens", 24))
    return Request(messages=(Message("user", text),), sampling=sampling, **settings)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_conforms(engine: Engine, check: Any) -> None:
    await check(engine)


async def test_it_says_what_it_can(engine: Engine) -> None:
    assert engine.info.capabilities == frozenset(Capability)
    assert (engine.info.context, engine.info.window) == (CONTEXT, WINDOW)
    assert engine.info.remote == (engine.info.engine == "openai")


async def test_a_shared_prompt_is_computed_once(engine: Engine) -> None:
    text = "The quick brown fox jumps over the lazy dog. " * 20
    await engine.complete(ask(text, max_tokens=1))
    usage = (await engine.complete(ask(text + "Why?", max_tokens=1))).usage
    assert 100 < usage.cached < usage.prompt


async def test_a_forgotten_prompt_is_computed_anew(local: VllmEngine) -> None:
    request = ask("The five boxing wizards jump quickly. " * 20, max_tokens=1)
    counts = [(await local.complete(request)).usage.cached for _ in range(2)]
    await local.forget()
    counts += [(await local.complete(request)).usage.cached for _ in range(2)]
    assert counts[0] == counts[2] < 100 < counts[1] == counts[3]


async def test_judges_are_read_every_time(engine: Engine) -> None:
    subject = Subject("?", candidates=("4", "5", "22"), tests=("is a number", "is even"), options=("maths", "poetry"))
    for reads, size in ((Reads.VERDICT, 0), (Reads.GRADE, 0), (Reads.ORDER, 3), (Reads.PASSES, 2)):
        for limit in (64, 200):
            request = ask("Is 2 + 2 = 4?", reads=reads, subject=subject, n=2, max_tokens=limit, seed=1)
            texts = [sample.text for sample in (await engine.complete(request)).samples]
            assert None not in [read(reads, text, size=size, count=None) for text in texts], texts


async def test_a_crowd_shares_the_batch(engine: Engine) -> None:
    requests = [ask(f"Name {k} things.", n=2, seed=k, max_tokens=16) for k in range(2 * WINDOW)]
    alone = [await engine.complete(requests[0]), await engine.complete(requests[1])]
    started = time.perf_counter()
    together = await asyncio.gather(*map(engine.complete, requests))
    assert time.perf_counter() - started < len(requests) * alone[0].seconds
    assert [len(response.samples) for response in together] == [2] * len(requests)


async def test_no_key_no_answer(address: str) -> None:
    with pytest.raises(KeyRefused, match="wants a key"):
        await connect(address, key_env=None)


async def test_a_context_that_the_model_has_not(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from pnyx.runtime.engines.vllm.opening import start

    with pytest.raises(EngineFailure, match=r"cannot load the model in .*max_model_len"):
        start(folder, EngineOptions(context=1_000_000))
    assert capfd.readouterr().err == ""


async def test_a_device_of_another_build(folder: Path) -> None:
    from pnyx.runtime.engines.vllm.opening import start

    with pytest.raises(ConfigurationError, match="this build of vLLM runs on"):
        start(folder, EngineOptions(device="mps"))
