"""The JSON Schema for editors takes every program in YAML, refuses misspelt keys, and has the keys of the reader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from pnyx.compiler.diagnostics import Diagnostics
from pnyx.compiler.parse import parse
from pnyx.compiler.source import Source
from pnyx.compiler.yaml import format_yaml
from pnyx.compiler.yaml.forms import DECLARED, EXPRESSIONS, SECTIONS, STEPS

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "grammar" / "pnyx.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)
PROGRAMS = [*sorted((ROOT / "examples").glob("*.pnyx")), *sorted((ROOT / "library").rglob("*.pnyx"))]
PROGRAMS.append(ROOT / "tests/syntax/fixtures/everything.pnyx")


def loaded(text: str) -> Any:
    """As an editor sees it: JSON's types, the names of keys as texts."""
    yaml = YAML(typ="safe", pure=True)
    yaml.constructor.add_constructor("!expr", lambda _, node: node.value)
    return json.loads(json.dumps(yaml.load(text)))


def accepts(text: str) -> bool:
    return bool(VALIDATOR.is_valid(loaded(text)))


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_every_program_is_valid(path: Path) -> None:
    text = format_yaml(parse(Source(path.name, path.read_text()), Diagnostics()))
    errors = [error.message for error in VALIDATOR.iter_errors(loaded(text))]
    assert not errors


@pytest.mark.parametrize(
    ("sound", "misspelt"),
    [
        ("models: {m: x}", "model: {m: x}"),
        ("prompts: {p: {params: [q], user: x}}", "prompts: {p: {parms: [q], user: x}}"),
        ("prompts: {p: {user: x}}", "prompts: {p: {usr: x}}"),
        ("ops: {f: {do: [a]}}", "ops: {f: {body: [a]}}"),
        ("externs: {f: {target: x}}", "externs: {f: {taget: x}}"),
        ("pipelines: {p: {limit: 3 calls, do: [a]}}", "pipelines: {p: {limits: 3 calls, do: [a]}}"),
        ("pipelines: {p: {do: a}}", "pipelines: {p: {repeat: 3, do: [a]}}"),
        ("pipelines: {p: [{repeat: 3, do: [a]}]}", "pipelines: {p: [{repaet: 3, do: [a]}]}"),
        ("pipelines: {p: [{set: a, pipe: [b]}]}", "pipelines: {p: [{set: a, piep: [b]}]}"),
        ("pipelines: {p: [{set: a, to: b}]}", "pipelines: {p: [{set: a}]}"),
        ("pipelines: {p: [{loop: 3, until: a, do: [b]}]}", "pipelines: {p: [{loop: 3, untill: a, do: [b]}]}"),
        ("pipelines: {p: [f: {n: {tune: [1], default: 1}}]}", "pipelines: {p: [f: {n: {tune: [1], defalt: 1}}]}"),
        ("let: {a: {if: b, then: c, else: d}}", "let: {a: {if: b, than: c, else: d}}"),
        ("let: {a: {match: b, cases: {c: d}}}", "let: {a: {match: b, case: {c: d}}}"),
        ("searches: {s: {per query: 3 calls}}", "searches: {s: {per each query: 3 calls}}"),
        ("states: {s: {value: 1, chunk: 8}}", "states: {s: {chunk: 8}}"),
        ("let: {a: 1}", "let: {a b: 1}"),
    ],
)
def test_a_misspelt_key_is_refused(sound: str, misspelt: str) -> None:
    assert accepts(sound)
    assert not accepts(misspelt)


def test_it_has_the_keys_of_the_reader() -> None:
    defs = SCHEMA["$defs"]
    assert tuple(defs["program"]["properties"]) == SECTIONS
    by_head = {d["required"][0]: d for d in defs.values() if d.get("required")}
    by_head |= {d["required"][0]: d for d in defs["step"]["anyOf"] if d.get("required")}
    by_head["pipe"] = defs["pipe"]
    for form in (*EXPRESSIONS, *STEPS):
        assert set(by_head[form.head]["properties"]) == set(form.keys), form
        assert set(by_head[form.head]["required"]) == {form.head, *form.needs}, form
    for section, form in DECLARED.items():
        own = defs[section.removesuffix("s")]
        mapping = own if "properties" in own else own["anyOf"][1]
        assert set(mapping["properties"]) == set(form.keys)
        assert set(mapping["required"]) == {form.head, *form.needs}
    heads = {form.head for form in STEPS}
    assert set(defs["call"]["propertyNames"]["not"]["enum"]) == heads
