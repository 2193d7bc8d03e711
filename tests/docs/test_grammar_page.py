"""The page of the grammar has every production once, with an example that uses it."""

from __future__ import annotations

import re

import pytest
from docs.markdown import DOCS, Block, blocks, program
from lark import Lark, Tree

from docs.generate.grammar import Production, productions
from pnyx.compiler.diagnostics import Diagnostics
from pnyx.compiler.parse.layout import lay_out
from pnyx.compiler.parse.scan import scan
from pnyx.compiler.source import Source
from pnyx.grammar import grammar_text

PAGE = (DOCS / "grammar.md").read_text()
SECTIONS = dict(zip(*[iter(re.split(r"^### `(\w+)`\n", PAGE, flags=re.MULTILINE)[1:])] * 2, strict=True))
# Every rule becomes a node of the tree under its own name: nothing is inlined or renamed.
PLAIN = re.sub(r"^\?", "", re.sub(r" -> \w+", "", grammar_text()), flags=re.MULTILINE).replace(
    "_separator", "separator"
)
PARSER = Lark(PLAIN, start="module", parser="lalr", lexer="basic", keep_all_tokens=True)


def _used(block: Block) -> set[str]:
    """The rules and tokens in the tree of a program."""
    found = Diagnostics()
    used: set[str] = set()
    for piece in lay_out(scan(Source("block.pnyx", program(block)), found), found):
        state = PARSER.parse_interactive(start="module")
        for token in piece.tokens:
            state.feed_token(token)
        used |= {token.type for token in piece.tokens}
        used |= {part.data for part in state.feed_eof().iter_subtrees() if isinstance(part, Tree)}
    assert not list(found)
    return used


def test_the_sections_are_the_productions() -> None:
    assert sorted(SECTIONS) == sorted([*productions(), "NEWLINE", "FIELDS"])


@pytest.mark.parametrize("production", productions().values(), ids=lambda p: p.name)
def test_an_example_uses_its_production(production: Production) -> None:
    text = SECTIONS[production.name]
    assert f"<!-- begin: production {production.name} -->" in text
    (example,) = blocks(text)
    assert production.rule.removeprefix("_") in _used(example)


@pytest.mark.parametrize("production", productions().values(), ids=lambda p: p.name)
def test_links_lead_to_productions(production: Production) -> None:
    names = {name.lower() for name in SECTIONS}
    assert set(re.findall(r'href="#(\w+)"', SECTIONS[production.name])) <= names
