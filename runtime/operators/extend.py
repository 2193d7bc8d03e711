"""`Extend`: a model goes on with a candidate from where its text ends, or is asked what it would go on with."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from types import MappingProxyType

from pnyx.compiler.operators import Extend
from pnyx.runtime.candidates import Candidate, Pool
from pnyx.runtime.operators.sample import Draw, sampled, written
from pnyx.runtime.operators.step import Begin, Scope, Step, Work
from pnyx.runtime.question import Chat
from pnyx.runtime.request import Message, Request, Response

__all__ = ["prepare_extend"]


def prepare_extend(step: Step[Extend]) -> Begin:
    extend = step.operator
    system = None if extend.system is None else Message("system", extend.system)

    def begin(scope: Scope, values: tuple[Chat, Pool]) -> Pool | _Continued | _Probed:
        chat, pool = values
        messages = chat.under(system)

        def request(candidate: Candidate) -> Request:
            return Request(
                messages=messages,
                sampling=extend.sampling,
                n=extend.n,
                seed=scope.seed_for(step, candidate.key),
                prefix=f"{candidate.text}{candidate.fields.get('stopped', '')}{extend.force}",
                logprobs=step.scored,
                subject=chat.subject,
                priority=scope.example.question.index,
            )

        if extend.into is not None:
            return _Probed(extend.into, pool, [request(c) for c in pool])
        live = [c for c in pool if _goes_on(extend, c)]
        return _Continued(extend, pool, [scope.key_of(step, c.key) for c in live], [request(c) for c in live])

    return begin


def _goes_on(extend: Extend, candidate: Candidate) -> bool:
    return bool(extend.force) or candidate.fields.get("finished") is not True


class _Continued(Draw):
    """New candidates in the place of those that go on."""

    __slots__ = ("_begun", "_extend", "_pool")

    def __init__(self, extend: Extend, pool: Pool, prefixes: Sequence[str], requests: list[Request]) -> None:
        super().__init__(extend, prefixes, requests)
        self._extend, self._pool, self._begun = extend, pool, [request.prefix for request in requests]

    def finish(self) -> Pool:
        live = [c for c in self._pool if _goes_on(self._extend, c)]
        made: list[list[Candidate]] = [[] for _ in live]
        for place, k, sample in self.drawn():
            fields = written(sample, self._operator.model, ends=True)
            fields["text"] = self._begun[place] + sample.text
            before, after = live[place].fields.get("logprob"), fields.pop("logprob", None)
            if isinstance(before, int | float) and isinstance(after, float):
                fields["logprob"] = before + after
            made[place].append(Candidate(f"{self._prefixes[place]}:{k}", MappingProxyType(fields)))
        new = iter(made)
        return tuple(chain.from_iterable(next(new) if _goes_on(self._extend, c) else (c,) for c in self._pool))


class _Probed(Work[Request, Response]):
    """What the model would go on with, as a field; the candidates stay."""

    __slots__ = ("_got", "_into", "_pool")

    def __init__(self, into: str, pool: Pool, requests: list[Request]) -> None:
        self._into, self._pool, self.requests = into, pool, requests
        self._got = [""] * len(requests)

    def accept(self, slot: int, _: int, response: Response) -> Request | None:
        self._got[slot] = sampled(response, 1)[0].text.strip()
        return None

    def finish(self) -> Pool:
        return tuple(c.having(self._into, text) for c, text in zip(self._pool, self._got, strict=True))
