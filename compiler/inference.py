"""The typing rules: what every operator takes and gives, in one place.

`result_type` is pure and row-polymorphic: a field that an operator does not know passes through it. The elaborator
types nodes with it, the verifier checks them with it and the passes type again what they change with it. Sizes are
sound bounds for an example that ends well: asking about all candidates of an empty pool fails the example, so what
follows counts on at least one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from pnyx.compiler.graph import Graph, Node
from pnyx.compiler.inference_acting import acted
from pnyx.compiler.inference_asking import NEW_CANDIDATE, asked
from pnyx.compiler.inputs import TypeFault, arity, only_pool, pool_at, positive, question_at, scalar_at
from pnyx.compiler.operators import (
    Ask,
    AsQuery,
    Branch,
    Choose,
    Compute,
    Concat,
    Constant,
    Dedupe,
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
    MeasureKind,
    Operator,
    Param,
    Part,
    Pick,
    Region,
    Resample,
    RestoreOption,
    Retrieve,
    RunCode,
    RunTests,
    Sample,
    ShuffleOptions,
    Sort,
    Take,
    TreePolicy,
    Vote,
)
from pnyx.compiler.types import CHAT, Pool, Results, Scalar, ScalarBase, Size, Type, join, shared_fields

__all__ = ["NEW_CANDIDATE", "TypeFault", "loop_types", "result_type"]

_FIELD_BASES: dict[str, ScalarBase] = {
    "text": "text", "model": "text", "critique": "text", "reasoning": "text", "answer": "text",
    "output": "text", "error": "text", "passed": "text",
    "logprob": "float", "score": "float", "passes": "int", "verdict": "bool", "finished": "bool",
}  # fmt: skip
"""What fields hold that always come from the same operators; a prompt may fill any other with anything."""

_MEASURES: dict[MeasureKind, ScalarBase] = {
    MeasureKind.SIZE: "int",
    MeasureKind.ALL: "bool",
    MeasureKind.ANY: "bool",
}


def result_type(operator: Operator, inputs: Sequence[Type], bodies: Sequence[Graph] = ()) -> Type:
    """What the operator gives for inputs of these types. Raises TypeFault where it does not take them.

    >>> from pnyx.compiler.operators import Sample, Take
    >>> drafts = result_type(Sample(model="m", n=8), [CHAT])
    >>> str(result_type(Take(k=3), [drafts]))
    'Pool[3]{logprob, model, text}'
    """
    match operator:
        case Input():
            arity(inputs, 0)
            return CHAT
        case Sample() | Ask() | Extend() | Loglik():
            return asked(operator, inputs)
        case RunCode() | RunTests() | Retrieve():
            return acted(operator, inputs)
        case Loop() | Each() | Branch():
            return _region(operator, inputs, bodies)
        case Extern():
            return _extern(operator, inputs)
        case Empty():
            arity(inputs, 0)
            return Pool(Size(0, 0))
        case Constant(value=value):
            arity(inputs, 0)
            return Scalar(_base_of(value))
        case Compute() | FieldOf() | Measure():
            return _scalar(operator, inputs)
        case AsQuery():
            arity(inputs, 2)
            question_at(inputs, 0)
            pool_at(inputs, 1, "text")
            return CHAT
        case Part(index=index):
            arity(inputs, 1)
            given = inputs[0]
            if not isinstance(given, Results) or not 0 <= index < len(given.parts):
                raise TypeFault(f"input 0 is {given}, which has no part {index}", input=0)
            return given.parts[index]
        case ShuffleOptions(n=n):
            arity(inputs, 1)
            question_at(inputs, 0)
            positive("n", n)
            return Pool(Size(n, n), frozenset({"text", "order"}))
        case RestoreOption(by=by):
            arity(inputs, 2)
            scalar_at(inputs, 1)
            return pool_at(inputs, 0, by)
        case Grow():
            return _grow(inputs)
        case Param():
            raise TypeFault("a parameter has the type that its body gives it")
        case _:
            return _from_pools(operator, inputs)


def _from_pools(
    operator: Extract | Vote | Group | Sort | Filter | Take | Dedupe | Resample | Pick | Choose | Concat,
    inputs: Sequence[Type],
) -> Pool:
    """Operators that only look at candidates."""
    match operator:
        case Extract():
            return only_pool(inputs, "text").having("answer")
        case Vote(by=by, weight=weight):
            pool = only_pool(inputs, by, *([weight] if weight else []))
            return pool.having("votes").sized(Size(0, min(pool.size.high, 1)))
        case Group(by=by, weight=weight):
            pool = only_pool(inputs, by, *([weight] if weight else []))
            return pool.having("votes").sized(Size(0, pool.size.high))
        case Sort(by=by):
            return only_pool(inputs, by)
        case Filter(by=by, if_none=if_none):
            pool = only_pool(inputs, by)
            return pool.sized(Size(min(pool.size.low, 1) if if_none is IfNone.KEEP else 0, pool.size.high))
        case Take(k=k):
            pool = only_pool(inputs)
            if k < 0:
                raise TypeFault(f"`k` is {k}")
            return pool.sized(pool.size.at_most(k))
        case Dedupe(by=by):
            pool = only_pool(inputs, by)
            return pool.sized(Size(min(pool.size.low, 1), pool.size.high))
        case Resample(n=n, by=by):
            pool = only_pool(inputs, by)
            positive("n", n)
            return pool.sized(Size(n if pool.size.low else 0, n if pool.size.high else 0))
        case Pick(k=k, by=by):
            pool = only_pool(inputs, *([by] if by else []))
            positive("k", k)
            return pool.sized(pool.size.at_most(k))
        case Choose(policy=policy, by=by, prior=prior, done=done):
            pool = only_pool(inputs, by, *(name for name in (prior, done) if name is not None))
            certain = done is None and policy is not TreePolicy.THOMPSON
            return pool.sized(Size(min(pool.size.low, int(certain)), min(pool.size.high, 1)))
        case Concat():
            return _concat(inputs)


def _grow(inputs: Sequence[Type]) -> Pool:
    arity(inputs, 3)
    tree, children, node = (pool_at(inputs, i) for i in range(3))
    if node.size.high > 1:
        raise TypeFault(f"input 2 is {node}, and children have one parent", input=2)
    return Pool(tree.size + children.size, shared_fields([tree, children]) | {"parent"})


def _extern(operator: Extern, inputs: Sequence[Type]) -> Type:
    arity(inputs, len(operator.names))
    if operator.gives != "pool":
        return Scalar(operator.gives)
    fields = frozenset(operator.fields)
    pools = [i for i in inputs if isinstance(i, Pool)]
    if not operator.annotates:
        return Pool(Size(operator.low, operator.high), fields)
    if not pools:
        raise TypeFault("there is no pool whose candidates it could give back")
    return Pool(Size(0, pools[0].size.high), pools[0].fields | fields)


def _base_of(value: object) -> ScalarBase:
    if isinstance(value, bool):
        return "bool"
    return "int" if isinstance(value, int) else "float" if isinstance(value, float) else "text"


def _scalar(operator: Compute | FieldOf | Measure, inputs: Sequence[Type]) -> Scalar:
    match operator:
        case FieldOf(name=name):
            pool = only_pool(inputs, name)
            if pool.size.high > 1:
                raise TypeFault(f"input 0 is {pool}, and only one candidate has a field", input=0)
            return Scalar(_FIELD_BASES.get(name, "any"))
        case Measure(what=what, by=by, window=window):
            only_pool(inputs, *([] if what is MeasureKind.SIZE else [by]))
            positive("window", window)
            return Scalar(_MEASURES.get(what, "float"))
        case Compute(symbol=symbol):
            bases: list[ScalarBase] = [scalar_at(inputs, i) for i in range(len(inputs))]
            if len(bases) not in ((1,) if symbol == "not" else (1, 2) if symbol == "-" else (2,)):
                raise TypeFault(f"{len(bases)} inputs to `{symbol}`")
            return Scalar(_computed(symbol, bases))


def _computed(symbol: str, bases: Sequence[ScalarBase]) -> ScalarBase:
    """Raises TypeFault where no value of these kinds can be computed with."""
    known = {base for base in bases if base != "any"}
    numbers = known <= {"int", "float"}
    if symbol in ("and", "or", "not"):
        sound, result = known <= {"bool"}, "bool"
    elif symbol in ("==", "!="):
        sound, result = numbers or len(known) == 1, "bool"
    elif symbol in ("<", "<=", ">", ">="):
        sound, result = numbers or known == {"text"}, "bool"
    elif symbol == "+" and known == {"text"}:
        sound, result = True, "text"
    else:
        sound = numbers
        result = "float" if symbol == "/" or "float" in bases else "any" if "any" in bases else "int"
    if not sound:
        raise TypeFault(f"`{symbol}` does not work on {' and '.join(str(Scalar(base)) for base in bases)}")
    return cast("ScalarBase", result)


# Bodies ------------------------------------------------------------------------------------------


def _region(operator: Region, inputs: Sequence[Type], bodies: Sequence[Graph]) -> Results:
    match operator:
        case Loop():
            _bodies(bodies, 1)
            return Results(loop_types(operator, bodies[0], inputs)[1])
        case Each():
            _bodies(bodies, 1)
            pool = pool_at(inputs, 0)
            one = pool.sized(Size(1, 1))
            made = _body_types(bodies[0], [one, *inputs[1:]])
            if len(made) != 1 or not isinstance(made[0], Pool):
                raise TypeFault("the body does not end with candidates")
            size = Size(pool.size.low * made[0].size.low, pool.size.high * made[0].size.high)
            return Results((made[0].sized(size),))
        case Branch(patterns=patterns, otherwise=otherwise):
            _bodies(bodies, len(patterns) + otherwise)
            scalar_at(inputs, 0)
            results = [_body_types(body, inputs[1:]) for body in bodies]
            parts = results[0]
            for more in results[1:]:
                parts = _joined(parts, more)
            return Results(parts)


def loop_types(loop: Loop, body: Graph, inputs: Sequence[Type]) -> tuple[tuple[Type, ...], tuple[Type, ...]]:
    """What the values that a loop carries are at the start of a round, and what they are after it ends: bounds that
    hold for every round up to the last. Takes a walk over the body for each round until nothing changes."""
    positive("most", loop.most)
    captured = inputs[loop.carried :]
    state = tuple(inputs[: loop.carried])
    before, after = state, _round(loop, body, state, captured)
    state = after
    for _ in range(loop.most - 1):
        if _closed(body, before, after, captured):
            break
        before = _joined(before, state)
        state = _round(loop, body, state, captured)
        after = _joined(after, state)
    return before, after


def _round(loop: Loop, body: Graph, state: Sequence[Type], captured: Sequence[Type]) -> tuple[Type, ...]:
    """What the carried values are after one round."""
    made = _body_types(body, [*state, *captured])
    if len(made) != loop.carried + loop.until:
        raise TypeFault(f"the body gives {len(made)} values")
    return made[: loop.carried]


def _closed(body: Graph, before: tuple[Type, ...], after: tuple[Type, ...], captured: Sequence[Type]) -> bool:
    """Whether a round that starts anywhere within the bounds stays within them."""
    made = _body_types(body, [*before, *captured])[: len(before)]
    return _joined(before, made) == before and _joined(after, made) == after


def _joined(left: Sequence[Type], right: Sequence[Type]) -> tuple[Type, ...]:
    parts = []
    for one, other in zip(left, right, strict=True):
        both = join(one, other)
        if both is None:
            raise TypeFault(f"a value is {one} or {other}")
        parts.append(both)
    return tuple(parts)


def _bodies(bodies: Sequence[Graph], count: int) -> None:
    if len(bodies) != count:
        raise TypeFault(f"{len(bodies)} bodies instead of {count}")


def _body_types(body: Graph, params: Sequence[Type]) -> tuple[Type, ...]:
    """What the body gives when its parameters are of these types."""
    if len(params) != len(body.params):
        raise TypeFault(f"{len(params)} values for {len(body.params)} parameters")
    if all(given == parameter.type for given, parameter in zip(params, body.params, strict=True)):
        return tuple(output.type for output in body.outputs)
    known: dict[str, Type] = {p.digest: type_ for p, type_ in zip(body.params, params, strict=True)}
    for current in body.nodes():
        if current.digest not in known:
            known[current.digest] = _again(current, [known[i.digest] for i in current.inputs])
    return tuple(known[output.digest] for output in body.outputs)


def _again(current: Node, inputs: Sequence[Type]) -> Type:
    if all(given == i.type for given, i in zip(inputs, current.inputs, strict=True)):
        return current.type
    return result_type(current.operator, inputs, current.bodies)


def _concat(inputs: Sequence[Type]) -> Pool:
    if not inputs:
        raise TypeFault("no inputs")
    pools = [pool_at(inputs, i) for i in range(len(inputs))]
    size = pools[0].size
    for pool in pools[1:]:
        size += pool.size
    return Pool(size, shared_fields(pools))
