"""The conformance suite: what callers rely on in every engine, checked on a live one.

`CHECKS` need nothing of the model but that it writes some text: they hold for a large model, a tiny random one and the
simulated one. Each raises ConformanceFault with what it saw. They leave the engine as they found it; `check_closed`
alone closes it. Requests that are compared run one after another, so an engine whose numbers depend on the batch can
pass; only a simulated engine must answer alike in every company.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeAlias, TypeVar

from pnyx.compiler.operators import Sampling
from pnyx.runtime.engines.engine import Capability, Engine
from pnyx.runtime.errors import CapabilityMissing, EngineFailure, PromptTooLong
from pnyx.runtime.request import Message, Request, Response, Role, SampledText

__all__ = ["CHECKS", "Check", "ConformanceFault", "check_closed", "run_conformance"]

Check: TypeAlias = Callable[[Engine], Awaitable[None]]

_PATIENCE = 300.0  # seconds that a check waits for answers before it calls the engine stuck
_SHORT = 12  # tokens of a sample that is compared
_CROWD = 64  # the most requests at once where the engine's window is larger
_SMALL_CONTEXT = 2048  # tokens up to which a check may fill the context
_NEVER = "\u2603 never written \u2603"

_T = TypeVar("_T")


class ConformanceFault(AssertionError):
    """The engine breaks the contract; the message says where."""


async def run_conformance(engine: Engine) -> list[str]:
    """Runs every check, then closes the engine. Gives one line for each check that failed, none for a sound engine."""
    faults = []
    for check in (*CHECKS, check_closed):
        name = getattr(check, "__name__", "check")
        try:
            await check(engine)
        except Exception as error:  # an engine under test may raise anything
            faults.append(f"{name}: {error if isinstance(error, ConformanceFault) else repr(error)}")
    return faults


async def check_info(engine: Engine) -> None:
    """It says who it is and what it can hold."""
    info = engine.info
    _expect(bool(info.engine and info.model), "info names no engine or no model")
    _expect(info.context > 1, f"info.context is {info.context}")
    _expect(info.window > 0, f"info.window is {info.window}")
    _expect(info.parameters is None or info.parameters > 0, f"info.parameters is {info.parameters}")
    known = all(isinstance(capability, Capability) for capability in info.capabilities)
    _expect(known, f"info.capabilities holds something else: {sorted(info.capabilities)}")


async def check_repeatable(engine: Engine) -> None:
    """The same request twice gives the same samples."""
    request = _request("Tell me about rivers.", seed=11, n=2)
    first, second = await _ask(engine, request), await _ask(engine, request)
    _expect_equal(_texts(first), _texts(second), "one request asked twice")


async def check_joined_samples(engine: Engine) -> None:
    """n samples of one request are, in order, those of n requests: sample k has seed `seed + k`."""
    request = _request("Name an animal.", seed=40, n=4)
    joined = _texts(await _ask(engine, request))
    _expect(len(joined) == 4, f"n = 4 gave {len(joined)} samples")
    indexed = [await _ask(engine, replace(request, n=1, first=k)) for k in range(4)]
    _expect_equal(joined, _flat(indexed), "samples of n = 4 and of first = 0 to 3")
    seeded = [await _ask(engine, replace(request, n=1, seed=40 + k)) for k in range(4)]
    _expect_equal(joined, _flat(seeded), "samples of n = 4 and of seeds 40 to 43")
    later = await _ask(engine, replace(request, n=2, first=2))
    _expect_equal(joined[2:], _texts(later), "the last two of n = 4 and first = 2, n = 2")


async def check_seeds_differ(engine: Engine) -> None:
    """Different seeds draw different samples: at least two of eight."""
    answers = [await _ask(engine, _request("Say something surprising.", seed=seed)) for seed in range(8)]
    _expect(len(set(_flat(answers))) > 1, "eight seeds at temperature 1 gave one and the same text")
    joined = _texts(await _ask(engine, _request("Say something surprising.", seed=0, n=8)))
    _expect(len(set(joined)) > 1, "eight samples of one request at temperature 1 are one and the same text")


async def check_greedy(engine: Engine) -> None:
    """Temperature 0 gives one text, whatever the seed."""
    request = _request("Count to five.", temperature=0.0)
    texts = _flat([await _ask(engine, replace(request, seed=seed)) for seed in (0, 0, 1, 12345)])
    texts += _texts(await _ask(engine, replace(request, n=2)))
    _expect(len(set(texts)) == 1, f"temperature 0 gave different texts: {sorted(set(texts))!r}")


async def check_max_tokens(engine: Engine) -> None:
    """No sample is longer than max_tokens, and `length` is the finish of exactly those that the limit cut."""
    cut = 0
    for limit in (1, 5):
        response = await _ask(engine, _request("Write a long story about the sea.", n=8, max_tokens=limit))
        for sample in response.samples:
            _expect(sample.tokens <= limit, f"{sample.tokens} tokens with max_tokens = {limit}")
            whole = sample.finish == "stop" or sample.tokens == limit
            _expect(whole, f"finish is `length` after {sample.tokens} of {limit} tokens")
            cut += sample.finish == "length"
    _expect(cut > 0, "sixteen samples of 1 or 5 tokens, and none has finish `length`")


async def check_stop(engine: Engine) -> None:
    """A stop string ends the sample, is not part of its text, and makes its finish `stop`."""
    request = _request("Describe a garden.", seed=5, max_tokens=24)
    text, seed = await _some_text(engine, request)
    stop = _stop_inside(text)
    kept = text[: text.find(stop)]
    for stops in ((stop,), (_NEVER, stop)):
        sampling = replace(request.sampling, stop=stops)
        sample = (await _ask(engine, replace(request, seed=seed, sampling=sampling))).samples[0]
        _expect_equal([kept], [sample.text], f"the text before the stop string {stop!r}")
        _expect(sample.finish == "stop", f"finish is `{sample.finish}` although {stop!r} ended the sample")
        _expect(sample.tokens > 0, "the tokens of the stop string are not counted")
    sampling = replace(request.sampling, stop=(_NEVER,))
    unstopped = await _ask(engine, replace(request, seed=seed, sampling=sampling))
    _expect_equal([text], _texts(unstopped), "the text with a stop string that never comes")


async def check_usage(engine: Engine) -> None:
    """The usage adds up: the prompt counts once, the samples' tokens together; a longer prompt has more."""
    short = _request("Hello there.", seed=2)
    one, four = await _ask(engine, short), await _ask(engine, replace(short, n=4))
    longer = await _ask(engine, _request("Hello there. " * 20, seed=2))
    for response in (one, four, longer):
        total = sum(sample.tokens for sample in response.samples)
        _expect(response.usage.generated == total, f"usage.generated is {response.usage.generated}, not {total}")
        filled = all(sample.tokens > 0 for sample in response.samples if sample.text)
        _expect(filled, "a sample has a text and no tokens")
        _expect(response.seconds >= 0, f"{response.seconds} seconds")
    _expect(one.usage.prompt > 0, "usage.prompt is 0")
    _expect(one.usage.prompt == four.usage.prompt, "usage.prompt depends on n")
    _expect(one.usage.prompt < longer.usage.prompt, "usage.prompt does not grow with the prompt")


async def check_logprobs(engine: Engine) -> None:
    """One log-probability a token, none above 0, under the model's own distribution; without the capability none."""
    able = Capability.LOGPROBS in engine.info.capabilities
    for temperature in (1.0, 0.0):
        response = await _ask(engine, _request("What is rain?", n=3, temperature=temperature))
        for sample in response.samples:
            count = len(sample.logprobs)
            _expect(count == (sample.tokens if able else 0), f"{count} logprobs for {sample.tokens} tokens")
            sound = all(math.isfinite(logprob) and logprob <= 0 for logprob in sample.logprobs)
            _expect(sound, f"logprobs that are above 0 or not finite: {sample.logprobs}")
            certain = able and sample.tokens > 4 and not any(sample.logprobs)
            _expect(not certain, "all logprobs are 0: they are those of the draw, not the model's own")


async def check_choices(engine: Engine) -> None:
    """Choices get probabilities and nothing is generated; an engine without the capability refuses them."""
    request = replace(_request("Is the sky blue? Answer Yes or No."), choices=("Yes", "No"))
    if Capability.CHOICES not in engine.info.capabilities:
        outcome = (await _outcomes(engine, [request]))[0]
        refused = isinstance(outcome, CapabilityMissing | EngineFailure)
        _expect(refused, f"the capability for choices is not declared, and they gave {_told(outcome)}")
        return
    response = await _ask(engine, request)
    given = response.probabilities
    _expect(len(given) == 2, f"{len(given)} probabilities for 2 choices")
    _expect(all(0 <= p <= 1 for p in given) and sum(given) <= 1.001, f"these are no probabilities: {given}")
    _expect(any(given), "all probabilities are 0")
    _expect(not response.samples and response.usage.generated == 0, "samples were generated beside the choices")
    _expect(response.usage.prompt > 0, "usage.prompt is 0")
    swapped = replace(request, choices=("No", "Yes"), seed=9, sampling=Sampling(temperature=0.0))
    other = (await _ask(engine, swapped)).probabilities[::-1]
    _expect(len(other) == 2, f"{len(other)} probabilities for 2 choices")
    same = all(math.isclose(a, b, rel_tol=0.02, abs_tol=1e-4) for a, b in zip(given, other, strict=True))
    _expect(same, f"probabilities depend on the choices' order, the seed or the temperature: {given}, {other}")


async def check_mixed(engine: Engine) -> None:
    """Requests of all kinds at once are each answered by their own settings and for their own prompt."""
    requests = _mixed_requests(engine)
    alone = [await _ask(engine, request) for request in requests]
    together = await _all(engine, requests)
    for request, single, response in zip(requests, alone, together, strict=True):
        _expect_own(request, response)
        _expect(single.usage.prompt == response.usage.prompt, "a prompt has other tokens in company than alone")
        if engine.info.simulated:
            _expect(single == response, "a simulated engine answers otherwise in company than alone")


async def check_too_long(engine: Engine) -> None:
    """A prompt that fills the context raises PromptTooLong; its neighbours are answered."""
    long = _request("word " * (engine.info.context + 1))
    requests = [_request("Say hello.", seed=1), long, _request("Say goodbye.", seed=2)]
    outcomes = await _outcomes(engine, requests)
    _expect(isinstance(outcomes[1], PromptTooLong), f"a prompt over the context gave {_told(outcomes[1])}")
    for request, outcome in zip(requests[::2], outcomes[::2], strict=True):
        _expect_own(request, _answered(outcome))


async def check_full_context(engine: Engine) -> None:
    """Where prompt and max_tokens together do not fit, the sample is cut to what is left. This fills the context, so
    it is checked only where that is small."""
    context = engine.info.context
    if context > _SMALL_CONTEXT:
        return
    base = (await _ask(engine, _request("word " * 8))).usage.prompt
    step = (await _ask(engine, _request("word " * 16))).usage.prompt - base
    _expect(step > 0, "usage.prompt does not grow with the prompt")
    words = 8 + 8 * max(context - 8 - base, 0) // step
    response = await _ask(engine, _request("word " * words, max_tokens=2 * context, n=2))
    for sample in response.samples:
        total = response.usage.prompt + sample.tokens
        _expect(total <= context, f"prompt and sample have {total} tokens in a context of {context}")
        _expect(sample.tokens > 0, "nothing was generated although there was room")


async def check_cancellation(engine: Engine) -> None:
    """Cancelling some requests harms no other, and gives their places back."""
    crowd = 2 * _crowd(engine)
    requests = [_request(f"Tell me about the number {k}.", seed=k, max_tokens=6) for k in range(crowd)]
    tasks = [asyncio.ensure_future(engine.complete(request)) for request in requests]
    for turn in range(3):
        await asyncio.sleep(0.01 * turn)
        for task in tasks[turn::6]:
            task.cancel()
    outcomes = await _soon(asyncio.gather(*tasks, return_exceptions=True), "the requests beside cancelled ones")
    for index, (request, outcome) in enumerate(zip(requests, outcomes, strict=True)):
        if index % 6 > 2 or not isinstance(outcome, asyncio.CancelledError):
            _expect_own(request, _answered(outcome))
    for request, response in zip(requests, await _all(engine, requests), strict=True):
        _expect_own(request, response)


async def check_unicode(engine: Engine) -> None:
    """Any text can be a prompt and a stop string."""
    for text in ("Γνῶθι σεαυτόν 🏛️ 中文 עברית e\u0301 \u200b\u0000 \U0010ffff", "🏛" * 40):
        for stop in ((), ("🏛️",), ("\u0000", "中")):
            request = _request(text, max_tokens=4, stop=stop)
            _expect_own(request, await _ask(engine, request))


async def check_empty_message(engine: Engine) -> None:
    """An empty message is answered like any other."""
    for text in ("", "\n"):
        request = _request(text, n=2)
        _expect_own(request, await _ask(engine, request))


async def check_conversation(engine: Engine) -> None:
    """A system message and earlier turns are part of the prompt."""
    said: tuple[tuple[Role, str], ...] = (
        ("system", "Be brief."),
        ("user", "Who?"),
        ("assistant", "Ada."),
        ("user", "Why?"),
    )
    talk = [Message(role, text) for role, text in said]
    request = replace(_request(""), messages=tuple(talk))
    response = await _ask(engine, request)
    _expect_own(request, response)
    for place, message in enumerate(talk):
        longer = [*talk[:place], replace(message, content=f"{message.content} And more."), *talk[place + 1 :]]
        prompt = (await _ask(engine, replace(request, messages=tuple(longer)))).usage.prompt
        seen = prompt > response.usage.prompt
        _expect(seen, f"message {place + 1} of 4, of the {message.role}, does not count among the prompt's tokens")


async def check_many(engine: Engine) -> None:
    """Twice as many requests as the window takes are all answered, each for its own prompt."""
    crowd = 2 * _crowd(engine)
    requests = [_request("again and " * (1 + k % 7), seed=k, n=1 + k % 3, max_tokens=2 + k % 5) for k in range(crowd)]
    responses = await _all(engine, requests)
    prompts: dict[int, set[int]] = {}
    for k, (request, response) in enumerate(zip(requests, responses, strict=True)):
        _expect_own(request, response)
        prompts.setdefault(k % 7, set()).add(response.usage.prompt)
    counts = [sorted(prompts[k]) for k in sorted(prompts)]
    _expect(all(len(count) == 1 for count in counts), f"equal prompts have different token counts: {counts}")
    _expect(counts == sorted(counts) and counts[0] != counts[-1], f"answers belong to other prompts: {counts}")


async def check_closed(engine: Engine) -> None:
    """After `close`, which may come twice, every request fails."""
    for time in ("the first", "the second"):
        closed = await _soon(asyncio.gather(engine.close(), return_exceptions=True), f"{time} close")
        _expect(closed[0] is None, f"{time} close failed: {closed[0]!r}")
    outcome = (await _outcomes(engine, [_request("Hello?")]))[0]
    _expect(isinstance(outcome, EngineFailure), f"a request after close gave {_told(outcome)}")


CHECKS: tuple[Check, ...] = (
    check_info, check_repeatable, check_joined_samples, check_seeds_differ, check_greedy, check_max_tokens, check_stop,
    check_usage, check_logprobs, check_choices, check_mixed, check_too_long, check_full_context, check_cancellation,
    check_unicode, check_empty_message, check_conversation, check_many,
)  # fmt: skip


def _request(
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


def _mixed_requests(engine: Engine) -> list[Request]:
    requests = [
        _request("Hello.", n=3, max_tokens=4),
        _request("Write about mountains. " * 12, max_tokens=9, seed=7),
        _request("What is nine plus four?", temperature=0.0, n=2, max_tokens=6),
        _request("a", temperature=1.5, max_tokens=1, n=5),
        _request("List three colours, please.", stop=("e", "a"), max_tokens=16),
        replace(_request("Which is older?", n=2), first=3, sampling=Sampling(top_p=0.5, max_tokens=3)),
        replace(_request("Go on, now."), priority=-5),
    ]
    if Capability.CHOICES in engine.info.capabilities:
        requests.insert(3, replace(_request("Is ice cold, yes or no?"), choices=("Yes", "No", "Maybe")))
    return requests


def _expect(holds: bool, message: str) -> None:
    if not holds:
        raise ConformanceFault(message)


def _expect_equal(expected: Sequence[str], seen: Sequence[str], what: str) -> None:
    _expect(list(expected) == list(seen), f"{what} differ: {list(expected)!r}, {list(seen)!r}")


def _expect_own(request: Request, response: Response) -> None:
    """The response has the shape that this very request asks for."""
    wanted = 0 if request.choices else request.n
    _expect(len(response.samples) == wanted, f"{len(response.samples)} samples instead of {wanted}")
    given, choices = len(response.probabilities), len(request.choices)
    _expect(given == choices, f"{given} probabilities for {choices} choices")
    for sample in response.samples:
        _expect_limits(request.sampling, sample)
    if request.sampling.temperature == 0:
        _expect(len(set(_texts(response))) <= 1, "samples at temperature 0 differ")


def _expect_limits(sampling: Sampling, sample: SampledText) -> None:
    _expect(sample.tokens <= sampling.max_tokens, f"{sample.tokens} tokens with max_tokens = {sampling.max_tokens}")
    for stop in sampling.stop:
        _expect(stop not in sample.text, f"the text holds the stop string {stop!r}")


def _texts(response: Response) -> list[str]:
    return [sample.text for sample in response.samples]


def _flat(responses: Sequence[Response]) -> list[str]:
    return [text for response in responses for text in _texts(response)]


async def _some_text(engine: Engine, request: Request) -> tuple[str, int]:
    """A text with a visible character in its later half, and the seed that draws it."""
    for seed in range(request.seed, request.seed + 16):
        text = _texts(await _ask(engine, replace(request, seed=seed)))[0]
        if _stop_inside(text):
            return text, seed
    raise ConformanceFault("sixteen samples of 24 tokens, and none has a text")


def _stop_inside(text: str) -> str:
    """Up to three neighbouring visible characters from the middle of the text, nothing where it has none."""
    places = range(len(text) // 2, len(text))
    start = next((place for place in places if text[place].isprintable() and text[place] not in " \ufffd"), None)
    if start is None:
        return ""
    end = start + 1
    while end < min(start + 3, len(text)) and text[end].isprintable() and text[end] != "\ufffd":
        end += 1
    return text[start:end]


def _crowd(engine: Engine) -> int:
    return min(engine.info.window, _CROWD)


async def _ask(engine: Engine, request: Request) -> Response:
    return (await _all(engine, [request]))[0]


async def _all(engine: Engine, requests: Sequence[Request]) -> list[Response]:
    return [_answered(outcome) for outcome in await _outcomes(engine, requests)]


async def _outcomes(engine: Engine, requests: Sequence[Request]) -> list[Response | BaseException]:
    calls = (engine.complete(request) for request in requests)
    return await _soon(asyncio.gather(*calls, return_exceptions=True), f"one of {len(requests)} requests at once")


def _answered(outcome: Response | BaseException) -> Response:
    if isinstance(outcome, BaseException):
        raise ConformanceFault(f"a sound request failed: {outcome!r}")
    return outcome


def _told(outcome: Response | BaseException) -> str:
    return repr(outcome) if isinstance(outcome, BaseException) else "an answer"


async def _soon(awaitable: Awaitable[_T], what: str) -> _T:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await awaitable
    except TimeoutError:
        raise ConformanceFault(f"{what} got no answer within {_PATIENCE:g} seconds") from None
