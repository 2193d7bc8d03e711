"""Every operator by itself, with its policies, on scripted replies."""

from __future__ import annotations

import json
from sys import float_info
from typing import get_args

import pytest
from scripted import ALL, EACH, QUERY, ask, finish, in_turn, plan_of, prompt_of, sample, texts

from pnyx.compiler.operators import (
    Action,
    AnswerKind,
    Branch,
    Concat,
    Constant,
    Dedupe,
    Each,
    Extract,
    FieldOf,
    Filter,
    IfNone,
    Input,
    Loop,
    OnFail,
    Operator,
    Over,
    Param,
    PromptText,
    Reads,
    Sampling,
    Single,
    Sort,
    Take,
    Vote,
)  # fmt: skip
from pnyx.runtime.errors import EngineFailure
from pnyx.runtime.interpreter import Execution
from pnyx.runtime.operators import IMPLEMENTATIONS
from pnyx.runtime.question import checked
from pnyx.runtime.request import Message, Request, Response, SampledText
from pnyx.runtime.results import Result

DROP, FAIL = OnFail(then=Action.DROP), OnFail(then=Action.FAIL)
GEN3 = (sample(3), (0,))


def names(request: Request) -> str:
    """Candidates are called c0, c1, …"""
    return "c{k}"


def judged(*values: str) -> object:
    """Candidates c0, c1, …, of which the k-th is then judged with the k-th value."""
    return lambda request: values[int(prompt_of(request)[-1])] if " / " in prompt_of(request) else "c{k}"


def column(result: Result, field: str) -> list[object]:
    return [candidate.get(field) for candidate in result.candidates]


def test_every_operator_of_the_compiler_has_an_implementation() -> None:
    interpreted = {Input, Param, Loop, Each, Branch}
    assert set(IMPLEMENTATIONS) | interpreted == set(get_args(Operator))
    assert not set(IMPLEMENTATIONS) & interpreted


# Sample


@pytest.mark.parametrize("joined", [True, False])
def test_sample_draws_n_candidates(joined: bool) -> None:
    result, calls = finish(plan_of((sample(3, joined=joined), (0,))), names)
    assert texts(result) == ["c0", "c1", "c2"]
    assert column(result, "logprob") == [-0.5, -0.75, -1.0]
    assert column(result, "model") == ["m"] * 3
    assert [(c.request.n, c.request.first) for c in calls] == ([(3, 0)] if joined else [(1, 0), (1, 1), (1, 2)])
    assert len({c.request.seed for c in calls}) == 1
    assert result.answer == "c0"
    assert (result.usage.calls, result.usage.samples) == (len(calls), 3)


def test_sample_sets_the_system_message_and_passes_on_its_sampling() -> None:
    sampling = Sampling(temperature=0.1, stop=("x",))
    _, calls = finish(plan_of((sample(system="Be brief.", sampling=sampling), (0,))), names)
    request = calls[0].request
    assert request.messages == (Message("system", "Be brief."), Message("user", "Q?"))
    assert request.sampling == sampling
    assert request.subject is not None
    assert request.subject.query == "Q?"


def test_the_system_message_of_the_program_replaces_that_of_the_question() -> None:
    question = [Message("system", "Ramble."), Message("user", "Q?")]
    for system, said in ((None, "Ramble."), ("Be brief.", "Be brief.")):
        plan = plan_of((sample(system=system), (0,)))
        (call,) = Execution(plan, checked(question), seed=0).start()
        assert call.request.messages == (Message("system", said), Message("user", "Q?"))


def test_a_log_probability_that_is_no_number_is_absent() -> None:
    execution = Execution(plan_of((sample(), (0,))), checked("Q?"), seed=0)
    (call,) = execution.start()
    execution.deliver(call.id, Response(samples=(SampledText(text="x", tokens=1, logprobs=(-1.0, float("-inf"))),)))
    assert execution.result.candidates == ({"text": "x", "model": "m"},)


@pytest.mark.parametrize("joined", [True, False])
def test_drawing_nothing_gives_nothing(joined: bool) -> None:
    result, calls = finish(plan_of((sample(0, joined=joined), (0,))), names)
    assert (result.error and result.error.code, calls) == ("R805", [])


def test_an_engine_that_gives_too_few_samples_has_failed() -> None:
    execution = Execution(plan_of((sample(2, joined=True), (0,))), checked("Q?"), seed=0)
    (call,) = execution.start()
    assert execution.deliver(call.id, Response()) == []
    assert execution.result.error is not None
    assert execution.result.error.code == "R807"


# Ask over each


def test_ask_over_each_writes_a_field() -> None:
    plan = plan_of(GEN3, (ask(into="critique"), (0, 1)))
    result, calls = finish(plan, judged("good", "bad", "so-so"))
    assert column(result, "critique") == ["good", "bad", "so-so"]
    assert texts(result) == ["c0", "c1", "c2"]
    assert prompt_of(calls[-1].request) == "Q? / c2"
    assert len({c.request.seed for c in calls[3:]}) == 3


@pytest.mark.parametrize(
    ("reads", "reply", "value"),
    [
        (Reads.VERDICT, "Verdict: correct", True),
        (Reads.GRADE, "Grade: 7", 7.0),
        (Reads.NUMBER, "about 2.5", 2.5),
        (Reads.TEXT, "", ""),
        (Reads.YES, (0.3, 0.1), 0.75),
    ],
)
def test_readings(reads: Reads, reply: str | tuple[float, float], value: object) -> None:
    plan = plan_of((sample(), (0,)), (ask(into="score", reads=reads), (0, 1)))
    result, calls = finish(plan, lambda r: reply if r.reads is not Reads.TEXT or " / " in prompt_of(r) else "c{k}")
    assert column(result, "score") == [pytest.approx(value) if isinstance(value, float) else value]
    assert calls[-1].request.reads is reads
    assert calls[-1].request.choices == (("Yes", "No") if reads is Reads.YES else ())


def test_a_model_that_says_neither_yes_nor_no_is_not_asked_again() -> None:
    plan = plan_of((sample(), (0,)), (ask(into="score", reads=Reads.YES, on_fail=OnFail(retries=2)), (0, 1)))
    result, calls = finish(plan, lambda r: (0.0, 0.0) if r.choices else "c{k}")
    assert column(result, "score") == [None]
    assert len(calls) == 2
    assert len(result.failures) == 1


def test_unreadable_keeps_drops_or_fails() -> None:
    script = judged("Grade: 3", "no idea", "Grade: 9")
    for on_fail, left in ((OnFail(), ["c0", "c1", "c2"]), (DROP, ["c0", "c2"])):
        result, _ = finish(plan_of(GEN3, (ask(into="score", reads=Reads.GRADE, on_fail=on_fail), (0, 1))), script)
        assert texts(result) == left
        (failure,) = result.failures
        assert (failure.node, failure.place, failure.reply, failure.attempts) == ("ask2", "t.pnyx:2:1", "no idea", 1)
        assert failure.candidate == "s1:1"
    result, _ = finish(plan_of(GEN3, (ask(into="score", reads=Reads.GRADE, on_fail=FAIL), (0, 1))), script)
    assert result.error is not None
    assert (result.error.code, result.error.place) == ("R806", "t.pnyx:2:1")
    assert result.answer is None
    assert result.candidates == ()


def test_an_unreadable_reply_takes_the_old_field_away() -> None:
    grade = ask(into="score", reads=Reads.GRADE)
    replies = in_turn(["c0", "Grade: 3", "no idea"])
    result, _ = finish(plan_of((sample(), (0,)), (grade, (0, 1)), (grade, (0, 2))), replies)
    assert column(result, "score") == [None]


def test_retries_have_fresh_seeds_and_are_counted() -> None:
    plan = plan_of((sample(), (0,)), (ask(into="score", reads=Reads.GRADE, on_fail=OnFail(retries=2)), (0, 1)))
    result, calls = finish(plan, in_turn(["c0", "what?", "hm", "Grade: 4"]))
    assert column(result, "score") == [4.0]
    assert [c.attempt for c in calls] == [0, 0, 1, 2]
    assert len({c.request.seed for c in calls[1:]}) == 3
    assert result.failures == ()
    result, _ = finish(plan, in_turn(["c0", "what?", "hm", "x" * 1000]))
    assert [(f.attempts, f.reply) for f in result.failures] == [(3, "x" * 500)]


@pytest.mark.parametrize("joined", [True, False])
def test_ask_over_each_makes_new_candidates_of_each(joined: bool) -> None:
    plan = plan_of((sample(2), (0,)), (ask(n=2, joined=joined), (0, 1)))
    result, calls = finish(plan, judged("a{k}", "b{k}"))
    assert texts(result) == ["a0", "a1", "b0", "b1"]
    assert len(calls) == 2 + (2 if joined else 4)


def test_ask_over_each_of_nothing_gives_nothing() -> None:
    nothing = (Filter(by="verdict"), (1,))
    result, calls = finish(plan_of(GEN3, nothing, (ask(into="critique"), (0, 2)), (Concat(), (3, 1))), names)
    assert texts(result) == ["c0", "c1", "c2"]
    assert len(calls) == 3


def test_passes_counts_the_tests_that_pass() -> None:
    tests = (ask(Over.QUERY, reads=Reads.LIST, count=2), (0,))
    judge = (ask(into="passes", reads=Reads.PASSES, variables=("tests",)), (0, 1, 2))
    replies = {Reads.LIST: "1. it is short\n2. it is true", Reads.PASSES: "1: pass\n2: fail"}
    result, calls = finish(plan_of((sample(), (0,)), tests, judge), lambda r: replies.get(r.reads, "c{k}"))
    assert column(result, "passes") == [1]
    subject = calls[-1].request.subject
    assert subject is not None
    assert subject.tests == ("it is short", "it is true")
    assert subject.candidates == ("c0",)


@pytest.mark.parametrize(
    ("variables", "shown", "passed"),
    [(("others", "tests"), ("t0", "t1"), 2), (("checks", "others"), ("t0",), 1)],
)
def test_the_tests_are_the_pool_of_that_name_else_the_first(
    variables: tuple[str, ...], shown: tuple[str, ...], passed: int
) -> None:
    one, two = (ask(Over.QUERY, n=n, prompt=QUERY, sampling=Sampling(max_tokens=n)) for n in (1, 2))
    judge = ask(into="passes", reads=Reads.PASSES, variables=variables)
    plan = plan_of((sample(), (0,)), (one, (0,)), (two, (0,)), (judge, (0, 1, 2, 3)))
    replies = "\n".join(f"{i + 1}: pass" for i in range(passed))
    result, calls = finish(plan, lambda r: replies if r.reads is Reads.PASSES else "t{k}")
    subject = calls[-1].request.subject
    assert subject is not None
    assert (subject.tests, column(result, "passes")) == (shown, [passed])


def test_without_tests_none_pass_and_nobody_is_asked() -> None:
    judge = (ask(into="passes", reads=Reads.PASSES, variables=("tests",)), (0, 1, 2))
    result, calls = finish(plan_of((sample(), (0,)), (Filter(), (1,)), judge), names)
    assert column(result, "passes") == [0]
    assert len(calls) == 1


# Ask over all and over the query


@pytest.mark.parametrize("joined", [True, False])
def test_ask_over_all_makes_new_candidates(joined: bool) -> None:
    plan = plan_of(GEN3, (ask(Over.ALL, n=2, joined=joined), (0, 1)))
    result, calls = finish(plan, lambda r: "c{k}" if prompt_of(r) == "Q?" else "f{k}")
    assert texts(result) == ["f0", "f1"]
    assert prompt_of(calls[-1].request) == "Q? [1] c0 [2] c1 [3] c2"


def test_one_candidate_is_handed_on_where_the_program_says_so() -> None:
    for single, text, count in ((Single.KEEP, "c0", 1), (Single.ASK, "f0", 2)):
        plan = plan_of((sample(), (0,)), (ask(Over.ALL, single=single), (0, 1)))
        result, calls = finish(plan, in_turn(["c{k}", "f{k}"]))
        assert (texts(result), len(calls)) == ([text], count)


def test_order_reorders_the_pool() -> None:
    plan = plan_of(GEN3, (ask(Over.ALL, reads=Reads.ORDER), (0, 1)))
    result, _ = finish(plan, lambda r: "[3] > [1] > [2]" if r.reads is Reads.ORDER else "c{k}")
    assert texts(result) == ["c2", "c0", "c1"]


@pytest.mark.parametrize(("on_fail", "left"), [(OnFail(), ["c0", "c1", "c2"]), (DROP, []), (FAIL, [])])
def test_an_unreadable_order(on_fail: OnFail, left: list[str]) -> None:
    plan = plan_of(GEN3, (ask(Over.ALL, reads=Reads.ORDER, on_fail=on_fail), (0, 1)))
    result, _ = finish(plan, lambda r: "[3] > [1]" if r.reads is Reads.ORDER else "c{k}")
    assert texts(result) == left
    assert len(result.failures) == 1
    codes = {OnFail(): None, DROP: "R805", FAIL: "R806"}
    assert (result.error.code if result.error else None) == codes[on_fail]


def test_order_of_one_or_none_asks_nobody() -> None:
    order = ask(Over.ALL, reads=Reads.ORDER)
    result, calls = finish(plan_of((sample(), (0,)), (order, (0, 1))), names)
    assert (texts(result), len(calls)) == (["c0"], 1)
    result, calls = finish(plan_of((sample(), (0,)), (Filter(), (1,)), (order, (0, 2)), (Concat(), (3, 1))), names)
    assert (texts(result), len(calls)) == (["c0"], 1)


def test_list_makes_a_candidate_of_each_item() -> None:
    result, calls = finish(plan_of((ask(Over.QUERY, reads=Reads.LIST, count=2), (0,))), lambda _: "1. a\n2. b\n3. c")
    assert texts(result) == ["a", "b"]
    assert prompt_of(calls[0].request) == "About Q?"
    assert calls[0].request.subject is not None
    assert calls[0].request.subject.count == 2


def test_an_empty_list_is_an_empty_pool_or_a_failure() -> None:
    for on_fail, code in ((OnFail(), "R805"), (DROP, "R805"), (FAIL, "R806")):
        result, _ = finish(plan_of((ask(Over.QUERY, reads=Reads.LIST, on_fail=on_fail), (0,))), lambda _: " ")
        assert result.error is not None
        assert result.error.code == code


def test_ask_over_the_query_makes_candidates() -> None:
    result, _ = finish(plan_of((ask(Over.QUERY, n=2), (0,))), names)
    assert texts(result) == ["c0", "c1"]


def test_ask_over_all_of_nothing_fails_and_says_where() -> None:
    result, calls = finish(plan_of(GEN3, (Filter(), (1,)), (ask(Over.ALL), (0, 2))), names)
    assert len(calls) == 3
    assert result.error is not None
    assert (result.error.code, result.error.place) == ("R805", "t.pnyx:3:1")
    assert "`ask3`" in result.error.message
    assert result.error.help


def test_prompts_see_variables_constants_and_the_system_message() -> None:
    prompt = PromptText(
        name="p",
        params=("query", "candidate", "others", "depth"),
        system="{{ depth }} deep",
        user="{{ candidate.text }}{% for o in others %} {{ o.text }}{% endfor %}{{ candidate.critique }}",
    )
    asked = ask(prompt=prompt, into="x", variables=("others",), constants=(("depth", 3),))
    _, calls = finish(plan_of((sample(), (0,)), GEN3, (asked, (0, 1, 2))), names)
    assert calls[-1].request.messages == (Message("system", "3 deep"), Message("user", "c0 c0 c1 c2"))


def test_a_prompt_that_cannot_be_rendered_fails_the_example() -> None:
    prompt = PromptText(name="p", params=("candidate",), user="{{ candidate.text.missing() }}")
    result, _ = finish(plan_of((sample(), (0,)), (ask(prompt=prompt, into="x"), (0, 1))), names)
    assert result.error is not None
    assert (result.error.code, result.error.place) == ("E406", "t.pnyx:2:1")


def test_a_question_that_cannot_be_asked_asks_none_again() -> None:
    wrong = ask(Over.QUERY, prompt=PromptText(name="p", params=("query",), user="{{ query.missing() }}"))
    result, calls = finish(plan_of((sample(), (0,)), (wrong, (0,)), (Concat(), (1, 2))), names)
    assert (result.error and result.error.code, len(calls)) == ("E406", 1)


def test_the_subject_shows_critiques_where_there_are_any() -> None:
    plan = plan_of((sample(2), (0,)), (ask(into="critique"), (0, 1)), (ask(Over.ALL), (0, 2)))
    _, calls = finish(plan, judged("good", "bad"))
    by_node = {c.node: c.request.subject for c in calls}
    assert by_node[2] is not None
    assert by_node[2].critiques == ()
    assert by_node[3] is not None
    assert (by_node[3].candidates, by_node[3].critiques) == (("c0", "c1"), ("good", "bad"))
    plan = plan_of((sample(), (0,)), (ask(into="critique"), (0, 1)), (Concat(), (2, 1)), (ask(Over.ALL), (0, 3)))
    _, calls = finish(plan, judged("good"))
    assert calls[-1].request.subject is not None
    assert calls[-1].request.subject.critiques == ("good", "")


def test_prompts_see_single_values_and_the_first_of_a_pool() -> None:
    prompt = PromptText(
        name="p",
        params=("query", "candidate", "hint", "level", "gone"),
        user="{{ hint.text }}/{{ hint | length }}/{{ hint.count }}/{{ level }}/{{ gone }}{% if gone %}there{% endif %}",
    )
    asked = ask(prompt=prompt, into="x", variables=("hint", "level", "gone"))
    level, gone = (Constant(value=2.5), ()), (FieldOf(name="score"), (1,))
    plan = plan_of((sample(), (0,)), GEN3, level, gone, (asked, (0, 1, 2, 3, 4)))
    assert prompt_of(finish(plan, names)[1][-1].request) == "c0/3//2.5/"
    plan = plan_of((sample(), (0,)), (Take(k=0), (1,)), level, gone, (asked, (0, 1, 2, 3, 4)))
    assert prompt_of(finish(plan, names)[1][-1].request) == "/0//2.5/"


# Operators without a model


def graded(*replies: str) -> tuple[list[tuple[Operator, tuple[int, ...]]], object]:
    """Nodes 1 and 2: candidates c0, c1, … with a `score` each; None where the reply has no number."""
    nodes = [(sample(len(replies)), (0,)), (ask(into="score", reads=Reads.NUMBER), (0, 1))]
    return nodes, judged(*replies)


def test_sort_is_stable_and_absent_comes_last() -> None:
    nodes, script = graded("1", "none", "3", "1", "2")
    result, _ = finish(plan_of(*nodes, (Sort(by="score"), (2,))), script)
    assert texts(result) == ["c2", "c4", "c0", "c3", "c1"]
    result, _ = finish(plan_of(*nodes, (Sort(by="score", ascending=True), (2,))), script)
    assert texts(result) == ["c0", "c3", "c4", "c2", "c1"]


def test_sort_by_text() -> None:
    result, _ = finish(plan_of(GEN3, (Sort(by="text"), (1,))), names)
    assert texts(result) == ["c2", "c1", "c0"]


def test_filter() -> None:
    nodes, script = graded("0", "none", "3", "1")
    for filter, left in (
        (Filter(by="score"), ["c2", "c3"]),
        (Filter(by="score", at_least=3), ["c2"]),
        (Filter(by="score", at_least=9, if_none=IfNone.KEEP), ["c0", "c1", "c2", "c3"]),
        (Filter(by="text", at_least=1, if_none=IfNone.KEEP), ["c0", "c1", "c2", "c3"]),
    ):
        result, _ = finish(plan_of(*nodes, (filter, (2,))), script)
        assert texts(result) == left
    result, _ = finish(plan_of(*nodes, (Filter(by="score", at_least=9), (2,))), script)
    assert result.error is not None
    assert (result.error.code, result.error.place) == ("R805", "t.pnyx:3:1")


def voted(vote: Vote, *texts: str) -> Result:
    nodes = [(sample(len(texts)), (0,)), (Extract(answer=AnswerKind.NUMBER), (1,)), (vote, (2,))]
    return finish(plan_of(*nodes), lambda request: texts[request.first])[0]


def test_vote_takes_the_first_of_the_largest_group() -> None:
    result = voted(Vote(), "it is 1", "it is 2", "2.0, so 2.00", "nothing")
    assert result.answer == "2"
    assert result.candidates[0]["text"] == "it is 2"
    assert result.candidates[0]["votes"] == 2
    assert [(f.candidate, f.attempts) for f in result.failures] == [("s1:3", 1)]


def test_a_tied_vote_goes_to_the_group_that_appeared_first() -> None:
    assert voted(Vote(), "5", "3", "3", "5").answer == "5"


def test_a_vote_without_voters_is_empty() -> None:
    result = voted(Vote(), "none", "nothing")
    assert result.error is not None
    assert result.error.code == "R805"
    assert "answer" in (result.error.help or "")
    assert len(result.failures) == 2


def test_a_weighted_vote_sums_the_weights_of_those_that_have_one() -> None:
    nodes, script = graded("1", "none", "1", "3")
    plan = plan_of(*nodes, (Vote(by="model", weight="score"), (2,)))
    result, _ = finish(plan, script)
    assert result.candidates[0]["votes"] == 5.0
    result, _ = finish(plan_of(*nodes, (Vote(by="text", weight="score"), (2,))), script)
    assert texts(result) == ["c3"]


def test_weights_too_large_to_be_summed_are_no_crash() -> None:
    weigh = ask(into="score", reads=Reads.NUMBER)
    plan = plan_of((sample(3), (0,)), (weigh, (0, 1)), (Vote(by="model", weight="score"), (2,)))
    for sign, largest in (("", float_info.max), ("-", -float_info.max)):
        result, _ = finish(plan, judged(*[f"{sign}900000000e299"] * 3))
        assert json.loads(result.to_json())["candidates"][0]["votes"] == largest


def test_take_dedupe_concat() -> None:
    result, _ = finish(plan_of(GEN3, (Take(k=2), (1,)), (Concat(), (2, 1)), (Dedupe(), (3,))), names)
    assert texts(result) == ["c0", "c1", "c2"]
    result, _ = finish(plan_of(GEN3, (Take(k=9), (1,)), (Concat(), (2, 1))), names)
    assert texts(result) == ["c0", "c1", "c2"] * 2


def test_dedupe_ignores_white_space_at_the_ends_and_keeps_what_has_no_value() -> None:
    result, _ = finish(plan_of(GEN3, (Dedupe(), (1,))), lambda r: ["a", " a\n", "b"][r.first])
    assert texts(result) == ["a", "b"]
    result, _ = finish(plan_of(GEN3, (Dedupe(by="answer"), (1,))), names)
    assert len(result.candidates) == 3


def test_a_pipeline_without_operators_answers_with_its_question() -> None:
    result, calls = finish(plan_of(), names)
    assert (result.answer, calls) == ("Q?", [])


# Failures of calls


def test_a_failed_call_fails_the_example_and_says_where() -> None:
    result, _ = finish(
        plan_of((sample(), (0,)), (ask(into="critique"), (0, 1))), in_turn(["c0", EngineFailure("gone")])
    )
    assert result.error is not None
    assert (result.error.code, result.error.message, result.error.place) == ("R807", "gone", "t.pnyx:2:1")
    assert result.usage.calls == 1


def test_prompts_of_these_tests_differ() -> None:
    assert len({EACH.user, ALL.user, QUERY.user}) == 3
