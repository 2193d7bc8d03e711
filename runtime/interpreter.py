"""The interpreter: a plan at work on one example, as a pure state machine.

It knows no engine, no clock and no event loop: it hands out calls and takes their answers, in whatever order they come.

Invariants
- A node begins as soon as its inputs are there, so independent nodes are in flight together.
- The result depends on the answers alone, not on their order. Where several nodes fail, the first of them in the plan
  is reported: what comes before it is still awaited, what comes after it is not begun.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush

from pnyx.compiler.operators import Ask, Operator, Sample
from pnyx.compiler.plan import Plan, PlanNode
from pnyx.runtime.candidates import Pool
from pnyx.runtime.errors import PromptTooLong, RuntimeFailure
from pnyx.runtime.operators import IMPLEMENTATIONS, Begin, Example, Step, Work, no_result
from pnyx.runtime.question import Question
from pnyx.runtime.request import Request, Response
from pnyx.runtime.results import ErrorRecord, NodeUsage, Result, ResultUsage

__all__ = ["Call", "Execution", "PreparedPlan"]


@dataclass(frozen=True, slots=True)
class Call:
    """A request to be made of the logical model `model`, for a slot of a node. `attempt` counts from 0."""

    id: int
    model: str
    request: Request
    node: int
    stream: str
    slot: int
    attempt: int


class PreparedPlan:
    """A plan made ready: what is the same for every example, worked out once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.steps = tuple(_step(index, entry) for index, entry in enumerate(plan.nodes))
        self.begins: tuple[Begin, ...] = tuple(IMPLEMENTATIONS[type(s.operator)](s) for s in self.steps)
        self.models = tuple(getattr(s.operator, "model", "") for s in self.steps)
        self.missing = tuple(len(set(s.pools)) for s in self.steps)
        self.roots = tuple(index for index, count in enumerate(self.missing) if count == 0)
        self.output = plan.output
        users: list[list[int]] = [[] for _ in self.steps]
        for step in self.steps:
            for source in set(step.pools):
                users[source].append(step.index)
        self.users = tuple(map(tuple, users))


def _step(index: int, entry: PlanNode) -> Step[Operator]:
    # A model's operator reads the question from the example, not from a pool.
    inputs = entry.inputs[1:] if isinstance(entry.operator, Sample | Ask) else entry.inputs
    place = str(entry.place) if entry.place is not None else None
    return Step(index, entry.operator, inputs, entry.stream, entry.label, place)


class Execution:
    """`start`, then `deliver` or `fail` for every call that they hand out, until `done`; then `result`."""

    def __init__(self, plan: Plan | PreparedPlan, question: Question, *, seed: int) -> None:
        self._prepared = plan if isinstance(plan, PreparedPlan) else PreparedPlan(plan)
        self._example = Example(question, seed)
        self._pools: list[Pool | None] = [None] * len(self._prepared.steps)
        self._missing = list(self._prepared.missing)
        self._works: dict[int, tuple[Work, int]] = {}
        self._open: dict[int, Call] = {}
        self._call_failures: dict[int, dict[int, RuntimeFailure]] = {}
        self._failed: int | None = None
        self._error: ErrorRecord | None = None
        self._usage: dict[int, NodeUsage] = {}
        self._next_id = 0

    @property
    def done(self) -> bool:
        if self._failed is not None:
            return all(node > self._failed for node in self._works)
        return self._pools[self._prepared.output] is not None and not self._works

    def start(self) -> list[Call]:
        return self._begin(list(self._prepared.roots))

    def deliver(self, call_id: int, response: Response) -> list[Call]:
        """Takes the answer to a call; gives the calls that can be made now."""
        call = self._open.pop(call_id)
        self._charge(call, response)
        work, left = self._works[call.node]
        try:
            again = work.accept(call.slot, call.attempt, response)
        except RuntimeFailure as failure:
            return self._slot_failed(call, failure)
        if again is not None:
            return [self._call(call.node, again, call.slot, call.attempt + 1)]
        return self._slot_filled(call.node, left)

    def fail(self, call_id: int, failure: RuntimeFailure) -> list[Call]:
        """Takes the failure of a call, and with it of the example."""
        return self._slot_failed(self._open.pop(call_id), failure)

    @property
    def result(self) -> Result:
        """Without times, which are the caller's to know."""
        used = tuple(self._usage[node] for node in sorted(self._usage))
        question = self._example.question
        unread = sorted(self._example.unread, key=lambda entry: entry[0])
        pool = self._pools[self._prepared.output] or ()
        error = self._error
        if error is None and not pool:
            error = ErrorRecord.of(no_result(self._prepared.steps[self._prepared.output]))
        if error is not None:
            pool = ()
        return Result(
            index=question.index,
            id=question.id,
            question=self._example.query,
            answer=str(pool[0].fields.get("answer", pool[0].text)) if pool else None,
            candidates=tuple(c.fields for c in pool),
            failures=tuple(read for node, read in unread if self._failed is None or node <= self._failed),
            error=error,
            usage=ResultUsage(
                calls=sum(n.calls for n in used),
                samples=sum(n.samples for n in used),
                prompt_tokens=sum(n.prompt_tokens for n in used),
                generated_tokens=sum(n.generated_tokens for n in used),
            ),
            nodes=used,
        )

    def pools(self) -> Iterator[tuple[Step[Operator], Pool, bool]]:
        """The pools that came about, each with its node and whether a model was asked for it."""
        for step, pool in zip(self._prepared.steps, self._pools, strict=True):
            if pool is not None:
                yield step, pool, step.index in self._usage

    def _begin(self, ready: list[int]) -> list[Call]:
        """Begins the nodes of the heap `ready`, and those that become ready by it, in the order of the plan."""
        calls: list[Call] = []
        while ready:
            node = heappop(ready)
            if self._failed is not None and node > self._failed:
                continue
            pools = tuple(self._pools[source] or () for source in self._prepared.steps[node].pools)
            try:
                begun = self._prepared.begins[node](self._example, pools)
            except RuntimeFailure as failure:
                self._node_failed(node, failure)
                continue
            if isinstance(begun, tuple):
                self._settle(node, begun, ready)
            elif not begun.requests:
                self._settle(node, begun.finish(), ready)
            else:
                self._works[node] = begun, len(begun.requests)
                calls.extend(self._call(node, request, slot, 0) for slot, request in enumerate(begun.requests))
        return calls

    def _call(self, node: int, request: Request, slot: int, attempt: int) -> Call:
        program = self._prepared
        call = Call(self._next_id, program.models[node], request, node, program.steps[node].stream, slot, attempt)
        self._open[call.id] = call
        self._next_id += 1
        return call

    def _settle(self, node: int, pool: Pool, ready: list[int]) -> None:
        """Keeps the pool of a node; adds the nodes that waited for nothing else to the heap `ready`."""
        self._pools[node] = pool
        for user in self._prepared.users[node]:
            self._missing[user] -= 1
            if self._missing[user] == 0:
                heappush(ready, user)

    def _slot_failed(self, call: Call, failure: RuntimeFailure) -> list[Call]:
        self._call_failures.setdefault(call.node, {})[call.slot] = failure
        return self._slot_filled(call.node, self._works[call.node][1])

    def _slot_filled(self, node: int, left: int) -> list[Call]:
        work = self._works[node][0]
        if left > 1:
            self._works[node] = work, left - 1
            return []
        del self._works[node]
        failures = self._call_failures.pop(node, None)
        if failures is not None:
            self._node_failed(node, failures[min(failures)])
            return []
        try:
            pool = work.finish()
        except RuntimeFailure as failure:
            self._node_failed(node, failure)
            return []
        ready: list[int] = []
        self._settle(node, pool, ready)
        return self._begin(ready)

    def _node_failed(self, node: int, failure: RuntimeFailure) -> None:
        if self._failed is not None and node > self._failed:
            return
        help = failure.help
        if help is None and isinstance(failure, PromptTooLong):
            help = "shorten the question, show fewer or shorter candidates, or use a model with a larger context"
        place = failure.place or self._prepared.steps[node].place
        self._failed, self._error = node, ErrorRecord(failure.code, failure.message, place, help)

    def _charge(self, call: Call, response: Response) -> None:
        step = self._prepared.steps[call.node]
        used = self._usage.get(call.node)
        if used is None:
            used = self._usage[call.node] = NodeUsage(call.node, step.label, step.place)
        used.calls += 1
        used.samples += len(response.samples)
        used.prompt_tokens += response.usage.prompt
        used.generated_tokens += response.usage.generated
        used.seconds += response.seconds
