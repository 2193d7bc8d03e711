"""A request on its way through the engine, and the samples of it that are being drawn."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count

from pnyx.runtime.engines.transformers.cache import Prefilled
from pnyx.runtime.engines.transformers.prefixes import BLOCK
from pnyx.runtime.engines.transformers.sampling import uniform_stream
from pnyx.runtime.request import Request, Response, SampledText, Usage

__all__ = ["Job", "Row"]

_ARRIVALS = count()


@dataclass(slots=True, eq=False)
class Job:
    """`todo`: samples that are not being drawn, by their number in the request; a job is done when all are in `done`.
    `texts`: tokens of the continuations; `limit`: tokens that a sample may have. `keys`: of the prompt's blocks, none
    where prefixes are not reused; `cached`: how many of its tokens were known when it was first prefilled. `prefilled`
    is kept while samples of it wait for a row."""

    request: Request
    future: Future[Response] = field(default_factory=Future)
    prompt: list[int] = field(default_factory=list)
    texts: list[list[int]] = field(default_factory=list)
    limit: int = 0
    keys: tuple[bytes, ...] = ()
    cached: int | None = None
    todo: deque[int] = field(default_factory=deque)
    done: dict[int, SampledText] = field(default_factory=dict)
    prefilled: Prefilled | None = None
    arrival: int = field(default_factory=lambda: next(_ARRIVALS))
    started: float = field(default_factory=time.perf_counter)

    @property
    def order(self) -> tuple[int, int]:
        return self.request.priority, self.arrival

    @property
    def longest(self) -> int:
        """Columns of the cache that a row of this job may come to need."""
        return len(self.prompt) + self.limit

    @property
    def reusable(self) -> tuple[bytes, ...]:
        """The keys of blocks that may be taken as known: at least one token must be computed."""
        return self.keys[: (len(self.prompt) - 1) // BLOCK]

    @property
    def draws_nothing(self) -> bool:
        return bool(self.request.choices or self.request.continuations)

    def finish(self, probabilities: tuple[float, ...] = (), likelihoods: tuple[tuple[float, ...], ...] = ()) -> None:
        samples = tuple(self.done[number] for number in sorted(self.done))
        prompt = len(self.prompt) + sum(map(len, self.texts))
        generated = sum(sample.tokens for sample in samples)
        with suppress(InvalidStateError):
            self.future.set_result(
                Response(
                    samples=samples,
                    probabilities=probabilities,
                    likelihoods=likelihoods,
                    usage=Usage(prompt=prompt, generated=generated, cached=self.cached or 0),
                    seconds=time.perf_counter() - self.started,
                )
            )

    def fail(self, error: Exception) -> None:
        """Nothing happens where the caller has cancelled already."""
        with suppress(InvalidStateError):
            self.future.set_exception(error)


@dataclass(slots=True, eq=False)
class Row:
    """A sample that is being drawn: sample `number` of `job`."""

    job: Job
    number: int
    uniform: Callable[[], float]
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)

    @classmethod
    def start(cls, job: Job, number: int) -> Row:
        return cls(job, number, uniform_stream(job.request.seed + job.request.first + number))
