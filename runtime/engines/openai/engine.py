"""The public face of the engine: opening a server, and what a request becomes for it.

A sample's seed is sent with it. What a server makes of seeds is its own affair: vLLM draws sample k of a request with
`seed + k`, as the contract wants; of others only a stored sample is sure to be the same again.
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import replace
from typing import Any, Final

from pnyx.compiler.operators import Sampling
from pnyx.runtime.config import EngineOptions
from pnyx.runtime.engines.engine import Capability, EngineInfo
from pnyx.runtime.engines.guided import guide_of
from pnyx.runtime.engines.openai.client import Client
from pnyx.runtime.engines.openai.failures import ContextExceeded
from pnyx.runtime.engines.openai.key import Key
from pnyx.runtime.engines.openai.probe import Server, probe
from pnyx.runtime.engines.openai.wire import Reply, TextReply, Tokens, parse, parse_reply, samples, usage
from pnyx.runtime.errors import BrokenReply, CapabilityMissing, ConfigurationError, PromptTooLong, ServerBusy
from pnyx.runtime.request import Choice, Guide, JsonSchema, Regex, Request, Response, Usage
from pnyx.runtime.scheduling.retries import wait_before_next

__all__ = ["OpenAIEngine"]

_TIMEOUT: Final = 600.0
_WINDOW: Final = 64
_CONTEXT: Final = 131_072
"""Tokens, where the server does not say and nobody else does: it refuses longer prompts itself."""

_BACKOFF: Final = 0.5
"""Seconds before the second try of asking what a server can do."""

_STOPS: Final = 4
"""Stop strings that every server takes; the text is cut at further ones here."""


class OpenAIEngine:
    """One model of one server. `open` makes one."""

    def __init__(self, client: Client, server: Server, info: EngineInfo, *, api: str, guided: bool) -> None:
        self._client, self._server, self._info = client, server, info
        self._api, self._guided = api, guided
        self._tokens: dict[str, tuple[int, ...]] = {}

    @classmethod
    async def open(cls, *, model: str, options: EngineOptions) -> OpenAIEngine:
        """Asks the server what it can do; the connections are opened again by the event loop that asks first.

        Raises KeyRefused (E618), ServerUnusable (E617), ModelNotFound, ConfigurationError, BrokenReply.
        """
        if options.url is None:
            raise ConfigurationError(f"nothing says where the server of `{model}` is", help="set `url` in pnyx.toml")
        key = Key(options.key_env)
        timeout, window = options.timeout or _TIMEOUT, options.window or _WINDOW
        api = options.api or "chat"
        asking = Client(options.url, key, timeout=min(timeout, 60.0), connections=1)
        try:
            server = await _probed(asking, model, api)
        finally:
            await asking.close()
        guided = server.vllm and options.guide is not False
        info = EngineInfo(
            engine="openai",
            model=model,
            context=options.context or server.context or _CONTEXT,
            window=window,
            capabilities=_capabilities(server, api=api, guided=guided),
            remote=True,
            variant=" ".join([asking.url, api, *(["guided"] if guided else [])]),
        )
        client = Client(options.url, key, timeout=timeout, connections=2 * window)
        return cls(client, server, info, api=api, guided=guided)

    @property
    def info(self) -> EngineInfo:
        return self._info

    async def complete(self, request: Request) -> Response:
        started = time.perf_counter()
        if request.choices:
            self._need(Capability.CHOICES)
            response = await self._choices(request)
        elif request.continuations:
            self._need(Capability.CONTINUATIONS)
            response = await self._continuations(request)
        else:
            response = await self._samples(request)
        return replace(response, seconds=time.perf_counter() - started)

    async def close(self) -> None:
        await self._client.close()

    def _need(self, capability: Capability) -> None:
        if capability not in self._info.capabilities:
            raise CapabilityMissing(f"the server at `{self._client.url}` cannot do this: {capability}")

    async def _samples(self, request: Request) -> Response:
        if request.prefix:
            self._need(Capability.PREFIX)
        for name in request.sampling.unusual:
            self._need(Capability(name))
        greedy = request.sampling.greedy
        if request.n == 0:
            return Response()
        if request.n > 1 and not (self._server.many or greedy):
            singly = [replace(request, n=1, first=request.first + k) for k in range(request.n)]
            return _joined(await asyncio.gather(*map(self._samples, singly)))
        n = 1 if greedy else request.n
        reply = await self._asked(request, self._drawing(request, n))
        cut = () if request.sampling.min_tokens else request.sampling.stop  # those that come early may stay
        drawn = samples(reply, n, cut, self._client.url)
        drawn *= request.n if greedy else 1
        return Response(samples=drawn, usage=usage(reply, drawn))

    def _drawing(self, request: Request, n: int) -> dict[str, Any]:
        sampling = request.sampling
        stops = [stop for stop in sampling.stop if stop]
        body: dict[str, Any] = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            self._server.limit: min(sampling.max_tokens, self._info.context - 1),
            "seed": request.seed + request.first,
        }
        body |= _settings(sampling, self._server.settings, body[self._server.limit])
        if n > 1:
            body["n"] = n
        if stops:
            body["stop"] = stops if self._server.vllm or sampling.min_tokens else stops[:_STOPS]
        if request.logprobs and self._server.likely:
            body["logprobs"] = True if self._api == "chat" else 0
        if self._guided and (guide := guide_of(request)) is not None:
            body["structured_outputs"] = _structured(guide)
        return body

    async def _asked(self, request: Request, body: dict[str, Any]) -> Reply:
        """Asks once more where max_tokens does not fit behind the prompt, with what is left."""
        body = {"model": self._info.model, **self._prompt(request), **body}
        try:
            return await self._reply(body)
        except ContextExceeded as failure:
            if failure.left is None or failure.left < 1 or failure.left >= body.get(self._server.limit, 0):
                raise PromptTooLong(failure.message) from None
            return await self._reply(body | {self._server.limit: failure.left})

    async def _reply(self, body: dict[str, Any]) -> Reply:
        chat = "messages" in body
        path = "/chat/completions" if chat else "/completions"
        answer = await self._client.ask(path, body)
        return parse_reply(answer, chat=chat, server=self._client.url)

    def _prompt(self, request: Request) -> dict[str, Any]:
        if self._api == "completions":
            return {"prompt": "".join(f"{message.content}\n\n" for message in request.messages) + request.prefix}
        turns = [{"role": message.role, "content": message.content} for message in request.messages]
        if not request.prefix:
            return {"messages": turns}
        turns.append({"role": "assistant", "content": request.prefix})
        return {"messages": turns, "continue_final_message": True, "add_generation_prompt": False}

    # What generates nothing

    async def _choices(self, request: Request) -> Response:
        body: dict[str, Any] = {"temperature": 0.0, self._server.limit: 1}
        if not self._server.vllm:
            body |= {"logprobs": True, "top_logprobs": self._server.likely} if self._api == "chat" else {"logprobs": 5}
            reply = await self._asked(request, body)
            return Response(probabilities=_by_text(_first(reply), request.choices), usage=usage(reply))
        firsts = [(await self._ids(choice))[:1] for choice in request.choices]
        if not all(firsts):
            raise BrokenReply(f"a choice of {request.choices} has no token", retryable=False)
        wanted = [ids[0] for ids in firsts]
        body |= {"logprobs": True if self._api == "chat" else 1, "logprob_token_ids": sorted(set(wanted))}
        reply = await self._asked(request, body | {"return_tokens_as_token_ids": True})
        found = _first(reply)
        try:
            chances = tuple(math.exp(found[f"token_id:{token}"]) for token in wanted)
        except KeyError:
            raise BrokenReply(f"the server at `{self._client.url}` leaves out tokens that were asked for") from None
        return Response(probabilities=chances, usage=usage(reply))

    async def _continuations(self, request: Request) -> Response:
        prompt = await self._prompt_ids(request)
        texts = [await self._ids(text) for text in request.continuations]
        scored = await asyncio.gather(*(self._scored(prompt, text) for text in texts))
        return Response(likelihoods=tuple(scored), usage=Usage(prompt=len(prompt) + sum(map(len, texts))))

    async def _scored(self, prompt: tuple[int, ...], text: tuple[int, ...]) -> tuple[float, ...]:
        if not text:
            return ()
        body = {"model": self._info.model, "prompt": [*prompt, *text], "temperature": 0.0, "max_tokens": 1}
        reply = await self._reply(body | {"prompt_logprobs": 0})
        listed = reply.choices[0].prompt_logprobs if isinstance(reply, TextReply) and reply.choices else None
        if listed is None or len(listed) != len(prompt) + len(text):
            raise BrokenReply(f"the server at `{self._client.url}` gives no log-probabilities of its prompt")
        tail = zip(text, listed[len(prompt) :], strict=True)
        found = [entry.get(str(token)) if entry else None for token, entry in tail]
        return tuple(min(score.logprob, 0.0) if score is not None else -math.inf for score in found)

    async def _prompt_ids(self, request: Request) -> tuple[int, ...]:
        body = self._prompt(request)
        answer = await self._client.ask("tokenize", {"model": self._info.model, **body})
        return parse(Tokens, answer, self._client.url).tokens

    async def _ids(self, text: str) -> tuple[int, ...]:
        """The tokens of a text by itself; of those that come again and again they are kept."""
        if text not in self._tokens:
            body = {"model": self._info.model, "prompt": text, "add_special_tokens": False}
            found = parse(Tokens, await self._client.ask("tokenize", body), self._client.url).tokens
            if len(self._tokens) > 1000:
                self._tokens.clear()
            self._tokens[text] = found
        return self._tokens[text]


async def _probed(client: Client, model: str, api: str) -> Server:
    """A server that has no room now, or is loading its model, is asked again as any call is."""
    tried = 0
    while True:
        try:
            return await probe(client, model, api)
        except ServerBusy as failure:
            tried += 1
            wait = wait_before_next(failure, tried, Request(messages=()), _BACKOFF)
            if wait is None:
                raise
        await asyncio.sleep(wait)


def _capabilities(server: Server, *, api: str, guided: bool) -> frozenset[Capability]:
    able = set()
    if server.likely:
        able |= {Capability.LOGPROBS, Capability.CHOICES}
    if server.vllm or api == "completions":
        able.add(Capability.PREFIX)
    if server.vllm:
        able.add(Capability.CONTINUATIONS)
    return frozenset(able | server.settings | ({Capability.GUIDE} if guided else set()))


def _settings(sampling: Sampling, known: frozenset[Capability], most: int) -> dict[str, Any]:
    """Of those that the server knows, also what is off: where nothing is said, it takes defaults of its own or of the
    model's. All of these servers turn `top_k` off at -1."""
    said: dict[str, Any] = {}
    if Capability.TOP_K in known:
        said["top_k"] = sampling.top_k or -1
    if Capability.MIN_P in known:
        said["min_p"] = sampling.min_p
    if sampling.min_tokens:
        said["min_tokens"] = min(sampling.min_tokens, most)
    return said


def _structured(guide: Guide) -> dict[str, Any]:
    match guide:
        case Choice(options):
            return {"choice": list(options)}
        case Regex(pattern):
            return {"regex": pattern}
        case JsonSchema(schema):
            return {"json": schema}


def _first(reply: Reply) -> dict[str, float]:
    logprobs = reply.choices[0].logprobs if reply.choices else None
    if logprobs is None or not logprobs.first:
        raise BrokenReply("the server gives no log-probabilities of the next token")
    return logprobs.first


def _by_text(found: dict[str, float], choices: tuple[str, ...]) -> tuple[float, ...]:
    """A server that does not tell tokens by number: of the likeliest ones, the longest that begins the choice."""
    begins = [
        max((token for token in found if token and choice.startswith(token)), key=len, default="") for choice in choices
    ]
    return tuple(math.exp(found[token]) if token else 0.0 for token in begins)


def _joined(responses: list[Response]) -> Response:
    total = sum((response.usage for response in responses), Usage())
    return Response(samples=tuple(sample for response in responses for sample in response.samples), usage=total)
