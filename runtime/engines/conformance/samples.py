"""Checks of what every engine does: draw samples, the same ones again, within limits, and count them."""

from __future__ import annotations

from dataclasses import replace

from pnyx.runtime.engines.conformance.asking import (
    ConformanceFault,
    ask,
    expect,
    expect_equal,
    flat,
    request_for,
    texts_of,
)
from pnyx.runtime.engines.engine import Capability, Engine
from pnyx.runtime.request import Request

__all__ = [
    "check_greedy", "check_info", "check_joined_samples", "check_max_tokens", "check_repeatable", "check_seeds_differ",
    "check_stop", "check_usage",
]  # fmt: skip

_NEVER = "\u2603 never written \u2603"


async def check_info(engine: Engine) -> None:
    """It says who it is and what it can hold."""
    info = engine.info
    expect(bool(info.engine and info.model), "info names no engine or no model")
    expect(info.context > 1, f"info.context is {info.context}")
    expect(info.window > 0, f"info.window is {info.window}")
    expect(info.parameters is None or info.parameters > 0, f"info.parameters is {info.parameters}")
    known = all(isinstance(capability, Capability) for capability in info.capabilities)
    expect(known, f"info.capabilities holds something else: {sorted(info.capabilities)}")


async def check_repeatable(engine: Engine) -> None:
    """The same request twice gives the same samples."""
    request = request_for("Tell me about rivers.", seed=11, n=2)
    first, second = await ask(engine, request), await ask(engine, request)
    expect_equal(texts_of(first), texts_of(second), "one request asked twice")


async def check_joined_samples(engine: Engine) -> None:
    """n samples of one request are, in order, those of n requests: sample k has seed `seed + k`."""
    request = request_for("Name an animal.", seed=40, n=4)
    joined = texts_of(await ask(engine, request))
    expect(len(joined) == 4, f"n = 4 gave {len(joined)} samples")
    indexed = [await ask(engine, replace(request, n=1, first=k)) for k in range(4)]
    expect_equal(joined, flat(indexed), "samples of n = 4 and of first = 0 to 3")
    seeded = [await ask(engine, replace(request, n=1, seed=40 + k)) for k in range(4)]
    expect_equal(joined, flat(seeded), "samples of n = 4 and of seeds 40 to 43")
    later = await ask(engine, replace(request, n=2, first=2))
    expect_equal(joined[2:], texts_of(later), "the last two of n = 4 and first = 2, n = 2")


async def check_seeds_differ(engine: Engine) -> None:
    """Different seeds draw different samples: at least two of eight."""
    answers = [await ask(engine, request_for("Say something surprising.", seed=seed)) for seed in range(8)]
    expect(len(set(flat(answers))) > 1, "eight seeds at temperature 1 gave one and the same text")
    joined = texts_of(await ask(engine, request_for("Say something surprising.", seed=0, n=8)))
    expect(len(set(joined)) > 1, "eight samples of one request at temperature 1 are one and the same text")


async def check_greedy(engine: Engine) -> None:
    """Temperature 0 gives one text, whatever the seed."""
    request = request_for("Count to five.", temperature=0.0)
    texts = flat([await ask(engine, replace(request, seed=seed)) for seed in (0, 0, 1, 12345)])
    texts += texts_of(await ask(engine, replace(request, n=2)))
    expect(len(set(texts)) == 1, f"temperature 0 gave different texts: {sorted(set(texts))!r}")


async def check_max_tokens(engine: Engine) -> None:
    """No sample is longer than max_tokens, and `length` is the finish of exactly those that the limit cut."""
    cut = 0
    for limit in (1, 5):
        response = await ask(engine, request_for("Write a long story about the sea.", n=8, max_tokens=limit))
        for sample in response.samples:
            expect(sample.tokens <= limit, f"{sample.tokens} tokens with max_tokens = {limit}")
            whole = sample.finish == "stop" or sample.tokens == limit
            expect(whole, f"finish is `length` after {sample.tokens} of {limit} tokens")
            cut += sample.finish == "length"
    expect(cut > 0, "sixteen samples of 1 or 5 tokens, and none has finish `length`")


async def check_stop(engine: Engine) -> None:
    """A stop string ends the sample, is not part of its text, and makes its finish `stop`."""
    request = request_for("Describe a garden.", seed=5, max_tokens=24)
    text, seed = await _some_text(engine, request)
    stop = _stop_inside(text)
    kept = text[: text.find(stop)]
    for stops in ((stop,), (_NEVER, stop)):
        sampling = replace(request.sampling, stop=stops)
        sample = (await ask(engine, replace(request, seed=seed, sampling=sampling))).samples[0]
        expect_equal([kept], [sample.text], f"the text before the stop string {stop!r}")
        expect(sample.finish == "stop", f"finish is `{sample.finish}` although {stop!r} ended the sample")
        expect(sample.stopped == stop, f"the stop string {stop!r} ended the sample, which says {sample.stopped!r}")
        expect(sample.tokens > 0, "the tokens of the stop string are not counted")
    sampling = replace(request.sampling, stop=(_NEVER,))
    unstopped = await ask(engine, replace(request, seed=seed, sampling=sampling))
    expect_equal([text], texts_of(unstopped), "the text with a stop string that never comes")
    expect(not unstopped.samples[0].stopped, "a stop string that never came is said to have ended the sample")


async def check_usage(engine: Engine) -> None:
    """The usage adds up: the prompt counts once, the samples' tokens together; a longer prompt has more."""
    short = request_for("Hello there.", seed=2)
    one, four = await ask(engine, short), await ask(engine, replace(short, n=4))
    longer = await ask(engine, request_for("Hello there. " * 20, seed=2))
    for response in (one, four, longer):
        total = sum(sample.tokens for sample in response.samples)
        expect(response.usage.generated == total, f"usage.generated is {response.usage.generated}, not {total}")
        filled = all(sample.tokens > 0 for sample in response.samples if sample.text)
        expect(filled, "a sample has a text and no tokens")
        expect(response.seconds >= 0, f"{response.seconds} seconds")
        cached = response.usage.cached
        expect(0 <= cached <= response.usage.prompt, f"{cached} of {response.usage.prompt} tokens are cached")
    expect(one.usage.prompt > 0, "usage.prompt is 0")
    expect(one.usage.prompt == four.usage.prompt, "usage.prompt depends on n")
    expect(one.usage.prompt < longer.usage.prompt, "usage.prompt does not grow with the prompt")


async def _some_text(engine: Engine, request: Request) -> tuple[str, int]:
    """A text with a visible character in its later half, and the seed that draws it."""
    for seed in range(request.seed, request.seed + 16):
        text = texts_of(await ask(engine, replace(request, seed=seed)))[0]
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
