"""A server with an OpenAI-compatible API on loopback, which answers from the simulated engine and fails on demand.

As `plain` it knows what every such server knows; as `vllm` also vLLM's additions. `faults` holds what becomes of the
next requests for completions, in order: each changes a sound answer, or does something else to the connection.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pnyx.compiler.operators import Sampling
from pnyx.runtime.engines.simulated import SimulatedEngine
from pnyx.runtime.errors import PromptTooLong
from pnyx.runtime.request import Message, Request

__all__ = ["Answer", "Fault", "FaultServer", "Silent", "changed", "raw", "status"]

_WORDS = ("Yes", "No", "Maybe", "yes", "no", "The")


@dataclass(frozen=True)
class Answer:
    """`body` may be cut or followed by nothing: `length` is what the header says of it."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    length: int | None = None

    def encoded(self) -> bytes:
        head = [f"HTTP/1.1 {self.status} said", "content-type: application/json"]
        head += [f"{name}: {value}" for name, value in self.headers]
        head.append(f"content-length: {len(self.body) if self.length is None else self.length}")
        return "\r\n".join([*head, "", ""]).encode() + self.body


class Silent(Exception):
    """Never answers, and keeps the connection open."""


Fault = Callable[[Answer], "Answer | bytes"]
"""Gives another answer, or the bytes to send before the connection is reset. May raise Silent."""


def status(code: int, said: Any = "no", **headers: str) -> Fault:
    body = said if isinstance(said, bytes) else json.dumps({"error": {"message": said}}).encode()
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return lambda _: Answer(code, body, pairs)


def raw(data: bytes) -> Fault:
    return lambda _: data


def changed(change: Callable[[dict[str, Any]], Any]) -> Fault:
    """Changes the JSON of a sound answer."""

    def fault(answer: Answer) -> Answer:
        said = json.loads(answer.body)
        change(said)
        return replace(answer, body=json.dumps(said).encode())

    return fault


@dataclass
class FaultServer:
    """Use as `async with`. `asked` are the bodies of all requests for completions, `keys` their authorization."""

    kind: Literal["plain", "vllm"] = "plain"
    model: str = "tiny-1B"
    key: str | None = None
    many: bool = True
    logprobs: bool = True
    context: int = 512
    latency: float = 0.0
    limit: str = "max_tokens"
    owner: str | None = None
    faults: deque[Fault] = field(default_factory=deque)
    asked: list[dict[str, Any]] = field(default_factory=list)
    open: int = 0
    cancelled: int = 0

    async def __aenter__(self) -> FaultServer:
        self._engine = SimulatedEngine(model=self.model, context=self.context, latency=self.latency)
        self._ids: dict[str, int] = {}
        self._prompts: dict[tuple[int, ...], list[dict[str, Any]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def until(self, happened: Callable[[], object]) -> None:
        """Waits, not for long, for something that only the server sees."""
        async with asyncio.timeout(5):
            while not happened():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.open += 1
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            self._tasks.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        answering = asyncio.ensure_future(self._answer(method, path, headers, body))
        gone = asyncio.ensure_future(reader.read(1))
        await asyncio.wait([answering, gone], return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():  # the client has hung up
            answering.cancel()
            self.cancelled += 1
            return False
        gone.cancel()
        with suppress(asyncio.CancelledError):
            await gone
        said = answering.result()
        writer.write(said if isinstance(said, bytes) else said.encoded())
        await writer.drain()
        if isinstance(said, bytes) or said.length is not None:
            if isinstance(said, bytes) and not said:
                writer.transport.abort()
            return False
        return True

    async def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer | bytes:
        if self.key is not None and headers.get("authorization") != f"Bearer {self.key}":
            said = f"Incorrect API key provided: {headers.get('authorization', 'none')}"
            return status(401, said)(Answer())
        if method == "GET":
            return self._facts(path)
        asked = json.loads(body)
        if path == "/tokenize":
            return _json({"tokens": self._tokenized(asked)})
        self.asked.append(asked)
        answer = await self._completed(path, asked)
        if not self.faults:
            return answer
        try:
            return self.faults.popleft()(answer)
        except Silent:
            await asyncio.Event().wait()
            raise

    def _facts(self, path: str) -> Answer:
        if path == "/v1/models":
            vllm = {"owned_by": "vllm", "max_model_len": self.context} if self.kind == "vllm" else {}
            owner = {"owned_by": self.owner} if self.owner is not None else {}
            return _json({"data": [{"id": self.model, **owner, **vllm}]})
        if path == "/version" and self.kind == "vllm":
            return _json({"version": "0.32.0"})
        return Answer(404, b"<html>no such page</html>")

    def _words(self, text: str) -> list[int]:
        return [self._ids.setdefault(word, len(self._ids)) for word in text.split()]

    def _tokenized(self, asked: dict[str, Any]) -> list[int]:
        if "prompt" in asked:
            return self._words(asked["prompt"])
        ids = [token for turn in asked["messages"] for token in self._words(f"{turn['role']}: {turn['content']}")]
        self._prompts[tuple(ids)] = asked["messages"]
        return ids

    async def _completed(self, path: str, asked: dict[str, Any]) -> Answer:
        if asked["model"] != self.model:
            return status(404, f"The model `{asked['model']}` does not exist.")(Answer())
        if ("max_tokens" if self.limit == "max_completion_tokens" else "max_completion_tokens") in asked:
            return status(400, f"Unsupported parameter: use `{self.limit}` instead.")(Answer())
        if asked.get("n", 1) > 1 and not self.many:
            return status(400, "n must be 1")(Answer())
        if asked.get("logprobs") and not self.logprobs:
            return status(400, "logprobs are not available")(Answer())
        if "prompt_logprobs" in asked:
            return await self._scored(asked)
        request = self._request(path, asked)
        tokens = sum(len(m.content.split()) + 1 for m in request.messages) + len(request.prefix.split())
        if tokens < self.context < tokens + request.sampling.max_tokens:
            return status(
                400,
                f"'max_tokens' or 'max_completion_tokens' is too large: {request.sampling.max_tokens}. This model's "
                f"maximum context length is {self.context} tokens and your request has {tokens} input tokens.",
            )(Answer())
        try:
            if "logprob_token_ids" in asked or (asked.get("top_logprobs", 0) > 5 and asked.get(self.limit) == 1):
                return await self._likely(request, asked)
            response = await self._engine.complete(request)
        except PromptTooLong:
            return status(
                400,
                f"This model's maximum context length is {self.context} tokens. However, your prompt contains {tokens} "
                "input tokens, which exceeds this limit even without any output tokens.",
            )(Answer())
        chat = path.endswith("/chat/completions")
        choices = []
        for index, sample in enumerate(response.samples):
            said: dict[str, Any] = {"index": index, "finish_reason": sample.finish}
            said |= {"message": {"role": "assistant", "content": sample.text}} if chat else {"text": sample.text}
            if self.kind == "vllm":
                said["stop_reason"] = sample.stopped or None
            if asked.get("logprobs", False) is not False:
                likely = [{"token": "word", "logprob": logprob} for logprob in sample.logprobs]
                said["logprobs"] = {"content": likely} if chat else {"token_logprobs": sample.logprobs}
            choices.append(said)
        usage = {"prompt_tokens": response.usage.prompt, "completion_tokens": response.usage.generated}
        return _json({"choices": choices, "usage": usage})

    def _request(self, path: str, asked: dict[str, Any]) -> Request:
        turns = (
            asked["messages"] if path.endswith("/chat/completions") else [{"role": "user", "content": asked["prompt"]}]
        )
        messages = [Message(turn["role"], turn["content"]) for turn in turns]
        prefix = messages.pop().content if asked.get("continue_final_message") else ""
        return Request(
            messages=tuple(messages),
            prefix=prefix,
            sampling=Sampling(
                temperature=asked.get("temperature", 1.0),
                top_p=asked.get("top_p", 1.0),
                max_tokens=asked[self.limit],
                stop=tuple(asked.get("stop", ())),
                top_k=None if asked.get("top_k", -1) == -1 else asked["top_k"],
                min_p=asked.get("min_p", 0.0),
                min_tokens=asked.get("min_tokens", 0),
            ),
            n=asked.get("n", 1),
            seed=asked.get("seed", 0),
        )

    async def _likely(self, request: Request, asked: dict[str, Any]) -> Answer:
        names = {number: word for word, number in self._ids.items()}
        words = tuple(names[token] for token in asked["logprob_token_ids"]) if "logprob_token_ids" in asked else _WORDS
        response = await self._engine.complete(replace(request, choices=words))
        shown = [
            {
                "token": f"token_id:{self._ids[word]}" if "logprob_token_ids" in asked else word,
                "logprob": math.log(chance),
            }
            for word, chance in zip(words, response.probabilities, strict=True)
        ]
        content = [{**shown[0], "top_logprobs": shown}]
        choice = {"index": 0, "message": {"content": "x"}, "finish_reason": "length", "logprobs": {"content": content}}
        return _json({"choices": [choice], "usage": {"prompt_tokens": response.usage.prompt, "completion_tokens": 1}})

    async def _scored(self, asked: dict[str, Any]) -> Answer:
        ids = asked["prompt"]
        names = {number: word for word, number in self._ids.items()}
        length = max(size for size in range(len(ids) + 1) if tuple(ids[:size]) in self._prompts)
        turns = self._prompts[tuple(ids[:length])]
        messages = tuple(Message(turn["role"], turn["content"]) for turn in turns)
        text = " ".join(names[token] for token in ids[length:])
        response = await self._engine.complete(Request(messages=messages, continuations=(text,)))
        listed: list[Any] = [None] * length
        for token, logprob in zip(ids[length:], response.likelihoods[0], strict=True):
            listed.append({str(token): {"logprob": logprob, "rank": 1}})
        choice = {"index": 0, "text": "x", "finish_reason": "length", "prompt_logprobs": listed}
        return _json({"choices": [choice], "usage": {"prompt_tokens": len(ids), "completion_tokens": 1}})


def _json(said: Any) -> Answer:
    return Answer(body=json.dumps(said).encode())
