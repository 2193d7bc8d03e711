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
from pnyx.compiler.operators import (
    READS_FIELD,
    Action,
    Ask,
    AsQuery,
    Branch,
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
    IfNone,
    Input,
    Loop,
    Measure,
    MeasureKind,
    Operator,
    Over,
    Param,
    Part,
    Pick,
    Reads,
    Region,
    Resample,
    Sample,
    Single,
    Sort,
    Take,
    Vote,
)
from pnyx.compiler.types import CHAT, Chat, Pool, Results, Scalar, ScalarBase, Size, Type, join, shared_fields

__all__ = ["NEW_CANDIDATE", "TypeFault", "loop_types", "result_type"]

NEW_CANDIDATE = frozenset({"text", "logprob", "model"})
"""The fields of a candidate that a model has just written. With stop strings it also has `finished`: whether the model
ended it by itself."""

_FIELD_BASES: dict[str, ScalarBase] = {
    "text": "text", "model": "text", "critique": "text", "reasoning": "text", "answer": "text",
    "logprob": "float", "score": "float", "passes": "int", "verdict": "bool", "finished": "bool",
}  # fmt: skip
"""What fields hold that always come from the same operators; a prompt may fill any other with anything."""

_MEASURES: dict[MeasureKind, ScalarBase] = {
    MeasureKind.SIZE: "int",
    MeasureKind.ALL: "bool",
    MeasureKind.ANY: "bool",
}


class TypeFault(ValueError):
    """Inputs (or attributes) that an operator cannot take. `input` is the index of the input at fault, if one is;
    `missing` the fields it lacks, if that is what is wrong with it."""

    def __init__(self, message: str, *, input: int | None = None, missing: frozenset[str] = frozenset()) -> None:
        super().__init__(message)
        self.input = input
        self.missing = missing


def result_type(operator: Operator, inputs: Sequence[Type], bodies: Sequence[Graph] = ()) -> Type:
    """What the operator gives for inputs of these types. Raises TypeFault where it does not take them.

    >>> from pnyx.compiler.operators import Sample, Take
    >>> drafts = result_type(Sample(model="m", n=8), [CHAT])
    >>> str(result_type(Take(k=3), [drafts]))
    'Pool[3]{logprob, model, text}'
    """
    match operator:
        case Input():
            _arity(inputs, 0)
            return CHAT
        case Sample(n=n):
            _arity(inputs, 1)
            _chat(inputs, 0)
            _positive("n", n)
            return Pool(Size(n, n), _new(operator))
        case Ask():
            return _ask(operator, inputs)
        case Extend():
            return _extend(operator, inputs)
        case Loop() | Each() | Branch():
            return _region(operator, inputs, bodies)
        case Extern():
            return _extern(operator, inputs)
        case Empty():
            _arity(inputs, 0)
            return Pool(Size(0, 0))
        case Constant(value=value):
            _arity(inputs, 0)
            return Scalar(_base_of(value))
        case Compute() | FieldOf() | Measure():
            return _scalar(operator, inputs)
        case AsQuery():
            _arity(inputs, 2)
            _chat(inputs, 0)
            _pool(inputs, 1, "text")
            return CHAT
        case Part(index=index):
            _arity(inputs, 1)
            given = inputs[0]
            if not isinstance(given, Results) or not 0 <= index < len(given.parts):
                raise TypeFault(f"input 0 is {given}, which has no part {index}", input=0)
            return given.parts[index]
        case Param():
            raise TypeFault("a parameter has the type that its body gives it")
        case _:
            return _from_pools(operator, inputs)


def _from_pools(
    operator: Extract | Vote | Sort | Filter | Take | Dedupe | Resample | Pick | Concat, inputs: Sequence[Type]
) -> Pool:
    """Operators that only look at candidates."""
    match operator:
        case Extract():
            return _only_pool(inputs, "text").having("answer")
        case Vote(by=by, weight=weight):
            pool = _only_pool(inputs, by, *([weight] if weight else []))
            return pool.having("votes").sized(Size(0, min(pool.size.high, 1)))
        case Sort(by=by):
            return _only_pool(inputs, by)
        case Filter(by=by, if_none=if_none):
            pool = _only_pool(inputs, by)
            return pool.sized(Size(min(pool.size.low, 1) if if_none is IfNone.KEEP else 0, pool.size.high))
        case Take(k=k):
            pool = _only_pool(inputs)
            if k < 0:
                raise TypeFault(f"`k` is {k}")
            return pool.sized(pool.size.at_most(k))
        case Dedupe(by=by):
            pool = _only_pool(inputs, by)
            return pool.sized(Size(min(pool.size.low, 1), pool.size.high))
        case Resample(n=n, by=by):
            pool = _only_pool(inputs, by)
            _positive("n", n)
            return pool.sized(Size(n if pool.size.low else 0, n if pool.size.high else 0))
        case Pick(k=k, by=by):
            pool = _only_pool(inputs, *([by] if by else []))
            _positive("k", k)
            return pool.sized(pool.size.at_most(k))
        case Concat():
            return _concat(inputs)


def _new(operator: Sample | Ask) -> frozenset[str]:
    """The fields of what the operator writes."""
    return NEW_CANDIDATE | {"finished"} if operator.sampling.stop else NEW_CANDIDATE


def _extend(operator: Extend, inputs: Sequence[Type]) -> Pool:
    _arity(inputs, 2)
    _chat(inputs, 0)
    _positive("n", operator.n)
    pool = _pool(inputs, 1, "text")
    if operator.into is not None:
        if operator.n > 1:
            raise TypeFault(f"`n` is {operator.n}, but a field holds one reply")
        return pool.having(operator.into)
    # Those that are finished already are handed on with what they have.
    fields = frozenset({"text", "finished"}) | (pool.fields & {"logprob", "model"})
    return Pool(Size(pool.size.low, pool.size.high * operator.n), fields)


def _extern(operator: Extern, inputs: Sequence[Type]) -> Type:
    _arity(inputs, len(operator.names))
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
            pool = _only_pool(inputs, name)
            if pool.size.high > 1:
                raise TypeFault(f"input 0 is {pool}, and only one candidate has a field", input=0)
            return Scalar(_FIELD_BASES.get(name, "any"))
        case Measure(what=what, by=by, window=window):
            _only_pool(inputs, *([] if what is MeasureKind.SIZE else [by]))
            _positive("window", window)
            return Scalar(_MEASURES.get(what, "float"))
        case Compute(symbol=symbol):
            bases = [_scalar_input(inputs, i) for i in range(len(inputs))]
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
            pool = _pool(inputs, 0)
            one = pool.sized(Size(1, 1))
            made = _body_types(bodies[0], [one, *inputs[1:]])
            if len(made) != 1 or not isinstance(made[0], Pool):
                raise TypeFault("the body does not end with candidates")
            size = Size(pool.size.low * made[0].size.low, pool.size.high * made[0].size.high)
            return Results((made[0].sized(size),))
        case Branch(patterns=patterns, otherwise=otherwise):
            _bodies(bodies, len(patterns) + otherwise)
            _scalar_input(inputs, 0)
            results = [_body_types(body, inputs[1:]) for body in bodies]
            parts = results[0]
            for more in results[1:]:
                parts = _joined(parts, more)
            return Results(parts)


def loop_types(loop: Loop, body: Graph, inputs: Sequence[Type]) -> tuple[tuple[Type, ...], tuple[Type, ...]]:
    """What the values that a loop carries are at the start of a round, and what they are after it ends: bounds that
    hold for every round up to the last. Takes a walk over the body for each round until nothing changes."""
    _positive("most", loop.most)
    captured = inputs[loop.carried :]
    state = tuple(inputs[: loop.carried])
    before, after = state, None
    for round_ in range(1, loop.most + 1):
        made = _body_types(body, [*state, *captured])
        if len(made) != loop.carried + loop.until:
            raise TypeFault(f"the body gives {len(made)} values")
        state = made[: loop.carried]
        wider = state if after is None else _joined(after, state)
        if wider == after and _closed(body, before, after, captured):
            break
        after, before = wider, before if round_ == loop.most else _joined(before, state)
    return before, after or state


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


# Inputs ------------------------------------------------------------------------------------------


def _concat(inputs: Sequence[Type]) -> Pool:
    if not inputs:
        raise TypeFault("no inputs")
    pools = [_pool(inputs, i) for i in range(len(inputs))]
    size = pools[0].size
    for pool in pools[1:]:
        size += pool.size
    return Pool(size, shared_fields(pools))


def _ask(operator: Ask, inputs: Sequence[Type]) -> Pool:
    _check_attributes(operator)
    about = 0 if operator.over is Over.QUERY else 1
    _arity(inputs, 1 + about + len(operator.variables))
    _chat(inputs, 0)
    shown = [_shown(inputs, i) for i in range(1 + about, len(inputs))]
    if operator.tests is not None and not isinstance(shown[operator.tests], Pool):
        raise TypeFault("the tests are no pool", input=1 + about + operator.tests)
    if operator.reads is Reads.LIST:
        return Pool(Size(0, operator.count or 0), NEW_CANDIDATE - {"logprob"})
    pool = Pool(Size(1, 1)) if operator.over is Over.QUERY else _pool(inputs, 1)
    if operator.reads is Reads.CHOICE and operator.into is None:
        return Pool(Size(0, 1), NEW_CANDIDATE)
    if operator.over is Over.QUERY:
        return Pool(Size(operator.n, operator.n), _new(operator))
    drops = operator.on_fail.then is Action.DROP
    if operator.into is not None:
        return pool.having(operator.into).sized(Size(0 if drops else pool.size.low, pool.size.high))
    if operator.reads is Reads.ORDER:
        return pool.sized(Size(0, pool.size.high)) if drops and pool.size.high > 1 else pool
    if operator.over is Over.EACH:
        return Pool(pool.size * operator.n, _new(operator))
    return _fused(operator, pool)


def _fused(operator: Ask, pool: Pool) -> Pool:
    """New candidates out of all of a pool, where a pool of one may be handed on as it is."""
    fresh = Pool(Size(operator.n, operator.n), _new(operator))
    if operator.single is Single.ASK or pool.size.low > 1 or pool.size.high == 0:
        return fresh
    if pool.size.high == 1:
        return pool.sized(Size(1, 1))
    return Pool(Size(1, operator.n), _new(operator) & pool.fields)


def _check_attributes(operator: Ask) -> None:
    """The table in the docstring of `Ask`."""
    _positive("n", operator.n)
    over, reads = operator.over, operator.reads
    if operator.into is not None:
        legal = over is Over.EACH and reads in READS_FIELD
    elif reads is Reads.TEXT:
        legal = True
    elif reads is Reads.ORDER:
        legal = over is Over.ALL
    else:
        legal = reads in (Reads.LIST, Reads.CHOICE) and over is not Over.EACH
    if not legal:
        target = "new candidates" if operator.into is None else f"the field `{operator.into}`"
        raise TypeFault(f"asking over {over} and reading {reads} cannot give {target}")
    if operator.n > 1 and (operator.into is not None or reads is not Reads.TEXT):
        raise TypeFault(f"`n` is {operator.n}, but only new candidates made from text can be more than one")
    if reads is Reads.LIST and (operator.count is None or operator.count < 1):
        raise TypeFault("a list needs a positive `count`")
    if (reads is Reads.CHOICE) != bool(operator.options):
        raise TypeFault("`options` belong to reading a choice, and it to them")
    names = [*operator.variables, *(name for name, _ in operator.constants)]
    taken = {"query", "candidate", "candidates"} & set(names)
    if taken or len(set(names)) < len(names):
        raise TypeFault("two values have one name in the prompt")


def _only_pool(inputs: Sequence[Type], *fields: str) -> Pool:
    _arity(inputs, 1)
    return _pool(inputs, 0, *fields)


def _pool(inputs: Sequence[Type], index: int, *fields: str) -> Pool:
    given = inputs[index]
    if not isinstance(given, Pool):
        raise TypeFault(f"input {index} is {given} instead of a pool", input=index)
    # An always empty pool has no candidate that could lack a field.
    missing = frozenset(fields) - given.fields if given.size.high else frozenset()
    if missing:
        names = ", ".join(f"`{name}`" for name in sorted(missing))
        raise TypeFault(f"input {index} has no {names}", input=index, missing=missing)
    return given


def _shown(inputs: Sequence[Type], index: int) -> Type:
    if not isinstance(inputs[index], Pool | Scalar):
        raise TypeFault(f"input {index} is {inputs[index]}, which a prompt cannot show", input=index)
    return inputs[index]


def _scalar_input(inputs: Sequence[Type], index: int) -> ScalarBase:
    given = inputs[index]
    if not isinstance(given, Scalar):
        raise TypeFault(f"input {index} is {given} instead of a single value", input=index)
    return given.base


def _chat(inputs: Sequence[Type], index: int) -> None:
    if not isinstance(inputs[index], Chat):
        raise TypeFault(f"input {index} is {inputs[index]} instead of the question", input=index)


def _arity(inputs: Sequence[Type], count: int) -> None:
    if len(inputs) != count:
        raise TypeFault(f"{len(inputs)} inputs instead of {count}")


def _positive(name: str, value: int) -> None:
    if value < 1:
        raise TypeFault(f"`{name}` is {value}")
