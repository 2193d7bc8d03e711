"""`Ask`: a model is shown a prompt about the question, each candidate, two of them or all, and its reply is read.

Invariants: the base seed of a request comes from the candidate's own key, never from its place in the pool; a reply
that cannot be read is tried again with a fresh seed, then follows the policy and is listed in the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import assert_never, cast

from pnyx.compiler.operators import Action, Ask, Over, Reads, Single
from pnyx.runtime.candidates import Candidate, FieldValue, Pool
from pnyx.runtime.operators.asking import Asking, Reading
from pnyx.runtime.operators.compare import Neighbours, Pairs
from pnyx.runtime.operators.sample import Draw, written
from pnyx.runtime.operators.step import Begin, Step, Work, empty_pool
from pnyx.runtime.request import Request, Response

__all__ = ["prepare_ask"]


def prepare_ask(step: Step[Ask]) -> Begin:
    ask = step.operator
    match ask.over:
        case Over.QUERY:
            return lambda scope, values: _about_all(Asking(step, scope, values[0], values[1:]), ())
        case Over.ALL:
            return lambda scope, values: _over_all(Asking(step, scope, values[0], values[2:]), values[1])
        case Over.EACH:
            return lambda scope, values: _over_each(Asking(step, scope, values[0], values[2:]), values[1])
        case Over.NEIGHBOURS:
            return lambda scope, values: Neighbours(Asking(step, scope, values[0], values[2:]), values[1])
        case Over.PAIRS:
            return lambda scope, values: Pairs(Asking(step, scope, values[0], values[2:]), values[1])
        case _:
            assert_never(ask.over)


def _over_each(asking: Asking, pool: Pool) -> Pool | Work[Request, Response]:
    ask = asking.ask
    if ask.into is not None and ask.reads is Reads.PASSES and not asking.tests:
        return tuple(c.having(ask.into, 0) for c in pool)
    if not pool:
        return ()
    requests = [asking.request({"candidate": c.fields}, (c,), c.key) for c in pool]
    if ask.into is None:
        return Draw(ask, [asking.scope.key_of(asking.step, c.key) for c in pool], requests)
    return _Fields(asking, ask.into, pool, requests)


def _over_all(asking: Asking, pool: Pool) -> Pool | Work[Request, Response]:
    ask, step = asking.ask, asking.step
    if len(pool) <= 1 and ask.reads is Reads.ORDER:
        return pool
    if not pool:
        raise empty_pool(step)
    if len(pool) == 1 and ask.single is Single.KEEP and ask.reads is not Reads.CHOICE:
        return pool
    return _about_all(asking, pool)


def _about_all(asking: Asking, pool: Pool) -> Work[Request, Response]:
    ask = asking.ask
    shown = {} if ask.over is Over.QUERY else {"candidates": [c.fields for c in pool]}
    request = asking.request(shown, pool, "")
    if ask.reads is Reads.TEXT:
        return Draw(ask, (asking.scope.stream(asking.step),), [request])
    return _Whole(asking, pool, request)


class _Fields(Reading):
    """A reply for each candidate becomes its field `into`."""

    __slots__ = ("_into", "_pool")

    def __init__(self, asking: Asking, into: str, pool: Pool, requests: list[Request]) -> None:
        super().__init__(asking, [c.key for c in pool], requests, len(asking.tests))
        self._into, self._pool = into, pool

    def finish(self) -> Pool:
        self.report()
        drop = self.asking.ask.on_fail.then is Action.DROP
        kept = []
        for candidate, value in zip(self._pool, self.values, strict=True):
            if isinstance(value, str | int | float):
                kept.append(candidate.having(self._into, value))
            elif not drop:
                kept.append(candidate.without(self._into))
        return tuple(kept)


class _Whole(Reading):
    """One reply about the question or the whole pool: an order of the candidates, a list that becomes candidates, or an
    option that becomes one."""

    __slots__ = ("_pool",)

    def __init__(self, asking: Asking, pool: Pool, request: Request) -> None:
        super().__init__(asking, ("",), [request], len(pool))
        self._pool = pool

    def finish(self) -> Pool:
        self.report()
        ask, value = self.asking.ask, self.values[0]
        match value:
            case None:
                return self._pool if ask.reads is Reads.ORDER and ask.on_fail.then is Action.KEEP else ()
            case str():
                return self._made([{**written(self.last, ask.model, ends=False), "text": value}])
            case tuple() if ask.reads is Reads.ORDER:
                return tuple(self._pool[i] for i in cast("tuple[int, ...]", value))
            case tuple():
                return self._made([{"text": str(item), "model": ask.model} for item in value])
            case _:
                raise AssertionError(f"{ask.reads} is not read of a whole pool")

    def _made(self, items: Sequence[dict[str, FieldValue]]) -> Pool:
        stream = self.asking.scope.stream(self.asking.step)
        return tuple(Candidate(f"{stream}:{i}", MappingProxyType(fields)) for i, fields in enumerate(items))
