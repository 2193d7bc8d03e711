"""Which places name the same thing, and what giving it another name changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from language_server.views import MARK, here, renamed, view

from pnyx.compiler.language_server.document import Document
from pnyx.compiler.language_server.navigate import definition, highlights, outline, references
from pnyx.compiler.language_server.renaming import CannotRename

PROGRAM = '''\
model small = "smollm2-135m"

prompt pick(query, a, b) = """
    {% set longer = a.text %}{{ longer }} {{ "b" }} {{ b.text }} {{ query }}
"""

prompt strict(query, candidate, scale) = "{{ query }} {{ candidate.text }} {{ scale }}"

extern op exactly(text: Text, target: Text) -> Float = "scorers:exactly"

state seen: Pool[0..4]{text} = empty

op sorted_by(pool: Pool[0..9]{text, by}, by: Field = score) -> Pool {
    pool |> sort(by = if size(pool) > 1 { by } else { score })
}

op applied(pool: Pool{text}, step: Op, model: Model, kept: Int) -> Pool {
    for time in 1..2 {
        pool = pool |> step(model)
    }
    others = [model, model]
    pool |> tune(skip, take(_, kept))
}

pipeline answer(query) {
    drafts = query |> generate(small, n = 2)
    seen = seen + drafts |> take(4)
    graded = drafts |> ask(small, strict, into = score, reads = grade, scale = 10)
    match size(graded) {
        1 => graded
        _ => graded |> sorted_by(by = score) |> applied(critique, small, 2)
    }
}

benchmark question {
    data = jsonl("questions.jsonl")
    query = question
    target = answer
    score = exactly
}

benchmark judged {
    data = jsonl("questions.jsonl")
    query = question
    target = answer
    score = judge(small)
}

search best_of_all {
    pipeline = [answer]
    benchmark = question
    maximize = accuracy
    baseline = answer
    budget = 2M tokens
}
'''


def marked(place: str, within: int = 0) -> str:
    """The program with a mark `within` characters behind a place's only start."""
    assert PROGRAM.count(place) == 1
    at = PROGRAM.index(place) + within
    return PROGRAM[:at] + MARK + PROGRAM[at:]


def lines(place: str, within: int = 0) -> list[int]:
    """The lines of what names the same as the name at a place."""
    shown, position = here(marked(place, within))
    return sorted(mark.range.start.line for mark in highlights(shown, position))


def numbered(*texts: str) -> list[int]:
    """The lines of texts of which there is one each."""
    assert all(PROGRAM.count(text) == 1 for text in texts)
    return sorted(PROGRAM[: PROGRAM.index(text)].count("\n") for text in texts)


def test_the_program_of_these_tests_is_sound() -> None:
    assert [d for d in view(PROGRAM).analysis.found if d.is_error] == []


@pytest.mark.parametrize(
    ("place", "places"),
    [
        ("answer(query)", ("pipeline answer", "[answer]", "baseline = answer")),
        ("exactly(text", ("extern op", "score = exactly")),
        ("question {", ("benchmark question", "benchmark = question")),
        ("strict(query", ("prompt strict", "strict, into")),
        ("seen: Pool", ("state seen", "seen = seen")),
        ("by: Field", ("op sorted_by", "else { score }", "sorted_by(by = score)")),
        ("time in", ("for time",)),
        ("step: Op", ("op applied", "step(model)")),
        ("graded = ", ("graded = drafts", "match size", "1 => graded", "_ => graded")),
    ],
)
def test_all_places_of_a_name_are_marked(place: str, places: tuple[str, ...]) -> None:
    assert sorted(set(lines(place))) == numbered(*places)


def test_names_in_a_list_for_an_operator_that_is_an_argument() -> None:
    head = 'model small = "smollm2-135m"\n\nop twice(query: Chat, step: Op, model: Model) -> Pool {\n'
    use = "\npipeline answer(query) {\n    query |> twice(generate, small)\n}\n"
    after = renamed(f"{head}    query |> step([model, mo¦del, small], n = 2)\n}}\n{use}", "first")
    assert after == f"{head.replace('model:', 'first:')}    query |> step([first, first, small], n = 2)\n}}\n{use}"


def test_renaming_a_pipeline_leaves_the_fields_of_a_benchmark() -> None:
    after = renamed(marked("answer(query)"), "solve")
    assert after == PROGRAM.replace("pipeline answer", "pipeline solve").replace("[answer]", "[solve]").replace(
        "baseline = answer", "baseline = solve"
    )


def test_renaming_a_state_renames_where_it_is_assigned() -> None:
    assert renamed(marked("seen = seen"), "kept_so_far") == PROGRAM.replace("seen", "kept_so_far")


def test_the_name_that_a_thing_has_changes_nothing() -> None:
    assert renamed(marked("graded = "), "graded") == PROGRAM


def test_a_variable_of_a_prompt_that_is_still_to_be_chosen_is_not_renamed() -> None:
    """Whose variable `scale = 10` is depends on the choice, and renaming only one of them would break the other."""
    text = PROGRAM.replace("ask(small, strict,", "ask(tune(small), tune(strict, strict),")
    assert text != PROGRAM
    with pytest.raises(CannotRename, match="`grades` would break the program"):
        renamed(text.replace("scale) =", f"sc{MARK}ale) ="), "grades")


@pytest.mark.parametrize(
    ("place", "within", "name", "reason"),
    [
        ("-> Pool {\n    for", 1, "x", "there is no name here"),
        ("a, b) =", 0, "first", "operators hand `a` to a prompt by that name"),
        ("scale) =", 0, "into", "`into` would break the program: "),
        ("graded = ", 0, "9to5", "not a name"),
        ("exactly(text", 0, "take", "exists already"),
    ],
)
def test_what_cannot_be_renamed_says_why(place: str, within: int, name: str, reason: str) -> None:
    with pytest.raises(CannotRename, match=reason):
        renamed(marked(place, within), name)


def test_a_file_with_syntax_errors_is_not_renamed_in() -> None:
    with pytest.raises(CannotRename, match="the file has syntax errors"):
        renamed(f"{marked('drafts = query')}\npipeline {{\n", "others")


def test_what_another_file_declares_is_renamed_there(tmp_path: Path) -> None:
    (tmp_path / "parts.pnyx").write_text("op one(pool: Pool{text}, most: Int) -> Pool {\n    pool |> take(most)\n}\n")
    text = (
        'import "parts.pnyx"\nmodel small = "smollm2-135m"\n'
        "pipeline answer(query) {\n    query |> generate(small) |> on¦e(most = 1)\n}\n"
    )
    name = str(tmp_path / "main.pnyx")
    with pytest.raises(CannotRename, match="`one` is declared in another file: rename it there"):
        renamed(text, "first", name)
    text = text.replace("on¦e(most", "one(mo¦st")
    with pytest.raises(CannotRename, match="`one` is declared in another file: rename `most` there"):
        renamed(text, "count", name)
    shown, position = here(text, name)
    found = definition(shown, position)
    assert found is not None
    assert found.uri.endswith("parts.pnyx")


def test_nothing_is_found_where_there_is_no_name() -> None:
    shown, position = here(f"{MARK}# Nothing.\n\n{PROGRAM}")
    assert (definition(shown, position), references(shown, position, definitions=True)) == (None, [])
    assert highlights(shown, position) == []
    unknown, position = here("pipeline answer(query) {\n    noth¦ing\n}\n")
    assert (definition(unknown, position), highlights(unknown, position)) == (None, [])


def test_an_operator_that_is_built_in_has_no_place() -> None:
    assert definition(*here(marked("generate(small"))) is None


def test_the_outline_tells_what_each_declaration_is() -> None:
    kinds = {symbol.name: (symbol.kind.name, symbol.detail) for symbol in outline(view(PROGRAM))}
    assert kinds["question"] == ("Object", "benchmark")
    assert kinds["best_of_all"] == ("Object", "search")
    assert kinds["exactly"] == ("Function", "extern")
    assert kinds["seen"] == ("Constant", "state")
    assert kinds["answer"] == ("Class", "pipeline")


def test_a_document_in_yaml_has_no_names() -> None:
    assert Document("main.yaml", "models: {small: smollm2-135m}\n", 1, "utf-16").view is None
