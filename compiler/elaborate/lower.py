"""How each built-in operator becomes nodes of the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from pnyx.compiler.elaborate.builtin import MEASURES
from pnyx.compiler.elaborate.builtin_call import BuiltinCall, sampling_of
from pnyx.compiler.elaborate.lower_ask import lower_ask
from pnyx.compiler.elaborate.values import (
    ModelValue,
    Value,
)
from pnyx.compiler.operators import (
    AnswerKind,
    AsQuery,
    Concat,
    Dedupe,
    Extend,
    Extract,
    Filter,
    IfNone,
    Measure,
    MeasureKind,
    Operator,
    Pick,
    Resample,
    Sample,
    Scheme,
    Sort,
    Take,
    Vote,
    Weights,
)
from pnyx.compiler.patterns import PatternFault, compile_pattern
from pnyx.compiler.types import Pool

__all__ = ["lower"]


def lower(call: BuiltinCall) -> Value:
    """The value of a built-in operator's call."""
    return _LOWERINGS[call.name](call)


def _generate(call: BuiltinCall) -> Value:
    query = call.graph("query")
    models = cast("tuple[ModelValue, ...]", call.values["model"])
    if not models:
        return call.fault("E303", "`generate` gets no model", "model", help="list at least one")
    samples = [
        call.make(
            Sample(
                model=model.name,
                sampling=sampling_of(call),
                system=call.text("system"),
                stream=call.number("stream"),
                n=call.number("n"),
            ),
            [query.node],
            query.node,
        )
        for model in models
    ]
    if len(samples) == 1:
        return samples[0]
    return call.make(Concat(), [s.node for s in samples], query.node)


def _extract(call: BuiltinCall) -> Value:
    kind = AnswerKind(call.word("kind") or "")
    pattern = call.text("pattern")
    if kind is AnswerKind.REGEX:
        if pattern is None:
            return call.fault("E204", "`extract(regex)` needs `pattern`", "kind", help='add `pattern = "…"`')
        try:
            compile_pattern(pattern)
        except PatternFault as fault:
            help = "patterns are RE2's: no look-around, no back-references"
            return call.fault("E401", f"the pattern is faulty: {fault}", "pattern", help=help)
    elif pattern is not None:
        return call.fault("E307", f"`pattern` has no meaning for `{kind}`", "pattern", help="use `extract(regex, …)`")
    return _over_pool(call, Extract(answer=kind, pattern=pattern, after=call.text("after")))


def _over_pool(call: BuiltinCall, operator: Operator) -> Value:
    pool = call.graph("pool")
    return call.make(operator, [pool.node], pool.query)


def _vote(call: BuiltinCall) -> Value:
    weight = call.word("weight")
    pool = cast("Pool", call.graph("pool").node.type)
    if weight is not None and pool.size.high and weight not in pool.fields:
        return call.fault("E302", f"`vote` weighs by `{weight}`, which these lack", "weight", help="score them first")
    return _over_pool(call, Vote(by=call.word("by") or "answer", weight=weight))


def _sort(call: BuiltinCall) -> Value:
    return _over_pool(call, Sort(by=call.word("by") or "score", ascending=bool(call.values["ascending"])))


def _filter(call: BuiltinCall) -> Value:
    operator = Filter(
        by=call.word("by") or "verdict",
        at_least=cast("float | None", call.values["at_least"]),
        if_none=IfNone(call.word("if_none") or "drop"),
    )
    return _over_pool(call, operator)


def _take(call: BuiltinCall) -> Value:
    return _over_pool(call, Take(k=call.number("k")))


def _dedupe(call: BuiltinCall) -> Value:
    return _over_pool(call, Dedupe(by=call.word("by") or "text"))


def _extend(call: BuiltinCall) -> Value:
    operator = Extend(
        model=cast("ModelValue", call.values["model"]).name,
        sampling=sampling_of(call),
        system=call.text("system"),
        force=call.text("force") or "",
        into=call.word("into") if "into" in call.values else None,
        n=call.number("n") if "n" in call.values else 1,
    )
    pool = call.graph("pool")
    return call.make(operator, [pool.query, pool.node], pool.query)


def _resample(call: BuiltinCall) -> Value:
    operator = Resample(
        n=call.number("n"),
        by=call.word("by") or "score",
        weights=Weights(call.word("weights") or "softmax"),
        temperature=cast("float", call.values["temperature"]),
        scheme=Scheme(call.word("scheme") or "multinomial"),
    )
    return _over_pool(call, operator)


def _sample(call: BuiltinCall) -> Value:
    by, pool = call.word("by"), cast("Pool", call.graph("pool").node.type)
    if by is not None and pool.size.high and by not in pool.fields:
        return call.fault("E302", f"`sample` weighs by `{by}`, which these lack", "by", help="score them first")
    return _over_pool(call, Pick(k=call.number("k"), by=by, temperature=cast("float", call.values["temperature"])))


def _as_query(call: BuiltinCall) -> Value:
    pool = call.graph("pool")
    return call.make(AsQuery(), [pool.query, pool.node], pool.query)


def _has(call: BuiltinCall) -> Value:
    return call.word("field") in cast("Pool", call.graph("pool").node.type).fields


def _size(call: BuiltinCall) -> Value:
    size = cast("Pool", call.graph("pool").node.type).size
    return size.low if size.exact else _over_pool(call, Measure(what=MeasureKind.SIZE))


def _measure(call: BuiltinCall) -> Value:
    window = call.number("window") if "window" in call.values else 1
    return _over_pool(call, Measure(what=MeasureKind(call.name), by=call.word("by") or "", window=window))


_LOWERINGS: dict[str, Callable[[BuiltinCall], Value]] = {
    "generate": _generate,
    "ask": lower_ask,
    "extract": _extract,
    "vote": _vote,
    "sort": _sort,
    "filter": _filter,
    "take": _take,
    "dedupe": _dedupe,
    "has": _has,
    "size": _size,
    "extend": _extend,
    "probe": _extend,
    "resample": _resample,
    "sample": _sample,
    "as_query": _as_query,
    **{signature.name: _measure for signature in MEASURES},
}
