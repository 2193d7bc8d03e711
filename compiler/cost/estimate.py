"""What running a plan on one question costs.

Counts are per example that ends well; one that fails may stop earlier, and what a store already holds costs nothing. A
*call* is one prompt sent to an engine, a *sample* one completion.

Where nothing was measured, every reply is read, every list is full and every vote finds an answer; a filter or a dedupe
leaves the middle between the least it can and all that it gets; a loop that may end early runs half of its rounds; the
arms of a branch are equally likely. Retries widen only the upper bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pnyx.compiler.cost.amounts import FREE, NOTHING, Cost, NodeCost, added, chosen, repeated
from pnyx.compiler.cost.asking import cost_and_steps
from pnyx.compiler.cost.interval import Estimate
from pnyx.compiler.cost.lengths import Lengths
from pnyx.compiler.cost.profile import Profile
from pnyx.compiler.cost.result_shapes import result_shape
from pnyx.compiler.cost.shapes import Shape, blend
from pnyx.compiler.operators import Each, Loop, Param, Part
from pnyx.compiler.plan import Plan, PlanBody, PlanModel, PlanNode, PlanType

__all__ = ["Cost", "CostReport", "NodeCost", "estimate"]

_ONE = Estimate.exactly(1)
# So many rounds are walked one by one; those after them are taken to be as large as the types allow.
_WALKED_ROUNDS = 24


@dataclass(frozen=True, slots=True)
class CostReport:
    """Of a plan; `nodes` in the order of `Plan.everywhere`. `depth`: the longest chain of calls that must follow one
    another. `total` is not the sum of the nodes: of the arms of a branch one runs."""

    nodes: tuple[NodeCost, ...]
    total: Cost
    depth: Estimate
    measured: bool


def estimate(plan: Plan, profile: Profile | None = None) -> CostReport:
    """The cost of one question, sharpened by what was measured before."""
    models = {model.name: model for model in plan.models}
    walk = _Walk(models, Lengths(profile if profile is not None else Profile()))
    run = walk.run(plan.nodes, {}, 0)
    if plan.states:  # an example finds what one before it has left
        run = walk.run(plan.nodes, {state.param: run.shapes[state.output] for state in plan.states}, 0)
    measured = profile is not None and bool(profile.streams)
    return CostReport(tuple(run.costs), run.total, run.depths[plan.output], measured)


@dataclass(frozen=True, slots=True)
class _Run:
    """Some nodes, run once. `shapes`, `parts` and `depths` by node; `costs` with those of bodies behind their nodes."""

    shapes: list[Shape]
    parts: list[tuple[Shape, ...]]
    depths: list[Estimate]
    costs: list[NodeCost]
    total: Cost


@dataclass(frozen=True, slots=True)
class _Region:
    """What a node with bodies gives and costs."""

    parts: tuple[Shape, ...]
    costs: list[NodeCost]
    total: Cost
    steps: Estimate


@dataclass(frozen=True, slots=True)
class _Walk:
    models: dict[str, PlanModel]
    lengths: Lengths

    def run(self, nodes: Sequence[PlanNode], given: dict[int, Shape], first: int) -> _Run:
        """`given` are the shapes of parameters, by node; `first` is the index of the first node."""
        run = _Run([], [], [], [], Cost())
        total = Cost()
        for position, current in enumerate(nodes):
            index = first + len(run.costs)
            inputs = [run.shapes[i] for i in current.inputs]
            before = NOTHING
            for i in current.inputs:
                before = before.latest(run.depths[i])
            parts: tuple[Shape, ...] = ()
            nested: list[NodeCost] = []
            if current.bodies:
                region = self._region(current, inputs, index)
                parts, nested, cost, steps = region.parts, region.costs, region.total, region.steps
                shape = Shape(_ONE)
            else:
                shape = self._shape(current, inputs, given.get(position), nodes, run)
                cost, steps = cost_and_steps(current, inputs, self.models, self.lengths)
            run.shapes.append(shape)
            run.parts.append(parts)
            run.depths.append(before + steps)
            run.costs.extend([NodeCost(index, shape.size, before + steps, cost), *nested])
            if cost is not FREE:
                total += cost
        return _Run(run.shapes, run.parts, run.depths, run.costs, total)

    def _shape(
        self, current: PlanNode, inputs: Sequence[Shape], given: Shape | None, nodes: Sequence[PlanNode], run: _Run
    ) -> Shape:
        match current.operator:
            case Part(index=index):
                return _bounded(run.parts[current.inputs[0]][index], current.type)
            case Param():
                return _bounded(given or _unknown(current.type), current.type)
            case _:
                streams = [nodes[i].stream for i in current.inputs]
                return _bounded(result_shape(current, inputs, streams, self.lengths), current.type)

    def _body(self, body: PlanBody, given: Sequence[Shape], first: int) -> tuple[_Run, tuple[Shape, ...], Estimate]:
        """One run of a body: what it gives, and its longest chain of calls."""
        run = self.run(body.nodes, dict(enumerate(given)), first)
        depth = NOTHING
        for output in body.outputs:
            depth = depth.latest(run.depths[output])
        return run, tuple(run.shapes[output] for output in body.outputs), depth

    def _region(self, current: PlanNode, inputs: Sequence[Shape], index: int) -> _Region:
        match current.operator:
            case Loop() as loop:
                return self._loop(loop, current, inputs, index + 1)
            case Each():
                one = inputs[0].sized(_ONE)
                run, outputs, depth = self._body(current.bodies[0], [one, *inputs[1:]], index + 1)
                times = inputs[0].size
                made = outputs[0].sized(outputs[0].size * times)
                some = Estimate(float(times.least > 0), float(times.expected > 0), float(times.most > 0))
                return _Region((made,), repeated(run.costs, times), run.total.times(times), depth * some)
            case _:  # a branch: no other node has bodies
                return self._branch(current, inputs, index + 1)

    def _loop(self, loop: Loop, current: PlanNode, inputs: Sequence[Shape], first: int) -> _Region:
        body = current.bodies[0]
        rounds = self._rounds(loop, current.stream)
        carried, captured = tuple(inputs[: loop.carried]), inputs[loop.carried :]
        walked = min(loop.most, _WALKED_ROUNDS)
        result, total, steps = carried, Cost(), NOTHING
        costs: list[NodeCost] = []
        for round_ in range(walked):
            run, outputs, depth = self._body(body, [*carried, *captured], first)
            happens = _happens(rounds, round_, 1)
            costs = added(costs, repeated(run.costs, happens)) if costs else repeated(run.costs, happens)
            total += run.total.times(happens)
            steps += depth * happens
            after = outputs[: loop.carried]
            result = after if round_ == 0 else tuple(_later(a, b, happens) for a, b in zip(result, after, strict=True))
            carried = after
        if loop.most > walked:
            widest = [_widest(shape, body.nodes[i].type) for i, shape in enumerate(carried)]
            run, _, depth = self._body(body, [*widest, *captured], first)
            more = _happens(rounds, walked, loop.most - walked)
            costs = added(costs, repeated(run.costs, more))
            total += run.total.times(more)
            steps += depth * more
        return _Region(result, costs, total, steps)

    def _rounds(self, loop: Loop, stream: str) -> Estimate:
        if not loop.until:
            return Estimate.exactly(loop.most)
        measured = self.lengths.profile.rounds_of(stream)
        expected = (1 + loop.most) / 2 if measured is None else min(max(measured, 1.0), loop.most)
        return Estimate(1, expected, loop.most)

    def _branch(self, current: PlanNode, inputs: Sequence[Shape], first: int) -> _Region:
        shares = self.lengths.profile.shares_of(current.stream, len(current.bodies))
        costs: list[NodeCost] = []
        totals: list[Cost] = []
        made: list[tuple[Shape, ...]] = []
        steps = Estimate(float("inf"), 0, 0)
        for body, share in zip(current.bodies, shares, strict=True):
            run, outputs, depth = self._body(body, inputs[1:], first + len(costs))
            costs.extend(repeated(run.costs, Estimate(0, share, 1)))
            totals.append(run.total)
            made.append(outputs)
            steps = Estimate(
                min(steps.least, depth.least), steps.expected + share * depth.expected, max(steps.most, depth.most)
            )
        parts = tuple(_mixed(column, shares) for column in zip(*made, strict=True))
        return _Region(parts, costs, chosen(totals, shares), steps)


def _happens(rounds: Estimate, first: int, count: int) -> Estimate:
    """How many of the `count` rounds from round `first` on (counted from 0) there are."""
    return Estimate(*(min(max(value - first, 0.0), count) for value in (rounds.least, rounds.expected, rounds.most)))


def _later(before: Shape, after: Shape, happens: Estimate) -> Shape:
    """The value after a round that may not have happened."""
    share = happens.expected
    size = Estimate(
        min(before.size.least, after.size.least) if happens.least < 1 else after.size.least,
        before.size.expected * (1 - share) + after.size.expected * share,
        max(before.size.most, after.size.most),
    )
    return Shape(size, blend([before, after], [1 - share, share]))


def _mixed(shapes: Sequence[Shape], shares: Sequence[float]) -> Shape:
    size = Estimate(
        min(s.size.least for s in shapes),
        sum(s.size.expected * share for s, share in zip(shapes, shares, strict=True)),
        max(s.size.most for s in shapes),
    )
    return Shape(size, blend(shapes, [max(share, 1e-9) for share in shares]))


def _bounded(shape: Shape, type: PlanType) -> Shape:
    """A shape whose size is within its type."""
    if type.fields is None:
        return shape
    low, high = type.low, type.high
    return shape.sized(Estimate(low, min(max(shape.size.expected, low), high), high))


def _widest(shape: Shape, type: PlanType) -> Shape:
    return shape if type.fields is None else shape.sized(Estimate(type.low, shape.size.expected, type.high))


def _unknown(type: PlanType) -> Shape:
    """What outlives an example, of which nothing is known: half of what it can be."""
    return Shape(_ONE if type.fields is None else Estimate(type.low, (type.low + type.high) / 2, type.high))
