"""The answers of a server, read strictly where we rely on them: an untrusted edge.

Invariant: what is returned has finite numbers, texts that are texts, and one entry for every sample asked for; anything
else is a BrokenReply.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pnyx.runtime.errors import BrokenReply, ReplyRefused
from pnyx.runtime.request import SampledText, Usage

__all__ = ["ChatReply", "Models", "Reply", "TextReply", "Tokens", "parse", "parse_reply", "samples", "usage"]

_Count = Annotated[int, Field(ge=0, lt=2**31)]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class _Cached(_Wire):
    cached_tokens: _Count | None = None


class _Usage(_Wire):
    prompt_tokens: _Count
    completion_tokens: _Count = 0
    prompt_tokens_details: _Cached | None = None


class _Likely(_Wire):
    token: str
    logprob: float


class _Token(_Likely):
    top_logprobs: tuple[_Likely, ...] = ()


class _ChatLogprobs(_Wire):
    content: tuple[_Token, ...] | None = None

    @property
    def tokens(self) -> tuple[float, ...]:
        return tuple(token.logprob for token in self.content or ())

    @property
    def first(self) -> dict[str, float]:
        """The likeliest tokens at the first place."""
        return {
            likely.token: likely.logprob
            for token in (self.content or ())[:1]
            for likely in (*token.top_logprobs, token)
        }


class _TextLogprobs(_Wire):
    token_logprobs: tuple[float | None, ...] = ()
    top_logprobs: tuple[dict[str, float] | None, ...] | None = None

    @property
    def tokens(self) -> tuple[float, ...]:
        return tuple(logprob for logprob in self.token_logprobs if logprob is not None)

    @property
    def first(self) -> dict[str, float]:
        return next(iter(self.top_logprobs or ()), None) or {}


class _Message(_Wire):
    content: str | None = None
    refusal: str | None = None


class _Drawn(_Wire):
    index: _Count = 0
    finish_reason: str | None = None
    stop_reason: int | str | None = None


class _ChatChoice(_Drawn):
    message: _Message
    logprobs: _ChatLogprobs | None = None

    @property
    def text(self) -> str | None:
        return self.message.content

    @property
    def refusal(self) -> str | None:
        return self.message.refusal


class _TextChoice(_Drawn):
    text: str | None = None
    logprobs: _TextLogprobs | None = None
    prompt_logprobs: tuple[dict[str, _Scored] | None, ...] | None = None
    refusal: None = None


class _Scored(_Wire):
    logprob: float


class ChatReply(_Wire):
    choices: tuple[_ChatChoice, ...]
    usage: _Usage


class TextReply(_Wire):
    choices: tuple[_TextChoice, ...]
    usage: _Usage


Reply = ChatReply | TextReply


class _Model(_Wire):
    id: str
    owned_by: str | None = None
    max_model_len: int | None = None
    context_length: int | None = None

    @property
    def context(self) -> int | None:
        return self.max_model_len or self.context_length


class Models(_Wire):
    data: tuple[_Model, ...]


class Tokens(_Wire):
    tokens: tuple[int, ...]


_WireT = TypeVar("_WireT", bound=_Wire)


def parse(kind: type[_WireT], body: bytes, server: str) -> _WireT:
    """Raises BrokenReply for what is not JSON in UTF-8 or lacks what `kind` needs."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in fault["loc"])
    told = "is not JSON" if fault["type"] == "json_invalid" else f"has a fault at `{place}`: {fault['msg'].lower()}"
    raise BrokenReply(f"the answer of the server at `{server}` {told}")


def parse_reply(body: bytes, *, chat: bool, server: str) -> Reply:
    return parse(ChatReply, body, server) if chat else parse(TextReply, body, server)


def samples(reply: Reply, n: int, stops: tuple[str, ...], server: str) -> tuple[SampledText, ...]:
    """The samples in the order of their indices. Where the server gives no log-probabilities, the tokens that it counts
    for all samples are divided among them by the lengths of their texts."""
    choices: list[_ChatChoice | _TextChoice] = sorted(reply.choices, key=lambda choice: choice.index)
    if [choice.index for choice in choices] != list(range(n)):
        raise BrokenReply(f"the server at `{server}` gave {len(choices)} samples where {n} were asked for")
    texts = [_text(choice, server) for choice in choices]
    counts = _shares(reply.usage.completion_tokens, [len(text) for text in texts])
    drawn = []
    for choice, text, count in zip(choices, texts, counts, strict=True):
        logprobs = tuple(min(logprob, 0.0) for logprob in choice.logprobs.tokens) if choice.logprobs else ()
        finish = _finish(choice.finish_reason, server)
        stopped = choice.stop_reason if isinstance(choice.stop_reason, str) else ""
        places = [(place, stop) for stop in stops if (place := text.find(stop)) >= 0]
        if places:  # a server that knows fewer stop strings than it was given
            place, stopped = min(places)
            text, finish = text[:place], "stop"
        drawn.append(
            SampledText(text=text, tokens=len(logprobs) or count, logprobs=logprobs, finish=finish, stopped=stopped)
        )
    return tuple(drawn)


def usage(reply: Reply, drawn: tuple[SampledText, ...] = ()) -> Usage:
    details = reply.usage.prompt_tokens_details
    return Usage(
        prompt=reply.usage.prompt_tokens,
        generated=sum(sample.tokens for sample in drawn),
        cached=(details.cached_tokens or 0) if details else 0,
    )


def _text(choice: _ChatChoice | _TextChoice, server: str) -> str:
    if choice.refusal or choice.finish_reason == "content_filter":
        raise ReplyRefused(f"the model at `{server}` declines to answer this prompt")
    if choice.text is None and choice.finish_reason != "length":
        raise BrokenReply(f"a sample of the server at `{server}` has no text")
    return choice.text or ""


def _finish(reason: str | None, server: str) -> Literal["stop", "length"]:
    if reason == "length":
        return "length"
    if reason in ("stop", "eos", "eos_token", "stop_sequence", "repetition"):
        return "stop"
    raise BrokenReply(f"a sample of the server at `{server}` ended for no known reason: {str(reason)[:40]!r}")


def _shares(total: int, lengths: list[int]) -> list[int]:
    """`total` in proportion to `lengths`, in whole numbers that add up to it."""
    lengths = lengths if any(lengths) else [1] * len(lengths)
    whole = sum(lengths)
    ends = [round(total * sum(lengths[: k + 1]) / whole) for k in range(len(lengths))]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]
