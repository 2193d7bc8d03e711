"""`Loglik`: how likely a model finds texts as its reply. One request asks about all of them; nothing is drawn."""

from __future__ import annotations

from math import fsum, isfinite

from pnyx.compiler.operators import Loglik
from pnyx.runtime.candidates import Candidate, Pool
from pnyx.runtime.errors import EngineFailure
from pnyx.runtime.operators.step import Begin, Scope, Step, Work
from pnyx.runtime.question import Chat
from pnyx.runtime.request import Message, Request, Response

__all__ = ["prepare_loglik"]


def prepare_loglik(step: Step[Loglik]) -> Begin:
    loglik = step.operator
    system = None if loglik.system is None else Message("system", loglik.system)

    def begin(scope: Scope, values: tuple[Chat, Pool]) -> Pool | _Likelihoods:
        chat, pool = values
        texts = [_text(candidate, loglik.of) for candidate in pool]
        asked = tuple(text for text in texts if text is not None)
        if not asked:
            return tuple(candidate.without(loglik.into) for candidate in pool)
        request = Request(
            messages=chat.under(system),
            continuations=asked,
            subject=chat.subject,
            priority=scope.example.question.index,
        )
        return _Likelihoods(loglik.into, pool, texts, request)

    return begin


def _text(candidate: Candidate, name: str) -> str | None:
    """What is looked at. Every candidate has a text, if an empty one."""
    value = candidate.text if name == "text" else candidate.fields.get(name)
    return value if isinstance(value, str) else None


class _Likelihoods(Work[Request, Response]):
    """The sum over the tokens of each text, as a field."""

    __slots__ = ("_got", "_into", "_pool", "_texts")

    def __init__(self, into: str, pool: Pool, texts: list[str | None], request: Request) -> None:
        self._into, self._pool, self._texts, self.requests = into, pool, texts, (request,)
        self._got: tuple[tuple[float, ...], ...] = ()

    def accept(self, slot: int, attempt: int, response: Response) -> Request | None:  # noqa: ARG002
        asked = len(self.requests[0].continuations)
        if len(response.likelihoods) != asked:
            raise EngineFailure(f"the engine returned {len(response.likelihoods)} likelihoods for {asked} texts")
        self._got = response.likelihoods
        return None

    def finish(self) -> Pool:
        sums = iter([fsum(logprobs) if all(map(isfinite, logprobs)) else None for logprobs in self._got])
        made = []
        for candidate, text in zip(self._pool, self._texts, strict=True):
            value = None if text is None else next(sums)
            made.append(candidate.without(self._into) if value is None else candidate.having(self._into, value))
        return tuple(made)
