"""What the engines of a plan must be able to do, told from the plan before anything is opened.

Invariant: a need is that of the models which may have written what is read, through every body of the plan; nothing is
needed that no node says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from pnyx.compiler.operators import (
    Ask,
    Branch,
    Choose,
    Each,
    Extend,
    FieldOf,
    Filter,
    Group,
    Loglik,
    Loop,
    Measure,
    Param,
    Part,
    Pick,
    Reads,
    Resample,
    Sample,
    Sampling,
    Sort,
    Vote,
)
from pnyx.compiler.plan import Plan, PlanBody, PlanNode
from pnyx.runtime.engines.engine import Capability

__all__ = ["Needs", "needs_of"]

Needs: TypeAlias = dict[Capability, PlanNode]
"""Of one model: what it must be able to do, and the first node that says so."""

_Makers: TypeAlias = frozenset[str]
"""The models that candidates may come from."""

_NOBODY: Final[_Makers] = frozenset()


def needs_of(plan: Plan) -> dict[str, Needs]:
    """By model, for each model that the plan uses."""
    reading = _Reading()
    reading.walk(plan.nodes, ())
    return reading.needs


class _Reading:
    def __init__(self) -> None:
        self.needs: dict[str, Needs] = {}

    def walk(self, nodes: Sequence[PlanNode], params: Sequence[_Makers]) -> list[tuple[_Makers, ...]]:
        """For each node, who made each of its results."""
        made: list[tuple[_Makers, ...]] = []
        for node in nodes:
            inputs = [made[index] for index in node.inputs]
            made.append(self._node(node, inputs, params))
        return made

    def _node(
        self, node: PlanNode, inputs: list[tuple[_Makers, ...]], params: Sequence[_Makers]
    ) -> tuple[_Makers, ...]:
        upstream = _NOBODY.union(*(makers for results in inputs for makers in results))
        match node.operator:
            case Sample(model=model, sampling=sampling):
                self._need_settings(model, sampling, node)
                return (upstream | self._uses(model),)
            case Extend(model=model, into=into, sampling=sampling):
                self._need(model, Capability.PREFIX, node)
                self._need_settings(model, sampling, node)
                return (upstream | {model} if into is None else _own(inputs),)
            case Ask() as ask:
                self._uses(ask.model)
                if ask.reads is Reads.YES:
                    self._need(ask.model, Capability.CHOICES, node)
                else:
                    self._need_settings(ask.model, ask.sampling, node)
                new = ask.into is None and ask.reads not in (Reads.ORDER, Reads.WINNER)
                return (frozenset({ask.model}) if new else _own(inputs),)
            case Loglik(model=model):
                self._need(model, Capability.CONTINUATIONS, node)
                return (_own(inputs),)
            case Sort(by="logprob") | Filter(by="logprob") | Vote(weight="logprob") | Resample(by="logprob"):
                self._need_logprobs(upstream, node)
            case Group(weight="logprob") | Choose(by="logprob") | Choose(prior="logprob"):
                self._need_logprobs(upstream, node)
            case Pick(by="logprob") | FieldOf(name="logprob") | Measure(by="logprob"):
                self._need_logprobs(upstream, node)
            case Param(index=index, state=None):
                return (params[index] if index < len(params) else _NOBODY,)
            case Part(index=index):
                return (inputs[0][index],)
            case Loop(carried=carried):
                return self._loop(node.bodies[0], [_NOBODY.union(*results) for results in inputs], carried)
            case Each():
                return self._body(node.bodies[0], [_NOBODY.union(*results) for results in inputs])
            case Branch():
                captured = [_NOBODY.union(*results) for results in inputs[1:]]
                ends = [self._body(body, captured) for body in node.bodies]
                return tuple(_NOBODY.union(*makers) for makers in zip(*ends, strict=True))
        return (upstream,)

    def _body(self, body: PlanBody, params: Sequence[_Makers]) -> tuple[_Makers, ...]:
        made = self.walk(body.nodes, params)
        return tuple(_NOBODY.union(*made[index]) for index in body.outputs)

    def _loop(self, body: PlanBody, params: list[_Makers], carried: int) -> tuple[_Makers, ...]:
        """What a round made goes into the next, until nobody is added."""
        while True:
            ends = self._body(body, params)[:carried]
            grown = [old | new for old, new in zip(params, ends, strict=False)]
            if grown == params[:carried]:
                return ends
            params = [*grown, *params[carried:]]

    def _uses(self, model: str) -> _Makers:
        self.needs.setdefault(model, {})
        return frozenset({model})

    def _need(self, model: str, capability: Capability, node: PlanNode) -> None:
        self.needs.setdefault(model, {}).setdefault(capability, node)

    def _need_settings(self, model: str, sampling: Sampling, node: PlanNode) -> None:
        for name in sampling.unusual:
            self._need(model, Capability(name), node)

    def _need_logprobs(self, models: _Makers, node: PlanNode) -> None:
        for model in sorted(models):
            self._need(model, Capability.LOGPROBS, node)


def _own(inputs: list[tuple[_Makers, ...]]) -> _Makers:
    """Of the pool that is asked about; further inputs only feed the prompt."""
    return _NOBODY.union(*inputs[1]) if len(inputs) > 1 else _NOBODY
