"""`Sample`, and the drawing of new candidates that it shares with `Ask`."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, isfinite
from types import MappingProxyType

from pnyx.compiler.operators import Sample
from pnyx.runtime.candidates import Candidate, FieldValue, Pool
from pnyx.runtime.errors import EngineFailure
from pnyx.runtime.operators.step import Begin, Example, Step
from pnyx.runtime.request import Message, Request, Response, SampledText

__all__ = ["Draw", "prepare_sample", "sampled"]


class Draw:
    """New candidates from samples: `n` for each of `requests`, with keys under `prefixes`.

    `joined`: each is one request for all n; otherwise n requests for one sample each, of the same base seed and so of
    the same samples.
    """

    __slots__ = ("_got", "_model", "_n", "_per", "_prefixes", "requests")

    def __init__(self, model: str, prefixes: Sequence[str], requests: list[Request], n: int, *, joined: bool) -> None:
        self._model, self._prefixes, self._n = model, prefixes, n
        self._per = 1 if n == 1 or (joined and n > 0) else n
        self.requests = requests if self._per == 1 else [_single(r, k) for r in requests for k in range(n)]
        self._got: list[tuple[SampledText, ...]] = [()] * len(self.requests)

    def accept(self, slot: int, _: int, response: Response) -> Request | None:
        self._got[slot] = sampled(response, self.requests[slot].n)
        return None

    def finish(self) -> Pool:
        drawn = iter(sample for samples in self._got for sample in samples)
        return tuple(
            new_candidate(f"{prefix}:{k}", next(drawn), self._model)
            for prefix in self._prefixes
            for k in range(self._n)
        )


def _single(request: Request, k: int) -> Request:
    return Request(
        messages=request.messages,
        sampling=request.sampling,
        first=k,
        seed=request.seed,
        subject=request.subject,
        priority=request.priority,
    )


def sampled(response: Response, n: int) -> tuple[SampledText, ...]:
    if len(response.samples) != n:
        raise EngineFailure(f"the engine returned {len(response.samples)} samples where {n} were asked for")
    return response.samples


def new_candidate(key: str, sample: SampledText, model: str) -> Candidate:
    fields: dict[str, FieldValue] = {"text": sample.text}
    if sample.logprobs:
        logprob = fsum(sample.logprobs)
        if isfinite(logprob):
            fields["logprob"] = logprob
    fields["model"] = model
    return Candidate(key, MappingProxyType(fields))


def prepare_sample(step: Step[Sample]) -> Begin:
    sample = step.operator
    system = None if sample.system is None else Message("system", sample.system)

    def begin(example: Example, _: tuple[Pool, ...]) -> Draw:
        messages = example.question.messages
        if system is not None:
            messages = (system, *(m for m in messages if m.role != "system"))
        request = Request(
            messages=messages,
            sampling=sample.sampling,
            n=sample.n,
            seed=example.seed_for(step.stream),
            subject=example.subject,
            priority=example.question.index,
        )
        return Draw(sample.model, (step.stream,), [request], sample.n, joined=sample.joined)

    return begin
