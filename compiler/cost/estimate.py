"""What running a plan on one question costs.

Counts are per example that ends well; one that fails may stop earlier, and what a store already holds costs nothing. A
*call* is one prompt sent to an engine, a *sample* one completion.

Where nothing was measured, every reply is read, every list is full and every vote finds an answer; a filter or a dedupe
leaves the middle between the least it can and all that it gets. Retries widen only the upper bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from pnyx.compiler.cost.interval import Estimate
from pnyx.compiler.cost.lengths import Lengths
from pnyx.compiler.cost.profile import Profile
from pnyx.compiler.cost.prompt_size import prompt_tokens
from pnyx.compiler.cost.shapes import FieldShape, Shape, blend
from pnyx.compiler.operators import (
    Action,
    Ask,
    Concat,
    Dedupe,
    Extract,
    Filter,
    IfNone,
    Input,
    Over,
    Reads,
    Sample,
    Single,
    Sort,
    Take,
    Vote,
)
from pnyx.compiler.plan import Plan, PlanModel, PlanNode

__all__ = ["Cost", "CostReport", "NodeCost", "estimate"]

NOTHING = Estimate.exactly(0)
_ONE = Estimate.exactly(1)
_VALUES: dict[Reads, FieldShape] = {
    Reads.VERDICT: True,
    Reads.GRADE: 7.0,
    Reads.NUMBER: 42.0,
    Reads.YES: 0.875,
    Reads.PASSES: 3,
}


@dataclass(frozen=True, slots=True)
class Cost:
    """`flops` and `money` (dollars) are None where a model in use has no size, or no prices."""

    calls: Estimate = NOTHING
    samples: Estimate = NOTHING
    prompt_tokens: Estimate = NOTHING
    generated_tokens: Estimate = NOTHING
    flops: Estimate | None = NOTHING
    money: Estimate | None = NOTHING

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.calls + other.calls,
            self.samples + other.samples,
            self.prompt_tokens + other.prompt_tokens,
            self.generated_tokens + other.generated_tokens,
            _sum(self.flops, other.flops),
            _sum(self.money, other.money),
        )


@dataclass(frozen=True, slots=True)
class NodeCost:
    """Of one node of the plan. `size`: candidates of its result; `depth`: the longest chain of calls ending in it."""

    index: int
    size: Estimate
    depth: Estimate
    cost: Cost


@dataclass(frozen=True, slots=True)
class CostReport:
    """Of a plan; `nodes` in its order. `depth`: the longest chain of calls that must follow one another."""

    nodes: tuple[NodeCost, ...]
    total: Cost
    depth: Estimate
    measured: bool


def estimate(plan: Plan, profile: Profile | None = None) -> CostReport:
    """The cost of one question, sharpened by what was measured before."""
    models = {model.name: model for model in plan.models}
    lengths = Lengths(profile if profile is not None else Profile())
    shapes: list[Shape] = []
    costs: list[NodeCost] = []
    total = Cost()
    for index, current in enumerate(plan.nodes):
        inputs = [shapes[i] for i in current.inputs]
        cost, steps = _cost_and_steps(current, inputs, models, lengths)
        before = NOTHING
        for i in current.inputs:
            before = before.latest(costs[i].depth)
        shape = _result(current, inputs, [plan.nodes[i].stream for i in current.inputs], lengths)
        shapes.append(shape)
        costs.append(NodeCost(index, shape.size, before + steps, cost))
        total += cost
    return CostReport(tuple(costs), total, costs[plan.output].depth, profile is not None and bool(profile.streams))


def _cost_and_steps(
    current: PlanNode, inputs: Sequence[Shape], models: dict[str, PlanModel], lengths: Lengths
) -> tuple[Cost, Estimate]:
    """What the node costs, and how many calls follow one another in it."""
    operator = current.operator
    if not isinstance(operator, Sample | Ask):
        return Cost(), NOTHING
    model = models[operator.model]
    prompts, tries = _prompts(operator, inputs)
    drawn = 0 if isinstance(operator, Ask) and operator.reads is Reads.YES else operator.n
    calls = prompts * (1 if operator.joined else operator.n) * tries
    samples = prompts * drawn * tries
    fit = lengths.fit(operator.model, current.stream)
    prompt = calls * prompt_tokens(operator, lengths.question(), inputs[1:], fit, model.context)
    generated = samples * lengths.generated(operator, current.stream)
    flops = None if model.parameters is None else (prompt + generated) * (2 * model.parameters)
    money = None
    if model.price_in is not None and model.price_out is not None:
        money = prompt * (model.price_in / 1e6) + generated * (model.price_out / 1e6)
    if calls.most == 0:
        flops = money = NOTHING
    return Cost(calls, samples, prompt, generated, flops, money), _some(prompts) * tries


def _prompts(operator: Sample | Ask, inputs: Sequence[Shape]) -> tuple[Estimate, Estimate]:
    """How many prompts there are, and how often each is tried."""
    if isinstance(operator, Sample):
        return _ONE, _ONE
    can_fail = operator.reads not in (Reads.TEXT, Reads.YES)
    tries = Estimate(1, 1, 1 + operator.on_fail.retries) if can_fail else _ONE
    if operator.over is Over.QUERY:
        return _ONE, tries
    size = inputs[1].size
    if operator.over is Over.EACH:
        # Without tests there is nothing to ask: the candidates then pass none.
        tests = operator.tests if operator.reads is Reads.PASSES else None
        return (size if tests is None else size * _some(inputs[2 + tests].size)), tries
    if operator.reads is Reads.ORDER or operator.single is Single.KEEP:
        return Estimate(float(size.least > 1), float(size.expected > 1), float(size.most > 1)), tries
    return _ONE, tries


def _some(size: Estimate) -> Estimate:
    """1 where there is any candidate, 0 where there is none."""
    return Estimate(float(size.least > 0), float(size.expected > 0), float(size.most > 0))


def _result(current: PlanNode, inputs: Sequence[Shape], streams: Sequence[str], lengths: Lengths) -> Shape:
    """The shape of what the node gives. Its type bounds the size."""
    shape = _shape(current, inputs, streams, lengths)
    low, high = current.type.low, current.type.high
    return shape.sized(Estimate(low, min(max(shape.size.expected, low), high), high))


def _shape(current: PlanNode, inputs: Sequence[Shape], streams: Sequence[str], lengths: Lengths) -> Shape:
    match current.operator:
        case Input():
            return Shape(_ONE)
        case Sample() as sample:
            return Shape(Estimate.exactly(sample.n), _fresh(sample, current.stream, lengths))
        case Ask() as ask:
            return _asked(ask, current, inputs, streams, lengths)
        case Extract():
            return inputs[0].having("answer", lengths.answer(current.stream))
        case Vote():
            votes = inputs[0].having("votes", 3)
            found = lengths.size(current.stream)
            return votes.sized(Estimate.exactly(1 if found is None else found))
        case Sort():
            return inputs[0]
        case Filter() | Dedupe():
            return _shrunk(current, inputs[0], streams[0], lengths, 0.5)
        case Take(k=k):
            return inputs[0].sized(inputs[0].size.between(0, k))
        case Concat():
            size = inputs[0].size
            for more in inputs[1:]:
                size += more.size
            return Shape(size, blend(inputs, [i.size.expected for i in inputs]))
        case _:
            assert_never(current.operator)


def _asked(ask: Ask, current: PlanNode, inputs: Sequence[Shape], streams: Sequence[str], lengths: Lengths) -> Shape:
    if ask.reads is Reads.LIST:
        measured = lengths.size(current.stream)
        size = float(ask.count or 0) if measured is None else measured
        return Shape(Estimate.exactly(size), _fresh(ask, current.stream, lengths, parts=size))
    fresh = _fresh(ask, current.stream, lengths)
    if ask.over is Over.QUERY:
        return Shape(Estimate.exactly(ask.n), fresh)
    pool = inputs[1]
    if ask.into is not None:
        value = _VALUES.get(ask.reads) or lengths.text(ask, current.stream)
        kept = pool
        if ask.on_fail.then is Action.DROP:
            kept = _shrunk(current, pool, streams[1], lengths, 1.0)
        return kept.having(ask.into, value)
    if ask.reads is Reads.ORDER:
        return pool
    if ask.over is Over.EACH:
        return Shape(pool.size * ask.n, fresh)
    made = Shape(Estimate.exactly(ask.n), fresh)
    if ask.single is Single.ASK or pool.size.least > 1:
        return made
    if pool.size.expected <= 1:
        return Shape(_ONE, blend([made, pool], [0, 1]))
    return Shape(made.size, blend([made, pool], [1, 0]))


def _shrunk(current: PlanNode, pool: Shape, stream: str, lengths: Lengths, share: float) -> Shape:
    """Part of a pool: the measured part, or `share` of the way from the least that can be left to all."""
    after, before = lengths.size(current.stream), lengths.size(stream)
    if after is not None and before:
        left = pool.size.expected * min(after / before, 1.0)
    else:
        # Of candidates that are there, these leave one; the type cannot say that of a pool that may be empty.
        one_stays = isinstance(current.operator, Dedupe) or (
            isinstance(current.operator, Filter) and current.operator.if_none is IfNone.KEEP
        )
        low = min(max(current.type.low, int(one_stays)), pool.size.expected)
        left = low + share * (pool.size.expected - low)
    return pool.sized(Estimate.exactly(left))


def _fresh(operator: Sample | Ask, stream: str, lengths: Lengths, parts: float = 1.0) -> dict[str, FieldShape]:
    """The fields of a new candidate."""
    return {"text": lengths.text(operator, stream, parts), "logprob": -12.345678, "model": operator.model}


def _sum(left: Estimate | None, right: Estimate | None) -> Estimate | None:
    return None if left is None or right is None else left + right
