"""An event loop whose clock jumps to the next thing that is due, and engines whose speed is a known function.

The clock stands still while a thread is at work: what it does takes no time, however long that is.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from concurrent import futures
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from unittest.mock import patch

from pnyx.compiler.plan import Plan
from pnyx.runtime.config import Config
from pnyx.runtime.engines.engine import Capability, Engine, EngineInfo
from pnyx.runtime.errors import EngineFailure
from pnyx.runtime.request import Request, Response, SampledText, Usage

T = TypeVar("T")


class _Selector(selectors.SelectSelector):
    passed = 0.0
    threads = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or (self.threads and timeout > 0):
            return super().select(None)
        self.passed += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.passed

    def run_in_executor(
        self, executor: futures.Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        return self._awaited(super().run_in_executor(executor, func, *args))

    def wrapped(self, future: futures.Future[T]) -> asyncio.Future[T]:
        """What a thread of the caller's own will say."""
        return self._awaited(asyncio.futures.wrap_future(future, loop=self))

    def _awaited(self, future: asyncio.Future[T]) -> asyncio.Future[T]:
        self._virtual.threads += 1
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _: asyncio.Future[Any]) -> None:
        self._virtual.threads -= 1


def in_virtual_time(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        with patch.object(asyncio, "wrap_future", loop.wrapped):
            return runner.run(work)


@dataclass(slots=True)
class Machine:
    """Draws `speed(options, in flight)` tokens a second at time `now`, ten a sample, in all. `unfit`: what options say
    why an engine cannot be opened with them. `opened` has the options of each engine, `asked` the seeds of each run."""

    speed: Callable[[Mapping[str, Any], int, float], float]
    window: int = 8
    opening: float = 1.0
    remote: bool = False
    unfit: Callable[[Mapping[str, Any]], Exception | None] = lambda _options: None
    broken: Callable[[Mapping[str, Any], int], bool] = lambda _options, _in_flight: False
    opened: list[dict[str, Any]] = field(default_factory=list)
    open_now: int = 0
    asked: list[list[int]] = field(default_factory=lambda: [[]])

    def opener(self, plan: Plan, kind: str = "simulated") -> Callable[[Config], Any]:
        @asynccontextmanager
        async def opening(config: Config) -> AsyncIterator[Mapping[str, Engine]]:
            options = config.options(config.model("small"), kind).model_dump(exclude_none=True)
            self.opened.append(options)
            await asyncio.sleep(self.opening)
            if (reason := self.unfit(options)) is not None:
                raise reason
            self.open_now += 1
            engine = _Engine(self, options)
            try:
                yield {model.name: engine for model in plan.models}
            finally:
                self.open_now -= 1

        return opening


class _Engine:
    def __init__(self, machine: Machine, options: Mapping[str, Any]) -> None:
        self._machine, self._options = machine, options
        self._in_flight = 0

    @property
    def info(self) -> EngineInfo:
        window = self._options.get("window", self._machine.window)
        capabilities = frozenset(Capability) - {Capability.GUIDE}
        return EngineInfo(
            engine="fake",
            model="m",
            context=4096,
            window=window,
            capabilities=capabilities,
            simulated=True,
            remote=self._machine.remote,
        )

    async def complete(self, request: Request) -> Response:
        self._machine.asked[-1].append(request.seed)
        self._in_flight += request.n
        try:
            if self._machine.broken(self._options, self._in_flight):
                raise EngineFailure("out of memory")
            now = asyncio.get_running_loop().time()
            await asyncio.sleep(10 * self._in_flight / self._machine.speed(self._options, self._in_flight, now))
        finally:
            self._in_flight -= request.n
        texts = tuple(SampledText(text=f"{n}", tokens=8) for n in range(request.n))
        return Response(samples=texts, usage=Usage(prompt=2, generated=8 * request.n), seconds=0.0)

    async def forget(self) -> None:
        self._machine.asked.append([])

    async def close(self) -> None:
        pass
