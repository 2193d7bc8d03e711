"""The interpreter: a plan at work on one example, as a pure state machine.

It knows no engine, no clock and no event loop: it hands out calls and takes their answers, in whatever order they come.

Invariants
- A node begins as soon as its inputs are there, so independent nodes are in flight together, as are the candidates of
  an `each`. A loop's rounds follow one another.
- Every run of a node has a place: its number in the plan, behind the places of the rounds and candidates it is in.
  Places are in the order of the program.
- The result depends on the answers alone, not on their order. Where several nodes fail, the first of them by place is
  reported: what comes before it is still awaited, what comes after it is not begun.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

from pnyx.compiler.operators import Operator
from pnyx.compiler.plan import Plan
from pnyx.runtime.candidates import Candidate, Pool, Value
from pnyx.runtime.errors import PromptTooLong, RuntimeFailure
from pnyx.runtime.externs import Invocation, Returned
from pnyx.runtime.interpreting.frames import BranchRegion, Frame, LoopRegion, Opening, Region, opened
from pnyx.runtime.interpreting.prepared import PreparedPlan
from pnyx.runtime.operators import Example, Step, Work, no_result
from pnyx.runtime.question import Chat, Question
from pnyx.runtime.request import Request, Response
from pnyx.runtime.results import ErrorRecord, NodeUsage, Result, ResultUsage

__all__ = ["Call", "Execution", "PreparedPlan", "Watcher"]

_BODY_DONE = -1


@dataclass(frozen=True, slots=True)
class Call:
    """A request to be made of the logical model `model`, for a slot of a node. `attempt` counts from 0.

    An `Invocation` asks a function of the user's instead; `model` is empty then, and the answer is `Returned`. `node`
    is the number of the node as `Plan.everywhere` counts; `stream` is that of the plan; `place` is where in the run.
    """

    id: int
    model: str
    request: Request | Invocation
    node: int
    stream: str
    slot: int
    attempt: int
    place: tuple[int, ...] = ()


class Watcher(Protocol):
    """Hears of every run of a node, by its place. What is given to a body is not run."""

    def node_began(self, place: tuple[int, ...], step: Step[Operator], path: str) -> None: ...

    def node_ended(self, place: tuple[int, ...], value: Value) -> None: ...

    def node_failed(self, place: tuple[int, ...], error: ErrorRecord) -> None: ...


class _Running:
    """A node that waits for answers; `left` slots are open."""

    __slots__ = ("failures", "frame", "left", "node", "place", "work")

    def __init__(self, frame: Frame, node: int, place: tuple[int, ...], work: Work[Any, Any]) -> None:
        self.frame, self.node, self.place, self.work = frame, node, place, work
        self.left = len(work.requests)
        self.failures: dict[int, RuntimeFailure] | None = None


_Ready: TypeAlias = list[tuple[tuple[int, ...], Frame, int]]
"""A heap of nodes that can begin, by place. Places differ, so nothing else is ever compared."""


class Execution:
    """`start`, then `deliver` or `fail` for every call that they hand out, until `done`; then `result`.

    `states`: what outlives examples, as this one sees it; without it, as at the start of a run. `watcher` hears what
    the nodes do.
    """

    def __init__(
        self,
        plan: Plan | PreparedPlan,
        question: Question,
        *,
        seed: int,
        states: Mapping[str, Value] | None = None,
        watcher: Watcher | None = None,
    ) -> None:
        self._watcher = watcher
        self._prepared = plan if isinstance(plan, PreparedPlan) else PreparedPlan(plan)
        self._example = Example(question, seed)
        self._before = self._prepared.initial if states is None else states
        given = (self._example.chat, *[self._before[name] for name in self._prepared.states])
        self._root = Frame(self._example, self._prepared.body, given)
        self._frames = [self._root]
        self._regions: list[tuple[tuple[int, ...], Region]] = []
        self._open: dict[int, tuple[Call, _Running]] = {}
        self._running: set[_Running] = set()
        self._failed: tuple[int, ...] | None = None
        self._error: ErrorRecord | None = None
        self._usage: dict[int, NodeUsage] = {}
        self._next_id = 0

    @property
    def done(self) -> bool:
        failed = self._failed
        if failed is not None:
            return all(running.place > failed for running in self._running)
        return self._root.left == 0

    def start(self) -> list[Call]:
        return self._begin([(self._root.place_of(node), self._root, node) for node in self._root.body.roots])

    def deliver(self, call_id: int, answer: Response | Returned) -> list[Call]:
        """Takes the answer to a call; gives the calls that can be made now."""
        call, running = self._open.pop(call_id)
        if isinstance(answer, Response):
            self._charge(running, answer)
        try:
            again = running.work.accept(call.slot, call.attempt, answer)
        except RuntimeFailure as failure:
            return self._slot_failed(call, running, failure)
        if again is not None:
            return [self._call(running, again, call.slot, call.attempt + 1)]
        return self._slot_filled(running)

    def fail(self, call_id: int, failure: RuntimeFailure) -> list[Call]:
        """Takes the failure of a call, and with it of the example."""
        call, running = self._open.pop(call_id)
        return self._slot_failed(call, running, failure)

    @property
    def result(self) -> Result:
        """Without times, which are the caller's to know."""
        used = tuple(self._usage[node] for node in sorted(self._usage))
        question, failed = self._example.question, self._failed
        unread = sorted(self._example.unread, key=lambda entry: entry[0])
        pool = _candidates(self._root.outputs[0])
        error = self._error
        if error is None and not pool:
            error = ErrorRecord.of(no_result(self._prepared.body.steps[self._prepared.body.outputs[0]]))
        if error is not None:
            pool = ()
        return Result(
            index=question.index,
            id=question.id,
            question=self._example.chat.text,
            answer=str(pool[0].fields.get("answer", pool[0].text)) if pool else None,
            candidates=tuple(c.fields for c in pool),
            failures=tuple(read for place, read in unread if failed is None or place <= failed),
            error=error,
            usage=ResultUsage(
                calls=sum(n.calls for n in used),
                samples=sum(n.samples for n in used),
                prompt_tokens=sum(n.prompt_tokens for n in used),
                generated_tokens=sum(n.generated_tokens for n in used),
            ),
            nodes=used,
        )

    @property
    def states(self) -> Mapping[str, Value]:
        """What outlives the example, as it leaves it; one that fails on its way changes nothing."""
        if self._failed is not None:
            return self._before
        return dict(zip(self._prepared.states, self._root.outputs[1:], strict=True))

    def pools(self) -> Iterator[tuple[Step[Operator], Pool, bool]]:
        """The pools that came about, in every round and for every candidate, each with its node and whether a model was
        asked for it."""
        for frame in sorted(self._frames, key=lambda frame: frame.place):
            body = frame.body
            for place, (step, pooled, value) in enumerate(zip(body.steps, body.pooled, frame.values, strict=True)):
                if pooled and value is not None:
                    yield step, value, place in frame.asked

    def rounds(self) -> Iterator[tuple[str, int]]:
        """The streams of the loops that began, each with how many rounds it took."""
        for _, region in sorted(self._regions, key=lambda entry: entry[0]):
            if isinstance(region, LoopRegion):
                yield region.step.stream, region.rounds

    def branches(self) -> Iterator[tuple[str, int]]:
        """The streams of the branches that were reached, each with which of its bodies ran."""
        for _, region in sorted(self._regions, key=lambda entry: entry[0]):
            if isinstance(region, BranchRegion):
                yield region.step.stream, region.taken

    # Beginning ---------------------------------------------------------------------------------------

    def _begin(self, ready: _Ready) -> list[Call]:
        """Begins the nodes of the heap `ready`, and those that become ready by it, in the order of their places."""
        calls: list[Call] = []
        while ready:
            place, frame, node = heappop(ready)
            if self._failed is not None and place > self._failed:
                continue
            if node == _BODY_DONE:
                self._body_done(frame, ready)
                continue
            try:
                self._begin_node(place, frame, node, ready, calls)
            except RuntimeFailure as failure:
                self._node_failed(place, frame, node, failure)
        return calls

    def _begin_node(self, place: tuple[int, ...], frame: Frame, node: int, ready: _Ready, calls: list[Call]) -> None:
        if self._watcher is not None:
            self._watcher.node_began(place, frame.body.steps[node], frame.path)
        begin = frame.body.begins[node]
        if begin is None:
            region = opened(frame, node)
            self._regions.append((place, region))
            self._go_on(place, frame, node, region, region.start(), ready)
            return
        begun = begin(frame, frame.inputs_of(node))
        if not isinstance(begun, Work):
            self._settle(frame, node, begun, ready)
        elif not begun.requests:
            self._settle(frame, node, begun.finish(), ready)
        else:
            running = _Running(frame, node, place, begun)
            self._running.add(running)
            calls.extend([self._call(running, request, slot, 0) for slot, request in enumerate(begun.requests)])

    def _go_on(
        self,
        place: tuple[int, ...],
        frame: Frame,
        node: int,
        region: Region,
        openings: list[Opening],
        ready: _Ready,
    ) -> None:
        """Opens the frames that a node with bodies wants next, or settles it."""
        if region.results is not None:
            self._settle(frame, node, region.results, ready)
            return
        for opening in openings:
            child = Frame(
                self._example,
                opening.body,
                opening.values,
                path=opening.path,
                place=(*place, opening.position),
                parent=frame,
                node=node,
                region=region,
            )
            self._frames.append(child)
            if child.left == 0:
                heappush(ready, (child.place, child, _BODY_DONE))
            for root in child.body.roots:
                heappush(ready, (child.place_of(root), child, root))

    def _call(self, running: _Running, request: Request | Invocation, slot: int, attempt: int) -> Call:
        body, node = running.frame.body, running.node
        step = body.steps[node]
        call = Call(self._next_id, body.models[node], request, step.index, step.stream, slot, attempt, running.place)
        self._open[call.id] = call, running
        self._next_id += 1
        return call

    # Ending ------------------------------------------------------------------------------------------

    def _settle(self, frame: Frame, node: int, value: Value, ready: _Ready) -> None:
        """Keeps the value of a node; adds the nodes that waited for nothing else to the heap `ready`."""
        if self._watcher is not None:
            self._watcher.node_ended(frame.place_of(node), value)
        frame.values[node] = value
        missing = frame.missing
        for user in frame.body.users[node]:
            missing[user] -= 1
            if missing[user] == 0:
                heappush(ready, (frame.place_of(user), frame, user))
        frame.left -= 1
        if frame.left == 0:
            self._body_done(frame, ready)

    def _body_done(self, frame: Frame, ready: _Ready) -> None:
        parent, region = frame.parent, frame.region
        if parent is not None and region is not None:
            openings = region.took(frame.place[-1], frame.outputs)
            if openings or region.results is not None:
                self._go_on(frame.place[:-1], parent, frame.node, region, openings, ready)

    def _slot_failed(self, call: Call, running: _Running, failure: RuntimeFailure) -> list[Call]:
        running.failures = {**(running.failures or {}), call.slot: failure}
        return self._slot_filled(running)

    def _slot_filled(self, running: _Running) -> list[Call]:
        running.left -= 1
        if running.left > 0:
            return []
        self._running.discard(running)
        try:
            if running.failures:
                raise running.failures[min(running.failures)]
            value = running.work.finish()
        except RuntimeFailure as failure:
            self._node_failed(running.place, running.frame, running.node, failure)
            return []
        ready: _Ready = []
        self._settle(running.frame, running.node, value, ready)
        return self._begin(ready)

    def _node_failed(self, place: tuple[int, ...], frame: Frame, node: int, failure: RuntimeFailure) -> None:
        if self._failed is not None and place > self._failed:
            return
        help = failure.help
        if help is None and isinstance(failure, PromptTooLong):
            help = "shorten the question, show fewer or shorter candidates, or use a model with a larger context"
        where = failure.place or frame.body.steps[node].place
        self._failed, self._error = place, ErrorRecord(failure.code, failure.message, where, help)
        if self._watcher is not None:
            self._watcher.node_failed(place, self._error)

    def _charge(self, running: _Running, response: Response) -> None:
        running.frame.asked.add(running.node)
        step = running.frame.body.steps[running.node]
        used = self._usage.get(step.index)
        if used is None:
            used = self._usage[step.index] = NodeUsage(step.index, step.label, step.place)
        used.calls += 1
        used.samples += len(response.samples)
        used.prompt_tokens += response.usage.prompt
        used.generated_tokens += response.usage.generated
        used.seconds += response.seconds


def _candidates(output: Value) -> Pool:
    """A result as candidates: a question or a single value is one of its text; an absent value is none."""
    match output:
        case None:
            return ()
        case Chat():
            text = output.text
        case tuple():
            return output  # type: ignore[return-value]
        case _:
            text = str(output)
    return (Candidate("result", MappingProxyType({"text": text})),)
