"""A plan as one picture: bodies are drawn in place, as what stands before the node that runs them.

What only carries values (parameters, parts, constants) is not drawn: lines go through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pnyx.compiler.operators import Constant, Input, Loop, Param, Part
from pnyx.compiler.plan import Plan, PlanNode

__all__ = ["Drawn", "flattened", "rounds"]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A box. `index` counts as `Plan.everywhere` does; `inputs` are boxes, by place in the picture; `within` are the
    nodes whose bodies it is in, from the outermost, with the number of the body."""

    node: PlanNode
    index: int
    inputs: tuple[int, ...]
    within: tuple[tuple[int, int], ...]
    output: bool


@dataclass(slots=True)
class _Picture:
    boxes: list[Drawn] = field(default_factory=list)

    def add(
        self,
        nodes: Sequence[PlanNode],
        given: dict[int, tuple[int, ...]],
        within: tuple[tuple[int, int], ...],
        output: int | None,
        first: int,
    ) -> tuple[list[tuple[int, ...]], int]:
        """Draws nodes; gives for each the boxes that its value comes from, and the index behind the last of all."""
        sources: list[tuple[int, ...]] = []
        index = first
        for position, current in enumerate(nodes):
            own, index = index, index + 1
            before = tuple(dict.fromkeys(box for i in current.inputs for box in sources[i]))
            if position in given:
                sources.append(given[position])
                continue
            if isinstance(current.operator, Part | Constant) or (isinstance(current.operator, Param) and within):
                sources.append(before)
                continue
            for number, body in enumerate(current.bodies):
                inside, index = self._body(current, number, body.nodes, sources, within, own, index)
                before = tuple(dict.fromkeys((*before, *(box for output_ in body.outputs for box in inside[output_]))))
            questions = {i for i in before if isinstance(self.boxes[i].node.operator, Input)}
            before = tuple(i for i in before if i not in questions) or before
            sources.append((len(self.boxes),))
            self.boxes.append(Drawn(current, own, before, within, position == output))
        return sources, index

    def _body(
        self,
        owner: PlanNode,
        number: int,
        nodes: Sequence[PlanNode],
        sources: Sequence[tuple[int, ...]],
        within: tuple[tuple[int, int], ...],
        own: int,
        index: int,
    ) -> tuple[list[tuple[int, ...]], int]:
        """The parameters of a body are what its owner gets; a branch keeps its first input to itself."""
        skipped = 1 if owner.operator.kind == "branch" else 0
        given = {i: sources[source] for i, source in enumerate(owner.inputs[skipped:])}
        return self.add(nodes, given, (*within, (own, number)), None, index)


def flattened(plan: Plan) -> tuple[Drawn, ...]:
    """The boxes of the picture, inputs before their users."""
    picture = _Picture()
    outputs, _ = picture.add(plan.nodes, {}, (), plan.output, 0)
    boxes = picture.boxes
    if not any(box.output for box in boxes):  # the result is a part of what a node with bodies gives
        for i in outputs[plan.output]:
            box = boxes[i]
            boxes[i] = Drawn(box.node, box.index, box.inputs, box.within, True)
    return tuple(boxes)


def rounds(operator: Loop) -> str:
    """How often a loop runs, in words."""
    return f"up to {operator.most} rounds" if operator.until else f"{operator.most} rounds"
