"""What two points share: draws of one stream for the same prompts, which the call store gives for nothing.

A stream does not say how many samples are drawn, so what was drawn for fewer is there for more. The prompt must be the
same too: a question about one candidate is shared where that candidate is, whatever else is in its pool; one about a
whole pool only where the whole pool is the same.

Invariant: `key` is equal only where the same request would be made, as far as can be known without running.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from hashlib import blake2b

from pnyx.compiler.cost import CostReport, NodeCost
from pnyx.compiler.operators import Ask, Each, Extend, Loglik, Loop, ModelOperator, Operator, Over, Param, Reads, Sample
from pnyx.compiler.plan import Plan, PlanModel, PlanNode
from pnyx.runtime.budgets import Charge

__all__ = ["Draw", "draws_of", "joined_draws", "remaining"]


@dataclass(frozen=True, slots=True)
class Draw:
    """What one node is expected to draw for a question: `requests`, `samples`, and tokens. FLOPs and dollars per token
    are those of its model; 0 where they are not known."""

    key: str
    requests: float
    samples: float
    prompt_tokens: float
    generated_tokens: float
    flops: float
    price_in: float
    price_out: float

    @property
    def amount(self) -> float:
        """What of it grows with the number of samples, or of requests where none are drawn."""
        return self.samples or self.requests

    def charge(self, fresh: float) -> Charge:
        """Of the share `fresh` of it. One request takes its whole prompt, however few samples it is for."""
        requests = max(fresh * self.requests, min(self.requests, 1.0)) if fresh else 0.0
        prompt = self.prompt_tokens * requests / self.requests if self.requests else 0.0
        generated = self.generated_tokens * fresh
        money = prompt * self.price_in + generated * self.price_out
        return (requests, self.samples * fresh, prompt + generated, (prompt + generated) * self.flops, money)


def draws_of(plan: Plan, report: CostReport) -> tuple[Draw, ...]:
    """Of every node that asks a model, also in bodies; `report` is the plan's."""
    models = {model.name: model for model in plan.models}
    asked = _asked(plan.nodes, iter(report.nodes), {})
    return tuple(_draw(key, current, cost, models) for key, current, cost in asked)


def joined_draws(draws: Iterable[Draw]) -> dict[str, float]:
    """The most that was drawn of each key."""
    most: dict[str, float] = {}
    for draw in draws:
        most[draw.key] = max(most.get(draw.key, 0.0), draw.amount)
    return most


def remaining(draws: Sequence[Draw], drawn: Mapping[str, float]) -> Charge:
    """What is left to draw where so much of each key was drawn before. Keys that come twice are drawn once."""
    had = dict(drawn)
    total: Charge = (0.0, 0.0, 0.0, 0.0, 0.0)
    for draw in draws:
        before = had.get(draw.key, 0.0)
        if draw.amount > before:
            calls, samples, tokens, flops, money = draw.charge(1 - before / draw.amount)
            total = (
                total[0] + calls, total[1] + samples, total[2] + tokens, total[3] + flops, total[4] + money
            )  # fmt: skip
            had[draw.key] = draw.amount
    return total


def _draw(key: str, current: PlanNode, cost: NodeCost, models: Mapping[str, PlanModel]) -> Draw:
    operator = current.operator
    assert isinstance(operator, ModelOperator)
    model = models[operator.model]
    return Draw(
        key=key,
        requests=cost.cost.calls.expected,
        samples=cost.cost.samples.expected,
        prompt_tokens=cost.cost.prompt_tokens.expected,
        generated_tokens=cost.cost.generated_tokens.expected,
        flops=2 * (model.parameters or 0.0),
        price_in=(model.price_in or 0.0) / 1e6,
        price_out=(model.price_out or 0.0) / 1e6,
    )


@dataclass(frozen=True, slots=True)
class _Value:
    """`whole` names a value with how many candidates it has; `each` only what the single candidates are."""

    whole: str
    each: str


def _asked(
    nodes: Sequence[PlanNode], costs: Iterator[NodeCost], given: Mapping[int, _Value]
) -> Iterator[tuple[str, PlanNode, NodeCost]]:
    """The nodes that ask, with their keys; those of bodies follow the node that has them, as in the report. `given` are
    the values of parameters, by index."""
    values: list[_Value] = []
    for current in nodes:
        cost = next(costs)
        inputs = [values[i] for i in current.inputs]
        operator = current.operator
        if isinstance(operator, Param) and operator.index in given:
            value = given[operator.index]
        else:
            value = _value(current, inputs)
        if isinstance(operator, ModelOperator):
            yield _key(operator, current.stream, inputs), current, cost
        for body in current.bodies:
            yield from _asked(body.nodes, costs, _parameters(operator, inputs))
        values.append(value)


def _parameters(operator: Operator, inputs: Sequence[_Value]) -> dict[int, _Value]:
    """What the parameters of a body stand for. Rounds draw anew, which the streams say; what a loop carries is named by
    what it begins with, so a loop of more rounds shares the first ones."""
    if isinstance(operator, Each):
        one = _Value(inputs[0].each, inputs[0].each)
        return dict(enumerate([one, *inputs[1:]]))
    if isinstance(operator, Loop):
        begins = _hash("loop", *(i.whole for i in inputs))
        carried = [_Value(_hash(begins, str(n)), _hash(begins, str(n))) for n in range(operator.carried)]
        return dict(enumerate([*carried, *inputs[operator.carried :]]))
    return dict(enumerate(inputs[1:]))


def _key(operator: ModelOperator, stream: str, inputs: Sequence[_Value]) -> str:
    """Of its requests: the stream, and what the prompt shows."""
    about_each = isinstance(operator, Extend) or (isinstance(operator, Ask) and operator.over is Over.EACH)
    if isinstance(operator, Loglik) or not about_each:
        return _hash(stream, *(i.whole for i in inputs))
    return _hash(stream, inputs[0].whole, inputs[1].each, *(i.whole for i in inputs[2:]))


def _value(current: PlanNode, inputs: Sequence[_Value]) -> _Value:
    operator = current.operator
    whole = _hash(
        current.stream, _attributes(operator), *(i.whole for i in inputs), *(_body(b.nodes) for b in current.bodies)
    )
    if isinstance(operator, Sample | Extend) or (isinstance(operator, Ask) and _of_each(operator)):
        return _Value(whole, _key(operator, current.stream, inputs))
    if isinstance(operator, Each):
        return _Value(whole, _hash(current.stream, inputs[0].each, *(i.whole for i in inputs[1:])))
    if isinstance(operator, ModelOperator) or current.bodies or not inputs:
        return _Value(whole, whole)
    # What selects, sorts or rewrites candidates makes each of them from itself.
    return _Value(whole, _hash(operator.kind, *(i.each for i in inputs)))


def _of_each(operator: Ask) -> bool:
    """Whether its replies are candidates, or fields of one candidate each."""
    return operator.reads is Reads.TEXT or operator.over is Over.EACH


def _body(nodes: Sequence[PlanNode]) -> str:
    return _hash(*(_attributes(n.operator) for n in nodes), *(_body(b.nodes) for n in nodes for b in n.bodies))


@lru_cache(maxsize=4096)
def _attributes(operator: Operator) -> str:
    attributes = asdict(operator)
    attributes.pop("joined", None)
    return json.dumps(attributes, sort_keys=True, default=str)


def _hash(*parts: str) -> str:
    return blake2b("\n".join(parts).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
