"""Work that cannot change the answer: one candidate put in order, a field that nothing reads."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Edit, Fix, Label
from pnyx.compiler.graph import Node
from pnyx.compiler.lint.subject import Finding, Subject
from pnyx.compiler.lint.view import View, most, stage_of, written
from pnyx.compiler.operators import Ask, Over, Reads, Single, Take, Vote
from pnyx.compiler.types import Pool

__all__ = ["idle_work", "unread_fields"]


def idle_work(subject: Subject, view: View) -> Iterator[Finding]:
    """W701: an operator on a pool too small for it."""
    for current in view.nodes:
        what = _idle(current)
        if what is None or current.span is None:
            continue
        pool = current.inputs[1 if isinstance(current.operator, Ask) else 0]
        label = (Label(pool.span, f"this gives {pool.type.size}"),) if pool.span and isinstance(pool.type, Pool) else ()
        yield Finding(
            "W701",
            f"`{stage_of(current)}` {what}",
            current.span,
            "remove it, or give it more candidates",
            (current,),
            label,
            partial(_idle_fixes, subject, current),
            wasted=True,
        )


def _idle(current: Node) -> str | None:
    match current.operator:
        case Ask(reads=Reads.ORDER) if most(current.inputs[1]) <= 1:
            return "ranks at most one candidate"
        case Ask(reads=Reads.WINNER) if most(current.inputs[1]) <= 1:
            return "compares at most one candidate"
        case Ask(over=Over.ALL, single=Single.KEEP, reads=Reads.TEXT) if most(current.inputs[1]) <= 1:
            return "has at most one candidate to work on"
        case Vote() if most(current.inputs[0]) <= 1:
            return "counts at most one vote"
        case Take(k=k) if k > most(current.inputs[0]):
            return f"takes {k} of at most {most(current.inputs[0])} candidates"
        case _:
            return None


def unread_fields(subject: Subject, view: View) -> Iterator[Finding]:
    """W705: a field is filled, and nothing that the answer depends on reads it."""
    for current in view.nodes:
        field = written(current)
        if field is None or current.stream not in view.unread or current.span is None:
            continue
        yield Finding(
            "W705",
            f"nothing reads the `{field}` that `{stage_of(current)}` gives",
            current.span,
            f"remove it, or show `{field}` in a prompt behind it",
            (current,),
            (),
            partial(_removal, subject, current),
            wasted=True,
        )


def _idle_fixes(subject: Subject, current: Node) -> tuple[Fix, ...]:
    return _removal(subject, current) or _lower(subject, current)


def _removal(subject: Subject, current: Node) -> tuple[Fix, ...]:
    """Taking the stage out, where the passes would take out all that it makes."""
    assert current.span is not None
    if not all(view.without_effect(made) for view, made in subject.made_at(current.span)):
        return ()
    return subject.removal(current.span, stage_of(current), safe=subject.settled)


def _lower(subject: Subject, current: Node) -> tuple[Fix, ...]:
    """Writing the number that is kept at most, where the call says another one itself."""
    operator = current.operator
    if not isinstance(operator, Take) or current.span is None:
        return ()
    takes = [n for _, made in subject.made_at(current.span) for n in made if isinstance(n.operator, Take)]
    kept = max((most(n.inputs[0]) for n in takes), default=0)
    pipe = subject.stage(current.span)
    if pipe is None or not isinstance(pipe.stage, syntax.Call):
        return ()
    numbers = [a.value for a in pipe.stage.arguments if isinstance(a.value, syntax.Number)]
    given = [n for n in numbers if n.value == operator.k]
    if len(given) != 1 or kept < 1:
        return ()
    return (Fix(f"write {kept}", (Edit(given[0].span, str(kept)),), safe=subject.settled),)
