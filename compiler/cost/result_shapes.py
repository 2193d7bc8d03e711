"""How many candidates a node gives, and how long their fields are."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, inf
from typing import assert_never

from pnyx.compiler.cost.amounts import NOTHING
from pnyx.compiler.cost.interval import Estimate
from pnyx.compiler.cost.lengths import Lengths
from pnyx.compiler.cost.shapes import VALUE, FieldShape, Length, Shape, blend
from pnyx.compiler.operators import (
    Action,
    Ask,
    AsQuery,
    Branch,
    Choose,
    Compute,
    Concat,
    Constant,
    Dedupe,
    DrawingOperator,
    Each,
    Empty,
    Extend,
    Extern,
    Extract,
    FieldOf,
    Filter,
    Group,
    Grow,
    IfNone,
    Input,
    Loglik,
    Loop,
    Measure,
    Over,
    Param,
    Part,
    Pick,
    Reads,
    Resample,
    RestoreOption,
    Retrieve,
    RunCode,
    RunTests,
    Sample,
    ShuffleOptions,
    Single,
    Sort,
    Take,
    Vote,
)
from pnyx.compiler.plan import PlanNode

__all__ = ["result_shape"]

_ONE = Estimate.exactly(1)
# What a program prints is short as a rule, and bounded in bytes, as why it failed is; a passage has any length.
_PRINTED = Length(8.0, 100_000.0)
_ERROR = Length(60.0, 2_000.0)
_PASSAGE = Length(400.0, inf)
_VALUES: dict[Reads, FieldShape] = {
    Reads.VERDICT: True,
    Reads.GRADE: 7.0,
    Reads.NUMBER: 42.0,
    Reads.YES: 0.875,
    Reads.PASSES: 3,
    Reads.WINNER: 0.5,
}


def result_shape(current: PlanNode, inputs: Sequence[Shape], streams: Sequence[str], lengths: Lengths) -> Shape:
    """What the node gives for inputs of these shapes; its type bounds the size."""
    match current.operator:
        case Input() | AsQuery():
            return Shape(_ONE)
        case Empty():
            return Shape(NOTHING)
        case Extend() as extend:
            return _extended(extend, current, inputs, lengths)
        case Loglik(into=into):
            return inputs[1].having(into, -12.345678)
        case ShuffleOptions(n=n):
            # A question has any length, so bounds are open; the order has a letter for each option.
            return Shape(Estimate.exactly(n), {"text": lengths.question(), "order": "ABCDEFGHIJ"})
        case Resample(n=n):
            return inputs[0].sized(Estimate.exactly(n))
        case Pick(k=k):
            return inputs[0].sized(inputs[0].size.between(0, k))
        case Extern():
            return _from_outside(current, inputs)
        case RunCode() | RunTests() | Retrieve():
            return _acted(current.operator, current, inputs, lengths)
        case Constant() | Compute() | FieldOf() | Measure():
            return Shape(_ONE, {VALUE: _value(current, inputs)})
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
        case Group():
            return _shrunk(current, inputs[0].having("votes", 3), streams[0], lengths, 0.5)
        case Sort() | RestoreOption():
            return inputs[0]
        case Choose():
            return inputs[0].sized(inputs[0].size.between(0, 1))
        case Grow():
            size = inputs[0].size + inputs[1].size
            return Shape(size, blend(inputs[:2], [i.size.expected for i in inputs[:2]])).having("parent", 7)
        case Filter() | Dedupe():
            return _shrunk(current, inputs[0], streams[0], lengths, 0.5)
        case Take(k=k):
            return inputs[0].sized(inputs[0].size.between(0, k))
        case Concat():
            size = inputs[0].size
            for more in inputs[1:]:
                size += more.size
            return Shape(size, blend(inputs, [i.size.expected for i in inputs]))
        case Loop() | Each() | Branch() | Part() | Param():
            raise AssertionError("bodies are walked, not shaped")
        case _:
            assert_never(current.operator)


def _asked(ask: Ask, current: PlanNode, inputs: Sequence[Shape], streams: Sequence[str], lengths: Lengths) -> Shape:
    if ask.reads is Reads.LIST:
        measured = lengths.size(current.stream)
        size = float(ask.count or 0) if measured is None else measured
        return Shape(Estimate.exactly(size), _fresh(ask, current.stream, lengths, parts=size))
    fresh = _fresh(ask, current.stream, lengths)
    if ask.reads is Reads.CHOICE and ask.into is None:
        return Shape(_ONE, {**fresh, "text": _option(ask)})
    if ask.over is Over.QUERY:
        return Shape(Estimate.exactly(ask.n), fresh)
    pool = inputs[1]
    if ask.into is not None:
        value: FieldShape = _VALUES.get(ask.reads) or lengths.text(ask, current.stream)
        if ask.reads is Reads.CHOICE:
            value = _option(ask)
        kept = pool
        if ask.on_fail.then is Action.DROP:
            kept = _shrunk(current, pool, streams[1], lengths, 1.0)
        return kept.having(ask.into, value)
    if ask.reads is Reads.ORDER:
        return pool
    if ask.over is Over.NEIGHBOURS:
        return pool.sized(Estimate(*map(_paired, (pool.size.least, pool.size.expected, pool.size.most))))
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


def _fresh(operator: DrawingOperator, stream: str, lengths: Lengths, parts: float = 1.0) -> dict[str, FieldShape]:
    """The fields of a new candidate."""
    return {"text": lengths.text(operator, stream, parts), "logprob": -12.345678, "model": operator.model}


def _paired(size: float) -> float:
    """How many are left when neighbours meet, an odd one staying; in proportion between whole sizes."""
    if size == inf:
        return inf
    low, high = ceil(floor(size) / 2), ceil(ceil(size) / 2)
    return low + (high - low) * (size - floor(size))


def _option(ask: Ask) -> str:
    """The longest of the options, so that bounds hold."""
    return max(ask.options, key=len, default="")


def _extended(extend: Extend, current: PlanNode, inputs: Sequence[Shape], lengths: Lengths) -> Shape:
    pool, more = inputs[1], lengths.text(extend, current.stream)
    if extend.into is not None:
        return pool.having(extend.into, more)
    before = pool.fields.get("text")
    text = more
    if isinstance(before, Length):
        # Where the texts were measured, that is their whole length.
        known = lengths.measured_text(current.stream)
        whole = before.expected + len(extend.force) + more.expected if known is None else known
        text = Length(whole, before.most + len(extend.force) + more.most)
    fields: dict[str, FieldShape] = {"text": text, "logprob": -12.345678, "model": extend.model, "finished": True}
    size, measured = pool.size * extend.n, lengths.size(current.stream)
    return Shape(Estimate(pool.size.least, size.expected if measured is None else measured, size.most), fields)


def _from_outside(current: PlanNode, inputs: Sequence[Shape]) -> Shape:
    """What a function of the user's gives: of its candidates nothing is known but their fields."""
    pools = [shape for shape in inputs if shape.fields and VALUE not in shape.fields]
    fields: dict[str, FieldShape] = dict.fromkeys(current.type.fields or (), 1.0)
    if pools:
        fields |= dict(pools[0].fields)
        return Shape(pools[0].size, fields)
    return Shape(Estimate.exactly((current.type.low + current.type.high) / 2), fields)


def _acted(
    operator: RunCode | RunTests | Retrieve, current: PlanNode, inputs: Sequence[Shape], lengths: Lengths
) -> Shape:
    """What programs print and passages say."""
    match operator:
        case RunCode(into=into):
            return inputs[0].having(into, _PRINTED).having("error", _ERROR)
        case RunTests(into=into):
            return inputs[0].having(into, 3).having("passed", "1 2 3")
        case Retrieve(k=k):
            found = lengths.size(current.stream)
            return Shape(Estimate(0, k if found is None else found, k), {"text": _PASSAGE, "score": 7.125})


def _value(current: PlanNode, inputs: Sequence[Shape]) -> FieldShape:
    """A value that stands for all that a scalar can be."""
    match current.operator:
        case Constant(value=value):
            return value
        case FieldOf(name=name):
            return inputs[0].fields.get(name, "")
        case _:
            return {"bool": True, "int": 7}.get(current.type.scalar or "", 0.875)
