"""What mkdocs has to know of these pages: how Pnyx is highlighted, what our fences mean, which pages an index lists."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from pygments.lexer import RegexLexer, bygroups, words
from pygments.lexers import LEXERS
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Text

__all__ = ["PnyxLexer"]

# A fence may say words that only the tests read: `fragment`, `norun`, `without="…"`.
_FENCE = re.compile(r'^(?P<fence>```\w+)(?P<title>(?: title="[^"]*")?)[^`\n]*$', re.MULTILINE)
_LISTED = re.compile(r"^## (?P<group>.+)$|^\| \[[^\]]+\]\((?P<page>\w+\.md)\)", re.MULTILINE)

_FORMS = "repeat for in if else loop max until each match tune retry then limit".split()
_TYPES = "Chat Pool Text Int Float Bool Model Prompt Op Scorer Field Policy List".split()
_IN_STRING = [
    (r"\{\{|\{%|%\}|\}\}", String.Interpol),
    (r"\\.", String.Escape),
]


class PnyxLexer(RegexLexer):
    """Words by what they do: declare, decide, stand for a value; names before a bracket or behind a pipe are calls."""

    name = "Pnyx"
    aliases = ("pnyx",)
    filenames = ("*.pnyx",)
    flags = re.MULTILINE
    tokens = {  # noqa: RUF012
        "root": [
            (r"#.*$", Comment.Single),
            (r'"""', String, "long"),
            (r'"', String, "short"),
            (r"^(extern\s+op)(\s+)(\w+)", bygroups(Keyword.Declaration, Text, Name.Class)),
            (
                r"^(model|prompt|op|pipeline|let|state|benchmark|search|import)(\s+)(\w*)",
                bygroups(Keyword.Declaration, Text, Name.Class),
            ),
            (r"\b(tune|retry)\b", Keyword),
            # `max`, `limit` and others are names where they stand for an operator or an argument.
            (words(_FORMS, r"\b", r"\b(?! *[=(,)])"), Keyword),
            (words(("and", "or", "not"), r"\b", r"\b"), Operator.Word),
            (words(("true", "false", "none", "empty"), r"\b", r"\b"), Keyword.Constant),
            (r"(\|>)(\s*)(?!tune\b|each\b|if\b|match\b)([A-Za-z]\w*)", bygroups(Operator, Text, Name.Function)),
            (r"[A-Za-z_]\w*(?=\()", Name.Function),
            (words(_TYPES, r"\b", r"\b"), Name.Builtin),
            (r"\$?\d[\d_]*(\.\d[\d_]*)?([eE][+-]?\d+)?\w*", Number),
            (r"\|>|->|=>|\.\.|[=!<>]=|//|[-+*/%<>=?]", Operator),
            (r"[A-Za-z_]\w*", Name),
            (r"[][(){},.:]", Punctuation),
            (r"\s+|.", Text),
        ],
        "long": [(r'"""', String, "#pop"), *_IN_STRING, (r'[^"\\{}%]+|.', String)],
        "short": [(r'"', String, "#pop"), *_IN_STRING, (r'[^"\\{}%\n]+|.', String)],
    }


def on_config(config: Any) -> Any:
    """Registers the lexer, and puts the pages that the two indexes list into the navigation."""
    module = sys.modules[__name__]
    sys.modules["docs_hooks"] = module
    LEXERS["PnyxLexer"] = ("docs_hooks", PnyxLexer.name, PnyxLexer.aliases, PnyxLexer.filenames, ())
    config.nav = [_with_listed(item, Path(config.docs_dir)) for item in config.nav]
    return config


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Leaves a fence its language and title."""
    return _FENCE.sub(r"\g<fence>\g<title>", markdown)


def _with_listed(item: Any, folder: Path) -> Any:
    match item:
        case {**entries} if entries:
            return {title: _with_listed(content, folder) for title, content in entries.items()}
        case list():
            return [_with_listed(content, folder) for content in item]
        case "operators/index.md" | "diagnostics/index.md":
            return _listed(Path(item), folder)
        case _:
            return item


def _listed(index: Path, folder: Path) -> list[Any]:
    """The index, then a section for each of its headings with the pages that its table links."""
    sections: dict[str, list[str]] = {}
    for found in _LISTED.finditer((folder / index).read_text(encoding="utf-8")):
        if found["group"]:
            pages = sections.setdefault(found["group"], [])
        else:
            pages.append((index.parent / found["page"]).as_posix())
    return [index.as_posix(), *({title: pages} for title, pages in sections.items() if pages)]
