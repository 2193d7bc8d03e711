"""A session: a plan bound to engines, answering questions.

Invariants
- A failing example becomes a result with an error; it neither stops nor delays the others.
- `map` gives results in the order of its rows and holds a bounded number of them; leaving it, by an error, a
  cancellation or `aclose`, leaves no task behind.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any, Protocol

from pnyx.compiler.plan import Plan
from pnyx.runtime.engines.engine import Engine
from pnyx.runtime.errors import ConfigurationError, ExampleFailure, RuntimeFailure
from pnyx.runtime.interpreter import Call, Execution, PreparedPlan
from pnyx.runtime.question import Question, RowId, checked
from pnyx.runtime.request import Message, Response
from pnyx.runtime.results import ErrorRecord, Result
from pnyx.runtime.rows import Row
from pnyx.runtime.scheduler import Scheduler

__all__ = ["Observer", "Session"]

# Results that may wait for one before them, as a multiple of the examples in flight.
_WAITING = 4


class Observer(Protocol):
    """What a session measures goes to it; `pnyx.compiler.cost.profile.Profile` is one."""

    def observe_question(self, chars: int) -> None: ...

    def observe_call(
        self, stream: str, model: str, *, prompt_chars: int, prompt_tokens: int, samples: int, generated_tokens: int
    ) -> None: ...

    def observe_texts(self, stream: str, chars: Iterable[int]) -> None: ...

    def observe_size(self, stream: str, size: int) -> None: ...


class Session:
    """Answers questions with `plan`. `engines`: by logical model; they stay the caller's to close.

    `window`: examples in flight at once. `backoff`: as of Scheduler. `profile` gets what is measured. Raises
    ConfigurationError where a model of the plan has no engine.
    """

    def __init__(
        self,
        plan: Plan,
        engines: Mapping[str, Engine],
        *,
        seed: int = 0,
        window: int = 32,
        profile: Observer | None = None,
        backoff: float = 0.5,
    ) -> None:
        unbound = sorted(model.name for model in plan.models if model.name not in engines)
        if unbound:
            raise ConfigurationError(f"no engine is bound to {', '.join(f'`{name}`' for name in unbound)}")
        self.plan = plan
        self.simulated = any(engines[model.name].info.simulated for model in plan.models)
        self._prepared = PreparedPlan(plan)
        self._scheduler = Scheduler({model.name: engines[model.name] for model in plan.models}, backoff=backoff)
        self._seed, self._window, self._profile = seed, max(1, window), profile

    async def run(self, question: str | Sequence[Message], *, id: RowId = None) -> Result:
        """Answers one question. What goes wrong is in the result's `error`."""
        return await self._ask(question, 0, id)

    async def map(self, items: Iterable[Row] | AsyncIterable[Row]) -> AsyncGenerator[Result, None]:
        """Answers the rows, giving results in their order.

        An iterable is read in the event loop, so it should not wait long for its next row; where it does (a pipe, a
        socket), hand over an asynchronous one: `pnyx.runtime.rows.in_thread` makes one of it.
        """
        wake = asyncio.Event()
        source = _Source(items, wake)
        pending: deque[asyncio.Task[Result]] = deque()
        running = 0

        def finished(_: asyncio.Task[Result]) -> None:
            nonlocal running
            running -= 1
            wake.set()

        try:
            while True:
                wake.clear()
                while running < self._window and len(pending) < self._window * _WAITING:
                    row = source.poll()
                    if row is None:
                        break
                    task = asyncio.create_task(self._answer(row, source.taken - 1))
                    task.add_done_callback(finished)
                    pending.append(task)
                    running += 1
                if pending and pending[0].done():
                    yield pending.popleft().result()
                elif pending or not source.ended:
                    await wake.wait()
                else:
                    return
        finally:
            await _cancel(pending)
            await source.close()

    async def _answer(self, row: Row, index: int) -> Result:
        if isinstance(row.question, ErrorRecord):
            return Result(index=index, id=row.id, error=row.question, simulated=self.simulated)
        return await self._ask(row.question, index, row.id)

    async def _ask(self, question: str | Sequence[Message], index: int, id: RowId) -> Result:
        started = perf_counter()
        try:
            asked = checked(question, index=index, id=id)
        except ExampleFailure as failure:
            return Result(index=index, id=id, error=ErrorRecord.of(failure), simulated=self.simulated)
        execution = Execution(self._prepared, asked, seed=self._seed)
        await self._drive(execution)
        result = execution.result
        if self._profile is not None and result.ran:
            _observe_example(self._profile, asked, execution)
        usage = replace(result.usage, seconds=perf_counter() - started)
        return replace(result, usage=usage, simulated=self.simulated)

    async def _drive(self, execution: Execution) -> None:
        """Makes the calls of an execution until it is done, then drops those that no longer matter."""
        tasks: set[asyncio.Task[Response]] = set()
        arrived: deque[tuple[Call, asyncio.Task[Response]]] = deque()
        wake = asyncio.Event()

        def launch(calls: list[Call]) -> None:
            for call in calls:
                task = asyncio.create_task(self._scheduler.complete(call.model, call.request))
                tasks.add(task)
                task.add_done_callback(lambda done, call=call: arrive(call, done))  # type: ignore[misc]

        def arrive(call: Call, task: asyncio.Task[Response]) -> None:
            tasks.discard(task)
            arrived.append((call, task))
            wake.set()

        try:
            launch(execution.start())
            while not execution.done:
                if not arrived:
                    wake.clear()
                    await wake.wait()
                call, task = arrived.popleft()
                try:
                    response = task.result()
                except RuntimeFailure as failure:
                    launch(execution.fail(call.id, failure))
                else:
                    if self._profile is not None:
                        _observe_call(self._profile, call, response)
                    launch(execution.deliver(call.id, response))
        finally:
            await _cancel(tasks)


class _Source:
    """Rows to come, from an iterable of either kind; sets `wake` when one came after a wait. `taken` counts them."""

    def __init__(self, items: Iterable[Row] | AsyncIterable[Row], wake: asyncio.Event) -> None:
        self._later = aiter(items) if isinstance(items, AsyncIterable) else None
        self._now = None if isinstance(items, AsyncIterable) else iter(items)
        self._coming: asyncio.Future[Row] | None = None
        self._wake = wake
        self.ended = False
        self.taken = 0

    def poll(self) -> Row | None:
        """The next row, if it is there."""
        if self.ended:
            return None
        try:
            row = next(self._now) if self._now is not None else self._arrived()
        except (StopIteration, StopAsyncIteration):
            self.ended = True
            return None
        self.taken += row is not None
        return row

    def _arrived(self) -> Row | None:
        if self._coming is None and self._later is not None:
            self._coming = asyncio.ensure_future(self._later.__anext__())
            self._coming.add_done_callback(lambda _: self._wake.set())
        if self._coming is None or not self._coming.done():
            return None
        coming, self._coming = self._coming, None
        return coming.result()

    async def close(self) -> None:
        if self._coming is not None:
            await _cancel([self._coming])
        if isinstance(self._later, AsyncGenerator):
            await self._later.aclose()


async def _cancel(tasks: Iterable[asyncio.Future[Any]]) -> None:
    left = [task for task in tasks if not task.done()]
    for task in left:
        task.cancel()
    if left:
        await asyncio.gather(*left, return_exceptions=True)


def _observe_call(profile: Observer, call: Call, response: Response) -> None:
    profile.observe_call(
        call.stream,
        call.model,
        prompt_chars=sum(len(m.content) for m in call.request.messages),
        prompt_tokens=response.usage.prompt,
        samples=len(response.samples),
        generated_tokens=response.usage.generated,
    )


def _observe_example(profile: Observer, question: Question, execution: Execution) -> None:
    profile.observe_question(len(question.text))
    for step, pool, asked in execution.pools():
        profile.observe_size(step.stream, len(pool))
        if asked:
            written = getattr(step.operator, "into", None) or "text"
            profile.observe_texts(step.stream, [len(str(c.fields[written])) for c in pool if written in c.fields])
