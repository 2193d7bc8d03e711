"""What is asked of an engine, and what comes back.

Seeds: sample k of a request is drawn with seed `seed + k`, whatever else is in the batch, so n samples in one request
are the same samples as in n requests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pnyx.compiler.operators import Reads, Sampling

__all__ = [
    "Choice", "Guide", "JsonSchema", "Message", "Regex", "Request", "Response", "Role", "SampledText", "Subject",
    "Usage",
]  # fmt: skip

Role: TypeAlias = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Subject:
    """What a request is about, in the program's own terms; the prompt shows all of it. The simulated engine needs it to
    answer sensibly; engines that run a model look only at how many candidates and tests there are and at the `options`
    of a choice, to guide the reply. `writes`: the reply is an answer of its own, and not a word about a candidate.
    Never part of a request's identity."""

    query: str
    candidates: tuple[str, ...] = ()
    critiques: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    count: int | None = None
    options: tuple[str, ...] = ()
    writes: bool = True


@dataclass(frozen=True, slots=True)
class Choice:
    """The reply is one of these texts."""

    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Regex:
    """The reply matches this expression as a whole. Only what every engine's matcher knows: classes, groups,
    alternatives and repetitions, no look-around and no back-references."""

    pattern: str


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """The reply is a JSON value of this schema, which is given as JSON text."""

    schema: str


Guide: TypeAlias = Choice | Regex | JsonSchema


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One of three questions to a model, about `messages` and the beginning of a reply, `prefix`:

    - draw samples `first` … `first + n - 1` of how it goes on (their texts do not repeat the prefix);
    - with `choices`: the probability of each as the next token (one of several tokens counts by its first);
    - with `continuations`: how likely the model finds each of these texts next. The last two generate nothing.

    `reads` is the form in which the caller will read the reply; engines that can guide the model make it keep to that
    form, unless `guide` gives another. `logprobs`: whether log-probabilities of the samples are wanted where the engine
    has them. `priority`: the lower, the sooner.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    n: int = 1
    first: int = 0
    seed: int = 0
    prefix: str = ""
    choices: tuple[str, ...] = ()
    continuations: tuple[str, ...] = ()
    reads: Reads = Reads.TEXT
    guide: Guide | None = None
    logprobs: bool = True
    subject: Subject | None = None
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledText:
    """One completion. `logprobs`: natural logarithm of the probability of each generated token under the model's own
    distribution (temperature 1, no truncation), the end-of-text token included where one ended the sample; empty where
    the engine has none. `finish`: `stop` for the end of text or a stop string (which is not part of `text`), `length`
    for max_tokens. `stopped`: the stop string that ended it, empty where none did."""

    text: str
    tokens: int
    logprobs: tuple[float, ...] = ()
    finish: Literal["stop", "length"] = "stop"
    stopped: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens. `prompt` counts a prompt once however many samples share it; of these, `cached` were not computed anew;
    `generated` sums over the samples."""

    prompt: int = 0
    generated: int = 0
    cached: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            prompt=self.prompt + other.prompt,
            generated=self.generated + other.generated,
            cached=self.cached + other.cached,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """`samples` in the order of their indices. `probabilities` answers `choices`, in their order, not normalised.
    `likelihoods` answers `continuations`: for each, the log-probability of every token of it given what is before."""

    samples: tuple[SampledText, ...] = ()
    probabilities: tuple[float, ...] = ()
    likelihoods: tuple[tuple[float, ...], ...] = ()
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0
