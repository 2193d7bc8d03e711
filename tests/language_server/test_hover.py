"""What is told of the place under the mouse."""

from __future__ import annotations

import pytest
from language_server.views import MARK, here, hovered, view
from lsprotocol import types as lsp

from pnyx.compiler.language_server.inlays import inlay_hints

PROGRAM = """\
import "nowhere.pnyx"

model small = "smollm2-135m" { price_in = $1, price_out = $2 }

let counts = [1, 2, 3, 4, 5, 6, 7, 8, 9]
let marker = "0123456789012345678901234567890123456789012345678901234567890123456789"
let total = 2 + 3
let _alone = 7 - 3

extern op brevity(pool: Pool{text}, most: Int = 100) -> Pool{score} = "scorers:brevity"

# What earlier questions left.
state seen: Pool[0..4]{text} = empty { chunk = 8 }

op used(pool: Pool{text}, by: Op, fast: Bool) -> Pool {
    _patient = retry(2) then drop
    pool |> by
}

op unused(pool: Pool{text}, many: Int) {
    pool |> take(many + 1)
}

# The one.
pipeline answer(query) limit 20 calls {
    drafts = query |> generate(small, n = total, stop = marker)
    for k in counts {
        drafts = drafts |> take(k * 2)
    }
    seen = seen + drafts |> take(4)
    last = drafts |> brevity(most = 3) |> used(critique(_, small), not true) |> rank(small, keep = 1)
    last |> tune(skip, fuse(_, small, temperature = 0.5))
}
"""
SOUND = PROGRAM.partition("\n\n")[2]


def told(place: str, within: int = 0) -> str:
    """At a place of the program, `within` characters behind its only start."""
    assert SOUND.count(place) == 1
    at = SOUND.index(place) + within
    return hovered(SOUND[:at] + MARK + SOUND[at:])


def test_the_program_of_these_tests_is_sound() -> None:
    assert view(SOUND).analysis.found == ()


@pytest.mark.parametrize(
    ("place", "within", "shown"),
    [
        ("counts =", 0, "```pnyx\n[1, 2, 3, 4, 5, 6, 7, 8, …]\n```"),
        ("marker =", 0, '"012345678901234567890123456789012345678901234567890123456789…"'),
        ("total =", 0, "```pnyx\n5\n```"),
        ("2 + 3", 2, "```pnyx\n5\n```"),
        ("k * 2", 2, "```pnyx\n2\n4\n6\n8\n# 5 more\n```"),
        ("not true", 0, "```pnyx\nfalse\n```"),
        ("_patient", 0, "retry(2) then drop"),
        ("critique(", 0, "Op: critique"),
        ("seen + ", 0, "Pool[0..4]{text}"),
        ("seen = seen", 0, "Pool[2..4]{text}"),
        ("seen = seen", 0, "What earlier questions left."),
        ("seen: ", 0, "state seen: Pool[0..4]{text} = empty { chunk = 8 }"),
        ("brevity(pool", 0, "brevity(pool: Pool{text}, most: Int = 100) -> Pool{score}"),
        ("answer(query)", 0, "pipeline answer(query) limit 20 calls\n```\n\nThe one."),
        ("retry(2)", 0, "`retry`: asks again with fresh seeds"),
        ("let total", 0, "`let`: a compile-time value"),
        ("small, n =", 0, "```pnyx\nModel\n```"),
        ("generate(", 0, "predicted: 1 call, 5 samples, "),
        ("generate(", 0, " tokens out, $"),
        ("temperature = 0.5", 0, "0 is greedy"),
        ("_alone", 0, "```pnyx\nlet _alone = 7 - 3\n```"),
        ("20 calls", 0, ""),
        ('"scorers', 2, ""),
    ],
)
def test_what_a_place_tells(place: str, within: int, shown: str) -> None:
    found = told(place, within)
    assert shown in found if shown else found == ""


def test_a_parameter_of_ones_own_borrows_no_explanation() -> None:
    assert told("by: Op").endswith("```pnyx\nby: Op\n```\n\nparameter of `used`")


def test_an_operator_that_nothing_calls_has_types_and_no_numbers() -> None:
    assert told("pool |> take(many").startswith("```pnyx\nPool[")
    assert told("many + 1") == "```pnyx\nmany: Int\n```\n\nparameter of `unused`"
    assert told("many + 1", 5) == ""


def test_hover_outside_of_declarations_tells_nothing() -> None:
    assert hovered(f"{MARK}\n\n{SOUND}") == ""


def test_the_word_import_is_explained() -> None:
    assert (
        hovered(f"im{MARK}port{PROGRAM.removeprefix('import')}") == "`import`: takes the declarations of another file"
    )


def test_stages_of_a_pipeline_with_a_state_have_costs() -> None:
    shown, position = here(f"{SOUND}{MARK}")
    hints = inlay_hints(shown, lsp.Range(lsp.Position(0, 0), position))
    lines = SOUND.split("\n")
    assert [lines[hint.position.line].strip().partition(" ")[0] for hint in hints] == ["drafts", "last"]
    assert all("$" in str(hint.tooltip) for hint in hints)


def test_a_faulty_pipeline_has_no_costs_and_its_names_still_tell() -> None:
    faulty = SOUND.replace("take(k * 2)", 'take(k * "two")')
    shown, position = here(f"{faulty}{MARK}")
    assert inlay_hints(shown, lsp.Range(lsp.Position(0, 0), position)) == []
    assert "predicted" not in hovered(faulty.replace("generate(", f"gen{MARK}erate(", 1))
    assert "Samples answers" in hovered(faulty.replace("generate(", f"gen{MARK}erate(", 1))
