"""Work that is done again: the same operator on what it has left, the same question, a field filled twice."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pnyx.compiler.diagnostics import Label
from pnyx.compiler.graph import Node, constant_types
from pnyx.compiler.lint.subject import Finding, Subject
from pnyx.compiler.lint.view import View, before, pool_of, stage_of, written
from pnyx.compiler.operators import Ask, Dedupe, Extract, Filter, Over, Reads, Sort
from pnyx.compiler.prompt_reads import Fields, prompt_reads

__all__ = ["overwritten_fields", "repeated_work"]


def repeated_work(subject: Subject, view: View) -> Iterator[Finding]:
    """W707: a stage that leaves the pool as it is, since the same has been done to it before."""
    again: dict[str, Node] = {}
    for current in view.nodes:
        earlier = _earlier(current, again)
        if earlier is not None:
            again[current.digest] = earlier
    others = {n.span for n in view.nodes if n.digest not in again}
    for current in view.nodes:
        if current.digest not in again or current.span is None or current.span in others:
            continue
        earlier = again[current.digest]
        yield Finding(
            "W707",
            f"`{stage_of(current)}` does again what has been done",
            current.span,
            "leave it out",
            (current,),
            (Label(earlier.span, "first here"),) if earlier.span not in (None, current.span) else (),
            partial(subject.removal, current.span, stage_of(current)),
            wasted=True,
        )


def _earlier(current: Node, again: dict[str, Node]) -> Node | None:
    """The node before that has done the same to the same candidates; `again`: those known to change nothing."""
    if not _repeats(current):
        return None
    for earlier in before(current):
        if _does_the_same(earlier, current) and _others(earlier) == _others(current):
            return earlier
        if earlier.digest not in again and not _leaves_alone(earlier, current):
            return None
    return None


def _does_the_same(one: Node, other: Node) -> bool:
    return one.operator == other.operator and constant_types(one.operator) == constant_types(other.operator)


def _repeats(current: Node) -> bool:
    """Whether doing it twice is doing it once: equal prompts have equal replies only where nothing is left to
    chance."""
    match current.operator:
        case Ask(over=Over.EACH, into=str(), sampling=sampling, reads=reads):
            return sampling.greedy or reads is Reads.YES
        case Sort() | Filter() | Dedupe() | Extract():
            return True
        case _:
            return False


def _others(current: Node) -> list[Node]:
    """What it reads besides the pool."""
    return [given for given in current.inputs if given is not pool_of(current)]


def _leaves_alone(between: Node, current: Node) -> bool:
    """Whether what `current` does is not undone by what stands between it and its first time."""
    field = written(between)
    match current.operator:
        case Sort(by=by):
            reorders = isinstance(between.operator, Sort) or getattr(between.operator, "reads", None) is Reads.ORDER
            return not reorders and field != by
        case Filter(by=by) | Dedupe(by=by):
            return field != by
        case Extract():
            return field not in ("text", "answer")
        case ask:
            assert isinstance(ask, Ask), "doing anything else twice is not doing it once"
            shown = prompt_reads(ask.prompt, "candidate")
            return field is None or (field != ask.into and shown is not None and field not in shown)


def overwritten_fields(subject: Subject, view: View) -> Iterator[Finding]:  # noqa: ARG001
    """W715: a field is filled, and filled again before anything reads it."""
    for current in view.nodes:
        if not isinstance(current.operator, Ask) or current.operator.into is None:
            continue
        field = current.operator.into
        if _reads(current, field) or _earlier(current, {}) is not None:
            continue
        for earlier in view.chain(current):
            if written(earlier) == field and earlier.span is not None and earlier.span != current.span:
                yield Finding(
                    "W715",
                    f"the `{field}` of `{stage_of(earlier)}` is overwritten before anything reads it",
                    earlier.span,
                    "remove one of the two, or write into different fields: `ask(…, into = NAME)`",
                    (earlier,),
                    (Label(current.span, "overwritten here"),) if current.span else (),
                    wasted=True,
                )
            if written(earlier) == field or _reads(earlier, field):
                break


def _reads(current: Node, field: str) -> bool:
    match current.operator:
        case Ask() as ask:
            shown: list[Fields] = [prompt_reads(ask.prompt, name) for name in ask.about]
            return any(fields is None or field in fields for fields in shown)
        case Extract():
            return field == "text"
        case _:
            return field in (getattr(current.operator, "by", None), getattr(current.operator, "weight", None))
