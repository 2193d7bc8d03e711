"""What loops of many rounds cost, and how large the results are of what looks up, shuffles, goes on or is a person's
own."""

from __future__ import annotations

from math import inf

import pytest

from pnyx.compiler.cost import CostReport, Estimate, Profile, estimate
from pnyx.compiler.cost.profile import StreamFacts
from pnyx.compiler.plan import Plan
from tests.elaborate.programs import body, compiled


def cost(text: str, before: str = "", profile: Profile | None = None) -> CostReport:
    return estimate(compiled(body(text, before)), profile)


def sizes(text: str, before: str = "") -> dict[str, Estimate]:
    """Candidates by label, outside of bodies; of equal labels the last."""
    plan = compiled(body(text, before))
    places = {id(entry): i for i, entry in enumerate(plan.everywhere())}
    found = estimate(plan).nodes
    return {entry.label: found[places[id(entry)]].size for entry in plan.nodes}


# Loops of more rounds than are walked one by one ---------------------------------------------------

REWRITE = "x = query |> generate(small)\nloop max {most} {{ x = x |> critique(judge) |> revise(small) }}\nx"


@pytest.mark.parametrize("most", [1, 24, 25, 30, 1000])
def test_a_loop_without_an_end_costs_as_many_rounds_as_it_has(most: int) -> None:
    report = cost(REWRITE.format(most=most))
    assert report.total.calls == Estimate.exactly(1 + 2 * most)
    assert report.nodes[-1].depth == Estimate.exactly(1 + 2 * most)


@pytest.mark.parametrize("most", [24, 30, 1000])
def test_a_loop_that_may_end_costs_one_to_all_rounds(most: int) -> None:
    text = f"x = empty\nloop max {most} until size(x) >= 9 {{ x = x + (query |> generate(small)) }}\nx"
    assert cost(text).total.calls == Estimate(1, (1 + most) / 2, most)


def test_prompts_grow_with_the_rounds_up_to_the_greatest_size() -> None:
    """Later rounds ask about pools as large as the loop can make them, so bounds hold."""
    text = (
        "x = query |> generate(small)\n"
        "loop max {most} {{ x = x + (query |> generate(small) |> critique(judge)) |> fuse(judge, n = 2) }}\nx"
    )
    grown = [cost(text.format(most=most)).total.prompt_tokens.expected for most in (10, 20, 24, 25, 40)]
    assert grown == sorted(set(grown))


def test_a_round_beyond_those_walked_asks_about_the_widest_pool() -> None:
    text = (
        "x = empty\nloop max {most} {{ y = query |> generate(small)\nx = x + y\n"
        "y = x |> ask(judge, p, into = critique)\nx = y }}\nx"
    )
    before = 'prompt p(candidate) = "{{ candidate.text }}"'
    walked, beyond = (cost(text.format(most=most), before).total.calls for most in (24, 25))
    assert walked.expected == 24 + sum(range(1, 25))
    assert beyond.expected == 25 + sum(range(1, 26))
    assert beyond.least <= beyond.expected <= beyond.most


# Sizes -------------------------------------------------------------------------------------------

FUNCTION = 'extern op e(q: Chat) -> Pool[2..4]{text, finished} = "m:f"'


@pytest.mark.parametrize(
    ("text", "before", "label", "size"),
    [
        ("query |> shuffle_options(3)", "", "shuffle_options", Estimate.exactly(3)),
        ('query |> retrieve("f.txt", k = 4)', "", "retrieve", Estimate(0, 4, 4)),
        ("query |> generate(small, n = 3) |> extract(number) |> group", "", "group", Estimate(0, 1.5, 3)),
        ("query |> generate(small, n = 3) |> extract(number) |> vote", "", "vote", Estimate(0, 1, 1)),
        ("query |> generate(small, n = 2) |> resample(5, by = logprob)", "", "resample", Estimate.exactly(5)),
        ("query |> generate(small, n = 5) |> sample(2)", "", "sample", Estimate.exactly(2)),
        ('query |> generate(small, n = 2) |> probe(small, guess, force = "So")', "", "probe", Estimate.exactly(2)),
        ('query |> generate(small, n = 2, stop = "x") |> extend(small, n = 3)', "", "extend", Estimate(2, 6, 6)),
        ("query |> e", FUNCTION, "e", Estimate(2, 3, 4)),
        (
            "query |> generate(small, n = 3) |> e",
            'extern op e(pool: Pool{text}) -> Pool{score} = "m:f"',
            "e",
            Estimate(0, 3, 3),
        ),
    ],
)
def test_sizes(text: str, before: str, label: str, size: Estimate) -> None:
    assert sizes(text, before)[label] == size


def test_going_on_asks_once_for_each_candidate_that_is_not_finished() -> None:
    stopped = cost('query |> generate(small, n = 2, stop = "x") |> extend(small, n = 3)')
    assert stopped.nodes[-1].cost.calls == Estimate(0, 6, 6)
    probed = cost('query |> generate(small, n = 2) |> probe(small, guess, force = "So:")')
    assert probed.nodes[-1].cost.calls == Estimate.exactly(2)


def test_what_goes_on_is_shown_what_was_there() -> None:
    """The prompt of a continuation holds the text before it, of a function's candidates one that is not known."""
    short, long = (
        cost(f'query |> generate(small, max_tokens = {most}, stop = "x") |> extend(small)').nodes[-1].cost.prompt_tokens
        for most in (16, 2048)
    )
    assert short.expected < long.expected
    outside = cost("query |> e |> extend(small)", FUNCTION)
    assert outside.nodes[-1].cost.calls == Estimate(0, 3, 4)
    assert 0 < outside.nodes[-1].cost.prompt_tokens.expected < inf


def test_what_a_probe_finds_has_the_length_of_a_sample() -> None:
    text = 'query |> generate(small) |> probe(small, guess, force = "So:", max_tokens = {}) |> ask(judge, p)'
    before = 'prompt p(candidate) = "{{ candidate.guess }}"'
    few, many = (cost(text.format(most), before).nodes[-1].cost.prompt_tokens.expected for most in (8, 800))
    assert few < many


def test_a_choice_written_into_a_field_is_as_long_as_the_longest_option() -> None:
    text = "query |> generate(small) |> ask(judge, kind, into = label, reads = choice, options = {}) |> ask(judge, p)"
    before = 'prompt kind(candidate, options) = "{{ options }}"\nprompt p(candidate) = "{{ candidate.label }}"'
    short, long, mixed = (
        cost(text.format(options), before).nodes[-1].cost.prompt_tokens.expected
        for options in ('["a", "b"]', f'["{"long " * 40}", "b"]', f'["b", "{"long " * 40}"]')
    )
    assert short < long == mixed


def test_options_with_their_letters_are_as_long_as_the_question() -> None:
    shuffled = cost("query |> shuffle_options(3) |> grade(judge)").nodes[-1].cost
    assert shuffled.calls == Estimate.exactly(3)
    assert shuffled.prompt_tokens.most == inf


def test_a_measured_size_is_what_is_expected() -> None:
    plan = compiled(body('query |> retrieve("f.txt", k = 4) |> grade(judge)'))
    assert measured(plan, 1, results=2, size=3).nodes[1].size == Estimate(0, 1.5, 4)
    plan = compiled(body('query |> generate(small, n = 2, stop = "x") |> extend(small, n = 3)'))
    assert measured(plan, 2, results=2, size=8).nodes[2].size == Estimate(2, 4, 6)


def measured(plan: Plan, index: int, *, results: int, size: int) -> CostReport:
    """What a plan costs once so many pools of so many candidates together were seen of one of its nodes."""
    facts = StreamFacts(results=results, result_size=size)
    return estimate(plan, Profile(streams={plan.nodes[index].stream: facts}))
