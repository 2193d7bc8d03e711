"""Passages of files: which fit a question, and which files cannot be used."""

from __future__ import annotations

import json
import sys
from math import log
from pathlib import Path

import pytest

from pnyx.runtime.errors import PackageMissing, PassagesUnusable
from pnyx.runtime.passages import Passages, open_passages

HILLS = [
    "The Pnyx is a hill in Athens where the assembly met.",
    "The Acropolis is a hill in Athens; it holds the Parthenon.",
    "Olives grow in Attica.",
    "",
]


def lucene(texts: list[list[str]], query: list[str], place: int, k1: float = 1.5, b: float = 0.75) -> float:
    """The formula, as Kamphuis et al. (2020) write it."""
    average = sum(map(len, texts)) / len(texts)
    score = 0.0
    for word in query:
        holding = sum(word in text for text in texts)
        often = texts[place].count(word)
        rare = log(1 + (len(texts) - holding + 0.5) / (holding + 0.5))
        score += rare * often / (often + k1 * (1 - b + b * len(texts[place]) / average))
    return score


def test_scores_are_those_of_the_formula() -> None:
    found = Passages(HILLS).find("Which HILL had the assembly?", 9)
    words = [text.lower().replace(".", "").replace(";", "").split() for text in HILLS]
    expected = {place: lucene(words, ["hill", "the", "assembly"], place) for place in (0, 1)}
    assert [(p.index, p.score) for p in found] == [(i, pytest.approx(expected[i], rel=1e-5)) for i in (0, 1)]
    assert found[0].score == pytest.approx(0.90258, abs=1e-5)  # held, so that a new release that differs shows


def test_only_passages_with_a_word_of_the_question_are_found() -> None:
    passages = Passages(HILLS)
    assert [p.text for p in passages.find("olives", 5)] == ["Olives grow in Attica."]
    assert passages.find("zebra", 5) == []
    assert passages.find("", 5) == []
    assert len(passages.find("hill", 1)) == 1


def test_equal_scores_stay_in_the_order_of_the_file() -> None:
    passages = Passages(["b", "same words", "same words", "same words"])
    assert [p.index for p in passages.find("words same", 3)] == [1, 2, 3]


@pytest.mark.parametrize("texts", [[], ["", "…"]])
def test_files_without_words_have_nothing_to_find(texts: list[str]) -> None:
    assert Passages(texts).find("hill", 3) == []


def test_other_languages_have_words_too() -> None:
    assert [p.index for p in Passages(["Η Πνύκα είναι λόφος", "Straße"]).find("ΛΌΦΟΣ", 1)] == [0]
    assert [p.index for p in Passages(["x", "Straße"]).find("STRASSE", 1)] == [1]


def test_lines_of_json_and_paragraphs(tmp_path: Path) -> None:
    lines = tmp_path / "a.JSONL"
    lines.write_text("\ufeff" + "\n".join([json.dumps({"body": text}) for text in HILLS] + ["", "  "]))
    assert [p.index for p in open_passages(lines, "body").find("olives", 3)] == [2]
    text = tmp_path / "a.md"
    text.write_text("one hill\nof two lines\n\n  \n\nanother\n")
    assert [p.text for p in open_passages(text, "text").find("hill another", 3)] == [
        "another",
        "one hill\nof two lines",
    ]


@pytest.mark.parametrize(
    ("content", "message", "help"),
    [
        (b'{"text": "a"}\n{oops\n', "line 2 of .* is not JSON", "one JSON object"),
        (b'"a"\n', "line 1 of .* is no JSON object", '{"text": "…"}'),
        (b"\n" + b"[" * 100_000, "line 2 of .* is not JSON", "one JSON object"),
        (b'{"txt": "a"}', "line 1 of .* has no `text`", "did you mean `field = txt`?"),
        (b'{"body": "a"}', "line 1 of .* has no `text`", "names the one with the passage"),
        (b'{"text": 3}', "`text` in line 1 of .* is no text", "between double quotes"),
        (b'{"text": "\xff"}', "is not UTF-8, at byte 10", "save it as UTF-8"),
    ],
)
def test_files_that_cannot_be_used(content: bytes, message: str, help: str, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(content)
    with pytest.raises(PassagesUnusable, match=message) as raised:
        open_passages(file, "text")
    assert raised.value.code == "E610"
    assert help in (raised.value.help or "")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "notes.jsonl").touch()
    with pytest.raises(PassagesUnusable, match="there is no file") as raised:
        open_passages(tmp_path / "note.jsonl", "text")
    assert raised.value.help == "did you mean `notes.jsonl`?"
    with pytest.raises(PassagesUnusable, match="there is no file"):
        open_passages(tmp_path / "nowhere" / "a.txt", "text")
    with pytest.raises(PassagesUnusable, match="cannot be read: Is a directory"):
        open_passages(tmp_path, "text")
    with pytest.raises(PassagesUnusable, match="cannot be read"):
        open_passages(tmp_path / "a\0b", "text")


def test_the_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bm25s", None)
    with pytest.raises(PackageMissing, match="bm25s") as raised:
        Passages(["a"])
    assert "pnyx[retrieve]" in (raised.value.help or "")
