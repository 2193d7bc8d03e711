"""From the graph to the plan: the last step of the compiler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pnyx.compiler.graph import Graph
from pnyx.compiler.operators import Ask, Sample
from pnyx.compiler.plan import Place, Plan, PlanModel, PlanNode, PlanType
from pnyx.compiler.source import Span
from pnyx.compiler.types import Chat, Type

__all__ = ["freeze"]


def freeze(
    graph: Graph,
    *,
    pipeline: str,
    source_name: str,
    models: Sequence[PlanModel],
    choices: Mapping[str, object],
    optimised: bool,
) -> Plan:
    """The plan of a verified graph. Of `models`, in their order, it keeps those that a node uses.

    Raises ValueError where a node uses a model that is not among them.
    """
    order = graph.nodes()
    index = {current.digest: i for i, current in enumerate(order)}
    used = {current.operator.model for current in order if isinstance(current.operator, Sample | Ask)}
    undeclared = used - {model.name for model in models}
    if undeclared:
        raise ValueError(f"undeclared models: {', '.join(sorted(undeclared))}")
    return Plan(
        pipeline=pipeline,
        source=source_name,
        choices=dict(choices),
        optimised=optimised,
        models=tuple(model for model in models if model.name in used),
        nodes=tuple(
            PlanNode(
                operator=current.operator,
                inputs=tuple(index[i.digest] for i in current.inputs),
                type=_plan_type(current.type),
                stream=current.stream,
                label=current.label,
                place=_place(current.span) if current.span is not None else None,
            )
            for current in order
        ),
        output=index[graph.output.digest],
    )


def _plan_type(type: Type) -> PlanType:
    if isinstance(type, Chat):
        return PlanType()
    return PlanType(low=type.size.low, high=type.size.high, fields=tuple(sorted(type.fields)))


def _place(span: Span) -> Place:
    return Place(
        source=span.source.name,
        line=span.first.line,
        column=span.first.column,
        end_line=span.last.line,
        end_column=span.last.column,
    )
