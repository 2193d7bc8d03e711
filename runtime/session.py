"""A session: a plan bound to engines, answering questions.

Invariants
- A failing example becomes a result with an error; it neither stops nor delays the others.
- `map` gives results in the order of its rows and holds a bounded number of them; leaving it, by an error, a
  cancellation or `aclose`, leaves nothing running.
- A run that is told to drain, or that may not go on (its budget is spent, its store fails), asks for nothing new, keeps
  what the engines are at work on, and gives the results that come before the first unfinished one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pnyx.compiler.plan import Plan, PlanModel
from pnyx.runtime.budgets import Budget, Limits, Purse, tariffs
from pnyx.runtime.calls import Calls
from pnyx.runtime.engines.engine import Engine
from pnyx.runtime.errors import BudgetReached, ConfigurationError, RuntimeFailure
from pnyx.runtime.example import Asking, Observer, RunningExample
from pnyx.runtime.externs import Externs
from pnyx.runtime.functions import Functions
from pnyx.runtime.interpreter import PreparedPlan
from pnyx.runtime.question import RowId
from pnyx.runtime.request import Message
from pnyx.runtime.results import ErrorRecord, Result
from pnyx.runtime.rows import Row
from pnyx.runtime.scheduling import Scheduler, Stays, SwappedEngine
from pnyx.runtime.states import States
from pnyx.runtime.store import CallStore
from pnyx.runtime.store.keys import identity_of
from pnyx.runtime.workshop import Workshop

if TYPE_CHECKING:
    from pnyx.runtime.traces.recorder import Trace

__all__ = ["Observer", "Session"]

_WINDOW = 32
_WINDOW_SWAPPED = 512
"""Where models take turns in memory every turn does the work of so many examples at once."""
# Results that may wait for one before them, as a multiple of the examples in flight.
_WAITING = 4


class Session:
    """Answers questions with `plan`, in one event loop. `engines`: by logical model; they and the `store` stay the
    caller's to close.

    `window`: examples in flight at once; 32 where it is not said, 512 where engines take turns in memory. `backoff`,
    `deadline`, `hedge`: as of Scheduler. `profile` gets what is measured. `budget` is of all that the session does, and
    `purse` holds it where sessions share one; `limits` are of each query, beside those of the plan; `models` are the
    plan's with the sizes and prices that they are counted with. `externs` are the user's functions that the plan calls.
    `drawn`: for some streams of samples, the numbers of those to take in place of the first.
    Raises ConfigurationError where a model of the plan has no engine, or a limit cannot be held; SandboxUnusable (E609)
    and PassagesUnusable (E610) where the plan acts and this machine does not let it.
    """

    def __init__(
        self,
        plan: Plan,
        engines: Mapping[str, Engine],
        *,
        seed: int = 0,
        window: int | None = None,
        profile: Observer | None = None,
        backoff: float = 0.5,
        deadline: float | None = None,
        hedge: float | None = None,
        store: CallStore | None = None,
        budget: Limits | None = None,
        purse: Budget | None = None,
        limits: Limits | None = None,
        models: Sequence[PlanModel] = (),
        externs: Externs | None = None,
        drawn: Mapping[str, tuple[int, ...]] | None = None,
    ) -> None:
        unbound = sorted(model.name for model in plan.models if model.name not in engines)
        if unbound:
            raise ConfigurationError(f"no engine is bound to {', '.join(f'`{name}`' for name in unbound)}")
        self.plan = plan
        self.simulated = any(engines[model.name].info.simulated for model in plan.models)
        self.identities = {model.name: identity_of(engines[model.name].info) for model in plan.models}
        """What stands behind each logical model, as the call store tells them apart."""
        self.engines = {model.name: engines[model.name].info for model in plan.models}
        self.seed = seed
        self.limits = (limits or Limits()).within(Limits(**plan.limits.model_dump()) if plan.limits else Limits())
        self.failure: RuntimeFailure | None = None
        """Why the run ended before its end."""
        self._budget = budget or Limits()
        used = {model.name: engines[model.name] for model in plan.models}
        contexts = {name: engine.info.context for name, engine in used.items()}
        # A request that is sent twice could be paid twice, so what has a budget is not.
        self._scheduler = Scheduler(used, backoff=backoff, deadline=deadline, hedge=None if self._budget else hedge)
        self._calls = Calls(
            used,
            self._scheduler,
            tariffs(models or plan.models, contexts, self._budget, self.limits),
            store=store,
            budget=purse or (Purse(self._budget) if self._budget else None),
            stopped=self._stop,
            idle=self._wake_all,
        )
        functions = Functions(externs or Externs({}), Workshop(plan))
        prepared = PreparedPlan(plan, drawn or {})
        self._asking = Asking(prepared, self._calls, functions, seed, self.limits, profile, self.simulated)
        self._swapped = dict.fromkeys(engine for engine in used.values() if isinstance(engine, SwappedEngine))
        self.window = max(1, window or (_WINDOW_SWAPPED if self._swapped else _WINDOW))
        self._draining = False
        self._waking: set[asyncio.Event] = set()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def stays(self) -> tuple[Stays, ...]:
        """Of the engines that take turns in memory, how often each was brought in; empty where all fit."""
        return tuple(engine.seat.stays for engine in self._swapped)

    def record(self, trace: Trace) -> None:
        """What the examples do from now on goes to `trace`."""
        self._calls.watched = True
        self._asking = replace(self._asking, trace=trace)

    async def run(self, question: str | Sequence[Message], *, id: RowId = None) -> Result:
        """Answers one question. What goes wrong is in the result's `error`, also where the run may not go on."""
        wake = self._begin()
        example = RunningExample(self._asking, 0, id, lambda _: wake.set())
        try:
            example.start(question)
            while example.result is None and not self._at_end:
                wake.clear()
                await wake.wait()
            if example.result is not None:
                return example.take()
            failure = self.failure or BudgetReached("the run was told to end")
            return Result(index=0, id=id, error=ErrorRecord.of(failure), simulated=self.simulated)
        finally:
            example.cancel()
            await self._end(wake)

    async def map(self, items: Iterable[Row] | AsyncIterable[Row], *, first: int = 0) -> AsyncGenerator[Result, None]:
        """Answers the rows, giving results in their order, with indices from `first` on.

        An iterable is read in the event loop, so it should not wait long for its next row; where it does (a pipe, a
        socket), hand over an asynchronous one: `pnyx.runtime.rows.in_thread` makes one of it.

        What outlives examples (`state`) starts anew; then `first` is 0. After `drain` it ends early. Raises
        BudgetReached and StoreFailure after the last result that is complete.
        """
        wake = self._begin()
        source = _Source(items, wake)
        pending: deque[RunningExample] = deque()
        running = 0
        states = States(self.plan) if self.plan.states else None

        def finished(example: RunningExample) -> None:
            nonlocal running
            running -= 1
            if states is not None:
                states.record(example.index, example.left)
            wake.set()

        try:
            while True:
                wake.clear()
                while running < self.window and len(pending) < self.window * _WAITING and not self._draining:
                    seen = states.before(source.taken) if states is not None else None
                    if states is not None and seen is None:  # a row that this one depends on is not done
                        break
                    row = source.poll()
                    if row is None:
                        break
                    index = first + source.taken - 1
                    example = RunningExample(self._asking, index, row.id, finished, seen)
                    pending.append(example)
                    running += 1
                    example.start(row.question)
                if pending and pending[0].over:
                    yield pending.popleft().take()
                elif self._at_end or not (pending or self._draining or not source.ended):
                    break
                else:
                    await wake.wait()
            if self.failure is not None:
                raise self.failure
        finally:
            for example in pending:
                example.cancel()
            await source.close()
            await self._end(wake)

    def drain(self) -> None:
        """Ends what runs, keeping what the engines are at work on."""
        self._draining = True
        self._calls.drain()
        self._wake_all()

    @property
    def _at_end(self) -> bool:
        return self._draining and not self._calls.busy

    def _stop(self, failure: RuntimeFailure, *, at_once: bool = False) -> None:
        self.failure = self.failure or failure
        self._draining = True
        if at_once:
            self._calls.abort()
        else:
            self._calls.drain()
        self._wake_all()

    def _begin(self) -> asyncio.Event:
        """Also starts the clock of the budget, at the first question."""
        if self._timer is None and self._budget.seconds is not None:
            failure = BudgetReached(
                f"the budget of {self._budget.show('seconds')} is over",
                help="what is done is kept; the same command goes on from there",
            )
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._budget.seconds, lambda: self._stop(failure, at_once=True))
        wake = asyncio.Event()
        self._waking.add(wake)
        return wake

    async def _end(self, wake: asyncio.Event) -> None:
        self._waking.discard(wake)
        await self._scheduler.settled()

    def _wake_all(self) -> None:
        for wake in self._waking:
            wake.set()


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
