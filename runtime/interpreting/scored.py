"""Which samples have log-probabilities that something reads. Of the others none are asked for: engines give them at a
cost.

Invariants
- Never too few: what a plan may read in any round, for any candidate and in any branch counts as read.
- A stream is read everywhere or nowhere, so equal samples of one plan are equal requests.
- What a trace shows is no reading: it shows the fields that there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pnyx.compiler.operators import Ask, Branch, Each, Extend, Loop, Operator, Part, Reads, Sample
from pnyx.compiler.plan import Plan, PlanBody, PlanNode
from pnyx.compiler.readers import hands_on, reads

__all__ = ["scored_streams"]

_FIELD = "logprob"


def scored_streams(plan: Plan) -> frozenset[str]:
    """The streams whose log-probabilities something may read: an operator, a prompt, a function of the user's, a value
    that outlives the example, or whoever sees the result, which shows every field of its candidates."""
    walk = _Walk()
    walk.back(plan.nodes, [plan.output, *(state.output for state in plan.states)])
    return frozenset(walk.streams)


class _Walk:
    """Goes through bodies from their ends to their beginnings. A result is read when the `logprob` of candidates in it
    is; of several results of one node, each by itself."""

    def __init__(self) -> None:
        self.streams: set[str] = set()

    def back(self, nodes: Sequence[PlanNode], outputs: Iterable[int]) -> list[set[int]]:
        """Which results of each node are read, where those of the nodes at `outputs` are."""
        read: list[set[int]] = [set() for _ in nodes]
        for place in outputs:
            read[place] |= _results(nodes[place])
        for place in reversed(range(len(nodes))):
            current = nodes[place]
            if read[place] and _writes(current.operator):
                self.streams.add(current.stream)
            if isinstance(current.operator, Part):
                if read[place]:
                    read[current.inputs[0]].add(current.operator.index)
                continue
            inputs = [nodes[given] for given in current.inputs]
            for given, source, seen in zip(
                current.inputs, inputs, self._inputs(current, inputs, read[place]), strict=True
            ):
                if seen:
                    read[given] |= _results(source)
        return read

    def _inputs(self, current: PlanNode, inputs: Sequence[PlanNode], results: set[int]) -> list[bool]:
        """Whether each of the node's inputs is read, where these of its results are."""
        operator = current.operator
        match operator:
            case Loop(carried=carried):
                return self._loop(current.bodies[0], carried, results)
            case Each():
                return self._body(current.bodies[0], results)
            case Branch():
                arms = [self._body(body, results) for body in current.bodies]
                return [False, *map(any, zip(*arms, strict=True))]
            case _:
                return [
                    _among(reads(operator, index)) or (bool(results) and hands_on(operator, index, source.type.low))
                    for index, source in enumerate(inputs)
                ]

    def _body(self, body: PlanBody, results: set[int]) -> list[bool]:
        """Whether each of the body's parameters is read."""
        read = self.back(body.nodes, [body.outputs[result] for result in sorted(results)])
        return [bool(seen) for seen in read[: body.params]]

    def _loop(self, body: PlanBody, carried: int, results: set[int]) -> list[bool]:
        """What a round reads was made by the round before, until nothing more is read."""
        while True:
            params = self._body(body, results)
            more = results | {index for index in range(carried) if params[index]}
            if more == results:
                return params
            results = more


def _results(source: PlanNode) -> set[int]:
    parts = source.type.parts
    return set(range(len(parts))) if parts is not None else {0}


def _writes(operator: Operator) -> bool:
    """Whether its candidates have the log-probabilities of what it draws."""
    match operator:
        case Sample() | Extend(into=None):
            return True
        case Ask(into=None, reads=kind):
            return kind in (Reads.TEXT, Reads.CHOICE)
        case _:
            return False


def _among(fields: frozenset[str] | None) -> bool:
    return fields is None or _FIELD in fields
