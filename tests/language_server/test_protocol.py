"""Diagnostics as they are sent, positions in every encoding, and a server that nothing brings down."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from language_server.client import Client

from pnyx.cli import main

SOUND = 'model small = "smollm2-135m"\n\npipeline answer(query) {\n    query |> generate(small)\n}\n'


def codes(found: list[dict[str, Any]]) -> list[str]:
    return [diagnostic["code"] for diagnostic in found]


def whole(text: str) -> dict[str, Any]:
    return {"text": text}


def piece(line: int, start: int, end: int, text: str) -> dict[str, Any]:
    place = {"start": {"line": line, "character": start}, "end": {"line": line, "character": end}}
    return {"range": place, "text": text}


def test_diagnostics_follow_the_typing(client: Client) -> None:
    assert client.open(SOUND) == []
    client.change(piece(3, 13, 21, "generte"))
    (found,) = client.diagnostics()
    assert found["code"] == "E201"
    assert found["severity"] == 1
    assert found["range"] == {"start": {"line": 3, "character": 13}, "end": {"line": 3, "character": 20}}
    assert "did you mean `generate`?" in found["message"]
    client.change(piece(3, 13, 20, "generate"))
    assert client.diagnostics() == []


def test_only_the_last_of_quick_changes_is_answered(client: Client) -> None:
    client.open(SOUND, "quick.pnyx")
    for length in range(1, 8):
        client.change(piece(3, 12 + length, 12 + length, "x"), name="quick.pnyx")
    assert codes(client.diagnostics("quick.pnyx")) == ["E201"]


def test_a_diagnostic_names_its_page_and_the_other_places(client: Client) -> None:
    text = SOUND + 'model small = "other"\n'
    (found,) = client.open(text, "twice.pnyx")
    page = Path(found["codeDescription"]["href"].removeprefix("file://"))
    assert page.read_text().startswith("# E202: ")
    (other,) = found["relatedInformation"]
    assert other["location"]["range"]["start"] == {"line": 0, "character": 6}
    assert other["message"] == "first declared here"


def test_the_address_of_the_pages_can_be_given(tmp_path: Path) -> None:
    with Client(tmp_path, "--docs", "https://example.org/diagnostics") as client:
        (found,) = client.open("modle x", "a.pnyx")
    assert found["codeDescription"]["href"] == "https://example.org/diagnostics/E101.md"


@pytest.mark.parametrize(("encoding", "width"), [("utf-8", 4), ("utf-16", 2), ("utf-32", 1)])
def test_positions_count_in_the_encoding_agreed_on(tmp_path: Path, encoding: str, width: int) -> None:
    text = SOUND.replace("generate(small)", 'generate(small, system = "😀😀") |> vot')
    line = text.split("\n")[3]
    at = line.index("vot") + 2 * (width - 1)
    with Client(tmp_path, encodings=[encoding]) as client:
        assert client.capabilities["positionEncoding"] == encoding
        (found,) = client.open(text)
        assert found["range"]["start"] == {"line": 3, "character": at}
        client.change(piece(3, at, at + 3, "rank(small, keep = 1)"))
        assert "E201" not in codes(client.diagnostics())
        assert "rank" in client.at("hover", (3, at + 1))["contents"]["value"]


@pytest.mark.parametrize("separator", ["\u2028", "\x0c", "\x85", "\x0b"])
def test_only_line_ends_of_the_protocol_end_lines(client: Client, separator: str) -> None:
    name = f"lines{ord(separator)}.pnyx"
    assert client.open(f"# a{separator}b\r\n{SOUND}", name) == []
    client.change(piece(4, 13, 21, "generte"), name=name)
    (found,) = client.diagnostics(name)
    assert found["range"]["start"] == {"line": 4, "character": 13}


def test_changes_of_one_message_follow_one_another(client: Client) -> None:
    client.open(SOUND, "many.pnyx")
    client.change(whole("x\n"), whole(SOUND), piece(3, 22, 27, "sml"), piece(3, 22, 25, "small"), name="many.pnyx")
    assert client.diagnostics("many.pnyx") == []


def test_yaml_has_diagnostics(client: Client) -> None:
    text = "models: {small: smollm2-135m}\npipelines:\n  answer:\n    - generate: small\n"
    assert client.open(text, "main.yaml") == []
    (found,) = client.open(text.replace("generate", "generte"), "slip.yaml")
    assert (found["code"], found["range"]["start"]["line"]) == ("E201", 3)
    assert client.at("hover", (3, 8), "slip.yaml") is None


def test_yaml_has_no_answers_to_what_is_asked_about_pnyx(client: Client) -> None:
    client.open("models: {small: smollm2-135m}\n", "quiet.yaml")
    assert client.at("completion", (0, 10), "quiet.yaml") is None
    assert client.at("prepareRename", (0, 10), "quiet.yaml") is None
    assert client.at("rename", (0, 10), "quiet.yaml", newName="tiny") is None
    assert client.about("formatting", "quiet.yaml", options={"tabSize": 4, "insertSpaces": True}) is None


def test_a_fault_of_an_imported_file_is_shown_at_the_start_with_its_place(client: Client) -> None:
    (client.folder / "broken.pnyx").write_text("\nmodle small\n")
    (found,) = client.open('import "broken.pnyx"\n' + SOUND, "importer.pnyx")
    assert found["code"] == "E101"
    assert found["range"]["start"] == found["range"]["end"] == {"line": 0, "character": 0}
    (place,) = found["relatedInformation"]
    assert place["location"]["uri"] == client.uri("broken.pnyx")
    assert place["location"]["range"]["start"]["line"] == 1


def test_a_document_that_was_never_opened_is_not_asked_about(client: Client) -> None:
    document = {"uri": client.uri("ghost.pnyx"), "version": 2}
    client.tell("textDocument/didChange", textDocument=document, contentChanges=[whole(SOUND)])
    assert client.at("hover", (0, 0), "ghost.pnyx") is None
    nowhere = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 0}}
    assert client.about("codeAction", "ghost.pnyx", range=nowhere, context={"diagnostics": []}) is None


def test_a_closed_document_has_no_diagnostics(client: Client) -> None:
    assert codes(client.open("modle x", "closed.pnyx")) == ["E101"]
    client.tell("textDocument/didClose", textDocument={"uri": client.uri("closed.pnyx")})
    client._versions.pop("closed.pnyx")
    assert client.diagnostics("closed.pnyx") == []
    assert client.at("hover", (0, 0), "closed.pnyx") is None


def test_saving_a_file_checks_those_that_import_it(client: Client) -> None:
    parts = client.folder / "shared.pnyx"
    parts.write_text("op one(pool: Pool{text}) -> Pool {\n    pool |> take(1)\n}\n")
    text = 'import "shared.pnyx"\n' + SOUND.replace("generate(small)", "generate(small, n = 2) |> one")
    assert client.open(text, "user.pnyx") == []
    parts.write_text("op two(pool: Pool{text}) -> Pool {\n    pool |> take(1)\n}\n")
    client.tell("textDocument/didSave", textDocument={"uri": client.uri("user.pnyx")})
    client.tell("textDocument/didSave", textDocument={"uri": client.uri("shared.pnyx")})
    assert codes(client.diagnostics("user.pnyx")) == ["E201"]


def test_no_edit_brings_the_server_down(client: Client) -> None:
    """Questions about every kind of broken text; the fixture looks at the log."""
    chance = random.Random(11)
    text = (Path(__file__).resolve().parents[2] / "examples" / "layered.pnyx").read_text()
    client.open(text, "torn.pnyx")
    questions = ("hover", "completion", "signatureHelp", "definition", "documentHighlight")
    for _ in range(120):
        at, length = chance.randrange(len(text) + 1), chance.randrange(6)
        inserted = chance.choice(["", "|> ", "(", ")", "{", "}", '"', '"""', "\n", "😀", "tune(", "= ", ", ", ".", "_"])
        before = text[:at]
        removed = text[at : at + length]
        text = before + inserted + text[at + length :]
        start = {"line": before.count("\n"), "character": _units(before)}
        end_text = before + removed
        end = {"line": end_text.count("\n"), "character": _units(end_text)}
        client.change({"range": {"start": start, "end": end}, "text": inserted}, name="torn.pnyx")
        place = (start["line"], start["character"] + _width(inserted))
        client.at(chance.choice(questions), place, "torn.pnyx")
        if chance.random() < 0.2:
            everywhere = {"start": {"line": 0, "character": 0}, "end": {"line": 999, "character": 0}}
            client.about("documentSymbol", "torn.pnyx")
            client.about("foldingRange", "torn.pnyx")
            client.about("inlayHint", "torn.pnyx", range=everywhere)
            client.about("codeAction", "torn.pnyx", range=everywhere, context={"diagnostics": []})
    client.change(whole(text), name="torn.pnyx")
    client.diagnostics("torn.pnyx")
    client.change(whole(SOUND), name="torn.pnyx")
    assert client.diagnostics("torn.pnyx") == []


def _width(text: str) -> int:
    return len(text.rpartition("\n")[2].encode("utf-16-le")) // 2


def _units(before: str) -> int:
    return _width(before)


@pytest.mark.no_cover
@pytest.mark.parametrize("block", [SOUND, "(", '"""\n', "😀", "pipeline a(query) { "])
def test_a_megabyte_is_answered_in_seconds(client: Client, block: str) -> None:
    started = time.perf_counter()
    client.open(block * (1_000_000 // len(block)), f"large{ord(block[0])}.pnyx")
    assert time.perf_counter() - started < 5


def test_without_the_extra_the_message_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pygls", None)
    assert main(["lsp"]) == 1
    assert "pip install 'pnyx[lsp]'" in capsys.readouterr().err
