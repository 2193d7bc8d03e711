"""Checks of what an engine may be able to do. One that does not declare it must refuse it."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

from pnyx.compiler.operators import Reads, Sampling
from pnyx.runtime.engines.conformance.asking import (
    ask,
    expect,
    expect_equal,
    expect_limits,
    expect_own,
    expect_refused,
    flat,
    request_for,
    texts_of,
)
from pnyx.runtime.engines.engine import Capability, Engine
from pnyx.runtime.engines.guided import guide_of
from pnyx.runtime.request import Choice, JsonSchema, Regex, Subject

__all__ = [
    "check_choices", "check_continuations", "check_guide", "check_logprobs", "check_min_tokens", "check_narrow",
    "check_prefix",
]  # fmt: skip

_NEAR = 0.2  # by which log-probabilities may differ between two batches of bfloat16 numbers


async def check_logprobs(engine: Engine) -> None:
    """One log-probability a token, none above 0, under the model's own distribution; without the capability none."""
    able = Capability.LOGPROBS in engine.info.capabilities
    for temperature in (1.0, 0.0):
        response = await ask(engine, request_for("What is rain?", n=3, temperature=temperature))
        for sample in response.samples:
            count = len(sample.logprobs)
            expect(count == (sample.tokens if able else 0), f"{count} logprobs for {sample.tokens} tokens")
            sound = all(math.isfinite(logprob) and logprob <= 0 for logprob in sample.logprobs)
            expect(sound, f"logprobs that are above 0 or not finite: {sample.logprobs}")
            certain = able and sample.tokens > 4 and not any(sample.logprobs)
            expect(not certain, "all logprobs are 0: they are those of the draw, not the model's own")
    unwanted = await ask(engine, replace(request_for("What is rain?"), logprobs=False))
    expect(not any(sample.logprobs for sample in unwanted.samples), "logprobs that nobody wants")


async def check_narrow(engine: Engine) -> None:
    """`top_k = 1` and `min_p = 1` leave one token, whatever the seed and the temperature: the text of temperature 0. An
    engine without the capability refuses them."""
    request = request_for("Say something surprising.", temperature=1.5, n=2)
    for capability, narrow in ((Capability.TOP_K, {"top_k": 1}), (Capability.MIN_P, {"min_p": 1.0})):
        asked = replace(request, sampling=replace(request.sampling, **narrow))
        if capability not in engine.info.capabilities:
            await expect_refused(engine, asked, str(capability))
            continue
        texts = flat([await ask(engine, replace(asked, seed=seed)) for seed in (0, 1, 12345)])
        greedy = texts_of(await ask(engine, replace(request, n=1, sampling=replace(request.sampling, temperature=0.0))))
        expect_equal(greedy * len(texts), texts, f"the text of temperature 0 and those of {narrow}")


async def check_min_tokens(engine: Engine) -> None:
    """No sample ends before it has so many tokens, neither by itself nor at a stop string, and no later than
    max_tokens. An engine without the capability refuses it."""
    request = request_for("Say hello.", n=4, max_tokens=20)
    least = replace(request, sampling=replace(request.sampling, min_tokens=16))
    if Capability.MIN_TOKENS not in engine.info.capabilities:
        await expect_refused(engine, least, "min_tokens")
        return
    stopped = replace(least, sampling=replace(least.sampling, stop=("e", " ")))
    whole = replace(least, sampling=replace(least.sampling, min_tokens=20))
    for asked in (least, stopped, whole):
        for sample in (await ask(engine, asked)).samples:
            expect_limits(asked.sampling, sample)
            wanted = asked.sampling.min_tokens
            expect(sample.tokens >= wanted, f"{sample.tokens} tokens with min_tokens = {wanted}")
    cut = {sample.finish for sample in (await ask(engine, whole)).samples}
    expect(cut == {"length"}, f"samples of at least and at most 20 tokens end with {sorted(cut)}")


async def check_choices(engine: Engine) -> None:
    """Choices get probabilities and nothing is generated; an engine without the capability refuses them."""
    request = replace(request_for("Is the sky blue? Answer Yes or No."), choices=("Yes", "No"))
    if Capability.CHOICES not in engine.info.capabilities:
        await expect_refused(engine, request, "choices")
        return
    response = await ask(engine, request)
    given = response.probabilities
    expect(len(given) == 2, f"{len(given)} probabilities for 2 choices")
    expect(all(0 <= p <= 1 for p in given) and sum(given) <= 1.001, f"these are no probabilities: {given}")
    expect(any(given), "all probabilities are 0")
    expect(not response.samples and response.usage.generated == 0, "samples were generated beside the choices")
    expect(response.usage.prompt > 0, "usage.prompt is 0")
    swapped = replace(request, choices=("No", "Yes"), seed=9, sampling=Sampling(temperature=0.0))
    other = (await ask(engine, swapped)).probabilities[::-1]
    expect(len(other) == 2, f"{len(other)} probabilities for 2 choices")
    same = all(math.isclose(a, b, rel_tol=0.02, abs_tol=1e-4) for a, b in zip(given, other, strict=True))
    expect(same, f"probabilities depend on the choices' order, the seed or the temperature: {given}, {other}")


async def check_prefix(engine: Engine) -> None:
    """A reply goes on from its beginning, which is part of the prompt and not of the text; an engine without the
    capability refuses one."""
    prefix = "Well, first of all I would like to say that"
    request = replace(request_for("Tell me about yourself.", seed=6, n=2, max_tokens=6), prefix=prefix)
    if Capability.PREFIX not in engine.info.capabilities:
        await expect_refused(engine, request, "a prefix")
        return
    plain, begun = await ask(engine, replace(request, prefix="")), await ask(engine, request)
    expect_own(request, begun)
    expect(begun.usage.prompt > plain.usage.prompt, "the prefix does not count among the prompt's tokens")
    expect(not any(prefix in text for text in texts_of(begun)), "the text repeats the prefix")
    expect(texts_of(begun) != texts_of(plain), "the prefix changes nothing")
    single = [await ask(engine, replace(request, n=1, first=k)) for k in range(2)]
    expect_equal(texts_of(begun), flat(single), "samples after a prefix of n = 2 and of first = 0 and 1")
    if Capability.CHOICES in engine.info.capabilities:
        chances = await ask(engine, replace(request, n=1, prefix="My answer is:", choices=("Yes", "No")))
        expect_own(replace(request, choices=("Yes", "No")), chances)


async def check_continuations(engine: Engine) -> None:
    """Each token of a given text has its log-probability, that of a next token where it is the first, whatever else is
    asked about; an engine without the capability refuses."""
    texts = ("Yes", "No", "Yes, that is how it is")
    request = replace(request_for("Is the sky blue? Answer Yes or No."), continuations=texts)
    if Capability.CONTINUATIONS not in engine.info.capabilities:
        await expect_refused(engine, request, "continuations")
        return
    response = await ask(engine, request)
    expect_own(request, response)
    given = response.likelihoods
    sound = all(math.isfinite(logprob) and logprob <= 0 for logprobs in given for logprob in logprobs)
    expect(sound, f"likelihoods that are above 0 or not finite: {given}")
    expect(len(given[2]) > len(given[0]) > 0, f"tokens of a long and a short text: {len(given[2])}, {len(given[0])}")
    expect(not response.samples and response.usage.generated == 0, "samples were generated beside the likelihoods")
    turned = (await ask(engine, replace(request, continuations=texts[::-1], seed=9))).likelihoods[::-1]
    for text, first, second in zip(texts, given, turned, strict=True):
        near = len(first) == len(second) and abs(sum(first) - sum(second)) <= _NEAR * len(first)
        expect(near, f"the likelihood of {text!r} is once {first} and once {second}")
    if Capability.CHOICES in engine.info.capabilities:
        chances = (await ask(engine, replace(request, continuations=(), choices=texts))).probabilities
        for text, chance, likely in zip(texts, chances, given, strict=True):
            near = chance > 0 and (len(likely) != 1 or abs(math.log(chance) - likely[0]) <= _NEAR)
            expect(near, f"{text!r} is next with probability {chance} and has the log-probabilities {likely}")


async def check_guide(engine: Engine) -> None:
    """A reply keeps to its guide, and to the form in which it will be read, where the engine guides."""
    if Capability.GUIDE not in engine.info.capabilities:
        return
    request = replace(request_for("What do you think of rain?", max_tokens=60, n=3), seed=3)
    words = ("sunny days", "rain (heavy)", "snow")
    texts = texts_of(await ask(engine, replace(request, guide=Choice(words))))
    expect(all(text in words for text in texts), f"none of the choices {words}: {texts}")
    texts = texts_of(await ask(engine, replace(request, guide=Regex(r"[a-c]{3}-[0-9]{2}"))))
    matching = all(re.fullmatch(r"[a-c]{3}-[0-9]{2}", text) for text in texts)
    expect(matching, f"texts that do not match their expression: {texts}")
    schema = {
        "type": "object",
        "properties": {"good": {"type": "boolean"}},
        "required": ["good"],
        "additionalProperties": False,
    }
    texts = texts_of(await ask(engine, replace(request, guide=JsonSchema(json.dumps(schema)))))
    for text in texts:
        try:
            sound = set(json.loads(text)) == {"good"}
        except ValueError:
            sound = False
        expect(sound, f"a text that is not of its schema: {text!r}")
    subject = Subject("?", candidates=("a", "b", "c"), tests=("x", "y"), options=("left", "right"))
    for reads in (Reads.VERDICT, Reads.GRADE, Reads.ORDER, Reads.PASSES, Reads.CHOICE, Reads.WINNER):
        texts = texts_of(await ask(engine, replace(request, reads=reads, subject=subject)))
        form = guide_of(replace(request, reads=reads, subject=subject))
        matching = isinstance(form, Regex) and all(re.fullmatch(form.pattern, text) for text in texts)
        expect(matching, f"replies to be read as {reads}, in another form: {texts}")
