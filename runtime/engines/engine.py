"""What every engine is: it answers requests for one model, and passes `pnyx.runtime.engines.conformance`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from pnyx.runtime.request import Request, Response

__all__ = ["Capability", "Engine", "EngineInfo"]


class Capability(StrEnum):
    CHOICES = "choices"
    """next-token probabilities"""
    LOGPROBS = "logprobs"
    """log-probabilities of the generated tokens"""
    PREFIX = "prefix"
    """replies that go on from a given beginning"""
    CONTINUATIONS = "continuations"
    """how likely a given text is as the reply"""
    GUIDE = "guide"
    """replies that keep to a form"""
    TOP_K = "top_k"
    """draws from so many of the likeliest tokens"""
    MIN_P = "min_p"
    """draws from tokens that are not much less likely than the likeliest"""
    MIN_TOKENS = "min_tokens"
    """samples that nothing ends before they have so many tokens"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """`model` identifies the weights; `context` in tokens, prompt and reply together; `parameters` in weights;
    `window`: how many samples at once keep the engine busy; more only wait inside it. `variant`: what else decides what
    it writes (a revision, a dtype, a simulated skill); what is stored of one is not used for another. `remote`: a
    server that others use too, so the scheduler feels for how much it takes."""

    engine: str
    model: str
    context: int
    parameters: float | None = None
    window: int = 64
    capabilities: frozenset[Capability] = frozenset()
    simulated: bool = False
    remote: bool = False
    variant: str = ""


class Engine(Protocol):
    """Many `complete` calls run at once; the engine batches them. Cancelling the awaiting task frees its slots.

    `complete` raises PromptTooLong where the prompt alone fills the context (else max_tokens is cut to what is left),
    ReplyRefused where this prompt is declined, CapabilityMissing for a request of a kind that it does not declare, and
    EngineFailure for everything else that goes wrong. One failing request never harms another.
    """

    @property
    def info(self) -> EngineInfo: ...

    async def complete(self, request: Request) -> Response: ...

    async def close(self) -> None: ...
