"""`Sample`, and the drawing of new candidates that it shares with `Ask` and `Extend`."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, isfinite
from types import MappingProxyType

from pnyx.compiler.operators import DrawingOperator, Sample
from pnyx.runtime.candidates import Candidate, FieldValue, Pool
from pnyx.runtime.errors import EngineFailure
from pnyx.runtime.operators.step import Begin, Scope, Step, Work
from pnyx.runtime.question import Chat
from pnyx.runtime.request import Message, Request, Response, SampledText

__all__ = ["Draw", "prepare_sample", "sampled", "written"]


class Draw(Work[Request, Response]):
    """New candidates from samples: `n` of the operator for each of `requests`, with keys under `prefixes`.

    Where the operator is `joined`, each is one request for all n; otherwise n requests for one sample each, of the same
    base seed and so of the same samples. `numbers`: which samples of their streams, where they are not the first n.
    """

    __slots__ = ("_got", "_numbers", "_operator", "_prefixes")

    def __init__(
        self,
        operator: DrawingOperator,
        prefixes: Sequence[str],
        requests: list[Request],
        numbers: Sequence[int] | None = None,
    ) -> None:
        self._operator, self._prefixes, n = operator, prefixes, operator.n
        self._numbers = range(n) if numbers is None else numbers
        together = numbers is None and (n == 1 or (operator.joined and n > 0))
        self.requests = requests if together else [_single(r, k) for r in requests for k in self._numbers]
        self._got: list[tuple[SampledText, ...]] = [()] * len(self.requests)

    def accept(self, slot: int, _: int, response: Response) -> Request | None:
        self._got[slot] = sampled(response, self.requests[slot].n)
        return None

    def finish(self) -> Pool:
        operator, ends = self._operator, bool(self._operator.sampling.stop)
        return tuple(
            Candidate(
                f"{self._prefixes[place]}:{self._numbers[k]}",
                MappingProxyType(written(sample, operator.model, ends=ends)),
            )
            for place, k, sample in self.drawn()
        )

    def drawn(self) -> list[tuple[int, int, SampledText]]:
        """Every sample, with which of the prefixes it belongs to and its number there."""
        samples = [sample for got in self._got for sample in got]
        n = self._operator.n
        return [(i // n, i % n, sample) for i, sample in enumerate(samples)]


def _single(request: Request, k: int) -> Request:
    return Request(
        messages=request.messages,
        sampling=request.sampling,
        first=k,
        seed=request.seed,
        prefix=request.prefix,
        logprobs=request.logprobs,
        subject=request.subject,
        priority=request.priority,
    )


def sampled(response: Response, n: int) -> tuple[SampledText, ...]:
    if len(response.samples) != n:
        raise EngineFailure(f"the engine returned {len(response.samples)} samples where {n} were asked for")
    return response.samples


def written(sample: SampledText, model: str, *, ends: bool) -> dict[str, FieldValue]:
    """The fields of a new candidate; with `ends` also whether the model ended it, and the stop string that did."""
    fields: dict[str, FieldValue] = {"text": sample.text}
    if sample.logprobs:
        logprob = fsum(sample.logprobs)
        if isfinite(logprob):
            fields["logprob"] = logprob
    fields["model"] = model
    if ends:
        fields["finished"] = sample.finish == "stop" and not sample.stopped
        if sample.stopped:
            fields["stopped"] = sample.stopped
    return fields


def prepare_sample(step: Step[Sample]) -> Begin:
    sample = step.operator
    system = None if sample.system is None else Message("system", sample.system)

    def begin(scope: Scope, values: tuple[Chat]) -> Draw:
        (chat,) = values
        request = Request(
            messages=chat.under(system),
            sampling=sample.sampling,
            n=sample.n,
            seed=scope.seed_for(step),
            logprobs=step.scored,
            subject=chat.subject,
            priority=scope.example.question.index,
        )
        return Draw(sample, (scope.stream(step),), [request], step.numbers)

    return begin
