"""Two candidates at a time: who is shown, who stays, and what a reply that cannot be read does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scripted import finish, plan_of, prompt_of, sample, texts

from pnyx.compiler.operators import Action, Ask, OnFail, Over, PromptText, Reads, Take
from pnyx.compiler.plan import Plan
from pnyx.runtime.reading import read
from pnyx.runtime.request import Request

PROMPT = PromptText(name="two", params=("query", "a", "b"), user="{{ query }} {{ a.text }}:{{ b.text }}")


def compare(over: Over, *, into: str | None = None, then: Action = Action.KEEP, retries: int = 0) -> Ask:
    policy = OnFail(retries=retries, then=then)
    return Ask(model="m", prompt=PROMPT, over=over, into=into, reads=Reads.WINNER, on_fail=policy)


def comparing(n: int, operator: Ask) -> Plan:
    return plan_of((sample(n), (0,)), (operator, (0, 1)))


def judge(decide: Callable[[str, str], str]) -> Callable[[Request], str]:
    """Candidates are `0`, `1`, …; a comparison of two of them is answered by `decide`."""

    def script(request: Request) -> str:
        if request.reads is not Reads.WINNER:
            return "{k}"
        a, _, b = prompt_of(request).removeprefix("Q? ").partition(":")
        return decide(a, b)

    return script


def higher(a: str, b: str) -> str:
    return "Better: A" if a > b else "Better: B"


@pytest.mark.parametrize(
    ("n", "left"),
    [(1, ["0"]), (2, ["1"]), (3, ["1", "2"]), (4, ["1", "3"]), (5, ["1", "3", "4"])],
)
def test_of_neighbours_the_winner_stays_and_an_odd_last_one(n: int, left: list[str]) -> None:
    result, calls = finish(comparing(n, compare(Over.NEIGHBOURS)), judge(higher))
    assert texts(result) == left
    assert len(calls) - n == n // 2


@pytest.mark.parametrize(
    ("then", "left"), [(Action.KEEP, ["0", "3", "4"]), (Action.DROP, ["3", "4"]), (Action.FAIL, None)]
)
def test_an_unread_comparison_of_neighbours_follows_the_policy(then: Action, left: list[str] | None) -> None:
    script = judge(lambda a, b: "hard to say" if a == "0" else higher(a, b))
    result, _ = finish(comparing(5, compare(Over.NEIGHBOURS, then=then)), script)
    if left is None:
        assert result.error is not None
        assert result.error.code == "R806"
    else:
        assert texts(result) == left
        assert [failure.reply for failure in result.failures] == ["hard to say"]


def test_a_comparison_is_tried_again_with_a_fresh_seed() -> None:
    replies = iter(["well", "Better: B"])
    result, calls = finish(comparing(2, compare(Over.NEIGHBOURS, retries=1)), judge(lambda *_: next(replies)))
    assert texts(result) == ["1"]
    assert not result.failures
    assert len({call.request.seed for call in calls[2:]}) == 2  # type: ignore[union-attr]


def test_every_two_are_compared_in_either_order() -> None:
    seen: list[tuple[str, str]] = []
    script = judge(lambda a, b: (seen.append((a, b)), higher(a, b))[1])
    result, _ = finish(comparing(3, compare(Over.PAIRS, into="wins")), script)
    assert sorted(seen) == [(a, b) for a in "012" for b in "012" if a != b]
    assert [c["wins"] for c in result.candidates] == [0.0, 0.5, 1.0]


def test_a_judge_who_likes_the_first_place_makes_all_equal() -> None:
    result, _ = finish(comparing(3, compare(Over.PAIRS, into="wins")), judge(lambda a, b: "Better: A"))
    assert [c["wins"] for c in result.candidates] == [0.5, 0.5, 0.5]


@pytest.mark.parametrize("then", [Action.KEEP, Action.DROP])
def test_unread_comparisons_do_not_count(then: Action) -> None:
    """Candidate 0 is never compared; 1 loses both of its other comparisons."""
    script = judge(lambda a, b: "?" if "0" in (a, b) else higher(a, b))
    result, _ = finish(comparing(3, compare(Over.PAIRS, into="wins", then=then)), script)
    unread = [] if then is Action.DROP else [("0", None)]
    assert [(c["text"], c.get("wins")) for c in result.candidates] == [*unread, ("1", 0.0), ("2", 1.0)]
    assert len(result.failures) == 4


@pytest.mark.parametrize("then", Action)
def test_one_candidate_has_nobody_to_be_compared_with(then: Action) -> None:
    result, calls = finish(comparing(1, compare(Over.PAIRS, into="wins", then=then)), judge(higher))
    assert [(c["text"], c.get("wins")) for c in result.candidates] == [("0", None)]
    assert len(calls) == 1


def test_no_candidates_no_comparisons() -> None:
    for operator in (compare(Over.NEIGHBOURS), compare(Over.PAIRS, into="wins")):
        plan = plan_of((sample(2), (0,)), (Take(k=0), (1,)), (operator, (0, 2)))
        result, calls = finish(plan, judge(higher))
        assert result.error is not None
        assert result.error.code == "R805"
        assert len(calls) == 2


def test_seeds_come_from_the_two_and_their_order_not_from_their_places() -> None:
    def seeds(n: int) -> dict[str, int]:
        _, calls = finish(comparing(n, compare(Over.PAIRS, into="wins")), judge(higher))
        return {prompt_of(c.request): c.request.seed for c in calls[n:]}  # type: ignore[arg-type, union-attr]

    few, many = seeds(2), seeds(3)
    assert few.items() <= many.items()
    assert len(set(many.values())) == len(many)


@pytest.mark.parametrize(
    ("text", "winner"),
    [
        ("Better: A", "A"),
        ("better: B.", "B"),
        ("**Better: B**", "B"),
        ("Better: Answer A", "A"),
        ("Better: A\nNo, wait.\nBetter: B", "B"),
        ("The better answer is B because it is complete.", "B"),
        ("The winner is [A]", "A"),
        ("A", "A"),
        ("[[B]]", "B"),
        ("Both are long.\nAnswer B", "B"),
        ("Answer A is better.", "A"),
        ("B is clearly the best one.", "B"),
        ("Answer A is better in style. Answer B is better in content.", None),
        ("I do not think that answer A is better.", None),
        ("Better: A or B", None),
        ("Better: both", None),
        ("a is an article", None),
        ("Both are equally good.", None),
        ("C", None),
        ("", None),
    ],
)
def test_a_winner_is_read_only_where_it_is_clear(text: str, winner: str | None) -> None:
    assert read(Reads.WINNER, text, size=2, count=None) == winner
