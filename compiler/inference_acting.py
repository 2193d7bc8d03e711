"""The typing rules of the operators that act. Sizes never change: how a program ends is a field of its candidate."""

from __future__ import annotations

from collections.abc import Sequence

from pnyx.compiler.inputs import TypeFault, arity, only_pool, pool_at, question_at
from pnyx.compiler.operators import Retrieve, RunCode, RunTests
from pnyx.compiler.types import Pool, Size, Type

__all__ = ["MOST_PASSAGES", "MOST_SECONDS", "acted"]

MOST_SECONDS = 600.0
"""How long a program may run."""
MOST_PASSAGES = 1000


def acted(operator: RunCode | RunTests | Retrieve, inputs: Sequence[Type]) -> Pool:
    """Raises TypeFault where the operator does not take inputs of these types."""
    if isinstance(operator, RunCode | RunTests) and not 0 < operator.seconds <= MOST_SECONDS:
        raise TypeFault(f"`seconds` is {operator.seconds:g}")
    match operator:
        case RunCode(by=by, into=into):
            if into == "error":
                raise TypeFault("`error` says why a program failed, so its output goes into another field")
            return only_pool(inputs, by).having(into).having("error")
        case RunTests(by=by, into=into):
            arity(inputs, 2)
            pool_at(inputs, 1, "text")
            if into == "passed":
                raise TypeFault("`passed` says which tests pass, so their count goes into another field")
            return pool_at(inputs, 0, by).having(into).having("passed")
        case Retrieve(k=k):
            arity(inputs, 1)
            question_at(inputs, 0)
            if not 1 <= k <= MOST_PASSAGES:
                raise TypeFault(f"`k` is {k}")
            return Pool(Size(0, k), frozenset({"text", "score"}))
