"""What the pictures say about a node: the same words in every picture. Nothing here is escaped yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, assert_never

from pnyx.compiler.cost.estimate import CostReport
from pnyx.compiler.cost.explain import show_type
from pnyx.compiler.cost.interval import show, show_number
from pnyx.compiler.draw.flat import Drawn, rounds
from pnyx.compiler.operators import (
    Ask,
    AsQuery,
    Branch,
    Choose,
    Compute,
    Concat,
    Constant,
    Dedupe,
    Each,
    Empty,
    Extend,
    Extern,
    Extract,
    FieldOf,
    Filter,
    Group,
    Grow,
    Input,
    Loglik,
    Loop,
    Measure,
    MeasureKind,
    ModelOperator,
    Operator,
    Over,
    Param,
    Part,
    Pick,
    Reads,
    Resample,
    RestoreOption,
    Retrieve,
    RunCode,
    RunTests,
    Sample,
    ShuffleOptions,
    Sort,
    Take,
    Vote,
)

__all__ = ["Caption", "Family", "captions", "shortened"]

Family: TypeAlias = Literal["question", "write", "judge", "read", "choose", "control"]
"""Which colour a node has: the question; new candidates from a model; a model's opinion; reading; choosing;
what runs other nodes."""


@dataclass(frozen=True, slots=True)
class Caption:
    """`title` is the label, `lines` what stands under it, `tooltip` everything."""

    title: str
    lines: tuple[str, ...]
    tooltip: str
    family: Family
    is_output: bool


def captions(
    boxes: Sequence[Drawn], report: CostReport | None, measured: Mapping[int, str] | None = None
) -> tuple[Caption, ...]:
    """With `measured`, by node, what a run took stands in the place of what is expected."""
    return tuple(_caption(box, report, measured) for box in boxes)


def _caption(box: Drawn, report: CostReport | None, measured: Mapping[int, str] | None) -> Caption:
    current = box.node
    figures = _expected(box, report) if measured is None else measured.get(box.index, "")
    lines = [line for line in (_about(current.operator), figures) if line]
    tooltip = [f"{current.label} ({current.operator.kind})", *lines, f"gives {show_type(current.type)}"]
    if report is not None and isinstance(current.operator, ModelOperator):
        cost = report.nodes[box.index].cost
        tooltip.append(f"tokens in {show(cost.prompt_tokens)}, out {show(cost.generated_tokens)}")
    if current.place is not None:
        tooltip.append(str(current.place))
    title = "question" if isinstance(current.operator, Input) else current.label
    return Caption(title, tuple(lines), "\n".join(tooltip), _family(current.operator), box.output)


def shortened(text: str, most: int) -> str:
    """The text with its middle left out where it is longer than `most` characters, on one line."""
    text = " ".join(text.split())
    if len(text) <= most:
        return text
    head = (most - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def _about(operator: Operator) -> str:
    match operator:
        case Input() | Empty() | AsQuery() | Grow() | Constant() | Part() | Param():
            return ""
        case Concat():
            return "joined"
        case Sample(model=model, n=n):
            return f"{model} × {n}"
        case Extend(model=model, n=n, into=into):
            return f"{model} · each" if into is not None else f"{model} × {n} · each"
        case Ask(model=model, over=over, n=n):
            scope = "" if over is Over.QUERY else f" · {over}"
            return f"{model}{f' × {n}' if n > 1 else ''}{scope}"
        case Extract(answer=answer):
            return str(answer)
        case Loglik(model=model, of=of):
            return model if of == "text" else f"{model} · {of}"
        case Vote(by=by, weight=weight) | Group(by=by, weight=weight):
            return f"{by} by {weight}" if weight else by
        case Sort(by=by, ascending=ascending):
            return f"{by} {'↑' if ascending else '↓'}"
        case Filter(by=by, at_least=at_least):
            return by if at_least is None else f"{by} ≥ {show_number(at_least)}"
        case Take(k=k):
            return f"first {k}"
        case Pick(k=k):
            return f"{k} at random"
        case Choose(policy=policy):
            return str(policy)
        case ShuffleOptions(n=n):
            return f"{n} orders"
        case Resample(n=n, by=by):
            return f"{n} by {by}"
        case Dedupe(by=by) | RestoreOption(by=by):
            return by
        case Extern(target=target):
            return target
        case RunCode(seconds=seconds) | RunTests(seconds=seconds):
            return f"{show_number(seconds)} s each"
        case Retrieve(source=source, k=k):
            return f"{k} of {source}"
        case _:
            return _about_value(operator)


def _about_value(operator: Compute | FieldOf | Measure | Loop | Each | Branch) -> str:
    match operator:
        case Compute(symbol=symbol):
            return symbol
        case FieldOf(name=name):
            return name
        case Measure(what=what, by=by):
            return str(what) if what is MeasureKind.SIZE else f"{what} of {by}"
        case Loop():
            return rounds(operator)
        case Each():
            return "for each candidate"
        case Branch(patterns=patterns, otherwise=otherwise):
            cases = [str(p).lower() if isinstance(p, bool) else str(p) for p in patterns]
            return " | ".join([*cases, *(["else"] if otherwise else [])])
        case _:
            assert_never(operator)


def _expected(box: Drawn, report: CostReport | None) -> str:
    if report is None or not isinstance(box.node.operator, ModelOperator):
        return ""
    cost = report.nodes[box.index].cost
    calls = show_number(cost.calls.expected)
    tokens = show_number(cost.prompt_tokens.expected + cost.generated_tokens.expected)
    return f"{calls} call{'' if calls == '1' else 's'} · {tokens} tok"


def _family(operator: Operator) -> Family:
    match operator:
        case Input():
            return "question"
        case Sample() | Extend(into=None):
            return "write"
        case Ask(into=into, reads=reads):
            return "write" if into is None and reads not in (Reads.ORDER, Reads.WINNER) else "judge"
        case Extend() | Extern() | Loglik() | RunTests():
            return "judge"
        case RunCode() | Retrieve() | Extract() | RestoreOption() | FieldOf() | Measure() | Compute() | Constant():
            return "read"
        case Loop() | Each() | Branch():
            return "control"
        case _:
            return "choose"
