"""Asking a model to choose one of several words."""

from __future__ import annotations

from dataclasses import replace

from scripted import ask, finish, in_turn, plan_of, prompt_of, sample, texts

from pnyx.compiler.operators import Action, OnFail, Over, PromptText, Reads, Single
from pnyx.runtime.request import Subject
from pnyx.runtime.results import Result

DROP, FAIL = OnFail(then=Action.DROP), OnFail(then=Action.FAIL)


def judged(*values: str) -> object:
    """Candidates c0, c1, …, of which the k-th is then judged with the k-th value."""
    return lambda request: values[int(prompt_of(request)[-1])] if " / " in prompt_of(request) else "c{k}"


def column(result: Result, field: str) -> list[object]:
    return [candidate.get(field) for candidate in result.candidates]


def test_a_choice_is_one_candidate_or_none() -> None:
    seen = PromptText(name="p", params=("options",), user="{{ options | join('|') }}")
    chosen = ask(Over.QUERY, prompt=seen, reads=Reads.CHOICE, options=("easy", "hard"))
    result, calls = finish(plan_of((chosen, (0,))), lambda _: "It is Hard.")
    assert (texts(result), column(result, "model"), column(result, "logprob")) == (["hard"], ["m"], [-0.5])
    assert prompt_of(calls[0].request) == "easy|hard"
    assert calls[0].request.subject == Subject("Q?", options=("easy", "hard"))
    for on_fail, code in ((OnFail(), "R805"), (DROP, "R805"), (FAIL, "R806")):
        result, _ = finish(plan_of((replace(chosen, on_fail=on_fail), (0,))), lambda _: "easy or hard")
        assert (result.error and result.error.code) == code
        assert len(result.failures) == 1


def test_a_choice_about_one_candidate_is_asked_all_the_same() -> None:
    chosen = ask(Over.ALL, reads=Reads.CHOICE, options=("easy", "hard"), single=Single.KEEP)
    result, calls = finish(plan_of((sample(), (0,)), (chosen, (0, 1))), in_turn(["c0", "easy"]))
    assert (texts(result), len(calls)) == (["easy"], 2)


def test_a_choice_can_be_a_field() -> None:
    kind = ask(into="kind", reads=Reads.CHOICE, options=("sum", "product"))
    result, _ = finish(plan_of((sample(2), (0,)), (kind, (0, 1))), judged("Answer: sum", "no idea"))
    assert column(result, "kind") == ["sum", None]
