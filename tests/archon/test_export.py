"""Exporting to Archon: what comes back is the same plan, and what Archon lacks is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from archon.archon_files import FIXTURES, compiled, exported, imported

from pnyx.compiler.diagnostics import Diagnostics
from pnyx.compiler.program import Program

MODELS = 'model a = "org/a"\nmodel b = "gpt-4o"\n\n'


def _exported(body: str, declarations: str = "") -> tuple[str | None, Diagnostics, Program]:
    program = Program.parse(f"{MODELS}{declarations}pipeline test(query) {{\n{body}\n}}\n", "test.pnyx")
    text, found = exported(program.compile(optimise=False), program.graph())
    return text, found, program


IMPORTED = [path for path in sorted(FIXTURES.glob("*.pnyx")) if path.read_text()]


@pytest.mark.parametrize("path", IMPORTED, ids=lambda path: path.stem)
def test_import_export_import_is_the_same_plan(path: Path) -> None:
    first, _ = imported(path.with_suffix(".json").read_text(), path.name)
    assert first is not None
    plan, graph = compiled(first)
    text, found = exported(plan, graph)
    assert text is not None, [d.message for d in found]
    second, again = imported(text)
    assert second is not None, [d.message for d in again]
    assert compiled(second)[0].digest == plan.digest


def test_a_program_becomes_this_json() -> None:
    text, found, _ = _exported(
        "query |> generate([a, b], n = 2) |> critique(b) |> rank(b, keep = 3)\n"
        "|> verify(b, on_fail = retry(9) then keep) |> fuse(a)"
    )
    assert text is not None
    assert not found
    data = json.loads(text)
    assert data["name"] == "test"
    assert [[c["type"] for c in layer] for layer in data["layers"]] == [
        ["generator", "generator"], ["critic"], ["ranker"], ["verifier"], ["fuser"],
    ]  # fmt: skip
    assert data["layers"][0][1] == {
        "type": "generator", "model": "gpt-4o", "model_type": "OpenAI_API", "temperature": 0.7, "max_tokens": 512,
        "samples": 2,
    }  # fmt: skip
    assert data["layers"][2][0]["top_k"] == 3


OWN = (
    'prompt own(query, candidates) = "{{ query }} {{ candidates | length }}"\n'
    'prompt own_verdict(query) = "{{ query }}?"\n\n'
)
REFUSALS = {
    "query |> generate(a, n = 2) |> extract(number) |> vote |> fuse(b)": (
        "Archon has nothing like `extract`",
        "extract(number)",
    ),
    "query |> generate(a, n = 2) |> fuse(b, prompt = own)": ("Archon has prompts of its own: `fuse` shows `own`", None),
    'query |> generate(a, system = "s")': ("Archon has no `system` for a generator", None),
    "query |> generate(a, n = 2) |> grade(a) |> best": ("Archon has nothing like `grade`", "grade(a)"),
    "query |> generate(a, n = 2) |> top(1, by = logprob)": (
        "Archon has nothing like `top` but by the `passes` of `judge_tests`",
        "top(1, by = logprob)",
    ),
    "query |> generate(a, top_p = 0.5)": ("Archon has no `top_p` for `generate`", None),
    "query |> generate(a, top_k = 5)": ("Archon has no `top_k` for `generate`", None),
    "query |> generate(a, min_p = 0.5)": ("Archon has no `min_p` for `generate`", None),
    "query |> generate(a, min_tokens = 5)": ("Archon has no `min_tokens` for `generate`", None),
    "query |> generate(a, stop = \"x\")": ("Archon has no `stop` for `generate`", None),
    "tests = query |> unit_tests(a)\nquery |> generate(a, n = 2) |> judge_tests(b, tests)": (
        "an Archon evaluator also puts the candidates in the order of their `passes`",
        "judge_tests(b, tests)",
    ),
    "query |> generate(a, n = 2) |> assess(b)": (
        "an Archon verifier also drops what it does not find correct",
        "assess(b)",
    ),
    "query |> generate(a, n = 2) |> assess(b) |> filter(verdict)": (
        "an Archon verifier also drops what it does not find correct",
        "assess(b)",
    ),
    "query |> generate(a, n = 2) |> verify(b) |> filter(text)": (
        "Archon has nothing like `filter` but that of `verify`",
        "filter(text)",
    ),
    "query |> generate(a, n = 2) |> rank(b, prompt = own)": ("Archon has prompts of its own: `rank` shows `own`", None),
    "query |> ask(b, own_verdict)": ("Archon has prompts of its own: `ask` shows `own_verdict`", None),
    "query |> generate(a) |> ask(b, own_verdict, into = verdict, reads = verdict) |> filter(if_none = keep)": (
        "Archon has prompts of its own: `ask` shows `own_verdict`",
        None,
    ),
    "one = query |> unit_tests(a)\ntwo = query |> unit_tests(b)\n"
    "query |> generate_with_tests([a], one, n = 2) |> judge_tests(b, two) |> best(by = passes)": (
        "an Archon configuration has one set of unit tests",
        "unit_tests(b)",
    ),
    "tests = query |> generate(b, n = 2)\n"
    "query |> generate(a, n = 2) |> judge_tests(b, tests) |> best(by = passes)": (
        "in Archon, unit tests come from a unit_test_generator alone",
        "generate(b, n = 2)",
    ),
    "query |> generate(a, n = 3) |> take(2)": (
        "Archon has nothing like `take` of candidates that no ranker has put in order",
        None,
    ),
    "drafts = query |> generate(a, n = 2)\ndrafts + (drafts |> fuse(b)) |> fuse(a)": (
        "in Archon the candidates of a layer are gone behind the next one",
        None,
    ),
    "drafts = query |> generate(a, n = 2)\nother = query |> generate(b, n = 2)\n"
    "(drafts |> fuse(b)) + (other |> fuse(b)) |> fuse(a)": (
        "the components of an Archon layer all read the same candidates",
        None,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), REFUSALS.items(), ids=lambda value: str(value)[:50])
def test_what_archon_lacks_is_refused_at_its_place(body: str, expected: tuple[str, str | None]) -> None:
    text, found, _ = _exported(body, OWN if "own" in body else "")
    assert text is None
    (only,) = found
    message, place = expected
    assert (only.code, only.message) == ("E630", message)
    assert only.span is not None
    assert place is None or only.span.text == place


def test_another_policy_stays_behind_with_a_warning() -> None:
    text, found, _ = _exported("query |> generate(a, n = 2) |> verify(b)")
    assert text is not None
    assert [(d.code, d.message) for d in found] == [("W735", "`on_fail` of `verify` stays behind")]


def test_a_ranker_that_keeps_all_says_how_many() -> None:
    text, _, _ = _exported("query |> generate(a, n = 3) |> rank(b)")
    assert text is not None
    assert json.loads(text)["layers"][1][0]["top_k"] == 3


def test_critiques_before_an_evaluator_are_warned_of() -> None:
    text, found, _ = _exported(
        "tests = query |> unit_tests(b, on_fail = retry(9) then fail)\n"
        "query |> generate(a, n = 3) |> critique(b) |> judge_tests(b, tests, on_fail = retry(9) then keep)\n"
        "|> sort(by = passes)"
    )
    assert text is not None
    assert [(d.code, d.message) for d in found] == [("W734", "Archon leaves the critiques in their old order here")]


def test_tests_come_just_before_what_reads_them() -> None:
    text, found, _ = _exported(
        "tests = query |> unit_tests(b, count = 4, on_fail = retry(9) then fail)\n"
        "query |> generate(a, n = 3) |> judge_tests(b, tests, on_fail = retry(9) then keep) |> top(1, by = passes)\n"
        "|> fuse(a)"
    )
    assert text is not None
    layers = json.loads(text)["layers"]
    assert [layer[0]["type"] for layer in layers] == [
        "generator",
        "unit_test_generator",
        "unit_test_evaluator",
        "fuser",
    ]
    assert layers[1][0]["unit_test_cap"] == 4
    assert [(d.code, d.message) for d in found] == [("W734", "Archon shows the unit tests to `fuse`, too")]
