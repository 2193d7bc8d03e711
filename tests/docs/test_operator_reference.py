"""The operator reference has every operator, and says of it what the compiler and the library say."""

from __future__ import annotations

import re

import pytest
from docs.markdown import DOCS, blocks, section
from docs.operator_entries import Entry, entries

FACTS = ["Takes → gives", "Asks the engine for", "Reply", "Cost", "Source", "Degenerates"]
PAGE = (DOCS / "operators.md").read_text()


def test_the_sections_are_the_operators_in_order() -> None:
    assert re.findall(r"^## `(\w+)`$", PAGE, re.MULTILINE) == [entry.name for entry in entries()]


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_a_section_says_what_the_operator_says_of_itself(entry: Entry) -> None:
    text = section(PAGE, f"`{entry.name}`")
    doc, fence, _ = text.partition("```text\n")
    assert fence
    assert " ".join(doc.split()) == entry.doc
    assert blocks(text)[0].text == f"{entry.signature}\n"


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_a_section_has_all_facts_and_an_example(entry: Entry) -> None:
    text = section(PAGE, f"`{entry.name}`")
    assert re.findall(r"^- \*\*(.+?)\*\*: \S", text, re.MULTILINE) == FACTS
    examples = [block for block in blocks(text) if block.language == "pnyx"]
    assert any(re.search(rf"\b{entry.name}\b", block.text) for block in examples)
