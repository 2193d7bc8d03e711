"""From the graph to the plan, the last step of the compiler; and back, to check a plan that was read from a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pnyx.compiler.graph import Graph, Node, node
from pnyx.compiler.operators import ConstantValue, ModelOperator, Param
from pnyx.compiler.plan import Place, Plan, PlanBody, PlanLimits, PlanModel, PlanNode, PlanState, PlanType
from pnyx.compiler.source import Span
from pnyx.compiler.types import CHAT, Chat, Pool, Results, Scalar, Size, Type

__all__ = ["freeze", "thaw"]


def freeze(
    graph: Graph,
    *,
    pipeline: str,
    source_name: str,
    models: Sequence[PlanModel],
    choices: Mapping[str, object],
    optimised: bool,
    states: Mapping[str, tuple[ConstantValue | None, int]] | None = None,
    limits: PlanLimits | None = None,
) -> Plan:
    """The plan of a verified graph. Of `models`, in their order, it keeps those that a node uses. `states` gives the
    initial value and the chunk of each value that outlives an example.

    Raises ValueError where a node uses a model that is not among them.
    """
    used = {n.operator.model for n in graph.everywhere() if isinstance(n.operator, ModelOperator)}
    undeclared = used - {model.name for model in models}
    if undeclared:
        raise ValueError(f"undeclared models: {', '.join(sorted(undeclared))}")
    index, nodes = _frozen(graph)
    return Plan(
        pipeline=pipeline,
        source=source_name,
        choices=dict(choices),
        optimised=optimised,
        models=tuple(model for model in models if model.name in used),
        nodes=nodes,
        output=index[graph.output.digest],
        states=_states(graph, index, states or {}),
        limits=limits,
    )


def _frozen(graph: Graph) -> tuple[dict[str, int], tuple[PlanNode, ...]]:
    order = graph.nodes()
    index = {current.digest: i for i, current in enumerate(order)}
    return index, tuple(_plan_node(current, index) for current in order)


def _plan_node(current: Node, index: Mapping[str, int]) -> PlanNode:
    return PlanNode(
        operator=current.operator,
        inputs=tuple(index[i.digest] for i in current.inputs),
        type=_plan_type(current.type),
        stream=current.stream,
        label=current.label,
        place=_place(current.span) if current.span is not None else None,
        bodies=tuple(_plan_body(body) for body in current.bodies),
    )


def _plan_body(body: Graph) -> PlanBody:
    index, nodes = _frozen(body)
    return PlanBody(params=len(body.params), nodes=nodes, outputs=tuple(index[o.digest] for o in body.outputs))


def _states(
    graph: Graph, index: Mapping[str, int], states: Mapping[str, tuple[ConstantValue | None, int]]
) -> tuple[PlanState, ...]:
    frozen = []
    for parameter, output in zip(graph.params[1:], graph.outputs[1:], strict=True):
        assert isinstance(parameter.operator, Param)
        assert parameter.operator.state is not None
        name = parameter.operator.state
        initial, chunk = states[name]
        places = index[parameter.digest], index[output.digest]
        frozen.append(PlanState(name=name, initial=initial, chunk=chunk, param=places[0], output=places[1]))
    return tuple(frozen)


def _plan_type(type: Type) -> PlanType:
    match type:
        case Chat():
            return PlanType()
        case Pool():
            return PlanType(low=type.size.low, high=type.size.high, fields=tuple(sorted(type.fields)))
        case Scalar():
            return PlanType(scalar=type.base)
        case Results():
            return PlanType(parts=tuple(_plan_type(part) for part in type.parts))


def thaw(plan: Plan) -> Graph:
    """The graph that the plan was frozen from, places apart. Raises ValueError for a size that is none."""
    nodes = _thawed(plan.nodes)
    params = (nodes[0], *(nodes[state.param] for state in plan.states))
    return Graph(params, (nodes[plan.output], *(nodes[state.output] for state in plan.states)))


def _thawed(entries: Sequence[PlanNode]) -> list[Node]:
    nodes: list[Node] = []
    for entry in entries:
        bodies = []
        for body in entry.bodies:
            inside = _thawed(body.nodes)
            bodies.append(Graph(tuple(inside[: body.params]), tuple(inside[i] for i in body.outputs)))
        inputs = [nodes[i] for i in entry.inputs]
        nodes.append(
            node(entry.operator, inputs, _type(entry.type), label=entry.label, stream=entry.stream, bodies=bodies)
        )
    return nodes


def _type(written: PlanType) -> Type:
    if written.parts is not None:
        return Results(tuple(_type(part) for part in written.parts))
    if written.scalar is not None:
        return Scalar(written.scalar)
    return CHAT if written.fields is None else Pool(Size(written.low, written.high), frozenset(written.fields))


def _place(span: Span) -> Place:
    first, last = span.first, span.last
    return Place(
        source=span.source.name, line=first.line, column=first.column, end_line=last.line, end_column=last.column
    )
