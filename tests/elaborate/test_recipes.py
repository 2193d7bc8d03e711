"""Calls that were elaborated once are carried out again from memory: the graphs are those of elaborating anew."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

import pytest
from equivalence.random_programs import programs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pnyx.compiler.cost import estimate
from pnyx.compiler.elaborate import call, evaluate
from pnyx.compiler.graph import Graph
from pnyx.compiler.program import Closed, Program
from pnyx.compiler.verify import verify

HEAD = """model small = "smollm2-135m"
model large = "qwen2.5-72b"
prompt compare(query, candidates, others) = "{{ candidates | length }} {{ others | length }} {{ query }}"
"""


def in_detail(graph: Graph) -> Iterator[tuple[object, ...]]:
    for node in graph.everywhere():
        inputs = tuple(given.digest for given in node.inputs)
        yield node.digest, node.stream, node.operator, inputs, node.type, node.label, str(node.span)


def check_same(one: Closed, other: Closed) -> None:
    assert one.choices == other.choices
    assert [d.message for d in one.faults] == [d.message for d in other.faults]
    assert (one.graph is None) == (other.graph is None)
    if one.graph is not None and other.graph is not None:
        verify(one.graph, "elaboration")
        assert list(in_detail(one.graph)) == list(in_detail(other.graph))


def check_all(text: str, wanted: list[dict[str, int]]) -> None:
    """A program that remembers, beside one that forgets."""
    remembering, anew = (Program.parse(text, "main.pnyx") for _ in range(2))
    assert not [d.message for d in remembering.check() if d.is_error]
    anew.check()
    for options in wanted:
        anew._scope.results.clear()
        one, other = remembering.close("main", options), anew.close("main", options)
        check_same(one, other)
        if one.graph is not None:
            plan = remembering.freeze(one)
            assert plan.model_dump_json() == anew.freeze(other).model_dump_json()
            assert estimate(plan) == estimate(anew.freeze(other))


def opened(text: str, random: Random) -> str:
    """The program with choices for some of its models, numbers and steps."""

    def counted(found: re.Match[str]) -> str:
        return f"n = tune({found[1]}, {int(found[1]) + 1})" if random.random() < 0.5 else found[0]

    def asked(found: re.Match[str]) -> str:
        return f"{found[1]}tune(small, large)" if random.random() < 0.4 else found[0]

    def taken(found: re.Match[str]) -> str:
        maybe = random.random() < 0.3
        return f"{found[1]}|> tune({found[2]}(_, {found[3]}), skip)" if maybe else found[0]

    text = re.sub(r"\|> (critique|assess|verify)\((\w+), max", r"|> \1(\2, max", text)
    text = re.sub(r"(= p\d+ )\|> (rank|critique|dedupe)\(([^()]*)\)", taken, text)
    text = re.sub(r"\bn = (\d)", counted, text)
    return re.sub(r"((?:\|> \w+\())(?:small|large)\b", asked, text)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs(), st.randoms(use_true_random=False))
def test_random_programs_are_what_they_are_without_memory(text: str, random: Random) -> None:
    text = opened(text, random)
    made = Program.parse(text, "main.pnyx")
    if any(d.is_error for d in made.check()):
        return
    names = {choice.name: len(choice.options) for choice in made.choices("main")}
    check_all(text, [{name: random.randrange(options) for name, options in names.items()} for _ in range(4)])


def test_inputs_that_are_the_same_once_and_differ_then() -> None:
    text = f"""{HEAD}
    pipeline main(query) {{
        first = query |> generate(small, n = 2, max_tokens = 16)
        second = first |> tune(skip, critique(_, large, max_tokens = 16), take(_, 2))
        first |> ask(large, compare, over = all, others = second, max_tokens = 16)
    }}
    """
    check_all(text, [{"main.second": index} for index in (0, 1, 2, 0, 1, 2)])


def test_questions_that_are_made_of_candidates() -> None:
    text = f"""{HEAD}
    pipeline main(query) {{
        chat = query |> generate(tune(small, large), max_tokens = 16) |> as_query
        pool = chat |> generate(small, n = 2, max_tokens = 16) |> critique(large, max_tokens = 16)
        pool |> fuse(small, max_tokens = 16)
    }}
    """
    check_all(text, [{"main.generate.model": index} for index in (0, 1, 0)])


def test_what_is_drawn_outside_of_a_branch_is_not_drawn_in_it() -> None:
    text = f"""{HEAD}
    pipeline main(query) {{
        pool = query |> generate(small, n = 2, max_tokens = 16)
        best = pool |> extract(number) |> vote
        if size(pool |> filter(logprob, at_least = -3)) > 1 {{
            best = query |> generate(small, n = 2, max_tokens = 16) |> fuse(tune(small, large), max_tokens = 16)
        }}
        best
    }}
    """
    check_all(text, [{"main.fuse.model": index} for index in (0, 1, 0, 1)])


def test_a_call_is_elaborated_once_for_each_type_of_its_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"""{HEAD}
    pipeline main(query) {{
        query
        |> generate(tune(small, large), n = tune(2, 3), temperature = tune(0.2, 0.5, 0.8), max_tokens = 16)
        |> fuse(large, max_tokens = 16)
    }}
    """
    program = Program.parse(text, "main.pnyx")
    program.close("main", {})
    elaborated: list[str] = []
    result = call._result

    def counted(elaborator: evaluate.Elaborator, callee: object, bound: object, where: object) -> object:
        elaborated.append(callee.operation.signature.name)  # type: ignore[attr-defined]
        return result(elaborator, callee, bound, where)  # type: ignore[arg-type]

    monkeypatch.setattr(call, "_result", counted)
    options = [(m, n, t) for m in range(2) for n in range(2) for t in range(3)]
    made = [
        program.close("main", {"main.generate.model": m, "main.generate.n": n, "main.generate.temperature": t})
        for m, n, t in options
    ]
    assert len({closed.graph.output.digest for closed in made if closed.graph is not None}) == 12
    # `check` has met the alternatives one by one, so what is new of `fuse` is nothing.
    assert elaborated.count("fuse") == 0


def test_remembered_nodes_count_as_nodes() -> None:
    text = f"""{HEAD}
    pipeline main(query) {{
        pool = query |> generate(small, n = 1, max_tokens = 16)
        repeat {evaluate.MOST_NODES + 1} {{ pool = pool |> fuse(large, max_tokens = 16) }}
        pool
    }}
    """
    (found,) = [d for d in Program.parse(text, "main.pnyx").check() if d.is_error]
    assert (found.code, "nodes" in found.message) == ("E405", True)
