"""Whether leaving work out could turn an example that fails into one that does not."""

from __future__ import annotations

from pnyx.compiler.graph import Node
from pnyx.compiler.operators import Action, Ask, AsQuery, Branch, Extern, Over, Reads
from pnyx.compiler.types import Pool

__all__ = ["hides_failure"]


def hides_failure(current: Node, kept: Node) -> bool:
    """Whether a node that may fail the example would no longer be reached if `kept`, one of its inputs, stood in place
    of `current`. Answers yes where some other path may still reach it: the work then just stays."""
    failing = [node for node in _ancestors([i for i in current.inputs if i is not kept]) if _may_fail(node)]
    if not failing:
        return False
    staying = {node.digest for node in _ancestors([kept])}
    return any(node.digest not in staying for node in failing)


def _ancestors(roots: list[Node]) -> list[Node]:
    seen: dict[str, Node] = {}
    stack = list(roots)
    while stack:
        current = stack.pop()
        if current.digest not in seen:
            seen[current.digest] = current
            stack.extend(current.inputs)
    return list(seen.values())


def _may_fail(current: Node) -> bool:
    match current.operator:
        case Ask() as ask:
            if ask.on_fail.then is Action.FAIL:
                return True
            return ask.over is Over.ALL and ask.reads is not Reads.ORDER and _may_be_empty(current.inputs[1])
        case AsQuery():
            return _may_be_empty(current.inputs[1])
        case Extern() | Branch(otherwise=False):
            return True
        case _:
            return any(_may_fail(inside) for body in current.bodies for inside in body.everywhere())


def _may_be_empty(pool: Node) -> bool:
    return isinstance(pool.type, Pool) and pool.type.size.low == 0
