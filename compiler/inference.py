"""The typing rules: what every operator takes and gives, in one place.

`result_type` is pure and row-polymorphic: a field that an operator does not know passes through it. The elaborator
types nodes with it, the verifier checks them with it and the passes type again what they change with it. Sizes are
sound bounds for an example that ends well: asking about all candidates of an empty pool fails the example, so what
follows counts on at least one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from pnyx.compiler.operators import (
    READS_FIELD,
    Action,
    Ask,
    Concat,
    Dedupe,
    Extract,
    Filter,
    IfNone,
    Input,
    Operator,
    Over,
    Reads,
    Sample,
    Single,
    Sort,
    Take,
    Vote,
)
from pnyx.compiler.types import CHAT, Chat, Pool, Size, Type

__all__ = ["NEW_CANDIDATE", "TypeFault", "result_type"]

NEW_CANDIDATE = frozenset({"text", "logprob", "model"})
"""The fields of a candidate that a model has just written."""


class TypeFault(ValueError):
    """Inputs (or attributes) that an operator cannot take. `input` is the index of the input at fault, if one is;
    `missing` the fields it lacks, if that is what is wrong with it."""

    def __init__(self, message: str, *, input: int | None = None, missing: frozenset[str] = frozenset()) -> None:
        super().__init__(message)
        self.input = input
        self.missing = missing


def result_type(operator: Operator, inputs: Sequence[Type]) -> Type:
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
            return Pool(Size(n, n), NEW_CANDIDATE)
        case Ask():
            return _ask(operator, inputs)
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
        case Concat():
            return _concat(inputs)
        case _:
            assert_never(operator)


def _concat(inputs: Sequence[Type]) -> Pool:
    if not inputs:
        raise TypeFault("no inputs")
    pools = [_pool(inputs, i) for i in range(len(inputs))]
    size, fields = pools[0].size, pools[0].fields
    for pool in pools[1:]:
        size, fields = size + pool.size, fields & pool.fields
    return Pool(size, fields)


def _ask(operator: Ask, inputs: Sequence[Type]) -> Pool:
    _check_attributes(operator)
    about = 0 if operator.over is Over.QUERY else 1
    _arity(inputs, 1 + about + len(operator.variables))
    _chat(inputs, 0)
    pools = [_pool(inputs, i) for i in range(1, len(inputs))]
    if operator.reads is Reads.LIST:
        return Pool(Size(0, operator.count or 0), NEW_CANDIDATE - {"logprob"})
    if operator.over is Over.QUERY:
        return Pool(Size(operator.n, operator.n), NEW_CANDIDATE)
    pool = pools[0]
    drops = operator.on_fail.then is Action.DROP
    if operator.into is not None:
        return pool.having(operator.into).sized(Size(0 if drops else pool.size.low, pool.size.high))
    if operator.reads is Reads.ORDER:
        return pool.sized(Size(0, pool.size.high)) if drops and pool.size.high > 1 else pool
    if operator.over is Over.EACH:
        return Pool(pool.size * operator.n, NEW_CANDIDATE)
    return _fused(operator, pool)


def _fused(operator: Ask, pool: Pool) -> Pool:
    """New candidates out of all of a pool, where a pool of one may be handed on as it is."""
    fresh = Pool(Size(operator.n, operator.n), NEW_CANDIDATE)
    if operator.single is Single.ASK or pool.size.low > 1 or pool.size.high == 0:
        return fresh
    if pool.size.high == 1:
        return pool.sized(Size(1, 1))
    return Pool(Size(1, operator.n), NEW_CANDIDATE & pool.fields)


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
        legal = reads is Reads.LIST and over is not Over.EACH
    if not legal:
        target = "new candidates" if operator.into is None else f"the field `{operator.into}`"
        raise TypeFault(f"asking over {over} and reading {reads} cannot give {target}")
    if operator.n > 1 and (operator.into is not None or reads is not Reads.TEXT):
        raise TypeFault(f"`n` is {operator.n}, but only new candidates made from text can be more than one")
    if reads is Reads.LIST and (operator.count is None or operator.count < 1):
        raise TypeFault("a list needs a positive `count`")
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
    missing = frozenset(fields) - given.fields
    if missing:
        names = ", ".join(f"`{name}`" for name in sorted(missing))
        raise TypeFault(f"input {index} has no {names}", input=index, missing=missing)
    return given


def _chat(inputs: Sequence[Type], index: int) -> None:
    if not isinstance(inputs[index], Chat):
        raise TypeFault(f"input {index} is {inputs[index]} instead of the question", input=index)


def _arity(inputs: Sequence[Type], count: int) -> None:
    if len(inputs) != count:
        raise TypeFault(f"{len(inputs)} inputs instead of {count}")


def _positive(name: str, value: int) -> None:
    if value < 1:
        raise TypeFault(f"`{name}` is {value}")
