"""The simulated engine: answers requests from the little world, at once and always in the same way.

A token is a word between white space; a prompt has one more for each message, and a text that ends by itself has one
more for its end. Limits and stop strings cut texts as they would a real model's; a text that ends before `min_tokens`
goes on with words that say nothing.

Invariant: sample k of a request depends on the world's seed, the model's id, the messages, the sampling, `seed + k` and
what the request is about; never on n, on other requests, or on time.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from typing import Literal, TypeAlias

from pnyx.compiler.operators import Reads
from pnyx.runtime.engines.engine import Capability, EngineInfo
from pnyx.runtime.engines.simulated.chance import DIGEST_BYTES, Draw, digest, unit
from pnyx.runtime.engines.simulated.mind import Mind, parameters_of, skill_of
from pnyx.runtime.engines.simulated.replies import (
    Reply,
    as_program,
    choice_probabilities,
    go_on,
    text_likelihood,
    write_reply,
)
from pnyx.runtime.engines.simulated.world import World
from pnyx.runtime.errors import (
    BrokenReply,
    ConfigurationError,
    EngineFailure,
    PromptTooLong,
    ReplyRefused,
    RuntimeFailure,
    ServerBusy,
    ServerFailed,
)
from pnyx.runtime.request import Request, Response, SampledText, Subject, Usage

__all__ = ["Fault", "SimulatedEngine"]

Fault: TypeAlias = Literal["engine", "server", "busy", "broken", "refused"]
_FAILURES: dict[Fault, Callable[[str], RuntimeFailure]] = {
    "engine": EngineFailure,
    "server": ServerFailed,
    "busy": partial(ServerBusy, retry_after=3600.0),  # so long that nobody waits for it
    "broken": BrokenReply,
    "refused": ReplyRefused,
}

_WORD = re.compile(r"\S+")
_ASKS_FOR_PROGRAM = "```python\n"
"""A prompt that shows the form of one wants one."""
_LEVELS = 16
# By confidence, then by a byte of chance: a token's log-probability, exponentially distributed.
_LOGPROBS = tuple(
    tuple(round((0.8 - 0.7 * level / (_LEVELS - 1)) * math.log((byte + 0.5) / 256), 4) for byte in range(256))
    for level in range(_LEVELS)
)


class SimulatedEngine:
    """Simulates the model with this id. `skill` from 0 to 1 (by default told by the id), `latency` in seconds a call
    (the messages and the seed make it up to half as much more or less), `context` in tokens, `window` in samples at
    once, `fails` the share of requests that fail (by messages and seed too), `fault` how. Raises ConfigurationError for
    values outside."""

    def __init__(
        self,
        *,
        model: str,
        skill: float | None = None,
        latency: float = 0.0,
        context: int = 8192,
        window: int = 64,
        world_seed: int = 0,
        fails: float = 0.0,
        fault: Fault = "engine",
    ) -> None:
        if not 0.0 <= fails <= 1.0:
            raise ConfigurationError(f"the share of failing calls of `{model}` is {fails}, not a number from 0 to 1")
        if skill is not None and not 0.0 <= skill <= 1.0:
            raise ConfigurationError(f"the skill of `{model}` is {skill}, not a number from 0 to 1")
        if not 0.0 <= latency < math.inf:
            raise ConfigurationError(f"the latency of `{model}` is {latency}, not a number of seconds")
        if context < 2:
            raise ConfigurationError(f"the context of `{model}` is {context} tokens; it needs 2 or more")
        self._mind = Mind(World(world_seed), model, skill_of(model) if skill is None else skill)
        self._root = blake2b(digest("engine", world_seed, model), digest_size=DIGEST_BYTES)
        self._latency = latency
        self._fails = fails
        self._fault: Fault = fault
        self._closed = False
        self._info = EngineInfo(
            engine="simulated",
            model=model,
            context=context,
            parameters=parameters_of(model),
            window=window,
            capabilities=frozenset(
                {
                    Capability.CHOICES,
                    Capability.LOGPROBS,
                    Capability.PREFIX,
                    Capability.CONTINUATIONS,
                    Capability.TOP_K,
                    Capability.MIN_P,
                    Capability.MIN_TOKENS,
                }
            ),
            simulated=True,
            variant=f"world {world_seed} skill {self._mind.skill:g}",
        )

    @property
    def info(self) -> EngineInfo:
        return self._info

    @property
    def skill(self) -> float:
        return self._mind.skill

    async def complete(self, request: Request) -> Response:
        if self._closed:
            raise EngineFailure(f"the simulated engine of `{self._info.model}` is closed")
        if self._fails and _chance("fails", request) < self._fails:
            raise _FAILURES[self._fault]("the simulated engine failed, as `fails` wants it")
        seconds = self._latency and self._latency * (0.5 + _chance("latency", request))
        if seconds:
            await asyncio.sleep(seconds)
        prompt = sum(len(message.content.split()) + 1 for message in request.messages) + len(request.prefix.split())
        if prompt >= self._info.context:
            message = f"the prompt has {prompt} tokens and the context of `{self._info.model}` {self._info.context}"
            raise PromptTooLong(message)
        subject = _shown(request)
        if request.choices:
            probabilities = choice_probabilities(self._mind, subject, request.choices)
            return Response(probabilities=probabilities, usage=Usage(prompt=prompt), seconds=seconds)
        if request.continuations:
            likelihoods = tuple(text_likelihood(self._mind, subject, text) for text in request.continuations)
            prompt += sum(map(len, likelihoods))
            return Response(likelihoods=likelihoods, usage=Usage(prompt=prompt), seconds=seconds)
        samples = self._samples(request, subject, self._info.context - prompt)
        generated = sum(sample.tokens for sample in samples)
        usage = Usage(prompt=prompt, generated=generated)
        return Response(samples=samples, usage=usage, seconds=seconds)

    async def close(self) -> None:
        self._closed = True

    def _samples(self, request: Request, subject: Subject, room: int) -> tuple[SampledText, ...]:
        said = self._root.copy()
        for message in request.messages:
            content = message.content.encode("utf-8", "surrogatepass")
            said.update(b"%s %d:" % (message.role.encode(), len(content)))
            said.update(content)
        if request.prefix:
            said.update(b"prefix %s" % request.prefix.encode("utf-8", "surrogatepass"))
        sampling = request.sampling
        if sampling.greedy:
            sampling = replace(sampling, temperature=0.0)
        limit = min(sampling.max_tokens, room)
        steady = said.digest()

        last = request.messages[-1].content if request.messages else ""
        programs = request.reads is Reads.TEXT and _ASKS_FOR_PROGRAM in last

        def sample(source: bytes) -> SampledText:
            draw = Draw(source, steady, sampling)
            reply = write_reply(self._mind, request.reads, subject, draw)
            if request.prefix:
                reply = go_on(reply, request.prefix)
            elif programs:
                reply = as_program(reply)
            drawn = _cut(reply, draw, limit)
            return drawn if request.logprobs else replace(drawn, logprobs=())

        if sampling.temperature == 0:
            return (sample(steady),) * request.n
        samples = []
        for seed in range(request.seed + request.first, request.seed + request.first + request.n):
            seeded = said.copy()
            seeded.update(b"seed %d" % seed)
            samples.append(sample(seeded.digest()))
        return tuple(samples)


def _shown(request: Request) -> Subject:
    """What the request is about: the last user message where nobody says. Critiques that the prompt does not show count
    as absent: a critic who does not see the earlier critique writes one, a fuser who sees it uses it."""
    subject = request.subject
    if subject is None:
        users = (message.content for message in reversed(request.messages) if message.role == "user")
        return Subject(next(users, ""))
    if not subject.critiques:
        return subject
    text = "\n".join(message.content for message in request.messages)
    return replace(subject, critiques=tuple(c if c.strip() in text else "" for c in subject.critiques))


def _cut(reply: Reply, draw: Draw, limit: int) -> SampledText:
    """The reply as far as the limit and the stop strings let it go."""
    least = min(draw.sampling.min_tokens, limit)
    text, ended, stopped = _lengthened(reply.text, least), True, ""
    tokens = len(text.split()) + 1
    if tokens > limit:
        tokens, ended = limit, False
        text = _first_words(text, limit)
    if draw.sampling.stop:
        early = len(_first_words(text, least)) if least else 0
        stops = [(stop, max(0, early - len(stop) + 1)) for stop in draw.sampling.stop if stop]
        places = [(place, len(stop), stop) for stop, start in stops if (place := text.find(stop, start)) >= 0]
        if places:
            place, length, stopped = min(places)
            tokens, ended = len(text[: place + length].split()), True
            text = text[:place]
    chances = (draw.source * (tokens // DIGEST_BYTES + 1))[:tokens]
    table = _LOGPROBS[int(reply.confidence * (_LEVELS - 1))]
    logprobs = tuple([table[byte] for byte in chances])
    return SampledText(
        text=text, tokens=tokens, logprobs=logprobs, finish="stop" if ended else "length", stopped=stopped
    )


def _chance(what: str, request: Request) -> float:
    """A number from 0 to 1 for a request, the same every time."""
    return unit(digest(what, request.seed, request.first, *(message.content for message in request.messages)))


def _lengthened(text: str, least: int) -> str:
    """With at least so many words."""
    missing = least - len(text.split())
    return f"{text.rstrip()} {' '.join(['indeed'] * missing)}" if missing > 0 else text


def _first_words(text: str, count: int) -> str:
    end = 0
    for index, word in enumerate(_WORD.finditer(text)):
        if index == count:
            break
        end = word.end()
    return text[:end]
