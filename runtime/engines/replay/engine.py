"""The replay engine: what was drawn once, from the call store; it draws nothing.

A run whose calls are all stored needs no model, no server and no GPU: to look at it again, to change what comes after
the calls, to test a pipeline on real replies.
"""

from __future__ import annotations

import asyncio

from pnyx.runtime.config import EngineOptions
from pnyx.runtime.engines.engine import Capability, EngineInfo
from pnyx.runtime.errors import ConfigurationError, EngineFailure, NotStored
from pnyx.runtime.request import Request, Response, Usage
from pnyx.runtime.store.backend import Backend
from pnyx.runtime.store.keys import Keys
from pnyx.runtime.store.locations import default_store, open_backend
from pnyx.runtime.store.records import Record, decode

__all__ = ["ReplayEngine"]

_HELP = "run the program once on the engine that is to be replayed, with this store"


class ReplayEngine:
    """`info` is that of the engine which drew, so that calls have the keys that they had then."""

    def __init__(self, backend: Backend, info: EngineInfo) -> None:
        self._backend, self._info = backend, info
        self._keys = Keys(info)
        self._reading = asyncio.Lock()
        self._closed = False

    @classmethod
    def open(cls, *, model: str, options: EngineOptions) -> ReplayEngine:
        """The calls of the model with the id `model` in the store at `options.store`, or in the user's own.

        Raises StoreUnusable; NotStored where it holds no call of the model; ConfigurationError where it holds those of
        several engines and `options.drawn_by` names none of them.
        """
        backend = open_backend(options.store or default_store())
        try:
            return cls(backend, _drawn_by(backend, model, options.drawn_by))
        except BaseException:
            backend.close()
            raise

    @property
    def info(self) -> EngineInfo:
        return self._info

    async def complete(self, request: Request) -> Response:
        """Raises NotStored where a sample is missing."""
        if self._closed:
            raise EngineFailure(f"the replay of `{self._info.model}` is closed")
        keys = self._keys.of(request)
        richer = self._keys.richer(request)
        async with self._reading:
            found = await asyncio.to_thread(self._backend.read, [*keys, *richer])
        if richer:
            keys = [key if key in found else other for key, other in zip(keys, richer, strict=True)]
        missing = sum(key not in found for key in keys)
        if missing:
            raise NotStored(
                f"the call store `{self._backend.place}` lacks {missing} of the {len(keys)} replies to this call of "
                f"`{self._info.model}`",
                help=_HELP,
            )
        try:
            records = [decode(found[key]) for key in keys]
        except ValueError as error:
            raise EngineFailure(f"{error} in the call store `{self._backend.place}`") from None
        return _response(request, records)

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            async with self._reading:
                await asyncio.to_thread(self._backend.close)


def _response(request: Request, records: list[Record]) -> Response:
    prompt = max((record.prompt for record in records), default=0)
    if request.choices:
        return Response(probabilities=records[0].probabilities, usage=Usage(prompt=prompt))
    if request.continuations:
        return Response(likelihoods=records[0].likelihoods, usage=Usage(prompt=prompt))
    samples = tuple(record.sample for record in records)
    usage = Usage(prompt=prompt, generated=sum(sample.tokens for sample in samples), cached=prompt)
    return Response(samples=samples, usage=usage)


def _drawn_by(backend: Backend, model: str, engine: str | None) -> EngineInfo:
    """The only identity in the store with this model, of this engine where one is named."""
    found = [
        info
        for identity, _, _ in backend.info().models
        if (info := _info(identity, model)) is not None and (engine is None or identity.startswith(engine))
    ]
    if not found:
        by = f" by `{engine}`" if engine else ""
        raise NotStored(f"the call store `{backend.place}` holds no call of `{model}`{by}", help=_HELP)
    if len(found) > 1:
        listed = ", ".join(f"`{info.engine} {info.model} {info.variant}`" for info in found)
        raise ConfigurationError(
            f"several engines drew for `{model}` in `{backend.place}`: {listed}",
            help="set `drawn_by` in pnyx.toml to the beginning of one of them",
        )
    return found[0]


def _info(identity: str, model: str) -> EngineInfo | None:
    """What `identity_of` wrote, taken apart; None for another model. The words between model and context are one
    variant."""
    words, mark, context = identity.rpartition(" context=")
    engine, _, rest = words.partition(" ")
    if not mark or not (rest == model or rest.startswith(f"{model} ")):
        return None
    return EngineInfo(
        engine=engine,
        model=model,
        context=int(context),
        window=256,
        capabilities=frozenset(Capability),
        simulated=engine == "simulated",
        variant=rest[len(model) + 1 :],
    )
