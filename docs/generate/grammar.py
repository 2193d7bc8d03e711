"""The productions of the grammar as readable EBNF, with a link from every name to where it is defined.

What concerns the parser alone is left out: names of tree nodes (`-> pipe`), marks that inline a rule (`?`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from html import escape

from pnyx.grammar import grammar_text

__all__ = ["Production", "production", "productions", "prose"]

_RULE = re.compile(r"^\??(?P<name>\w+): (?P<body>.*(?:\n +\|.*)*)", re.MULTILINE)
_ALIAS = re.compile(r" +-> \w+|(?<=\S)  //.*")
_SECTION = re.compile(r"^// (?P<title>[A-Z][^\n]*?) -+$", re.MULTILINE)
_PIECE = re.compile(r'"[^"]*"|[A-Za-z_]\w*|\s+|.')
_LAID_OUT = {"_NL": "NEWLINE", "FIELDS": "FIELDS"}  # tokens that the layout makes
_PATTERN = re.compile(r"^(?P<name>NUMBER|STRING|NAME|PLACEHOLDER): (?P<body>.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Production:
    """`rule` is the name in the grammar file, `name` the one that readers see."""

    rule: str
    name: str
    body: str


@cache
def productions() -> dict[str, Production]:
    """By the name that readers see, in the order of the file; tokens that are patterns come last."""
    text = grammar_text()
    rules = [m for m in _RULE.finditer(text) if m["name"].islower()]
    found = [Production(m["name"], m["name"].strip("_"), _ALIAS.sub("", m["body"])) for m in rules]
    found += [Production(m["name"], m["name"], m["body"]) for m in _PATTERN.finditer(text)]
    return {p.name: p for p in found}


def production(name: str) -> str:
    """The production in a block whose names are links."""
    found = productions()[name]
    body = escape(found.body, quote=False) if name.isupper() else _linked(found)
    return f'<pre class="grammar"><strong>{found.name}</strong> ::= {body}</pre>'


def prose(name: str) -> str:
    """What the grammar file says in comments: of the whole file (`file`), else right above a production or token."""
    text = grammar_text()
    if name == "file":
        return _plain(text.partition("\nmodule:")[0])
    found = re.search(rf"(?P<comment>(?:^//.*\n)+)\n?^\??_?{name}_?: ", text, re.MULTILINE)
    if found is None:
        raise KeyError(f"the grammar says nothing of `{name}`")
    return _plain(_SECTION.sub("", found["comment"]))


def _plain(comment: str) -> str:
    plain = "\n".join(line.removeprefix("//").removeprefix(" ") for line in comment.splitlines()).strip()
    return plain.replace("_NL", "NEWLINE").replace("\\", "\\\\")


def _linked(found: Production) -> str:
    names = {p.rule: p.name for p in productions().values()} | _LAID_OUT
    aligned = re.sub(r"\n +\|", "\n" + " " * (len(found.name) + 3) + "|", found.body)
    pieces = (
        f'<a href="#{names[piece].lower()}">{names[piece]}</a>' if piece in names else escape(piece, quote=False)
        for piece in _PIECE.findall(aligned)
    )
    return "".join(pieces)
