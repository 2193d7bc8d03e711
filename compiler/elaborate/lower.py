"""How each built-in operator becomes nodes of the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from pnyx.compiler.elaborate.acting import ACTING_LOWERINGS
from pnyx.compiler.elaborate.builtin import MEASURES
from pnyx.compiler.elaborate.builtin_call import BuiltinCall, sampling_of
from pnyx.compiler.elaborate.convert import provider_of
from pnyx.compiler.elaborate.lower_ask import lower_ask
from pnyx.compiler.elaborate.scalars import lift
from pnyx.compiler.elaborate.values import (
    ModelValue,
    Value,
)
from pnyx.compiler.operators import (
    AnswerKind,
    AsQuery,
    Choose,
    Concat,
    Dedupe,
    Extend,
    Extract,
    Filter,
    Group,
    Grow,
    IfNone,
    Loglik,
    Measure,
    MeasureKind,
    Operator,
    Pick,
    Resample,
    RestoreOption,
    Sample,
    Scheme,
    ShuffleOptions,
    Sort,
    Take,
    TreePolicy,
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


def _lacks(call: BuiltinCall, pool: str, field: str) -> bool:
    """Whether the candidates lack the field that the optional argument `field` names."""
    type_, name = cast("Pool", call.graph(pool).node.type), call.word(field)
    return name is not None and type_.size.high > 0 and name not in type_.fields


def _vote(call: BuiltinCall) -> Value:
    by, weight = call.word("by") or "answer", call.word("weight")
    if _lacks(call, "pool", "weight"):
        message = f"`{call.name}` weighs by `{weight}`, which these lack"
        return call.fault("E302", message, "weight", help="score them first")
    return _over_pool(call, Vote(by=by, weight=weight) if call.name == "vote" else Group(by=by, weight=weight))


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
    by = call.word("by")
    if _lacks(call, "pool", "by"):
        return call.fault("E302", f"`sample` weighs by `{by}`, which these lack", "by", help="score them first")
    return _over_pool(call, Pick(k=call.number("k"), by=by, temperature=cast("float", call.values["temperature"])))


def _loglik(call: BuiltinCall) -> Value:
    operator = Loglik(
        model=cast("ModelValue", call.values["model"]).name,
        system=call.text("system"),
        of=call.word("of") or "text",
        into=call.word("into") or "loglik",
    )
    pool = call.graph("pool")
    return call.make(operator, [pool.query, pool.node], pool.query)


def _choose(call: BuiltinCall) -> Value:
    policy = TreePolicy(call.word("policy") or "uct")
    for name in ("prior", "done"):
        if _lacks(call, "tree", name):
            message = f"`choose` reads `{call.word(name)}`, which these lack"
            return call.fault("E302", message, name, help=provider_of(call.word(name) or ""))
    if call.word("prior") is not None and policy is not TreePolicy.PUCT:
        return call.fault("E307", f"`prior` has no meaning for `{policy}`", "prior", help="add `policy = puct`")
    operator = Choose(
        policy=policy,
        by=call.word("by") or "score",
        c=cast("float", call.values["c"]),
        prior=call.word("prior"),
        done=call.word("done"),
    )
    tree = call.graph("tree")
    return call.make(operator, [tree.node], tree.query)


def _grow(call: BuiltinCall) -> Value:
    tree, children, parent = (call.graph(name) for name in ("tree", "children", "node"))
    size = cast("Pool", parent.node.type).size
    if size.high > 1:
        message, help = f"children have one parent, and this is a pool of {size}", "take one: `choose` gives it"
        return call.fault("E301", message, "node", help=help)
    return call.make(Grow(), [tree.node, children.node, parent.node], tree.query)


def _shuffle_options(call: BuiltinCall) -> Value:
    query = call.graph("query")
    return call.make(ShuffleOptions(n=call.number("n")), [query.node], query.node)


def _restore_option(call: BuiltinCall) -> Value:
    pool = call.graph("pool")
    order = lift(call.elaborator, call.values["order"], pool.query, call.span)
    assert order is not None
    return call.make(RestoreOption(by=call.word("by") or "answer"), [pool.node, order.node], pool.query)


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
    "group": _vote,
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
    "loglik": _loglik,
    "choose": _choose,
    "grow": _grow,
    "shuffle_options": _shuffle_options,
    "restore_option": _restore_option,
    "as_query": _as_query,
    **ACTING_LOWERINGS,
    **{signature.name: _measure for signature in MEASURES},
}
