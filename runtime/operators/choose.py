"""Operators that only look at candidates: pools in, a pool out, no model asked."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import TypeVar

from pnyx.compiler.operators import Concat, Dedupe, Extract, Filter, Group, IfNone, Operator, Sort, Take, Vote
from pnyx.runtime.answers import extract
from pnyx.runtime.candidates import Candidate, FieldValue, Pool
from pnyx.runtime.operators.numbers import number, total
from pnyx.runtime.operators.step import Begin, Scope, Step

__all__ = [
    "prepare_concat", "prepare_dedupe", "prepare_extract", "prepare_filter", "prepare_group", "prepare_sort",
    "prepare_take", "prepare_vote",
]  # fmt: skip

OperatorT = TypeVar("OperatorT", bound=Operator)


def _pure(choose: Callable[[OperatorT, Pool], Pool]) -> Callable[[Step[OperatorT]], Begin]:
    """The implementation of an operator that is a function of one pool."""

    def prepare(step: Step[OperatorT]) -> Begin:
        operator = step.operator
        return lambda _, values: choose(operator, values[0])

    return prepare


def prepare_concat(_: Step[Concat]) -> Begin:
    return _concat


def _concat(_: Scope, pools: tuple[Pool, ...]) -> Pool:
    return tuple(chain.from_iterable(pools))


def prepare_extract(step: Step[Extract]) -> Begin:
    kind, pattern, after = step.operator.answer, step.operator.pattern, step.operator.after

    def begin(scope: Scope, pools: tuple[Pool, ...]) -> Pool:
        read = []
        for candidate in pools[0]:
            answer = extract(kind, candidate.text, pattern, after)
            if answer is None:
                scope.report_unread(step, candidate.key, candidate.text, 1)
                read.append(candidate.without("answer"))
            else:
                read.append(candidate.having("answer", answer))
        return tuple(read)

    return begin


def _group(group: Vote | Group, pool: Pool) -> Pool:
    """A candidate without its weight does not count, as one without the field does not."""
    groups: dict[FieldValue, list[Candidate]] = {}
    for candidate in pool:
        if group.by in candidate.fields and (group.weight is None or number(candidate, group.weight) is not None):
            groups.setdefault(candidate.fields[group.by], []).append(candidate)
    votes: dict[FieldValue, int | float] = {
        value: len(members) if group.weight is None else total([number(c, group.weight) or 0 for c in members])
        for value, members in groups.items()
    }
    largest = sorted(votes, key=votes.__getitem__, reverse=True)
    return tuple(groups[value][0].having("votes", votes[value]) for value in largest)


def _vote(vote: Vote, pool: Pool) -> Pool:
    return _group(vote, pool)[:1]


def _sort(sort: Sort, pool: Pool) -> Pool:
    present = [c for c in pool if sort.by in c.fields]
    absent = [c for c in pool if sort.by not in c.fields]
    # Numbers and texts are not compared with each other; numbers are the greater.
    present.sort(key=lambda c: (not isinstance(c.fields[sort.by], str), c.fields[sort.by]), reverse=not sort.ascending)
    return (*present, *absent)


def _filter(filter: Filter, pool: Pool) -> Pool:
    def passes(candidate: Candidate) -> bool:
        if filter.at_least is None:
            return bool(candidate.fields.get(filter.by, False))
        value = number(candidate, filter.by)
        return value is not None and value >= filter.at_least

    kept = tuple(c for c in pool if passes(c))
    return pool if not kept and filter.if_none is IfNone.KEEP else kept


def _take(take: Take, pool: Pool) -> Pool:
    return pool[: take.k]


def _dedupe(dedupe: Dedupe, pool: Pool) -> Pool:
    """Candidates without the field all stay: an absent value equals nothing."""
    seen: set[FieldValue | None] = set()
    kept = []
    for candidate in pool:
        value = candidate.fields.get(dedupe.by)
        value = value.strip() if isinstance(value, str) else value
        if value is None or value not in seen:
            kept.append(candidate)
        seen.add(value)
    return tuple(kept)


prepare_vote: Callable[[Step[Vote]], Begin] = _pure(_vote)
prepare_group: Callable[[Step[Group]], Begin] = _pure(_group)
prepare_sort: Callable[[Step[Sort]], Begin] = _pure(_sort)
prepare_filter: Callable[[Step[Filter]], Begin] = _pure(_filter)
prepare_take: Callable[[Step[Take]], Begin] = _pure(_take)
prepare_dedupe: Callable[[Step[Dedupe]], Begin] = _pure(_dedupe)
