"""What work costs, added up, repeated and chosen between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pnyx.compiler.cost.interval import Estimate

__all__ = ["FREE", "NOTHING", "Cost", "NodeCost", "added", "chosen", "repeated"]

NOTHING = Estimate.exactly(0)


@dataclass(frozen=True, slots=True)
class Cost:
    """`flops` and `money` (dollars) are None where a model in use has no size, or no prices."""

    calls: Estimate = NOTHING
    samples: Estimate = NOTHING
    prompt_tokens: Estimate = NOTHING
    generated_tokens: Estimate = NOTHING
    flops: Estimate | None = NOTHING
    money: Estimate | None = NOTHING

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.calls + other.calls,
            self.samples + other.samples,
            self.prompt_tokens + other.prompt_tokens,
            self.generated_tokens + other.generated_tokens,
            _sum(self.flops, other.flops),
            _sum(self.money, other.money),
        )

    def times(self, factor: Estimate) -> Cost:
        return Cost(*(None if amount is None else amount * factor for amount in _amounts(self)))  # type: ignore[arg-type]


FREE = Cost()


@dataclass(frozen=True, slots=True)
class NodeCost:
    """Of one node, over all that it does for one question. `index` counts the nodes of a plan and of their bodies, in
    the order of `Plan.everywhere`. `size`: candidates of its result, each time; `depth`: the longest chain of calls
    that ends in it, within its own body. What a node with bodies costs is what they cost."""

    index: int
    size: Estimate
    depth: Estimate
    cost: Cost


def added(left: Sequence[NodeCost], right: Sequence[NodeCost]) -> list[NodeCost]:
    """Of the same nodes, run once more."""
    return [
        NodeCost(one.index, _hull(one.size, other.size), one.depth.latest(other.depth), one.cost + other.cost)
        for one, other in zip(left, right, strict=True)
    ]


def repeated(costs: Sequence[NodeCost], times: Estimate) -> list[NodeCost]:
    return [NodeCost(c.index, c.size, c.depth, c.cost.times(times)) for c in costs]


def chosen(costs: Sequence[Cost], shares: Sequence[float]) -> Cost:
    """Of one of these, which are as likely as the shares say."""
    columns = zip(*(_amounts(cost) for cost in costs), strict=True)
    return Cost(*(_one_of(column, shares) for column in columns))  # type: ignore[arg-type]


def _one_of(amounts: Sequence[Estimate | None], shares: Sequence[float]) -> Estimate | None:
    known = [amount for amount in amounts if amount is not None]
    if len(known) < len(amounts):
        return None
    expected = sum(amount.expected * share for amount, share in zip(known, shares, strict=True))
    return Estimate(min(a.least for a in known), expected, max(a.most for a in known))


def _amounts(cost: Cost) -> tuple[Estimate | None, ...]:
    return cost.calls, cost.samples, cost.prompt_tokens, cost.generated_tokens, cost.flops, cost.money


def _sum(left: Estimate | None, right: Estimate | None) -> Estimate | None:
    return None if left is None or right is None else left + right


def _hull(left: Estimate, right: Estimate) -> Estimate:
    return Estimate(min(left.least, right.least), right.expected, max(left.most, right.most))
