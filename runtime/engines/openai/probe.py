"""What a server can do, asked once when it is opened.

vLLM says who it is in its list of models, and is known. Any other server gets one tiny request, which asks for less
each time that it is refused, until it is answered. Settings that are not OpenAI's own are known of servers that say who
they are; others may refuse them, or take no notice and not say so.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Final

from pnyx.runtime.engines.engine import Capability
from pnyx.runtime.engines.openai.client import Client
from pnyx.runtime.engines.openai.wire import Models, parse, parse_reply
from pnyx.runtime.errors import EngineFailure, KeyRefused, ModelNotFound, RuntimeFailure, ServerFailed, ServerUnusable

__all__ = ["Server", "probe"]

_STRUCTURED: Final = (0, 11)
"""The vLLM release whose names for guides and for token numbers are used here."""

_TOP: Final = 20
"""Of so many of the likeliest tokens servers give log-probabilities."""


_SETTINGS: Final = {
    "vllm": frozenset({Capability.TOP_K, Capability.MIN_P, Capability.MIN_TOKENS}),
    "sglang": frozenset({Capability.TOP_K, Capability.MIN_P, Capability.MIN_TOKENS}),
    "llamacpp": frozenset({Capability.TOP_K, Capability.MIN_P}),
}
"""By `owned_by` in the list of models: what the server of that name knows. An older vLLM knows these too."""


@dataclass(frozen=True, slots=True)
class Server:
    """`vllm`: a server that knows vLLM's additions. `many`: it draws several samples of one prompt. `likely`: of how
    many of the likeliest tokens it gives log-probabilities, 0 for none at all. `limit`: its name for max_tokens.
    `context` in tokens, where it says. `settings`: those that it knows beside OpenAI's own."""

    vllm: bool = False
    many: bool = True
    likely: int = _TOP
    limit: str = "max_tokens"
    context: int | None = None
    settings: frozenset[Capability] = frozenset()


async def probe(client: Client, model: str, api: str) -> Server:
    """Raises KeyRefused; ModelNotFound where the server has no such model; ServerUnusable where nothing can be asked
    of it."""
    try:
        listed = await _models(client)
    except ServerFailed as failure:
        raise ServerUnusable(
            failure.message, help=f"start the server, or set `url` to where its API is; `{client.url}` was asked"
        ) from None
    found = next((entry for entry in listed.data if entry.id == model), None) if listed else None
    names = ", ".join(f"`{entry.id}`" for entry in listed.data[:8]) if listed else ""
    if listed and any(entry.owned_by == "vllm" for entry in listed.data) and await _recent(client):
        if found is None:
            raise ModelNotFound(f"the server at `{client.url}` has no model `{model}`", help=f"its models: {names}")
        return Server(vllm=True, context=found.context, settings=_SETTINGS["vllm"])
    try:
        server = await _tried(client, model, api, found.context if found else None)
        return replace(server, settings=_SETTINGS.get(found.owned_by or "", frozenset()) if found else frozenset())
    except ModelNotFound as failure:
        raise ModelNotFound(failure.message, help=f"its models: {names}" if names else None) from None


async def _models(client: Client) -> Models | None:
    """None where the server has no list of its models, or not one that is sound."""
    try:
        return parse(Models, await client.ask("/models"), client.url)
    except (KeyRefused, ServerFailed, ServerUnusable):
        raise
    except RuntimeFailure:
        return None


async def _recent(client: Client) -> bool:
    """Whether this vLLM knows the names that are used here; a version that is no number is taken for a new one."""
    try:
        said = json.loads(await client.ask("version"))
        major, minor, *_ = said["version"].split(".")
        return (int(major), int(minor)) >= _STRUCTURED
    except (ValueError, KeyError, TypeError, AttributeError):
        return True
    except RuntimeFailure:
        return False


async def _tried(client: Client, model: str, api: str, context: int | None) -> Server:
    refusal: EngineFailure | None = None
    for limit, many, likely in product(("max_tokens", "max_completion_tokens"), (True, False), (_TOP, 5, 0)):
        server = Server(many=many, likely=likely, limit=limit, context=context)
        body = _tiny(server, model, api)
        try:
            answer = await client.ask("/chat/completions" if api == "chat" else "/completions", body)
        except EngineFailure as failure:
            if type(failure) is not EngineFailure:
                raise
            refusal = failure
            continue
        reply = parse_reply(answer, chat=api == "chat", server=client.url)
        given = all(choice.logprobs and choice.logprobs.tokens for choice in reply.choices)
        return Server(
            many=many and len(reply.choices) == 2, likely=likely if given else 0, limit=limit, context=context
        )
    assert refusal is not None
    raise ServerUnusable(f"{refusal.message}; not even one short sample", help="see that its model can chat") from None


def _tiny(server: Server, model: str, api: str) -> dict[str, Any]:
    """Sixteen tokens: a model that thinks before it speaks refuses fewer."""
    body: dict[str, Any] = {"model": model, server.limit: 16}
    if api == "chat":
        body |= {"messages": [{"role": "user", "content": "Hello."}]}
        body |= {"logprobs": True, "top_logprobs": server.likely} if server.likely else {}
    else:
        body |= {"prompt": "Hello."} | ({"logprobs": min(server.likely, 5)} if server.likely else {})
    return body | ({"n": 2} if server.many else {})
