"""What an editor asks, over the real protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from language_server.client import Client, Refused

PROGRAM = '''\
model small = "smollm2-135m"
model judge = "smollm2-135m"

# Scores from a strict examiner.
prompt strict(query, candidate, scale) = """
    {{ query }} {{ candidate.text }}
    Grade from 1 to {{ scale }}.
"""

let width = tune(2, 4)

op examine(pool: Pool{text}, model: Model, by: Field = score) -> Pool {
    pool
    |> ask(model, strict, into = score, reads = grade, scale = 10)
    |> sort(by = by)
}

pipeline answer(query) {
    drafts = query |> generate(small, n = width)
    judged = drafts |> examine(judge)
    judged |> top(2) |> fuse(judge)
}
'''
LINES = PROGRAM.split("\n")


def place(text: str, nth: int = 0, *, within: str = "") -> tuple[int, int]:
    """The position of a text; `nth` among its places, or on the line that has `within`."""
    found = [
        (number, start)
        for number, line in enumerate(LINES)
        for start in range(len(line))
        if line.startswith(text, start) and within in line
    ]
    return found[nth]


@pytest.fixture
def editor(client: Client) -> Client:
    client.open(PROGRAM)
    return client


def hover(editor: Client, position: tuple[int, int]) -> str:
    answer = editor.at("hover", position)
    return "" if answer is None else str(answer["contents"]["value"])


def labels(client: Client, text: str, after: str, name: str = "draft.pnyx") -> dict[str, dict[str, Any]]:
    """The completions at the last end of `after`."""
    client.open(text, name)
    before = text[: text.rindex(after) + len(after)]
    position = (before.count("\n"), len(before.rpartition("\n")[2]))
    items = client.at("completion", position, name)["items"]
    return {item["label"]: item for item in items}


# Hover -------------------------------------------------------------------------------------------


def test_hover_of_a_stage_tells_what_it_gives_costs_and_does(editor: Client) -> None:
    text = hover(editor, place("generate", within="drafts"))
    assert "Pool[2]{logprob, model, text}" in text
    assert "predicted: 1 call, 2 samples" in text
    assert "Samples answers to the question" in text


def test_hover_of_a_name_tells_its_value(editor: Client) -> None:
    assert "Pool[2]{logprob, model, score, text}" in hover(editor, place("judged", 1))
    assert "Pool[2]{logprob, model, text}" in hover(editor, place("drafts ="))
    assert "2" in hover(editor, place("width", within="generate"))
    assert 'model judge = "smollm2-135m"' in hover(editor, place("judge)", within="fuse"))
    assert "Chat" in hover(editor, place("query)", within="pipeline"))


def test_hover_in_an_operator_shows_what_a_pipeline_gives_it(editor: Client) -> None:
    assert "Pool[2]{logprob, model, score, text}" in hover(editor, place("sort", within="|> sort"))


def test_hover_of_words_and_parameters(editor: Client) -> None:
    assert "into: Field" in hover(editor, place("into"))
    assert "the field for the reply" in hover(editor, place("into"))
    assert "field `score`" in hover(editor, place("score,"))
    assert "open choice" in hover(editor, place("tune"))
    assert "variable of the prompt `strict`" in hover(editor, place("scale =", within="ask"))
    assert "Scores from a strict examiner." in hover(editor, place("strict,"))
    assert hover(editor, place("#")) == ""


LOOPED = """\
model small = "smollm2-135m"

pipeline looped(query) {
    pool = query |> generate(small) |> extract(number)
    loop max 5 until beta_confidence(pool) >= 0.9 {
        pool = pool + (query |> generate(small, n = 2) |> extract(number))
    }
    pool |> each one {
        one |> critique(small)
    } |> vote
}
"""


def test_loops_and_blocks_for_each_candidate(client: Client) -> None:
    assert client.open(LOOPED, "looped.pnyx") == []

    def shown(line: int, character: int) -> str:
        return str(client.at("hover", (line, character), "looped.pnyx")["contents"]["value"])

    assert "Pool[1..9]" in shown(5, 15)
    assert "Float" in shown(4, 25)
    assert "Pool[1]" in shown(8, 9)
    whole = {"start": {"line": 0, "character": 0}, "end": {"line": 99, "character": 0}}
    hints = client.about("inlayHint", "looped.pnyx", range=whole)
    assert [(hint["position"]["line"], hint["label"].split(" ")[0]) for hint in hints] == [(3, "1"), (5, "3"), (8, "7")]
    assert "each" in labels(client, LOOPED.replace("each one {", "ea {"), "pool |> ea")


# Completion --------------------------------------------------------------------------------------

HEAD = PROGRAM.rpartition("    judged =")[0]


@pytest.mark.parametrize(
    ("written", "offered", "refused"),
    [
        ("query |> ", {"generate", "ask"}, {"rank", "vote", "examine"}),
        ("drafts |> ", {"rank", "fuse", "examine", "extract"}, {"vote", "generate", "top", "best"}),
        ("drafts |> extract(number) |> vo", {"vote"}, {"top"}),
        ("judged |> ", {"top", "best"}, {"vote"}),
        ("repeat 2 {\n        x = judged |> ", {"top"}, {"vote"}),
        ("judged |> top(1, by = ", {"score", "text"}, {"answer", "small"}),
        ("judged |> ask(judge, strict, into = ", {"score", "critique"}, {"judge"}),
        ("judged |> ask(judge, strict, over = ", {"each", "all"}, {"query"}),
        ("judged |> ask(judge, strict, on_fail = ", {"keep", "drop", "fail", "retry"}, {"each"}),
        ("judged |> ask(", {"judge", "small", "model = "}, {"drafts"}),
        ("judged |> ask(judge, ", {"strict", "rank_prompt", "into = "}, {"judge"}),
        ("judged |> rank(\n        judge,\n        ke", {"keep = ", "prompt = "}, {"model = "}),
        ("judged |> rank(judge, ke", {"keep = ", "prompt = "}, {"model = "}),
        ("dr", {"drafts", "judged", "query", "repeat"}, {"pipeline"}),
    ],
)
def test_completion_in_a_pipeline(client: Client, written: str, offered: set[str], refused: set[str]) -> None:
    found = labels(client, f"{HEAD}    judged = drafts |> examine(judge)\n    {written}\n}}\n", f"    {written}")
    assert offered <= found.keys()
    assert not refused & found.keys()


def test_completion_brings_what_must_be_filled_in(client: Client) -> None:
    found = labels(client, f"{HEAD}    query |> \n}}\n", "    query |> ")
    assert found["generate"]["insertText"] == "generate(${1:small})"
    resolved = client.ask("completionItem/resolve", **found["generate"])
    assert "Samples answers" in resolved["documentation"]["value"]
    assert client.ask("completionItem/resolve", **found["tune"]) == found["tune"]


def test_completion_of_declarations_types_and_templates(client: Client) -> None:
    assert {"model", "prompt", "op", "pipeline", "let"} <= labels(client, f"{PROGRAM}\npipe", "\npipe").keys()
    assert labels(client, f"{PROGRAM}\nop f(a", "op f(a") == {}
    assert {"Pool", "Model"} <= labels(client, f"{PROGRAM}\nop f(a: ", "op f(a: ").keys()
    template = PROGRAM.replace("{{ scale }}", "{{ s }}")
    assert labels(client, template, "to {{ s").keys() == {"query", "candidate", "scale"}
    assert labels(client, template, "Grade fr") == {}
    assert labels(client, PROGRAM, "# Scores") == {}


def test_signature_help(editor: Client) -> None:
    line, character = place("strict,")
    answer = editor.at("signatureHelp", (line, character))
    shown = answer["signatures"][0]
    assert shown["label"].startswith("ask(subject:")
    assert shown["parameters"][answer["activeParameter"]]["label"].startswith("prompt:")
    behind = editor.at("signatureHelp", place("score, reads"))
    assert shown["parameters"][behind["activeParameter"]]["label"].startswith("into:")
    assert editor.at("signatureHelp", place("pool", within="op ")) is None


# Going around ------------------------------------------------------------------------------------


def start(location: dict[str, Any]) -> tuple[int, int]:
    return location["range"]["start"]["line"], location["range"]["start"]["character"]


@pytest.mark.parametrize(
    ("used", "introduced"),
    [
        (place("judge)", within="fuse"), place("judge", within="model judge")),
        (place("examine(judge)"), place("examine", within="op ")),
        (place("drafts |>"), place("drafts =")),
        (place("by)"), place("by:")),
        (place("scale =", within="ask"), place("scale)", within="prompt")),
        (place("scale }}"), place("scale)", within="prompt")),
        (place("width", within="generate"), place("width", within="let")),
        (place("pool", within="    pool"), place("pool:")),
    ],
)
def test_definition(editor: Client, used: tuple[int, int], introduced: tuple[int, int]) -> None:
    assert start(editor.at("definition", used)) == introduced


def test_definition_in_the_library_is_a_file_to_read(editor: Client) -> None:
    location = editor.at("definition", place("fuse"))
    path = Path(location["uri"].removeprefix("file://"))
    line = path.read_text().split("\n")[location["range"]["start"]["line"]]
    assert path.parts[-2:] == ("std", "fuse.pnyx")
    assert line.startswith("op fuse(")
    assert editor.at("definition", place("generate", within="drafts")) is None


def test_definition_of_an_import(client: Client) -> None:
    (client.folder / "parts.pnyx").write_text("op first_one(pool: Pool) -> Pool {\n    pool |> take(1)\n}\n")
    text = 'import "parts.pnyx"\n' + PROGRAM.replace("top(2)", "first_one")
    client.open(text, "importing.pnyx")
    assert client.at("definition", (0, 10), "importing.pnyx")["uri"] == client.uri("parts.pnyx")
    line = next(n for n, t in enumerate(text.split("\n")) if "|> first_one" in t)
    location = client.at("definition", (line, text.split("\n")[line].index("first_one")), "importing.pnyx")
    assert (location["uri"], start(location)) == (client.uri("parts.pnyx"), (0, 3))


def test_references(editor: Client) -> None:
    everywhere = editor.at("references", place("scale)", within="prompt"), context={"includeDeclaration": True})
    assert sorted(map(start, everywhere)) == sorted(
        [place("scale)", within="prompt"), place("scale }}"), place("scale =", within="ask")]
    )
    uses = editor.at("references", place("judge", within="model judge"), context={"includeDeclaration": False})
    assert len(uses) == 2
    marked = editor.at("documentHighlight", place("drafts |>"))
    assert [mark["kind"] for mark in marked] == [3, 2]


def test_outline_and_folds(editor: Client) -> None:
    symbols = editor.about("documentSymbol")
    assert [s["name"] for s in symbols] == ["small", "judge", "strict", "width", "examine", "answer"]
    assert [c["name"] for c in symbols[-1]["children"]] == ["query", "drafts", "judged"]
    folds = {(fold["startLine"], fold["endLine"]) for fold in editor.about("foldingRange")}
    assert (place("op ")[0], place("}", within="}")[0]) not in folds
    assert (place("pipeline")[0], place("judged |>")[0]) in folds
    assert (place("prompt")[0], place("Grade")[0]) in folds


# Changing ----------------------------------------------------------------------------------------


def applied(text: str, edits: list[dict[str, Any]]) -> str:
    lines = text.split("\n")
    starts = [sum(len(line) + 1 for line in lines[:n]) for n in range(len(lines))]

    def offset(position: dict[str, int]) -> int:
        return starts[position["line"]] + position["character"]

    for edit in sorted(edits, key=lambda e: offset(e["range"]["start"]), reverse=True):
        text = text[: offset(edit["range"]["start"])] + edit["newText"] + text[offset(edit["range"]["end"]) :]
    return text


@pytest.mark.parametrize(
    ("used", "old", "uses"),
    [
        (place("judge)", within="fuse"), "judge", 3),
        (place("examine(judge)"), "examine", 2),
        (place("drafts |>"), "drafts", 2),
        (place("by)"), "by", 2),
        (place("scale }}"), "scale", 3),
        (place("strict,"), "strict", 2),
        (place("query)", within="pipeline"), "query", 2),
    ],
)
def test_rename(editor: Client, used: tuple[int, int], old: str, uses: int) -> None:
    assert editor.at("prepareRename", used)["placeholder"] == old
    edits = editor.at("rename", used, newName="renamed")["changes"][editor.uri("main.pnyx")]
    assert len(edits) == uses
    after = applied(PROGRAM, edits)
    assert [d for d in editor.open(after, "renamed.pnyx") if d["severity"] == 1] == []


def test_renaming_a_field_parameter_renames_it_in_types(client: Client) -> None:
    text = PROGRAM.replace("pool: Pool{text}, model: Model, by: Field = score", "pool: Pool{by}, by: Field = score")
    text = text.replace("    |> ask(model, strict, into = score, reads = grade, scale = 10)\n", "")
    client.open(text, "by.pnyx")
    line = next(n for n, t in enumerate(text.split("\n")) if "|> sort" in t)
    edits = client.at("rename", (line, 17), "by.pnyx", newName="key")["changes"][client.uri("by.pnyx")]
    assert "op examine(pool: Pool{key}, key: Field = score) -> Pool" in applied(text, edits)
    assert "|> sort(by = key)" in applied(text, edits)


@pytest.mark.parametrize(
    ("used", "name", "reason"),
    [
        (place("drafts |>"), "judged", "`answer` has a `judged` already"),
        (place("drafts |>"), "small", "the name of something"),
        (place("drafts |>"), "repeat", "a word of the language"),
        (place("drafts |>"), "two words", "not a name"),
        (place("width", within="let"), "generate", "exists already"),
        (place("width", within="let"), "drafts", "a local name where"),
        (place("fuse"), "melt", "belongs to the standard library"),
        (place("generate", within="drafts"), "make", "a built-in operator"),
        (place("n = width"), "count", "not declared here"),
        (place("candidate.text"), "it", "operators hand `candidate`"),
        (place("score,"), "mark", "a field or a word"),
    ],
)
def test_rename_refuses(editor: Client, used: tuple[int, int], name: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        editor.at("rename", used, newName=name)


def test_a_name_that_cannot_be_renamed_is_refused_before_another_is_typed(editor: Client) -> None:
    with pytest.raises(Refused, match="belongs to the standard library"):
        editor.at("prepareRename", place("fuse"))


def test_formatting(client: Client) -> None:
    assert client.open(PROGRAM, "neat.pnyx") == []
    assert client.about("formatting", "neat.pnyx", options={"tabSize": 4, "insertSpaces": True}) != []
    client.open(PROGRAM.replace("    drafts =", "  drafts  ="), "untidy.pnyx")
    options = {"tabSize": 4, "insertSpaces": True}
    (edit,) = client.about("formatting", "untidy.pnyx", options=options)
    client.open(edit["newText"], "tidy.pnyx")
    assert client.about("formatting", "tidy.pnyx", options=options) == []
    client.open(PROGRAM.replace("op ", "op op "), "faulty.pnyx")
    assert client.about("formatting", "faulty.pnyx", options=options) == []


def test_a_likely_name_is_a_quick_fix(client: Client) -> None:
    text = PROGRAM.replace("fuse(judge)", "fuze(judge)")
    (found,) = [d for d in client.open(text, "slip.pnyx") if d["severity"] == 1]
    actions = client.about("codeAction", "slip.pnyx", range=found["range"], context={"diagnostics": [found]})
    (action,) = [a for a in actions if a["title"] == "write `fuse`"]
    assert action["isPreferred"]
    assert applied(text, action["edit"]["changes"][client.uri("slip.pnyx")]) == PROGRAM
    refactorings = {"diagnostics": [found], "only": ["refactor"]}
    assert client.about("codeAction", "slip.pnyx", range=found["range"], context=refactorings) == []


def test_hints_tell_the_cost_of_each_stage(editor: Client) -> None:
    whole = {"start": {"line": 0, "character": 0}, "end": {"line": 99, "character": 0}}
    hints = editor.about("inlayHint", range=whole)
    first, second, third = sorted(hints, key=lambda hint: hint["position"]["line"])
    assert first["position"] == {"line": place("drafts =")[0], "character": len(LINES[place("drafts =")[0]])}
    assert first["label"].startswith("1 call, ")
    assert second["label"].startswith("2 calls, ")
    assert third["tooltip"].startswith("1 call, 1 sample, ")
    nothing = {"start": {"line": 0, "character": 0}, "end": {"line": 3, "character": 0}}
    assert editor.about("inlayHint", range=nothing) == []
