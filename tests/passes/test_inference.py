"""The typing rules, operator by operator."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pnyx.compiler.inference import TypeFault, result_type
from pnyx.compiler.operators import (
    Action,
    AnswerKind,
    Ask,
    Choose,
    Concat,
    Dedupe,
    Extract,
    Filter,
    Group,
    Grow,
    IfNone,
    Input,
    Loglik,
    OnFail,
    Operator,
    Over,
    PromptText,
    Reads,
    RestoreOption,
    Sample,
    ShuffleOptions,
    Single,
    Sort,
    Take,
    TreePolicy,
    Vote,
)
from pnyx.compiler.types import CHAT, Pool, Scalar, Size, Type

PROMPT = PromptText(name="p", params=("query",), user="{{ query }}")
NEW = frozenset({"text", "logprob", "model"})


def pool(low: int, high: int | None = None, *fields: str) -> Pool:
    return Pool(Size(low, low if high is None else high), NEW | set(fields))


def ask(over: Over, **attributes: object) -> Ask:
    return Ask(model="m", prompt=PROMPT, over=over, **attributes)  # type: ignore[arg-type]


DROP = OnFail(then=Action.DROP)
EACH, ALL, QUERY = Over.EACH, Over.ALL, Over.QUERY
NEIGHBOURS = ask(Over.NEIGHBOURS, reads=Reads.WINNER)
PAIRS = ask(Over.PAIRS, reads=Reads.WINNER, into="wins")


LISTED = Pool(Size(0, 5), frozenset({"text", "model"}))


@pytest.mark.parametrize(
    ("operator", "inputs", "expected"),
    [
        (Input(), [], CHAT),
        (Sample(model="m", n=3), [CHAT], pool(3)),
        (ask(EACH, into="critique"), [CHAT, pool(2, 4)], pool(2, 4, "critique")),
        (ask(EACH, into="score", reads=Reads.YES, on_fail=DROP), [CHAT, pool(2, 4)], pool(0, 4, "score")),
        (ask(EACH, n=2), [CHAT, pool(1, 3, "critique")], pool(2, 6)),
        (ask(ALL, n=2), [CHAT, pool(0, 3, "critique")], pool(2)),
        (ask(ALL, n=4, single=Single.KEEP), [CHAT, pool(2, 3, "critique")], pool(4)),
        (ask(ALL, n=4, single=Single.KEEP), [CHAT, pool(1, 3, "critique")], pool(1, 4)),
        (ask(ALL, n=4, single=Single.KEEP), [CHAT, pool(1, 1, "critique")], pool(1, 1, "critique")),
        (ask(ALL, n=4, single=Single.KEEP), [CHAT, pool(0, 1, "critique")], pool(1, 1, "critique")),
        (ask(ALL, reads=Reads.ORDER), [CHAT, pool(2, 3, "critique")], pool(2, 3, "critique")),
        (ask(ALL, reads=Reads.ORDER, on_fail=DROP), [CHAT, pool(2, 3, "critique")], pool(0, 3, "critique")),
        (ask(ALL, reads=Reads.ORDER, on_fail=DROP), [CHAT, pool(1, 1, "critique")], pool(1, 1, "critique")),
        (ask(ALL, reads=Reads.LIST, count=5), [CHAT, pool(2, 3, "critique")], LISTED),
        (ask(QUERY, reads=Reads.LIST, count=5), [CHAT], LISTED),
        (ask(QUERY, n=2, variables=("tests",)), [CHAT, pool(0, 5)], pool(2)),
        (Extract(answer=AnswerKind.NUMBER), [pool(2)], pool(2, 2, "answer")),
        (Vote(), [pool(3, 3, "answer")], pool(0, 1, "answer", "votes")),
        (Sort(by="logprob"), [pool(3, 5)], pool(3, 5)),
        (Filter(), [pool(3, 3, "verdict")], pool(0, 3, "verdict")),
        (Filter(if_none=IfNone.KEEP), [pool(3, 3, "verdict")], pool(1, 3, "verdict")),
        (Filter(if_none=IfNone.KEEP), [pool(0, 3, "verdict")], pool(0, 3, "verdict")),
        (Take(k=2), [pool(1, 5)], pool(1, 2)),
        (Dedupe(), [pool(3, 5)], pool(1, 5)),
        (Concat(), [pool(1, 2, "answer", "score"), pool(3, 3, "score")], pool(4, 5, "score")),
        (NEIGHBOURS, [CHAT, pool(1, 1, "critique")], pool(1, 1, "critique")),
        (NEIGHBOURS, [CHAT, pool(0, 6)], pool(0, 3)),
        (NEIGHBOURS, [CHAT, pool(5)], pool(3)),
        (replace(NEIGHBOURS, on_fail=DROP), [CHAT, pool(5)], pool(1, 3)),
        (replace(NEIGHBOURS, on_fail=DROP), [CHAT, pool(4)], pool(0, 2)),
        (replace(NEIGHBOURS, on_fail=DROP), [CHAT, pool(3, 5)], pool(0, 3)),
        (PAIRS, [CHAT, pool(2, 3)], pool(2, 3, "wins")),
        (replace(PAIRS, on_fail=DROP), [CHAT, pool(3)], pool(0, 3, "wins")),
        (replace(PAIRS, on_fail=DROP), [CHAT, pool(1)], pool(1, 1, "wins")),
        (Loglik(model="m"), [CHAT, pool(2, 3)], pool(2, 3, "loglik")),
        (Group(), [pool(3, 3, "answer")], pool(0, 3, "answer", "votes")),
        (ShuffleOptions(n=3), [CHAT], Pool(Size(3, 3), frozenset({"text", "order"}))),
        (RestoreOption(), [pool(2, 2, "answer"), Scalar("any")], pool(2, 2, "answer")),
        (Choose(), [pool(2, 4, "score")], pool(1, 1, "score")),
        (Choose(), [pool(0, 4, "score")], pool(0, 1, "score")),
        (Choose(policy=TreePolicy.THOMPSON), [pool(2, 4, "score")], pool(0, 1, "score")),
        (Choose(done="finished"), [pool(2, 4, "score", "finished")], pool(0, 1, "score", "finished")),
        (Grow(), [pool(1, 2, "score", "a"), pool(0, 3, "score"), pool(1)], pool(1, 5, "score", "parent")),
    ],
)
def test_rule(operator: Operator, inputs: list[Type], expected: Type) -> None:
    assert result_type(operator, inputs) == expected


@pytest.mark.parametrize(
    ("operator", "inputs", "words"),
    [
        (Sample(model="m"), [], "0 inputs instead of 1"),
        (Sample(model="m"), [pool(1)], "instead of the question"),
        (Sample(model="m", n=0), [CHAT], "`n` is 0"),
        (Take(k=-1), [pool(1)], "`k` is -1"),
        (Take(k=1), [CHAT], "instead of a pool"),
        (Concat(), [], "no inputs"),
        (ask(EACH), [CHAT], "1 inputs instead of 2"),
        (ask(EACH, into="score", variables=("tests",)), [CHAT, pool(1)], "2 inputs instead of 3"),
        (ask(EACH, into="order", reads=Reads.ORDER), [CHAT, pool(1)], "cannot give the field `order`"),
        (ask(ALL, into="critique"), [CHAT, pool(1)], "cannot give the field"),
        (ask(EACH, reads=Reads.GRADE), [CHAT, pool(1)], "cannot give new candidates"),
        (ask(EACH, reads=Reads.LIST, count=2), [CHAT, pool(1)], "cannot give new candidates"),
        (ask(QUERY, reads=Reads.ORDER), [CHAT], "cannot give new candidates"),
        (ask(EACH, into="critique", n=2), [CHAT, pool(1)], "`n` is 2"),
        (ask(QUERY, reads=Reads.LIST), [CHAT], "positive `count`"),
        (ask(QUERY, variables=("query",)), [CHAT, pool(1)], "one name"),
        (ask(QUERY, variables=("a",), constants=(("a", 1),)), [CHAT, pool(1)], "one name"),
        (replace(NEIGHBOURS, variables=("b",)), [CHAT, pool(1), pool(1)], "one name"),
        (replace(NEIGHBOURS, reads=Reads.TEXT), [CHAT, pool(1)], "cannot give new candidates"),
        (replace(NEIGHBOURS, into="wins"), [CHAT, pool(1)], "cannot give the field `wins`"),
        (replace(PAIRS, into=None), [CHAT, pool(1)], "cannot give new candidates"),
        (replace(PAIRS, over=EACH), [CHAT, pool(1)], "cannot give the field `wins`"),
        (Loglik(model="m", of="answer"), [CHAT, pool(1)], "has no `answer`"),
        (ShuffleOptions(n=0), [CHAT], "`n` is 0"),
        (RestoreOption(), [pool(1, 1, "answer"), pool(1)], "instead of a single value"),
        (Choose(prior="p"), [pool(1, 1, "score")], "has no `p`"),
        (Grow(), [pool(1), pool(1), pool(2)], "children have one parent"),
    ],
)
def test_fault(operator: Operator, inputs: list[Type], words: str) -> None:
    with pytest.raises(TypeFault, match=words):
        result_type(operator, inputs)


def test_fault_names_the_missing_fields() -> None:
    with pytest.raises(TypeFault) as caught:
        result_type(Vote(weight="score"), [pool(3)])
    assert caught.value.input == 0
    assert caught.value.missing == {"answer", "score"}
