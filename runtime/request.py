"""What is asked of an engine, and what comes back.

Seeds: sample k of a request is drawn with seed `seed + k`, whatever else is in the batch, so n samples in one request
are the same samples as in n requests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pnyx.compiler.operators import Reads, Sampling

__all__ = ["Message", "Request", "Response", "Role", "SampledText", "Subject", "Usage"]

Role: TypeAlias = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Subject:
    """What a request is about, in the program's own terms. Engines that run a model ignore it; the simulated engine
    needs it to answer sensibly. Never part of a request's identity."""

    query: str
    candidates: tuple[str, ...] = ()
    critiques: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Draw samples `first` … `first + n - 1` for `messages`; or, with `choices`, generate nothing and give the
    probability of each choice as the next token (a choice of several tokens counts by its first token).

    `reads` is the form in which the caller will read the reply. `priority`: the lower, the sooner.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    n: int = 1
    first: int = 0
    seed: int = 0
    choices: tuple[str, ...] = ()
    reads: Reads = Reads.TEXT
    subject: Subject | None = None
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledText:
    """One completion. `logprobs`: natural logarithm of the probability of each generated token under the model's own
    distribution (temperature 1, no truncation), the end-of-text token included where one ended the sample; empty where
    the engine has none. `finish`: `stop` for the end of text or a stop string (which is not part of `text`), `length`
    for max_tokens."""

    text: str
    tokens: int
    logprobs: tuple[float, ...] = ()
    finish: Literal["stop", "length"] = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens. `prompt` counts a prompt once however many samples share it; `generated` sums over the samples."""

    prompt: int = 0
    generated: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(prompt=self.prompt + other.prompt, generated=self.generated + other.generated)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """`samples` in the order of their indices. `probabilities` answers `choices`, in their order, not normalised."""

    samples: tuple[SampledText, ...] = ()
    probabilities: tuple[float, ...] = ()
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0
