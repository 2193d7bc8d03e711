"""A cost report as a table for people and as data for programs. Printing it is not done here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pnyx.compiler.cost.estimate import Cost, CostReport, NodeCost
from pnyx.compiler.cost.interval import Estimate, show
from pnyx.compiler.operators import Constant, ModelOperator, Param, Part
from pnyx.compiler.plan import Plan, PlanNode, PlanType
from pnyx.compiler.types import Scalar

__all__ = ["COLUMNS", "Row", "explain_rows", "show_type", "telling_columns", "to_json"]

COLUMNS = ("node", "model", "gives", "calls", "samples", "tokens in", "tokens out", "FLOPs", "money", "depth")


@dataclass(frozen=True, slots=True)
class Row:
    """`cells` in the order of COLUMNS, as text. `index` is the node's in the plan; None for the total. `free`: the node
    asks no model."""

    index: int | None
    cells: tuple[str, ...]
    place: str | None
    free: bool


def explain_rows(plan: Plan, report: CostReport) -> tuple[Row, ...]:
    """One row for each node, in the order of the plan, and the total. Estimates read `expected (least–most)`.

    The nodes of bodies are indented behind the node that runs them, and count as often as they run. What only carries
    values has no row.
    """
    rows = [_row(current, depth, report.nodes[i]) for i, current, depth in _shown(plan)]
    gives = show_type(plan.nodes[plan.output].type)
    total = Row(None, ("total", "", gives, *_figures(report.total), show(report.depth)), None, False)
    return (*rows, total)


def telling_columns(rows: Sequence[Row]) -> tuple[int, ...]:
    """The indices of the columns that say something in these rows: where no price is known, money does not."""
    return tuple(i for i in range(len(COLUMNS)) if any(row.cells[i] not in ("", "—") for row in rows))


def show_type(type: PlanType) -> str:
    """As in the source: `Chat`, `Bool`, `Pool[2..8]{text}`; log-probability and model, which every pool has, left out.
    Nothing for what has several results."""
    if type.parts is not None:
        return show_type(type.parts[0]) if len(type.parts) == 1 else ""
    if type.scalar is not None:
        return str(Scalar(type.scalar))
    if type.fields is None:
        return "Chat"
    size = str(type.low) if type.low == type.high else f"{type.low}..{type.high}"
    fields = ", ".join(name for name in type.fields if name not in ("logprob", "model"))
    return f"Pool[{size}]{{{fields}}}"


def to_json(plan: Plan, report: CostReport) -> dict[str, Any]:
    """JSON data; what has no bound or is not known is null."""
    return {
        "pipeline": plan.pipeline,
        "digest": plan.digest,
        "measured": report.measured,
        "total": {**_cost_json(report.total), "depth": _json(report.depth)},
        "nodes": [
            _node_json(current, depth, entry)
            for (current, depth), entry in zip(_nested(plan.nodes, 0), report.nodes, strict=True)
        ],
    }


def _node_json(current: PlanNode, depth: int, entry: NodeCost) -> dict[str, Any]:
    """`inputs` count within the body that the node is in; `bodies`: how many it is in."""
    operator = current.operator
    return {
        "index": entry.index,
        "label": current.label,
        "kind": operator.kind,
        "model": operator.model if isinstance(operator, ModelOperator) else None,
        "inputs": list(current.inputs),
        "bodies": depth,
        "type": show_type(current.type),
        "stream": current.stream,
        "place": str(current.place) if current.place else None,
        "size": _json(entry.size),
        **_cost_json(entry.cost),
        "depth": _json(entry.depth),
    }


def _shown(plan: Plan) -> Iterator[tuple[int, PlanNode, int]]:
    for index, (current, depth) in enumerate(_nested(plan.nodes, 0)):
        if not isinstance(current.operator, Part | Constant) and not (isinstance(current.operator, Param) and depth):
            yield index, current, depth


def _nested(nodes: Sequence[PlanNode], depth: int) -> Iterator[tuple[PlanNode, int]]:
    """Every node, in the order of `Plan.everywhere`, with how many bodies it is in."""
    for current in nodes:
        yield current, depth
        for body in current.bodies:
            yield from _nested(body.nodes, depth + 1)


def _row(current: PlanNode, depth: int, entry: NodeCost) -> Row:
    operator = current.operator
    asks = isinstance(operator, ModelOperator)
    model = operator.model if isinstance(operator, ModelOperator) else ""
    figures = (*_figures(entry.cost), show(entry.depth)) if asks else ("",) * 7
    place = str(current.place) if current.place else None
    label = "  " * depth + current.label
    return Row(entry.index, (label, model, show_type(current.type), *figures), place, not asks)


def _figures(cost: Cost) -> tuple[str, ...]:
    money = "—" if cost.money is None else f"${show(cost.money)}"
    return (
        show(cost.calls),
        show(cost.samples),
        show(cost.prompt_tokens),
        show(cost.generated_tokens),
        show(cost.flops),
        money,
    )


def _cost_json(cost: Cost) -> dict[str, Any]:
    return {
        "calls": _json(cost.calls),
        "samples": _json(cost.samples),
        "prompt_tokens": _json(cost.prompt_tokens),
        "generated_tokens": _json(cost.generated_tokens),
        "flops": _json(cost.flops),
        "money": _json(cost.money),
    }


def _json(estimate: Estimate | None) -> dict[str, float | None] | None:
    if estimate is None:
        return None
    figures = {"least": estimate.least, "expected": estimate.expected, "most": estimate.most}
    return {name: None if math.isinf(value) else round(value, 9) for name, value in figures.items()}
