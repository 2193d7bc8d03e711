"""Whatever the file holds, the answer is a diagnostic with a place, and soon."""

from __future__ import annotations

import json
import random
import time

import pytest
from archon.archon_files import FIXTURES, imported
from hypothesis import given
from hypothesis import strategies as st

from pnyx.compiler.archon.json_text import JsonArray, JsonObject, JsonScalar, JsonValue, read_json
from pnyx.compiler.diagnostics import render_all
from pnyx.compiler.source import Source

SLOWEST = 5.0  # seconds for 1 MB
FAULTS = {
    "": "the file is empty",
    '{"a": 1': "the file ends where `,` or `}` is expected",
    '{"a": 1,}': "a key in double quotes is expected here",
    "[1, ]": "a value is expected here",
    "[1 2]": "`,` or `]` is expected here",
    '{"a" 1}': "`:` behind the key `a` is expected here",
    '{"a": NaN}': "`NaN` is no JSON value",
    "[Infinity]": "`Infinity` is no JSON value",
    "[True]": "`True` is no JSON value",
    "['a']": "this is no JSON value",
    "[01]": "a number that JSON does not know",
    "[1.]": "a number that JSON does not know",
    "[1e999]": "a number that is too large",
    f"[{'9' * 5000}]": "a number of too many digits",
    '["a': "this text is not closed",
    '["a\nb"]': "a text holds no line breaks or control characters",
    '["\\x"]': "unknown escape",
    '["\\u12"]': "unknown escape",
    '["\\ud800"]': "half of a surrogate pair is no character",
    "{} x": "there is more text behind the end of the JSON",
    "[" * 100: "more than 64 values inside each other",
}


@pytest.mark.parametrize(("text", "message"), FAULTS.items(), ids=lambda value: value[:20])
def test_a_fault_is_located(text: str, message: str) -> None:
    program, found = imported(text)
    assert program is None
    (only,) = found
    assert (only.code, only.message) == ("E620", message)
    assert only.span is not None
    assert render_all([only])


def _plain(value: JsonValue) -> object:
    match value:
        case JsonScalar():
            return value.value
        case JsonArray():
            return [_plain(item) for item in value.items]
        case JsonObject():
            return {member.key: _plain(member.value) for member in value.members}


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(_ANYTHING, st.booleans())
def test_it_reads_what_the_standard_library_writes(value: object, ascii: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii, indent=1)
    assert _plain(read_json(Source("test.json", text))) == value


@pytest.mark.no_cover
@pytest.mark.parametrize(
    "text",
    [
        "x" * 1_000_000,
        '{"' * 500_000,
        '"' + "a" * 1_000_000,
        "[" * 1_000_000,
        "{" + ",".join('"k": 1' for _ in range(125_000)) + "}",
        '{"layers": [' + ",".join("1" for _ in range(450_000)) + "]}",
        '{"layers": [[' + ",".join("{}" for _ in range(45_000)) + "]]}",
        "{" + ",".join(f'"a key {i}": 1' for i in range(45_000)) + "}",
        "{" + ",".join('"k": 1' for _ in range(45_000)) + "}",
    ],
    ids=["letters", "keys", "text", "brackets", "members", "layers", "components", "unknown", "twice"],
)
def test_a_megabyte_of_anything_is_answered_soon(text: str) -> None:
    begun = time.perf_counter()
    program, found = imported(text)
    assert render_all(found.sorted())
    assert time.perf_counter() - begun < SLOWEST
    assert program is None
    assert all(d.span is not None for d in found)


@given(st.randoms(use_true_random=False))
def test_a_mutated_file_never_breaks_the_importer(source: random.Random) -> None:
    text = source.choice(sorted(FIXTURES.glob("*.json"))).read_text()
    for _ in range(source.randint(1, 4)):
        at, to = sorted(source.randrange(len(text) + 1) for _ in range(2))
        to = min(to, at + source.randint(0, 40))
        put = source.choice(
            ["", text[at:to] * 2, '"', "{", "]", ",", "null", "true", "-1", "1e9", '"fuser"', "\\u0000"]
        )
        text = text[:at] + put + text[to:]
    program, found = imported(text)
    assert (program is None) == found.has_errors
    assert all(d.span is not None for d in found)
    assert render_all(found.sorted()) or not found
