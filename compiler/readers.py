"""Which fields operators read of the candidates they are given, and whose candidates they hand on: never too few.

Nodes with bodies read what their bodies do, and hand on what these hand on; who looks no further counts them as readers
of everything.
"""

from __future__ import annotations

from pnyx.compiler.operators import (
    Ask,
    AsQuery,
    Branch,
    Choose,
    Compute,
    Dedupe,
    Each,
    Extend,
    Extern,
    Extract,
    FieldOf,
    Filter,
    Group,
    Grow,
    Loglik,
    Loop,
    Measure,
    Operator,
    Over,
    Pick,
    Reads,
    Resample,
    RestoreOption,
    RunCode,
    RunTests,
    Single,
    Sort,
    Vote,
)
from pnyx.compiler.prompt_reads import ALL_FIELDS, Fields, prompt_reads, union

__all__ = ["hands_on", "reads"]


def reads(operator: Operator, index: int) -> Fields:
    """The fields of its input `index` that the operator itself reads; None is all of them.

    >>> reads(Vote(by="answer", weight="score"), 0) == {"answer", "score"}
    True
    """
    match operator:
        case Vote(by=by, weight=weight) | Group(by=by, weight=weight):
            return frozenset({by, weight} if weight else {by})
        case Choose(by=by, prior=prior, done=done):
            return frozenset({by, "parent", *(name for name in (prior, done) if name is not None)})
        case RestoreOption(by=by) | Loglik(of=by) | RunCode(by=by):
            return frozenset({by})
        case RunTests(by=by):
            return frozenset({by} if index == 0 else {"text"})
        case Sort(by=by) | Filter(by=by) | Dedupe(by=by) | Measure(by=by) | FieldOf(name=by) | Resample(by=by):
            return frozenset({by})
        case Pick(by=by):
            return frozenset({by} if by else ())
        case Extend():
            return frozenset({"text", "stopped", "finished"})
        case Extract() | AsQuery():
            return frozenset({"text"})
        case Extern() | Loop() | Each() | Branch():
            return ALL_FIELDS
        case Ask() as ask if index > 0:
            return _shown(ask, index)
        case _:
            return frozenset()


def _shown(ask: Ask, index: int) -> Fields:
    """The fields that the prompt can read of input `index`, by the names it has there."""
    subject = int(bool(ask.about))
    names = ask.about if index <= subject else (ask.variables[index - 1 - subject],)
    fields: Fields = frozenset()
    for name in names:
        fields = union(fields, prompt_reads(ask.prompt, name))
    return fields


def hands_on(operator: Operator, index: int, fewest: int) -> bool:
    """Whether fields of its input `index` can be fields of the result: those of candidates that are handed on, and the
    `logprob` that `Extend` adds to. `fewest`: how many candidates that input has at least."""
    match operator:
        case Ask(over=Over.QUERY) | Measure() | FieldOf() | Compute() | AsQuery():
            return False
        case Grow():
            return index < 2
        case RunTests():
            return index == 0
        case Ask() as ask:
            kept = ask.over is Over.ALL and ask.single is Single.KEEP and fewest <= 1
            return index == 1 and (ask.into is not None or ask.reads in (Reads.ORDER, Reads.WINNER) or kept)
        case _:
            return True
