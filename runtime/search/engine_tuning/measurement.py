"""How fast a pipeline is with a setting: engines opened, warmed up, and timed on the user's own questions.

Invariants
- Every measurement asks the same questions with the same seed; nothing comes from a call store, and engines in this
  process forget the prompts that they keep before each.
- Engines stay open while only the number of questions in flight changes; at most one setting's engines are open.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, suppress
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from pnyx.compiler.plan import Plan
from pnyx.runtime.config import Config
from pnyx.runtime.engines.engine import Engine, EngineInfo
from pnyx.runtime.engines.open import describe_models
from pnyx.runtime.errors import ENGINE_CODES, EngineFailure, RuntimeFailure
from pnyx.runtime.externs import Externs
from pnyx.runtime.results import ErrorRecord, Summary
from pnyx.runtime.rows import Row
from pnyx.runtime.session import Session

__all__ = ["Measurement", "Opening", "Rig", "Subject", "Unfit", "now"]

Opening: TypeAlias = Callable[[Config], AbstractAsyncContextManager[Mapping[str, Engine]]]

_WARMING = 2
"""Questions asked of engines that were just opened, which are not timed."""


class Unfit(Exception):
    """A setting with which the pipeline does not run. `failure` says why."""

    def __init__(self, failure: RuntimeFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@runtime_checkable
class _Forgetful(Protocol):
    """An engine that keeps what it computed of prompts."""

    async def forget(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is measured. `questions` in their order; `opening` opens the engines of the plan."""

    plan: Plan
    questions: Sequence[Row]
    seed: int
    opening: Opening
    externs: Externs


@dataclass(frozen=True, slots=True)
class Measurement:
    """`tokens` of prompts and samples; `at`: the middle of it, in seconds of the event loop's clock."""

    questions: int
    samples: int
    tokens: int
    seconds: float
    at: float

    @property
    def rate(self) -> float:
        """Tokens per second."""
        return max(self.tokens, 1) / self.seconds


class Rig:
    """Close it when all is measured. `key`: whose engines are open, as the caller names them; `opening_seconds`: what
    opening and warming up took last."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._open: tuple[Config, Mapping[str, Engine]] | None = None
        self._closing = AsyncExitStack()
        self.key: tuple[int, ...] | None = None
        self.opening_seconds = 0.0

    @property
    def infos(self) -> dict[str, EngineInfo]:
        """Of the engines that are open."""
        return {name: engine.info for name, engine in self._opened[1].items()}

    @property
    def window(self) -> int:
        """Questions in flight, as the configuration has it."""
        return self._session(None).window

    async def enter(self, config: Config, key: tuple[int, ...], patience: float | None = None) -> None:
        """Opens the engines of a configuration, in place of those that are open, and warms them up, for `patience`
        seconds at most. Raises Unfit."""
        await self.close()
        began = now()
        try:
            self._open = (config, await self._closing.enter_async_context(self._subject.opening(config)))
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._ask(self._session(None), self._subject.questions[:_WARMING], Summary())
        except (RuntimeError, MemoryError, OSError) as error:  # what is below the engines raises anything
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            await self.close()
            raise Unfit(EngineFailure(f"the engine cannot be opened: {reason}")) from error
        except (RuntimeFailure, Unfit) as failure:
            await self.close()
            raise failure if isinstance(failure, Unfit) else Unfit(failure) from failure
        self.key, self.opening_seconds = key, now() - began

    async def measure(self, questions: int, window: int | None = None, patience: float | None = None) -> Measurement:
        """Times the first so many questions on the engines that are open, or those that are answered within so many
        seconds. Raises Unfit where an engine fails."""
        session = self._session(window)
        for engine in dict.fromkeys(self._opened[1].values()):
            if isinstance(engine, _Forgetful):
                await engine.forget()
        began, summary = now(), Summary()
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._ask(session, self._subject.questions[:questions], summary)
        seconds = max(now() - began, 1e-9)
        return Measurement(summary.examples, summary.samples, summary.tokens, seconds, began + seconds / 2)

    async def close(self) -> None:
        self._open = self.key = None
        with suppress(RuntimeFailure):
            await self._closing.aclose()
        torch = sys.modules.get("torch")
        if torch is not None:  # what a closed engine held is free only when nothing refers to it
            gc.collect()
            if torch.cuda.is_initialized():
                torch.cuda.empty_cache()

    @property
    def _opened(self) -> tuple[Config, Mapping[str, Engine]]:
        assert self._open is not None, "engines are open before anything is asked of them"
        return self._open

    async def _ask(self, session: Session, rows: Sequence[Row], summary: Summary) -> None:
        async with aclosing(session.map(rows)) as results:
            async for result in results:
                summary.add(result)
                if result.error is not None and result.error.code in ENGINE_CODES:
                    raise Unfit(_failure(result.error))

    def _session(self, window: int | None) -> Session:
        config, engines = self._opened
        return Session(
            self._subject.plan,
            engines,
            seed=self._subject.seed,
            window=window or config.run.window,
            deadline=config.run.deadline,
            hedge=config.run.hedge,
            models=describe_models(self._subject.plan, config),
            externs=self._subject.externs,
        )


def _failure(record: ErrorRecord) -> EngineFailure:
    failure = EngineFailure(record.message, place=record.place, help=record.help)
    failure.code = record.code
    return failure


def now() -> float:
    """Seconds of the event loop's clock."""
    return asyncio.get_running_loop().time()
