"""A plan made ready: what is the same for every example, every round and every candidate, worked out once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from types import MappingProxyType

from pnyx.compiler.operators import Input, Operator, Param
from pnyx.compiler.plan import Plan, PlanBody, PlanNode
from pnyx.runtime.interpreting.scored import scored_streams
from pnyx.runtime.operators import IMPLEMENTATIONS, Begin, Step
from pnyx.runtime.states import initial_states

__all__ = ["PreparedBody", "PreparedPlan"]


class PreparedBody:
    """Nodes by their place. `given` are the places that start with a value, `outputs` those of the results.

    `begins` has None for nodes that have `bodies`, and for those that are given. `missing` counts the distinct nodes
    that a node waits for, `users` lists those that wait for it, `roots` wait for nothing.
    """

    __slots__ = (
        "begins", "bodies", "given", "missing", "models", "outputs", "pooled", "roots", "steps", "users", "work",
    )  # fmt: skip

    def __init__(
        self,
        nodes: Sequence[PlanNode],
        given: Sequence[int],
        outputs: Sequence[int],
        scored: frozenset[str],
        drawn: Mapping[str, tuple[int, ...]],
        numbers: Iterator[int],
    ) -> None:
        self.given, self.outputs = tuple(given), tuple(outputs)
        steps, bodies = [], []
        for entry in nodes:
            steps.append(_step(next(numbers), entry, scored, drawn))
            bodies.append(tuple(_body(body, scored, drawn, numbers) for body in entry.bodies))
        self.steps, self.bodies = tuple(steps), tuple(bodies)
        self.begins: tuple[Begin | None, ...] = tuple(
            IMPLEMENTATIONS[type(step.operator)](step) if type(step.operator) in IMPLEMENTATIONS else None
            for step in steps
        )
        self.models = tuple(getattr(step.operator, "model", "") for step in steps)
        self.pooled = tuple(entry.type.fields is not None for entry in nodes)
        there = set(given)
        waits = [set() if place in there else set(step.inputs) - there for place, step in enumerate(steps)]
        self.missing = tuple(map(len, waits))
        self.roots = tuple(place for place, wait in enumerate(waits) if not wait and place not in there)
        self.users = tuple(
            tuple(user for user, wait in enumerate(waits) if place in wait) for place in range(len(steps))
        )
        self.work = len(steps) - len(there)
        """How many nodes have to run."""


def _step(number: int, entry: PlanNode, scored: frozenset[str], drawn: Mapping[str, tuple[int, ...]]) -> Step[Operator]:
    return Step(
        number,
        entry.operator,
        entry.inputs,
        entry.stream,
        entry.label,
        place=str(entry.place) if entry.place is not None else None,
        scored=entry.stream in scored,
        numbers=drawn.get(entry.stream),
    )


def _body(
    body: PlanBody, scored: frozenset[str], drawn: Mapping[str, tuple[int, ...]], numbers: Iterator[int]
) -> PreparedBody:
    return PreparedBody(body.nodes, range(body.params), body.outputs, scored, drawn, numbers)


class PreparedPlan:
    """The plan's own graph as a body that is given the question and then the values of the states; its outputs are the
    result and then the new values. `states` are the names of these, `initial` their values at the start of a run.

    `drawn`: for some streams that `Sample` nodes draw, the numbers of the samples to take in place of the first."""

    def __init__(self, plan: Plan, drawn: Mapping[str, tuple[int, ...]] = MappingProxyType({})) -> None:
        self.plan = plan
        given = (0, *(state.param for state in plan.states))
        outputs = (plan.output, *(state.output for state in plan.states))
        self.body = PreparedBody(plan.nodes, given, outputs, scored_streams(plan), drawn, count())
        self.states = tuple(state.name for state in plan.states)
        self.initial = initial_states(plan)
        stray = [
            step.label
            for place, step in enumerate(self.body.steps)
            if isinstance(step.operator, Input | Param) and place not in given
        ]
        if stray:
            raise ValueError(f"the parameters {', '.join(stray)} get no value")
