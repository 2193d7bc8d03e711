"""One example in flight: carries calls from its execution to where they are made, and answers back.

Invariant: `finished` is called once, when there is a result or a fault of Pnyx itself; after `cancel` it is not called.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from pnyx.runtime.budgets import Limits, Purse
from pnyx.runtime.calls import Calls, Order, Outcome
from pnyx.runtime.candidates import Value
from pnyx.runtime.errors import ExampleFailure, QueryLimitReached, RuntimeFailure
from pnyx.runtime.externs import Invocation, Returned
from pnyx.runtime.functions import Functions, Running
from pnyx.runtime.interpreter import Call, Execution, PreparedPlan
from pnyx.runtime.question import Question, RowId, checked
from pnyx.runtime.request import Message, Request, Response
from pnyx.runtime.results import ErrorRecord, Result

if TYPE_CHECKING:
    from pnyx.runtime.traces.recorder import Trace

__all__ = ["Asking", "Observer", "RunningExample"]


class Observer(Protocol):
    """What a session measures goes to it; `pnyx.compiler.cost.profile.Profile` is one."""

    def observe_question(self, chars: int) -> None: ...

    def observe_call(
        self, stream: str, model: str, *, prompt_chars: int, prompt_tokens: int, samples: int, generated_tokens: int
    ) -> None: ...

    def observe_texts(self, stream: str, chars: Iterable[int]) -> None: ...

    def observe_size(self, stream: str, size: int) -> None: ...

    def observe_rounds(self, stream: str, rounds: int) -> None: ...

    def observe_arm(self, stream: str, arm: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Asking:
    """What is the same for all examples of a session."""

    plan: PreparedPlan
    calls: Calls
    functions: Functions
    seed: int
    limits: Limits
    profile: Observer | None
    simulated: bool
    trace: Trace | None = None


class RunningExample:
    """`states`: what outlives examples, as this one sees it; by default as at the start of a run. `left` is what it
    leaves of them, where it gets so far."""

    __slots__ = (
        "_asked", "_asking", "_cached_calls", "_cached_samples", "_cached_tokens", "_execution", "_fault", "_finished",
        "_id", "_orders", "_purse", "_started", "_states", "_timer", "_trace", "index", "left", "over", "result",
    )  # fmt: skip

    def __init__(
        self,
        asking: Asking,
        index: int,
        id: RowId,
        finished: Callable[[RunningExample], None],
        states: Mapping[str, Value] | None = None,
    ) -> None:
        self._asking, self.index, self._id, self._finished = asking, index, id, finished
        self._states = states
        self.left: Mapping[str, Value] | None = None
        self._started = perf_counter()
        self._asked: Question | None = None
        self._execution: Execution | None = None
        self._orders: dict[int, Order | Running] = {}
        limits = asking.limits
        self._purse = Purse(limits) if replace(limits, seconds=None) else None
        self._timer: asyncio.TimerHandle | None = None
        self._cached_calls = self._cached_samples = self._cached_tokens = 0
        self._fault: Exception | None = None
        self._trace = asking.trace.example(index, id) if asking.trace is not None else None
        self.result: Result | None = None
        self.over = False

    def start(self, question: str | Sequence[Message] | ErrorRecord) -> None:
        if isinstance(question, ErrorRecord):
            self._end(self._without(question))
            return
        try:
            self._asked = checked(question, index=self.index, id=self._id)
        except ExampleFailure as failure:
            self._end(self._without(ErrorRecord.of(failure)))
            return
        if self._trace is not None:
            self._trace.asked(self._asked)
        if self._asking.limits.seconds is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._asking.limits.seconds, self._expire)
        self._execution = Execution(
            self._asking.plan, self._asked, seed=self._asking.seed, states=self._states, watcher=self._trace
        )
        self._step(self._execution.start)

    def take(self) -> Result:
        """The result. Raises what is a fault of Pnyx, not of the example."""
        if self._fault is not None:
            raise self._fault
        assert self.result is not None
        return self.result

    def cancel(self) -> None:
        """Drops what is in flight."""
        self.over = True
        if self._timer is not None:
            self._timer.cancel()
        orders, self._orders = self._orders, {}
        for order in orders.values():
            order.cancel()
        trace, self._trace = self._trace, None
        if trace is not None:
            trace.ended(self.result, self._execution)

    def _step(self, step: Callable[[], list[Call]]) -> None:
        """Takes a step of the execution, and makes the calls that it hands out."""
        execution, asking = self._execution, self._asking
        assert execution is not None
        try:
            for call in step():
                if self._trace is not None:
                    self._trace.call_began(call)
                done, request = partial(self._arrived, call), call.request
                self._orders[call.id] = (
                    asking.functions.submit(request, done)
                    if isinstance(request, Invocation)
                    else asking.calls.submit(call.model, request, self._purse, done)
                )
            if execution.done:
                left = execution.states
                self.left = None if left is self._states else left  # one that failed leaves what it saw
                self._end(self._measured(execution.result))
        except Exception as fault:
            self._fault = fault
            self._end(None)

    def _arrived(self, call: Call, outcome: Outcome | Returned) -> None:
        execution, profile = self._execution, self._asking.profile
        assert execution is not None
        order = self._orders.pop(call.id)
        if self._trace is not None:
            self._trace.call_ended(call, outcome, order.draws if isinstance(order, Order) else ())
        if isinstance(outcome, RuntimeFailure):
            self._step(lambda: execution.fail(call.id, outcome))
            return
        if isinstance(outcome, Returned):
            self._step(lambda: execution.deliver(call.id, outcome))
            return
        self._cached_calls += outcome.cached
        self._cached_samples += outcome.cached_samples
        self._cached_tokens += outcome.cached_tokens
        if profile is not None and not isinstance(call.request, Invocation):
            _observe_call(profile, call, call.request, outcome.response)
        self._step(lambda: execution.deliver(call.id, outcome.response))

    def _expire(self) -> None:
        if self.over or self._execution is None:
            return
        limit = self._asking.limits.show("seconds")
        failure = QueryLimitReached(f"the query may take {limit}, and took longer", help="raise the limit")
        result = replace(self._execution.result, answer=None, candidates=(), error=ErrorRecord.of(failure))
        self._end(self._measured(result))

    def _measured(self, result: Result) -> Result:
        profile = self._asking.profile
        if profile is not None and result.ran and self._execution is not None and self._asked is not None:
            _observe_example(profile, self._asked, self._execution)
        usage = replace(
            result.usage,
            seconds=perf_counter() - self._started,
            cached_calls=self._cached_calls,
            cached_samples=self._cached_samples,
            cached_tokens=self._cached_tokens,
        )
        return replace(result, usage=usage, simulated=self._asking.simulated)

    def _without(self, error: ErrorRecord) -> Result:
        return Result(index=self.index, id=self._id, error=error, simulated=self._asking.simulated)

    def _end(self, result: Result | None) -> None:
        if not self.over:
            self.result = result
            self.cancel()
            self._finished(self)


def _observe_call(profile: Observer, call: Call, request: Request, response: Response) -> None:
    profile.observe_call(
        call.stream,
        call.model,
        prompt_chars=len(request.prefix) + sum(len(m.content) for m in request.messages),
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
    for stream, rounds in execution.rounds():
        profile.observe_rounds(stream, rounds)
    for stream, arm in execution.branches():
        profile.observe_arm(stream, arm)
