"""What the pictures say about a node: the same words in every picture. Nothing here is escaped yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, assert_never

from pnyx.compiler.cost.estimate import CostReport
from pnyx.compiler.cost.explain import show_type
from pnyx.compiler.cost.interval import show, show_number
from pnyx.compiler.operators import (
    Ask,
    Concat,
    Dedupe,
    Extract,
    Filter,
    Input,
    Operator,
    Over,
    Reads,
    Sample,
    Sort,
    Take,
    Vote,
)
from pnyx.compiler.plan import Plan, PlanNode

__all__ = ["Caption", "Family", "captions", "drawn_inputs", "shortened"]

Family: TypeAlias = Literal["question", "write", "judge", "read", "choose"]
"""Which colour a node has: the question; new candidates from a model; a model's opinion; reading; choosing."""


@dataclass(frozen=True, slots=True)
class Caption:
    """`title` is the label, `lines` what stands under it, `tooltip` everything."""

    title: str
    lines: tuple[str, ...]
    tooltip: str
    family: Family
    is_output: bool


def captions(plan: Plan, report: CostReport | None) -> tuple[Caption, ...]:
    return tuple(_caption(plan, index, report) for index in range(len(plan.nodes)))


def _caption(plan: Plan, index: int, report: CostReport | None) -> Caption:
    current = plan.nodes[index]
    lines = [line for line in (_about(current.operator), _expected(current, index, report)) if line]
    tooltip = [f"{current.label} ({current.operator.kind})", *lines, f"gives {show_type(current.type)}"]
    if report is not None and isinstance(current.operator, Sample | Ask):
        cost = report.nodes[index].cost
        tooltip.append(f"tokens in {show(cost.prompt_tokens)}, out {show(cost.generated_tokens)}")
    if current.place is not None:
        tooltip.append(str(current.place))
    title = "question" if isinstance(current.operator, Input) else current.label
    return Caption(title, tuple(lines), "\n".join(tooltip), _family(current.operator), index == plan.output)


def drawn_inputs(plan: Plan) -> list[tuple[int, ...]]:
    """The inputs of every node that are worth a line: all but the question where there are others, since every prompt
    sees the question."""
    questions = {i for i, current in enumerate(plan.nodes) if isinstance(current.operator, Input)}
    return [tuple(i for i in c.inputs if i not in questions) or c.inputs for c in plan.nodes]


def shortened(text: str, most: int) -> str:
    """The text with its middle left out where it is longer than `most` characters, on one line."""
    text = " ".join(text.split())
    if len(text) <= most:
        return text
    head = (most - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def _about(operator: Operator) -> str:
    match operator:
        case Input():
            return ""
        case Concat():
            return "joined"
        case Sample(model=model, n=n):
            return f"{model} × {n}"
        case Ask(model=model, over=over, n=n):
            scope = {Over.QUERY: "", Over.EACH: " · each", Over.ALL: " · all"}[over]
            return f"{model}{f' × {n}' if n > 1 else ''}{scope}"
        case Extract(answer=answer):
            return str(answer)
        case Vote(by=by, weight=weight):
            return f"{by} by {weight}" if weight else by
        case Sort(by=by, ascending=ascending):
            return f"{by} {'↑' if ascending else '↓'}"
        case Filter(by=by, at_least=at_least):
            return by if at_least is None else f"{by} ≥ {show_number(at_least)}"
        case Take(k=k):
            return f"first {k}"
        case Dedupe(by=by):
            return by
        case _:
            assert_never(operator)


def _expected(current: PlanNode, index: int, report: CostReport | None) -> str:
    if report is None or not isinstance(current.operator, Sample | Ask):
        return ""
    cost = report.nodes[index].cost
    calls = show_number(cost.calls.expected)
    tokens = show_number(cost.prompt_tokens.expected + cost.generated_tokens.expected)
    return f"{calls} call{'' if calls == '1' else 's'} · {tokens} tok"


def _family(operator: Operator) -> Family:
    match operator:
        case Input():
            return "question"
        case Sample():
            return "write"
        case Ask(into=into, reads=reads):
            return "write" if into is None and reads is not Reads.ORDER else "judge"
        case Extract():
            return "read"
        case Vote() | Sort() | Filter() | Take() | Dedupe() | Concat():
            return "choose"
        case _:
            assert_never(operator)
