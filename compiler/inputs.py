"""What operators may take: looking at the types of their inputs. Whatever does not fit is a TypeFault."""

from __future__ import annotations

from collections.abc import Sequence

from pnyx.compiler.types import Chat, Pool, Scalar, ScalarBase, Type

__all__ = ["TypeFault", "arity", "only_pool", "pool_at", "positive", "question_at", "scalar_at", "shown_at"]


class TypeFault(ValueError):
    """Inputs (or attributes) that an operator cannot take. `input` is the index of the input at fault, if one is;
    `missing` the fields it lacks, if that is what is wrong with it."""

    def __init__(self, message: str, *, input: int | None = None, missing: frozenset[str] = frozenset()) -> None:
        super().__init__(message)
        self.input = input
        self.missing = missing


def only_pool(inputs: Sequence[Type], *fields: str) -> Pool:
    arity(inputs, 1)
    return pool_at(inputs, 0, *fields)


def pool_at(inputs: Sequence[Type], index: int, *fields: str) -> Pool:
    given = inputs[index]
    if not isinstance(given, Pool):
        raise TypeFault(f"input {index} is {given} instead of a pool", input=index)
    # An always empty pool has no candidate that could lack a field.
    missing = frozenset(fields) - given.fields if given.size.high else frozenset()
    if missing:
        names = ", ".join(f"`{name}`" for name in sorted(missing))
        raise TypeFault(f"input {index} has no {names}", input=index, missing=missing)
    return given


def shown_at(inputs: Sequence[Type], index: int) -> Type:
    if not isinstance(inputs[index], Pool | Scalar):
        raise TypeFault(f"input {index} is {inputs[index]}, which a prompt cannot show", input=index)
    return inputs[index]


def scalar_at(inputs: Sequence[Type], index: int) -> ScalarBase:
    given = inputs[index]
    if not isinstance(given, Scalar):
        raise TypeFault(f"input {index} is {given} instead of a single value", input=index)
    return given.base


def question_at(inputs: Sequence[Type], index: int) -> None:
    if not isinstance(inputs[index], Chat):
        raise TypeFault(f"input {index} is {inputs[index]} instead of the question", input=index)


def arity(inputs: Sequence[Type], count: int) -> None:
    if len(inputs) != count:
        raise TypeFault(f"{len(inputs)} inputs instead of {count}")


def positive(name: str, value: int) -> None:
    if value < 1:
        raise TypeFault(f"`{name}` is {value}")
