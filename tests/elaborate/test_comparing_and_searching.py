"""Comparisons, groups, options and trees as programs write them, and what is wrong with them."""

from __future__ import annotations

import pytest
from elaborate.programs import body, check, compiled, errors, kinds, warnings

from pnyx.compiler.operators import Choose, Group, Loglik, Resample, Scheme, TreePolicy

TWO = 'prompt two(query, a, b) = "{{ query }} {{ a.text }} {{ b.text }}"\n'
DRAFTS = "drafts = query |> generate(small, n = 4)\n"


def compare(arguments: str, prompt: str = TWO) -> str:
    return body(f"{DRAFTS}drafts |> ask(judge, two, {arguments})", prompt)


def test_two_at_a_time() -> None:
    assert not check(compare("over = neighbours, reads = winner"))
    assert not check(compare("over = pairs, into = wins, reads = winner"))


@pytest.mark.parametrize(
    ("arguments", "message", "help"),
    [
        ("over = neighbours", "`over = neighbours` asks which of two is better", "add `reads = winner`"),
        ("over = pairs, into = wins, reads = grade", "`over = pairs` asks which of two is better", "reads = winner"),
        ("reads = winner", "a winner is one of two candidates", "over = neighbours"),
        ("over = all, reads = winner", "a winner is one of two candidates", "over = pairs"),
        ("over = pairs, reads = winner", "`over = pairs` needs a field", "into = wins"),
        ("over = neighbours, into = wins, reads = winner", "of neighbours one stays", "over = pairs"),
        ("over = neighbours, reads = winner, n = 2", "several samples", "drop `n`"),
    ],
)
def test_what_does_not_go_with_two(arguments: str, message: str, help: str) -> None:
    (fault,) = errors(compare(arguments))
    assert fault.code == "E307"
    assert message in fault.message
    assert help in (fault.help or "")


def test_prompts_about_two_have_their_own_variables() -> None:
    (fault,) = errors(body(f"{DRAFTS}drafts |> ask(judge, two)", TWO))
    assert (fault.code, "`over = neighbours`" in (fault.help or "")) == ("E204", True)
    one = 'prompt two(query, candidate) = "{{ candidate.text }}"\n'
    (fault,) = errors(compare("over = neighbours, reads = winner", one))
    assert (fault.code, fault.help) == ("E204", "with `over = neighbours` the candidates are `a` and `b`")
    more = 'prompt two(query, a, b, c) = "{{ a.text }} {{ b.text }} {{ c }}"\n'
    (fault,) = errors(compare("over = pairs, reads = winner, into = wins", more))
    assert "only `query`, `a` and `b` come by themselves" in (fault.help or "")
    (fault,) = errors(compare('over = pairs, reads = winner, into = wins, a = "x"'))
    assert (fault.code, "supplies it itself" in fault.message) == ("E203", True)
    unknown = 'prompt two(query, a, b) = "{{ a.text }} {{ b.critique }}"\n'
    (fault,) = errors(compare("over = neighbours, reads = winner", unknown))
    assert fault.code == "E208"


def test_comparing_one_candidate_is_warned_of() -> None:
    (warning,) = warnings(body("query |> generate(small) |> tournament(judge)"))
    assert (warning.code, "compares at most one candidate" in warning.message) == ("W701", True)


def test_a_group_is_a_vote_that_keeps_the_losers() -> None:
    text = "query |> generate(small, n = 3) |> extract(number) |> group(weight = logprob)"
    plan = compiled(body(text))
    assert plan.nodes[-1].operator == Group(weight="logprob")
    (fault,) = errors(body("query |> generate(small, n = 3) |> extract(number) |> group(weight = score)"))
    assert (fault.code, "`group` weighs by `score`" in fault.message) == ("E302", True)
    (fault,) = errors(body("query |> generate(small, n = 3) |> group"))
    assert (fault.code, fault.help) == ("E302", "add `|> extract(number)` before it")


def test_allocate_shares_out_without_chance() -> None:
    plan = compiled(body("query |> generate(small, n = 3) |> grade(judge) |> allocate(6)"))
    assert plan.nodes[-1].operator == Resample(n=6, temperature=0.2, scheme=Scheme.BALANCED)


def test_loglik_fills_the_field_it_is_told() -> None:
    text = "query |> generate(small, n = 2) |> extract(number) |> loglik(judge, of = answer, into = sure)"
    plan = compiled(body(f"{text} |> best(by = sure)"))
    assert plan.nodes[3].operator == Loglik(model="judge", of="answer", into="sure")
    (fault,) = errors(body("query |> generate(small) |> loglik(judge, of = answer)"))
    assert (fault.code, fault.message) == ("E302", "`loglik` needs candidates with an `answer`")


def test_options_are_restored_by_an_order_known_when_running_or_before() -> None:
    late = "query |> shuffle_options(2) |> each v { v |> as_query |> generate(small) |> extract(choice)"
    assert not errors(body(f"{late} |> restore_option(v.order) }}"))
    plan = compiled(body('query |> generate(small) |> extract(choice) |> restore_option("CAB")'))
    assert kinds(plan) == ["sample", "extract", "constant", "restore_option"]
    (fault,) = errors(body("query |> generate(small) |> extract(choice) |> restore_option(3)"))
    assert fault.code == "E301"
    (fault,) = errors(body("query |> generate(small) |> shuffle_options(3)"))
    assert (fault.code, "works on the question" in fault.message) == ("E301", True)


TREE = "tree = query |> generate(small, n = 3) |> grade(judge)\n"


def test_a_tree_grows() -> None:
    text = f"{TREE}node = tree |> choose(puct, c = 1.25)\ntree |> grow(node |> revise(small) |> grade(judge), node)"
    plan = compiled(body(text))
    assert not check(body(text))
    choose = next(n for n in plan.nodes if isinstance(n.operator, Choose))
    assert choose.operator == Choose(policy=TreePolicy.PUCT, c=1.25)
    assert (choose.type.low, choose.type.high) == (1, 1)
    assert plan.nodes[-1].type.fields == ("logprob", "model", "parent", "score", "text")


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("tree |> choose(best)", "E209", "`policy` of `choose` cannot be `best`"),
        ("tree |> choose(by = quality)", "E302", "needs candidates with a `quality`"),
        ("tree |> choose(prior = logprob)", "E307", "`prior` has no meaning for `uct`"),
        ("tree |> choose(puct, prior = chance)", "E302", "reads `chance`, which these lack"),
        ("tree |> choose(done = finished)", "E302", "reads `finished`, which these lack"),
        ("tree |> choose(c = -1.0)", "E401", "`c` of `choose` cannot be -1"),
        ("tree |> grow(tree, tree)", "E301", "children have one parent"),
        ("tree |> grow(query, tree |> choose)", "E301", "`grow` works on candidates"),
    ],
)
def test_what_is_wrong_with_a_tree(text: str, code: str, message: str) -> None:
    (fault,) = errors(body(TREE + text))
    assert fault.code == code
    assert message in fault.message


def test_an_end_that_is_known_never_to_come_is_none() -> None:
    """The loop is the one without `until`: its rounds are known."""
    grow = "loop max 3{} {{ drafts = drafts + (query |> generate(small)) }}\ndrafts"
    plain, never = (compiled(body(DRAFTS + grow.format(ends))) for ends in ("", " until false"))
    assert [n.operator for n in plain.nodes] == [n.operator for n in never.nodes]
    assert plain.nodes[plain.output].type == never.nodes[never.output].type
