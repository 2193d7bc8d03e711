"""What is offered where a word is being written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from language_server.views import completions, view

from pnyx.compiler.language_server.completion import complete, resolve
from pnyx.compiler.language_server.describe import FIELDS

ROOT = Path(__file__).resolve().parents[2]

HEAD = """\
model small = "smollm2-135m"

prompt strict(query, candidate) = "{{ query }} {{ candidate.text }}"

state seen: Int = 0

let width = 2

op polish(pool: Pool{text}, by: Op, loud: Bool = false, how: Policy = keep) -> Pool {
    pool |> by
}

op pick(model: Model, query: Chat) -> Pool {
    query |> generate(model)
}

op through(value) {
    value
}

op by_field(pool: Pool{by, width}, by: Field = score, width: Int = 1) -> Pool {
    pool
}

pipeline answer(query) {
    drafts = query |> generate(small, n = width)
    """


@pytest.mark.parametrize(
    ("written", "offered", "refused"),
    [
        ("judged = drafts |> grade(small)\n    judged.¦", {"score", "text", "model"}, {"answer", "votes"}),
        ("unknown.¦", {"score", "answer"}, {"drafts"}),
        ("drafts |> take(1 + ¦", {"drafts", "width", "small", "seen"}, {"count = ", "answer"}),
        ("drafts |> ask(small, strict, into = score, ¦", {"reads = ", "over = "}, {"into = ", "score", "prompt = "}),
        ("drafts |> polish(¦", {"critique", "by = ", "polish"}, {"small"}),
        ("drafts |> polish(vote, ¦", {"true", "false", "loud = "}, {"by = "}),
        ("drafts |> polish(vote, how = ¦", {"keep", "drop", "fail", "retry"}, {"true"}),
        ("generate(¦", {"query", "drafts", "query = "}, {"true"}),
        ("query |> generate(small, system = ¦", {"tune", "none"}, {"small"}),
        ("query |> generate(small, n = ¦", {"tune"}, {"none", "small"}),
        ("drafts |> nobody(¦", {"drafts", "small", "tune"}, {"by = "}),
        ("drafts |> ask(small, strict, nothing = ¦", {"drafts", "width"}, {"votes", "each"}),
        ("small |> ¦", {"pick", "through"}, {"generate", "take", "ask"}),
        ("query |> ¦", {"generate", "ask", "through"}, {"take", "pick"}),
        ("drafts |> ¦", {"take", "through", "each"}, {"by_field", "pick"}),
        ("[drafts, ¦", {"drafts", "width"}, {"repeat"}),
    ],
)
def test_what_fits_is_offered(written: str, offered: set[str], refused: set[str]) -> None:
    found = completions(f"{HEAD}{written}\n}}\n").keys()
    assert offered <= found
    assert not refused & found


def test_an_operator_as_a_value_leaves_a_hole() -> None:
    found = completions(f"{HEAD}drafts |> polish(¦\n}}\n")
    assert found["critique"].insert_text == "critique(_, ${1:small})"


def test_in_an_operator_stages_fit_what_is_piped_there() -> None:
    found = completions(HEAD.replace("    pool\n", "    pool |> ¦\n", 1)).keys()
    assert {"take", "critique"} <= found
    assert not {"generate", "vote"} & found


def test_where_the_value_is_not_known_every_operator_is_offered() -> None:
    assert {"generate", "vote", "critique"} <= completions(f"{HEAD}drafts\n}}\nlet odd = [small] |> ¦\n").keys()


def test_a_value_is_offered_behind_an_equals_sign_outside_of_blocks() -> None:
    found = completions(f"{HEAD}drafts\n}}\nlet more = ¦\n").keys()
    assert {"small", "width", "tune"} <= found
    assert "repeat" not in found


def test_an_editor_without_snippets_gets_names() -> None:
    text = f"{HEAD}drafts |> \n}}\n"
    shown = view(text)
    position = shown.text.position(text.rindex("|> ") + 3)
    (found,) = [item for item in complete(shown, position, snippets=False) if item.label == "critique"]
    assert found.insert_text == "critique"


def test_an_item_whose_name_is_gone_stays_as_it_is() -> None:
    item = completions(f"{HEAD}drafts |> ¦\n}}\n")["polish"]
    assert resolve(view("let nothing = 1\n"), item, "polish").documentation is None


def test_every_field_that_the_language_names_is_explained() -> None:
    text = (ROOT / "docs" / "language.md").read_text()
    table = text.partition("| field | from |")[2].partition("\n\n")[0]
    named = [
        name
        for row in table.splitlines()
        if row.startswith("| `")
        for name in re.findall(r"`(\w+)`", row.split("|")[1])
    ]
    assert len(named) > 10
    assert sorted(FIELDS) == sorted(named)
