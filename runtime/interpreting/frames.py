"""Frames: a body at work, once; and what nodes with bodies do with the frames they open.

A `Region` is a `Loop`, an `Each` or a `Branch` at work. `start` gives the bodies to be run first; `took` is told the
results of one and gives those to be run then. `results` are there when all is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias

from pnyx.compiler.operators import Branch, Each, Loop, Operator
from pnyx.runtime.candidates import Pool, Value
from pnyx.runtime.errors import NoBranch
from pnyx.runtime.interpreting.prepared import PreparedBody
from pnyx.runtime.operators import Example, Scope, Step, equal

__all__ = ["Frame", "Opening", "Region", "opened"]


@dataclass(frozen=True, slots=True)
class Opening:
    """A body to be run: the `position`-th of its region, in streams of `path`, with values for its parameters."""

    position: int
    body: PreparedBody
    path: str
    values: tuple[Value, ...]


class Frame(Scope):
    """A body with the values of its nodes as far as they are there. `left` counts the nodes that have yet to settle;
    `asked` holds the places of those that a model was asked for. `parent`, `node` and `region` say whose body it is."""

    __slots__ = ("asked", "body", "left", "missing", "node", "parent", "region", "values")

    def __init__(
        self,
        example: Example,
        body: PreparedBody,
        given: tuple[Value, ...],
        *,
        path: str = "",
        place: tuple[int, ...] = (),
        parent: Frame | None = None,
        node: int = 0,
        region: Region | None = None,
    ) -> None:
        super().__init__(example, path, place)
        self.body, self.parent, self.node, self.region = body, parent, node, region
        self.values: list[Any] = [None] * len(body.steps)
        self.missing = list(body.missing)
        self.left = body.work
        self.asked: set[int] = set()
        for where, value in zip(body.given, given, strict=True):
            self.values[where] = value

    def place_of(self, node: int) -> tuple[int, ...]:
        return (*self.place, self.body.steps[node].index)

    def inputs_of(self, node: int) -> tuple[Any, ...]:
        values = self.values
        return tuple([values[source] for source in self.body.steps[node].inputs])

    @property
    def outputs(self) -> tuple[Value, ...]:
        return tuple([self.values[where] for where in self.body.outputs])


def opened(frame: Frame, node: int) -> Region:
    """A node with bodies begins. Raises NoBranch (R809)."""
    step, bodies, values = frame.body.steps[node], frame.body.bodies[node], frame.inputs_of(node)
    match step.operator:
        case Loop() as loop:
            return LoopRegion(frame, step, loop, bodies[0], values)
        case Each():
            return EachRegion(frame, step, bodies[0], values)
        case Branch() as branch:
            return BranchRegion(frame, step, branch, bodies, values)
        case operator:
            raise AssertionError(f"a node of kind {operator.kind} has no bodies")


class LoopRegion:
    """Rounds one after another; `rounds` have ended."""

    __slots__ = ("_body", "_captured", "_carried", "_frame", "_loop", "results", "rounds", "step")

    def __init__(
        self, frame: Frame, step: Step[Operator], loop: Loop, body: PreparedBody, values: tuple[Value, ...]
    ) -> None:
        self._frame, self.step, self._loop, self._body = frame, step, loop, body
        self._carried, self._captured = values[: loop.carried], values[loop.carried :]
        self.rounds = 0
        self.results: tuple[Value, ...] | None = None

    def start(self) -> list[Opening]:
        path = self._frame.inside(self.step, str(self.rounds))
        return [Opening(self.rounds, self._body, path, (*self._carried, *self._captured))]

    def took(self, _position: int, outputs: tuple[Value, ...]) -> list[Opening]:
        self._carried = outputs[: self._loop.carried]
        self.rounds += 1
        if self.rounds == self._loop.most or (self._loop.until and outputs[-1] is True):
            self.results = self._carried
            return []
        return self.start()


class EachRegion:
    """All candidates at once."""

    __slots__ = ("_body", "_captured", "_frame", "_left", "_made", "_pool", "results", "step")

    def __init__(self, frame: Frame, step: Step[Operator], body: PreparedBody, values: tuple[Any, ...]) -> None:
        self._frame, self.step, self._body = frame, step, body
        self._pool: Pool = values[0]
        self._captured = values[1:]
        self._made: list[Any] = [()] * len(self._pool)
        self._left = len(self._pool)
        self.results: tuple[Value, ...] | None = None if self._pool else ((),)

    def start(self) -> list[Opening]:
        return [
            Opening(i, self._body, self._frame.inside(self.step, candidate.key), ((candidate,), *self._captured))
            for i, candidate in enumerate(self._pool)
        ]

    def took(self, position: int, outputs: tuple[Value, ...]) -> list[Opening]:
        (self._made[position],) = outputs
        self._left -= 1
        if not self._left:
            self.results = (tuple(chain.from_iterable(self._made)),)
        return []


class BranchRegion:
    """The body at `taken`, in the streams of its surroundings: only one of the bodies runs."""

    __slots__ = ("_body", "_captured", "_path", "results", "step", "taken")

    def __init__(
        self,
        frame: Frame,
        step: Step[Operator],
        branch: Branch,
        bodies: tuple[PreparedBody, ...],
        values: tuple[Any, ...],
    ) -> None:
        value, self._captured = values[0], values[1:]
        fits = (i for i, pattern in enumerate(branch.patterns) if value is not None and equal(pattern, value))
        taken = next(fits, len(branch.patterns))
        if taken == len(bodies):
            shown = "an absent value" if value is None else repr(value)
            raise NoBranch(f"`{step.label}` has no branch for {shown}", help="add `else =>` for all other values")
        self.taken, self._body, self._path, self.step = taken, bodies[taken], frame.path, step
        self.results: tuple[Value, ...] | None = None

    def start(self) -> list[Opening]:
        return [Opening(self.taken, self._body, self._path, self._captured)]

    def took(self, _position: int, outputs: tuple[Value, ...]) -> list[Opening]:
        self.results = outputs
        return []


Region: TypeAlias = LoopRegion | EachRegion | BranchRegion
