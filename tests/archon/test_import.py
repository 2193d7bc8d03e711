"""Importing from Archon: the exact program and the exact text that a person sees, and what the programs do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from archon.archon_files import FIXTURES, compiled, imported

from pnyx.api import Pipeline
from pnyx.compiler.diagnostics import Diagnostics, render_all
from pnyx.compiler.format import format_source
from pnyx.compiler.operators import Ask, Sample, Take
from pnyx.compiler.program import Program
from pnyx.compiler.source import Source

CASES = sorted(FIXTURES.glob("*.json"))
REFUSED = {
    "faulty_values", "judge_without_tests", "mixed_first_layer", "no_layers", "only_tests", "pair_ranker", "stray_text",
    "two_test_generators",
}  # fmt: skip
IMPORTED = [path for path in CASES if path.stem not in REFUSED]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_file_is_imported_like_this(path: Path, update_golden: bool) -> None:
    program, found = imported(path.read_text(), path.name)
    golden = {".pnyx": program.text if program else "", ".txt": render_all(found.sorted()) + "\n"}
    for suffix, text in golden.items():
        if update_golden:
            path.with_suffix(suffix).write_text(text)
        assert text == path.with_suffix(suffix).read_text()
    assert (program is None) == (path.stem in REFUSED) == found.has_errors
    assert all(d.span is not None for d in found)


@pytest.mark.parametrize("path", IMPORTED, ids=lambda path: path.stem)
def test_an_imported_program_is_formatted_and_runs(path: Path) -> None:
    program, _ = imported(path.read_text(), path.name)
    assert program is not None
    assert format_source(Source("test.pnyx", program.text), Diagnostics()) == program.text
    plan, _ = compiled(program)
    result = Pipeline(plan, Path("test.pnyx")).run("What is 17 * 23?", engine="simulated")
    assert result.error is None
    assert result.candidates


def _component(kind: object, **keys: object) -> dict[str, object]:
    common = {"model": "m", "model_type": "vLLM", "temperature": 0.5, "max_tokens": 100}
    return {"type": kind} | common | keys


def _config(*layers: object) -> str:
    return json.dumps({"name": "test", "layers": layers})


def _prompts(text: str) -> list[tuple[str, str]]:
    """The models that are shown prompts, with the names of the prompts."""
    program, _ = imported(text)
    assert program is not None
    _, graph = compiled(program)
    return [(n.operator.model, n.operator.prompt.name) for n in graph.nodes() if isinstance(n.operator, Ask)]


def test_the_same_component_twice_is_one_with_more_samples() -> None:
    twice = [_component("generator", samples=2), _component("generator", samples=3)]
    program, _ = imported(_config(twice, [_component("fuser"), _component("fuser")]))
    assert program is not None
    assert "generate(m, n = 5, temperature = 0.5, max_tokens = 100)" in program.text
    assert "fuse(m, n = 2, temperature = 0.5, max_tokens = 100)" in program.text


def test_components_that_differ_by_temperature_stay_apart() -> None:
    layer = [_component("generator"), _component("generator", temperature=0.9)]
    program, _ = imported(_config(layer))
    assert program is not None
    _, graph = compiled(program)
    drawn = [n.operator.sampling.temperature for n in graph.nodes() if isinstance(n.operator, Sample)]
    assert drawn == [0.5, 0.9]


def test_tests_are_shown_to_every_later_component() -> None:
    behind = [[_component("critic")], [_component("ranker", top_k=1)], [_component("verifier")], [_component("fuser")]]
    shown = _prompts(
        _config([_component("unit_test_generator", unit_test_cap=2)], [_component("generator", samples=2)], *behind)
    )
    assert [prompt for _, prompt in shown] == [
        "unit_tests_prompt", "generate_with_tests_prompt", "critique_with_tests_prompt", "rank_with_tests_prompt",
        "verify_reasoning_with_tests_prompt", "verify_verdict_with_tests_prompt", "fuse_with_tests_prompt",
    ]  # fmt: skip


def test_tests_are_not_shown_to_components_before() -> None:
    evaluator = _component("unit_test_evaluator", remove_unit_tests_from_prompt=True)
    config = _config(
        [_component("generator", samples=2)], [_component("unit_test_generator", unit_test_cap=2)], [evaluator]
    )
    assert [prompt for _, prompt in _prompts(config)] == ["unit_tests_prompt", "judge_tests_prompt"]


def test_length_control_needs_critiques() -> None:
    generator, fuser = [_component("generator", samples=2)], [_component("fuser", length_control=True)]
    assert ("m", "fuse_prompt") in _prompts(_config(generator, fuser))
    assert ("m", "fuse_no_longer_prompt") in _prompts(_config(generator, [_component("critic")], fuser))


@pytest.mark.parametrize(
    ("keys", "kept"), [({"top_k": 2}, 2), ({"first_k": 3}, 3), ({"first_pass": True}, 1), ({}, None)]
)
def test_an_evaluator_keeps_the_best(keys: dict[str, object], kept: int | None) -> None:
    evaluator = _component("unit_test_evaluator", remove_unit_tests_from_prompt=True, **keys)
    tests, drafts = [_component("unit_test_generator", unit_test_cap=2)], [_component("generator", samples=4)]
    program, _ = imported(_config(tests, drafts, [evaluator]))
    assert program is not None
    _, graph = compiled(program)
    assert [n.operator.k for n in graph.nodes() if isinstance(n.operator, Take)] == ([] if kept is None else [kept])


def test_a_pipeline_is_named_after_the_file_and_models_after_their_ids() -> None:
    ids = ["a/Model-7b-chat", "b/Model-7B-chat-hf", "gpt-4o-2024-05-13", "rank", "7b", "模型", "query"]
    program, _ = imported(_config([_component("generator", model=id) for id in ids]), "folder/My file-2.json")
    assert program is not None
    made = Program.parse(program.text)
    assert made.pipelines == ("my_file_2",)
    assert not any(d.is_error for d in made.check())
    plan, _ = compiled(program)
    assert {m.id: m.name for m in plan.models} == {
        "a/Model-7b-chat": "model_7b_chat", "b/Model-7B-chat-hf": "model_7b_chat_hf", "gpt-4o-2024-05-13": "gpt_4o",
        "rank": "rank_2", "7b": "m_7b", "模型": "model_2", "query": "query_2",
    }  # fmt: skip


RULES = {
    '{"name": "test", "layers": []}': ["E621 `layers` is empty"],
    '{"name": "test", "layers": {}}': ["E621 `layers` is an object instead of a list"],
    '{"name": "test", "layer_list": []}': [
        "E622 the configuration has no `layers`",
        "W727 `layer_list` is no key of a configuration: it has no effect",
    ],
    "[]": ["E621 the file holds a list instead of an object"],
    _config({"models": [_component("generator")], "branch": 1}): [
        "W727 `branch` is no key of a layer: it has no effect"
    ],
    _config([_component(["generator"])]): ["E621 `type` is a list instead of a text"],
    _config([_component("generator", model=" ")]): ['E621 `model` is " " instead of a name'],
    _config([{"type": "generator"}]): [
        f"E622 the component has no `{key}`" for key in ("model_type", "model", "temperature", "max_tokens")
    ],
    _config([_component("generator", model_type="")]): ["E624 `` is no `model_type`"],
    _config([_component("generator", samples=[])]): [
        "E621 `samples` is a list instead of a whole number from 1 to 1000000"
    ],
    _config([_component("generator", no_system=None)]): [],
    _config(*[[_component("generator")]] * 101): ["E621 `layers` has 101 layers; 100 are the most"],
    _config([_component("generator")] * 2001): ["E621 more than 2000 components"],
    json.dumps({"name": "test", "custom": True, "layers": [[_component("my_step")]]}): [
        "E623 `my_step` is no type of component"
    ],
    _config([_component("generator")], [_component("unit_test_generator", unit_test_cap=2)]): [
        "W733 nobody reads the unit tests"
    ],
    _config([_component("generator")], [_component("critic"), _component("fuser")]): [
        "W733 the critiques belong to no candidate: its layer replaces the candidates",
        "W730 a critic shares its layer with another type of component",
        "W730 a critic stands before neither a ranker nor a fuser",
    ],
}


@pytest.mark.parametrize(("text", "messages"), RULES.items(), ids=lambda value: str(value)[-60:])
def test_what_is_said_of_a_configuration(text: str, messages: list[str]) -> None:
    program, found = imported(text)
    assert [f"{d.code} {d.message}" for d in found] == messages
    assert (program is None) == found.has_errors
    assert all(d.span is not None for d in found)


def test_of_many_faults_the_first_hundred_are_told() -> None:
    program, found = imported(_config([_component("generator", model=" ")] * 150))
    assert program is None
    assert [d.code for d in found] == ["E621"] * 100


def test_lists_of_models_that_come_again_have_a_name() -> None:
    first = [_component("generator", model=f"m{i}") for i in range(3)]
    second = [_component("fuser", model=f"m{i}") for i in (2, 1, 0)]
    program, _ = imported(_config(first, [c | {"type": "fuser"} for c in first], second, second, [_component("fuser")]))
    assert program is not None
    assert "let ensemble_1 = [m0, m1, m2]\nlet ensemble_2 = [m2, m1, m0]\n" in program.text
    assert "generate(ensemble_1," in program.text
    assert program.text.count("fuse_each(ensemble_2,") == 2
    compiled(program)


def test_a_large_configuration_is_imported_and_compiles() -> None:
    wide = [_component("generator", model=f"m{i}", temperature=i / 100) for i in range(90)]
    deep = [[_component("critic")], [_component("fuser", samples=3)]] * 40
    program, found = imported(_config(wide, *deep, [_component("ranker", top_k=1)]))
    assert program is not None, render_all(found)
    plan, _ = compiled(program)
    assert len(plan.nodes) > 150


def test_many_samples_cost_no_time() -> None:
    program, _ = imported(_config([_component("generator", samples=1000)], [_component("ranker", top_k=5)]))
    assert program is not None
    plan, _ = compiled(program)
    assert [n.operator.n for n in plan.nodes if isinstance(n.operator, Sample)] == [1000]
