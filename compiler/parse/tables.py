"""The grammar made executable: Lark's LALR tables and what the scanner reads out of the terminals.

Invariants: built once a process, on first use; the grammar file is the only place where a word or mark is written
down. The tables are kept in the cache folder (`$PNYX_CACHE`, or the user's), which saves most of the start; Lark
checks them against the grammar and its own version. Where they cannot be written, they are built each time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pnyx.compiler.parse.build import Builder
from pnyx.grammar import grammar_text

if TYPE_CHECKING:
    from lark import Lark

__all__ = ["Tables", "tables"]


@dataclass(frozen=True, slots=True)
class Tables:
    """`words` and `marks` map a text to its token type, `texts` the type back to the text, `patterns` are the rest."""

    lark: Lark
    words: Mapping[str, str]
    marks: Mapping[str, str]
    patterns: Mapping[str, str]

    @property
    def texts(self) -> dict[str, str]:
        return {kind: text for table in (self.words, self.marks) for text, kind in table.items()}


@cache
def tables() -> Tables:
    from lark import Lark
    from lark.lexer import PatternStr

    lark = Lark(
        grammar_text(),
        start="module",
        parser="lalr",
        lexer="basic",
        keep_all_tokens=True,
        transformer=Builder(),
        cache=_cache_file() or False,
    )
    words: dict[str, str] = {}
    marks: dict[str, str] = {}
    patterns: dict[str, str] = {}
    for terminal in lark.terminals:
        text = terminal.pattern.value
        if not isinstance(terminal.pattern, PatternStr):
            patterns[terminal.name] = text
        elif re.fullmatch(r"\w+", text):
            words[text] = terminal.name
        else:
            marks[text] = terminal.name
    return Tables(lark, words, marks, patterns)


def _cache_file() -> str | None:
    chosen = os.environ.get("PNYX_CACHE")
    if not chosen:
        from platformdirs import user_cache_dir

        chosen = user_cache_dir("pnyx")
    try:
        Path(chosen).mkdir(parents=True, exist_ok=True)
        return str(Path(chosen) / "grammar.lalr")
    except OSError:
        return None
