"""The typing rules of the operators that ask a model."""

from __future__ import annotations

from collections.abc import Sequence

from pnyx.compiler.inputs import TypeFault, arity, pool_at, positive, question_at, shown_at
from pnyx.compiler.operators import (
    READS_FIELD,
    Action,
    Ask,
    Extend,
    Loglik,
    ModelOperator,
    Over,
    Reads,
    Sample,
    Single,
)
from pnyx.compiler.types import Pool, Size, Type

__all__ = ["NEW_CANDIDATE", "asked"]

NEW_CANDIDATE = frozenset({"text", "logprob", "model"})
"""The fields of a candidate that a model has just written. With stop strings it also has `finished`: whether the model
ended it by itself."""


def asked(operator: ModelOperator, inputs: Sequence[Type]) -> Pool:
    """What the operator gives for inputs of these types. Raises TypeFault where it does not take them."""
    match operator:
        case Sample(n=n):
            arity(inputs, 1)
            question_at(inputs, 0)
            positive("n", n)
            return Pool(Size(n, n), _new(operator))
        case Ask():
            return _ask(operator, inputs)
        case Extend():
            return _extend(operator, inputs)
        case Loglik(of=of, into=into):
            arity(inputs, 2)
            question_at(inputs, 0)
            return pool_at(inputs, 1, of).having(into)


def _new(operator: Sample | Ask) -> frozenset[str]:
    """The fields of what the operator writes."""
    return NEW_CANDIDATE | {"finished"} if operator.sampling.stop else NEW_CANDIDATE


def _extend(operator: Extend, inputs: Sequence[Type]) -> Pool:
    arity(inputs, 2)
    question_at(inputs, 0)
    positive("n", operator.n)
    pool = pool_at(inputs, 1, "text")
    if operator.into is not None:
        if operator.n > 1:
            raise TypeFault(f"`n` is {operator.n}, but a field holds one reply")
        return pool.having(operator.into)
    # Those that are finished already are handed on with what they have.
    fields = frozenset({"text", "finished"}) | (pool.fields & {"logprob", "model"})
    return Pool(Size(pool.size.low, pool.size.high * operator.n), fields)


def _ask(operator: Ask, inputs: Sequence[Type]) -> Pool:
    _check_attributes(operator)
    about = 0 if operator.over is Over.QUERY else 1
    arity(inputs, 1 + about + len(operator.variables))
    question_at(inputs, 0)
    shown = [shown_at(inputs, i) for i in range(1 + about, len(inputs))]
    if operator.tests is not None and not isinstance(shown[operator.tests], Pool):
        raise TypeFault("the tests are no pool", input=1 + about + operator.tests)
    if operator.reads is Reads.LIST:
        return Pool(Size(0, operator.count or 0), NEW_CANDIDATE - {"logprob"})
    pool = Pool(Size(1, 1)) if operator.over is Over.QUERY else pool_at(inputs, 1)
    if operator.reads is Reads.CHOICE and operator.into is None:
        return Pool(Size(0, 1), NEW_CANDIDATE)
    if operator.over is Over.QUERY:
        return Pool(Size(operator.n, operator.n), _new(operator))
    drops = operator.on_fail.then is Action.DROP
    if operator.over is Over.NEIGHBOURS:
        return pool.sized(_winners(pool.size, drops))
    if operator.into is not None:
        # One candidate by itself has no comparison that could not be read.
        drops = drops and not (operator.over is Over.PAIRS and pool.size == Size(1, 1))
        return pool.having(operator.into).sized(Size(0 if drops else pool.size.low, pool.size.high))
    if operator.reads is Reads.ORDER:
        return pool.sized(Size(0, pool.size.high)) if drops and pool.size.high > 1 else pool
    if operator.over is Over.EACH:
        return Pool(pool.size * operator.n, _new(operator))
    return _fused(operator, pool)


def _winners(size: Size, drops: bool) -> Size:
    """How many of so many candidates are left when neighbours are compared."""
    most = (size.high + 1) // 2
    if drops:
        return Size(int(size.exact and size.low % 2 == 1), most)
    return Size((size.low + 1) // 2, most)


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
    positive("n", operator.n)
    over, reads = operator.over, operator.reads
    if over in (Over.NEIGHBOURS, Over.PAIRS) or reads is Reads.WINNER:
        wanted = Over.NEIGHBOURS if operator.into is None else Over.PAIRS
        legal = over is wanted and reads is Reads.WINNER
    elif operator.into is not None:
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
    taken = {"query", "candidate", "candidates", *operator.about} & set(names)
    if taken or len(set(names)) < len(names):
        raise TypeFault("two values have one name in the prompt")
