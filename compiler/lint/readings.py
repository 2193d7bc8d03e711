"""Texts taken for what they are not: numbers, answers, or replies that another try could change."""

from __future__ import annotations

from collections.abc import Iterator

from pnyx.compiler.diagnostics import Label
from pnyx.compiler.graph import Node
from pnyx.compiler.lint.subject import Finding, Subject
from pnyx.compiler.lint.view import View, before, pool_of, stage_of, written
from pnyx.compiler.operators import Ask, Concat, Filter, Group, Reads, Sample, Sort, Vote

__all__ = ["ordered_texts", "useless_retries", "voting_texts"]

# Replies of up to so many tokens are labels, which may well be equal.
_LABEL = 32


def ordered_texts(subject: Subject, view: View) -> Iterator[Finding]:  # noqa: ARG001
    """W704: texts have an order, by the alphabet, that says nothing of quality: "9" comes after "10"."""
    for current in view.nodes:
        match current.operator:
            case Sort(by=by):
                what = f"puts texts in order: `{by}` is read as text"
            case Filter(by=by, at_least=float()) | Vote(weight=str() as by) | Group(weight=str() as by):
                what = f"needs numbers, and `{by}` is read as text"
            case _:
                continue
        reply = _filled(by, current)
        if reply is None or not isinstance(reply.operator, Ask) or reply.operator.reads is not Reads.TEXT:
            continue
        assert current.span is not None
        yield Finding(
            "W704",
            f"`{stage_of(current)}` {what}",
            current.span,
            "say how the reply is read: `reads = grade`, or `reads = number`",
            (current,),
            (Label(reply.span, "read here"),) if reply.span else (),
        )


def voting_texts(subject: Subject, view: View) -> Iterator[Finding]:  # noqa: ARG001
    """W713: votes count equal values, and free texts hardly ever are."""
    for current in view.nodes:
        if not isinstance(current.operator, Vote | Group) or current.span is None:
            continue
        longest = _longest(current.operator.by, current.inputs[0])
        if longest > _LABEL:
            yield Finding(
                "W713",
                f"`{stage_of(current)}` counts equal texts, and free texts are hardly ever equal",
                current.span,
                "let it count answers: `|> extract(number) |> vote`",
                (current,),
            )


def useless_retries(subject: Subject, view: View) -> Iterator[Finding]:  # noqa: ARG001
    """W714: at temperature 0 the same prompt has the same reply, which cannot be read either."""
    for current in view.nodes:
        match current.operator:
            case Ask(reads=reads) as ask if reads not in (Reads.TEXT, Reads.YES):
                pass
            case _:
                continue
        if ask.on_fail.retries == 0 or ask.sampling.temperature > 0 or current.span is None:
            continue
        yield Finding(
            "W714",
            f"`{stage_of(current)}` tries again at temperature 0, where the reply stays the same",
            current.span,
            "give it a temperature, such as `temperature = 0.7`, or leave out `retry`",
            (current,),
        )


def _filled(field: str, current: Node) -> Node | None:
    """The nearest node behind that fills the field."""
    return next((earlier for earlier in before(current) if written(earlier) == field), None)


def _longest(field: str, pool: Node) -> int:
    """The most tokens of the free texts that a field holds; 0 where that is not known, or it holds something else."""
    current: Node | None = pool
    while current is not None and written(current) != field:
        match current.operator:
            case Sample(sampling=sampling) | Ask(into=None, reads=Reads.TEXT, sampling=sampling) if field == "text":
                return sampling.max_tokens
            case Concat():
                return min(_longest(field, part) for part in current.inputs)
        current = pool_of(current)
    if current is not None and isinstance(current.operator, Ask) and current.operator.reads is Reads.TEXT:
        return current.operator.sampling.max_tokens
    return 0
