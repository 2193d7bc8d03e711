"""How a check asks an engine, and what it expects of any answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from pnyx.compiler.operators import Sampling
from pnyx.runtime.engines.engine import Engine
from pnyx.runtime.errors import CapabilityMissing
from pnyx.runtime.request import Message, Request, Response, SampledText

__all__ = [
    "ConformanceFault", "answered", "ask", "ask_all", "crowd_of", "expect", "expect_equal", "expect_limits",
    "expect_own", "expect_refused", "flat", "outcomes_of", "request_for", "soon", "texts_of", "told",
]  # fmt: skip

_PATIENCE = 300.0  # seconds that a check waits for answers before it calls the engine stuck
_SHORT = 12  # tokens of a sample that is compared
_CROWD = 64  # the most requests at once where the engine's window is larger

_T = TypeVar("_T")


class ConformanceFault(AssertionError):
    """The engine breaks the contract; the message says where."""


def request_for(
    text: str,
    *,
    seed: int = 0,
    n: int = 1,
    temperature: float = 1.0,
    max_tokens: int = _SHORT,
    stop: tuple[str, ...] = (),
) -> Request:
    sampling = Sampling(temperature=temperature, max_tokens=max_tokens, stop=stop)
    return Request(messages=(Message("user", text),), sampling=sampling, n=n, seed=seed)


def expect(holds: bool, message: str) -> None:
    if not holds:
        raise ConformanceFault(message)


async def expect_refused(engine: Engine, request: Request, what: str) -> None:
    outcome = (await outcomes_of(engine, [request]))[0]
    refused = isinstance(outcome, CapabilityMissing)
    expect(refused, f"the capability for {what} is not declared, and it gave {told(outcome)}")


def expect_equal(expected: Sequence[str], seen: Sequence[str], what: str) -> None:
    expect(list(expected) == list(seen), f"{what} differ: {list(expected)!r}, {list(seen)!r}")


def expect_own(request: Request, response: Response) -> None:
    """The response has the shape that this very request asks for."""
    wanted = 0 if request.choices or request.continuations else request.n
    expect(len(response.samples) == wanted, f"{len(response.samples)} samples instead of {wanted}")
    given, choices = len(response.probabilities), len(request.choices)
    expect(given == choices, f"{given} probabilities for {choices} choices")
    given, texts = len(response.likelihoods), len(request.continuations)
    expect(given == texts, f"{given} likelihoods for {texts} texts")
    for sample in response.samples:
        expect_limits(request.sampling, sample)
    if request.sampling.greedy:
        expect(len(set(texts_of(response))) <= 1, "samples at temperature 0 differ")


def expect_limits(sampling: Sampling, sample: SampledText) -> None:
    expect(sample.tokens <= sampling.max_tokens, f"{sample.tokens} tokens with max_tokens = {sampling.max_tokens}")
    for stop in () if sampling.min_tokens else sampling.stop:
        expect(stop not in sample.text, f"the text holds the stop string {stop!r}")


def texts_of(response: Response) -> list[str]:
    return [sample.text for sample in response.samples]


def flat(responses: Sequence[Response]) -> list[str]:
    return [text for response in responses for text in texts_of(response)]


def crowd_of(engine: Engine) -> int:
    return min(engine.info.window, _CROWD)


async def ask(engine: Engine, request: Request) -> Response:
    return (await ask_all(engine, [request]))[0]


async def ask_all(engine: Engine, requests: Sequence[Request]) -> list[Response]:
    return [answered(outcome) for outcome in await outcomes_of(engine, requests)]


async def outcomes_of(engine: Engine, requests: Sequence[Request]) -> list[Response | BaseException]:
    calls = (engine.complete(request) for request in requests)
    return await soon(asyncio.gather(*calls, return_exceptions=True), f"one of {len(requests)} requests at once")


def answered(outcome: Response | BaseException) -> Response:
    if isinstance(outcome, BaseException):
        raise ConformanceFault(f"a sound request failed: {outcome!r}")
    return outcome


def told(outcome: Response | BaseException) -> str:
    return repr(outcome) if isinstance(outcome, BaseException) else "an answer"


async def soon(awaitable: Awaitable[_T], what: str) -> _T:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await awaitable
    except TimeoutError:
        raise ConformanceFault(f"{what} got no answer within {_PATIENCE:g} seconds") from None
