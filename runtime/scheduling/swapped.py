"""An engine that is in memory at times only; what it answers does not depend on when.

Invariant: after it was opened once, `info` stays; an engine that comes back as another one is refused.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol, runtime_checkable

from pnyx.runtime.engines.engine import Engine, EngineInfo
from pnyx.runtime.errors import EngineFailure
from pnyx.runtime.request import Request, Response
from pnyx.runtime.scheduling.residency import Seat

__all__ = ["Forgetful", "Sleeper", "SwappedEngine"]


@runtime_checkable
class Forgetful(Protocol):
    """An engine that keeps what it computed of prompts, and drops it when it is told to."""

    async def forget(self) -> None: ...


@runtime_checkable
class Sleeper(Protocol):
    """An engine that can give its memory back and come back sooner than it opens, where `sleeps`."""

    @property
    def sleeps(self) -> bool: ...

    async def sleep(self) -> None: ...

    async def wake(self) -> None: ...


class SwappedEngine:
    """Opened with `opening` whenever it comes in. `size`, in bytes, is what it takes then. Its `seat` says when it is
    there; a call at another time raises EngineFailure."""

    def __init__(self, model: str, size: int, opening: Callable[[], Awaitable[Engine]]) -> None:
        self.seat = Seat(model, self, size)
        self._model, self._opening = model, opening
        self._engine: Engine | None = None
        self._sleeper: Sleeper | None = None
        self._info: EngineInfo | None = None
        self._asleep = False

    @property
    def info(self) -> EngineInfo:
        if self._info is None:
            raise EngineFailure(f"the engine of `{self._model}` was not opened")
        return self._info

    async def complete(self, request: Request) -> Response:
        if self._engine is None or self._asleep:
            raise EngineFailure(f"the engine of `{self._model}` is not in memory")
        return await self._engine.complete(request)

    async def forget(self) -> None:
        """Only while nothing is asked. An engine that is not in memory has forgotten."""
        engine: object = self._engine
        if isinstance(engine, Forgetful) and not self._asleep:
            await engine.forget()

    async def enter(self) -> None:
        """Raises what opening raises, and EngineFailure where the weights are no longer what they were."""
        if self._asleep and self._sleeper is not None:
            with suppress(Exception):  # one that does not wake is opened anew
                await self._sleeper.wake()
                self._asleep = False
                return
            await self.close()
        engine = await self._opening()
        if self._info is not None and engine.info != self._info:
            await engine.close()
            raise EngineFailure("its files have changed meanwhile")
        self._engine, self._info = engine, engine.info
        if isinstance(engine, Sleeper) and engine.sleeps:
            self._sleeper = engine

    async def leave(self) -> None:
        """Gives the memory back."""
        if self._sleeper is not None:
            with suppress(Exception):  # one that does not sleep is closed
                await self._sleeper.sleep()
                self._asleep = True
                return
        await self.close()
        _collect()

    async def close(self) -> None:
        engine, self._engine = self._engine, None
        self._sleeper, self._asleep = None, False
        if engine is not None:
            with suppress(Exception):
                await engine.close()


def _collect() -> None:
    """What a closed engine held is free only when nothing refers to it, and on a GPU when torch lets go of it."""
    torch = sys.modules.get("torch")
    if torch is not None:
        gc.collect()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
