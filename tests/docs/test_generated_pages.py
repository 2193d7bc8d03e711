"""What pages say of operators, codes and productions is what the compiler, the library and the grammar say.

`--update-golden` brings the generated regions in step, as `python -m docs.generate` does.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from docs.markdown import DOCS, ROOT, Block, blocks, section

from docs.generate.book import pages, regenerated
from docs.generate.operators import GROUPS, entries
from pnyx.compiler.program import Program

FACTS = ["Takes → gives", "Asks the engine for", "Reply", "Cost", "Source", "Degenerates"]
OPERATORS = DOCS / "operators"


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_generated_regions_are_in_step(page: Path, update_golden: bool) -> None:
    text = page.read_text()
    if update_golden and regenerated(text) != text:
        page.write_text(regenerated(text))
    assert page.read_text() == regenerated(text), "run `python -m docs.generate`"
    assert text.count("<!-- begin: ") == text.count("<!-- end -->")


def test_every_operator_has_a_page_and_a_group() -> None:
    assert sorted(path.stem for path in OPERATORS.glob("*.md")) == sorted([*entries(), "index"])
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(entries())
    assert re.findall(r"<!-- begin: operators (\w+) -->", (OPERATORS / "index.md").read_text()) == list(GROUPS)


@pytest.mark.parametrize("name", entries())
def test_a_page_has_all_that_is_to_be_known_of_an_operator(name: str) -> None:
    text = (OPERATORS / f"{name}.md").read_text()
    assert text.startswith(f"# `{name}`\n\n<!-- begin: operator {name} -->\n")
    assert re.findall(r"^- \*\*(.+?)\*\*: \S", text, re.MULTILINE) == FACTS
    assert [row.name for row in entries()[name].rows if not row.doc] == [], (
        "say in docs/generate/operators.py what these are"
    )
    assert (f"<!-- begin: definition {name} -->" in text) == bool(entries()[name].source)


@pytest.mark.parametrize("name", entries())
def test_an_example_shows_the_operator_and_has_nothing_to_warn_of(name: str, tmp_path: Path) -> None:
    example = _example(name)
    assert re.search(rf"\b{name}\b", example.text.partition("pipeline ")[2])
    assert example.option("title") == f"{name}.pnyx"
    for block in blocks((OPERATORS / f"{name}.md").read_text()):
        if title := block.option("title"):
            (tmp_path / title).write_text(block.text)
    assert not Program.parse(example.text, str(tmp_path / f"{name}.pnyx")).check()


def _example(name: str) -> Block:
    found = blocks(section((OPERATORS / f"{name}.md").read_text(), "Example"))
    (example,) = [block for block in found if block.language == "pnyx"]
    return example
