"""The library's comparisons and searches, as they run: their simplest cases are simpler techniques."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pnyx.compiler.program import Program
from pnyx.runtime.engines.simulated import SimulatedEngine
from pnyx.runtime.results import Result
from pnyx.runtime.rows import Row
from pnyx.runtime.session import Session

HEADER = 'model small = "tiny-0.5b"\nmodel judge = "big-70B"\n'
QUESTION = "What is 17 * 23?"
CHOICE = "What is 17 * 23?\nA) 391\nB) 381\nC) 401\nD) 291"


def run(text: str, question: str = QUESTION, *, seed: int = 3) -> Result:
    plan = Program.parse(f"{HEADER}pipeline main(query) {{ {text} }}", "main.pnyx").compile()

    async def collect() -> list[Result]:
        engines = {m.name: SimulatedEngine(model=m.id) for m in plan.models}
        return [r async for r in Session(plan, engines, seed=seed).map([Row(0, question)])]

    (result,) = asyncio.run(collect())
    assert result.error is None
    return result


def candidates(text: str, question: str = QUESTION) -> list[dict[str, Any]]:
    return [dict(c) for c in run(text, question).candidates]


SCORER = "p_yes(_, judge)"
BEST_OF = f"query |> generate(small, n = 4) |> {SCORER.replace('_, ', '')} |> best"


@pytest.mark.parametrize("chooser", ["uct", "puct", "best_first", "levin", "thompson"])
def test_a_tree_search_without_a_budget_is_best_of_width(chooser: str) -> None:
    search = f"tree_search(small, revise(_, small), {SCORER}, budget = 0, width = 4, chooser = choose(_, {chooser}))"
    assert candidates(f"query |> {search}") == candidates(BEST_OF)


def test_evolution_without_generations_is_best_of_the_population() -> None:
    assert candidates(f"query |> evolve(small, {SCORER}, population = 4, generations = 0, temperature = 0.7)") == (
        candidates(BEST_OF)
    )


@pytest.mark.parametrize("chooser", ["uct", "puct", "best_first", "levin"])
def test_a_search_spends_its_budget_and_not_more(chooser: str) -> None:
    search = f"tree_search(small, revise(_, small), {SCORER}, budget = 6, width = 2, chooser = choose(_, {chooser}))"
    assert run(f"query |> {search}").usage.samples == 2 + 6


def test_a_search_ends_once_a_score_is_enough() -> None:
    search = f"tree_search(small, revise(_, small), {SCORER}, budget = 6, width = 2, enough = 0.0)"
    assert run(f"query |> {search}").usage.samples == 2 + 1


def test_a_search_is_never_worse_than_its_first_answers() -> None:
    for question in (QUESTION, "What is 3 + 4 * 5?", "Why is the sky blue?"):
        search = f"tree_search(small, revise(_, small), {SCORER}, budget = 6, width = 4)"
        (found,), (first,) = candidates(f"query |> {search}", question), candidates(BEST_OF, question)
        assert found["score"] >= first["score"]


def test_where_every_node_is_done_a_new_first_answer_is_drawn() -> None:
    """Each answer ends by itself, so `done` holds of all of them, no node is chosen, and the tree becomes a list."""
    tree = """
        tree = query |> generate(small, n = 2, stop = "@@") |> p_yes(judge)
        loop max 3 {
            node = tree |> choose(done = finished)
            more = query |> generate(small, stop = "@@") |> p_yes(judge)
            tree = tree |> grow(more, node)
        }
        tree
    """
    found = candidates(tree)
    assert len(found) == 5
    assert not any("parent" in c for c in found)


def test_islands_are_streams_of_evolution() -> None:
    island = f"evolve(small, {SCORER}, population = 3, generations = 1, children = 2, stream = {{}})"
    one, other = (candidates(f"query |> {island.format(stream)}") for stream in (0, 1))
    assert one != other
    assert candidates(f"(query |> {island.format(0)}) + (query |> {island.format(1)})") == [*one, *other]


def test_a_population_never_gets_worse() -> None:
    evolve = f"query |> evolve(small, {SCORER}, population = 3, generations = {{}})"
    found = [candidates(evolve.format(g))[0]["score"] for g in (0, 1, 3)]
    assert found == sorted(found)


def test_a_knockout_of_one_is_that_one() -> None:
    assert candidates("query |> generate(small) |> tournament(judge)") == candidates("query |> generate(small)")


@pytest.mark.parametrize("n", [2, 3, 5])
def test_a_knockout_leaves_one_of_them(n: int) -> None:
    drafts = candidates(f"query |> generate(small, n = {n})")
    result = run(f"query |> generate(small, n = {n}) |> tournament(judge)")
    assert dict(result.candidates[0]) in drafts
    assert result.usage.calls == 1 + n - 1


def test_a_round_robin_orders_all_of_them() -> None:
    found = candidates("query |> generate(small, n = 4) |> round_robin(judge)")
    wins = [c.get("wins", -1.0) for c in found]
    assert wins == sorted(wins, reverse=True)
    assert len(found) == 4
    assert candidates("query |> generate(small, n = 4) |> round_robin(judge, keep = 2)") == found[:2]


def test_the_first_group_is_the_vote() -> None:
    answers = "query |> generate(small, n = 9) |> extract(number)"
    groups = candidates(f"{answers} |> group")
    assert groups[:1] == candidates(f"{answers} |> vote")
    assert sum(c["votes"] for c in groups) <= 9
    assert len({c["answer"] for c in groups}) == len(groups)


def test_shuffled_choices_of_a_question_without_any_are_a_plain_vote_of_samples() -> None:
    result = run("query |> choice_shuffling(small, n = 5, kind = extract(_, number))")
    assert result.usage.samples == 5
    assert result.candidates[0]["votes"] <= 5  # type: ignore[operator]


def test_shuffled_choices_vote_in_the_letters_of_the_question() -> None:
    """Whoever knows the content says its letter in the order shown, and means A."""
    shown = candidates("query |> shuffle_options(6)", CHOICE)
    assert len({c["order"] for c in shown}) == 6
    letters = [next(line[0] for line in str(c["text"]).splitlines() if line.endswith(" 391")) for c in shown]
    assert [str(c["order"])["ABCD".index(letter)] for c, letter in zip(shown, letters, strict=True)] == ["A"] * 6
    result = run("query |> choice_shuffling(judge, n = 4)", CHOICE)
    assert result.answer in set("ABCD")


def test_allocate_gives_the_best_the_most() -> None:
    found = candidates("query |> generate(small, n = 3) |> p_yes(judge) |> allocate(8)")
    assert len(found) == 8
    counts = {c["score"]: sum(o["score"] == c["score"] for o in found) for c in found}
    assert counts[max(counts)] == max(counts.values())
