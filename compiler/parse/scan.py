"""Scan: from text to tokens, with every lexical error of the file.

Invariants: tokens are in order and do not overlap; whatever stands in the text, scanning goes on behind it, until
`MOST_ERRORS` errors or `_MOST_TOKENS` tokens (then the scan is not `complete`). Where an error was, a token stands in
that keeps the rest of the line readable, if one can be guessed; the place is in `broken`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from pnyx.compiler.diagnostics import Diagnostics
from pnyx.compiler.parse.literals import LiteralFault, read_number, read_string
from pnyx.compiler.parse.tables import Tables, tables
from pnyx.compiler.parse.token import Token, span_of
from pnyx.compiler.source import Source, Span

__all__ = ["DECLARATION_WORDS", "MOST_ERRORS", "Scan", "scan"]

MOST_ERRORS: Final = 100
_MOST_TOKENS: Final = 60_000

DECLARATION_WORDS: Final = (
    "model", "prompt", "op", "pipeline", "let", "state", "benchmark", "search", "import", "extern",
)  # fmt: skip
_DECLARATION_LINE = re.compile(rf"\n(?=(?:{'|'.join(DECLARATION_WORDS)})[ \t]+[\w\"])")
# A text between triple quotes that ends like this took the next declaration's opening quotes for its own closing ones.
_OPENING_LINE = re.compile(r"\n(?:prompt|model|let|state|extern)[ \t][^\n]*=[ \t]*\Z")

_STRING_HELP: Final = 'strings stand between double quotes: `"…"`, or `"""…"""` over several lines'
_INSTEAD: Final = {
    "&": ("and", "AND"), "&&": ("and", "AND"), "||": ("or", "OR"), "!": ("not", "NOT"), "|": ("|>", "PIPE"),
}  # fmt: skip
_HELP: Final = {
    "|": "a pipe is written `|>`",
    "&": "write `and`",
    "&&": "write `and`",
    "||": "write `or`",
    "!": "write `not`",
    ";": "a new line ends a statement",
    "/*": "a comment starts with `#` and ends with the line",
    "\\": "a statement goes on in the next line inside `( )` or `[ ]`, or where that line starts with `|>` or `else`",
    "`": _STRING_HELP,
    "$": "money is written `$5`",
    "@": "there are no decorators",
}


@dataclass(slots=True)
class Scan:
    source: Source
    tokens: list[Token] = field(default_factory=list)
    comments: list[Span] = field(default_factory=list)
    broken: list[int] = field(default_factory=list)
    complete: bool = True


def scan(source: Source, diagnostics: Diagnostics) -> Scan:
    """The tokens of a source, line breaks as `_NL`, without what the layout adds and removes."""
    return _Scanner(source, diagnostics, tables()).run()


@cache
def _pattern() -> re.Pattern[str]:
    known = tables()
    marks = "|".join(re.escape(mark) for mark in sorted(known.marks, key=len, reverse=True))
    parts = {
        "NEW_LINE": r"\n[ \t\r\n]*",  # one token for all the white space up to the next thing
        "SPACE": known.patterns["SPACE"],
        "NAME": known.patterns["NAME"],
        "COMMENT": known.patterns["COMMENT"],
        "NUMBER": known.patterns["NUMBER"],
        "STRING": known.patterns["STRING"],
        "OPEN_LONG": r'"""[\s\S]*',
        "OPEN_STRING": r'"[^"\\\n]*(?:\\[^\n][^"\\\n]*)*\\?',
        "QUOTED": r"'(?:[^'\\\n]|\\[^\n])*'?|[“”„‟«»][^“”„‟«»\n]*[“”„‟«»]?|[‘’‚‛][^‘’‚‛\n]*[‘’‚‛]?",
        "COMMENT_MARK": r"/\*[^\n]*?\*/|/\*|\*/",
        "MARK": marks,
        "FOREIGN": r"&&?|\|\||[|!]",
        "LETTERS": r"[^\W\d]\w*",
        "UNKNOWN": r"(?P<char>[\s\S])(?P=char)*",
    }
    return re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in parts.items()))


class _Scanner:
    def __init__(self, source: Source, diagnostics: Diagnostics, known: Tables) -> None:
        self.result = Scan(source)
        self.source, self.diagnostics, self.known = source, diagnostics, known
        self.position = 1 if source.text.startswith("\ufeff") else 0

    def run(self) -> Scan:
        text, tokens, words, marks = self.source.text, self.result.tokens, self.known.words, self.known.marks
        match_at = _pattern().match
        special: dict[str, Callable[[str, int, int], int]] = {
            "STRING": self._string, "NUMBER": self._number, "OPEN_LONG": self._open_long,
            "OPEN_STRING": self._open_string, "QUOTED": self._quoted, "COMMENT_MARK": self._unknown,
            "FOREIGN": self._foreign, "LETTERS": self._letters, "UNKNOWN": self._unknown, "COMMENT": self._comment,
        }  # fmt: skip
        while self.position < len(text):
            match = match_at(text, self.position)
            assert match is not None, "the last alternative matches everything"
            kind, start, end = match.lastgroup or "UNKNOWN", match.start(), match.end()
            if kind == "NAME":
                value = match.group()
                tokens.append(Token(words.get(value, "NAME"), start, end, self.source, value))
            elif kind == "MARK":
                tokens.append(Token(marks[match.group()], start, end, self.source, match.group()))
            elif kind == "NEW_LINE":
                tokens.append(Token("_NL", start, start + 1, self.source, "\n"))
            elif kind != "SPACE":
                end = special[kind](match.group(), start, end)
            self.position = end
            if len(self.result.broken) >= MOST_ERRORS or len(tokens) > _MOST_TOKENS:
                self._give_up(end)
                break
        return self.result

    def _give_up(self, at: int) -> None:
        self.result.complete = False
        if len(self.result.tokens) > _MOST_TOKENS:
            message = f"the file has more than {_MOST_TOKENS:,} words and marks"
            self._report("E405", message, at, at, "cut it into several files")

    def _token(self, kind: str, start: int, end: int, value: object) -> None:
        self.result.tokens.append(Token(kind, start, end, self.source, value))

    def _report(self, code: str, message: str, start: int, end: int, help: str | None, label: str = "") -> None:
        self.result.broken.append(start)
        self.diagnostics.report(code, message, span_of(self.source, start, end), label, help=help)

    def _comment(self, _text: str, start: int, end: int) -> int:
        self.result.comments.append(Span(self.source, start, end))
        return end

    def _number(self, text: str, start: int, end: int) -> int:
        value: tuple[int | float, str | None] = (0, None)
        try:
            value = read_number(text)
        except LiteralFault as fault:
            self._report(fault.code, fault.message, start + fault.start, start + fault.end, fault.help)
        self._token("NUMBER", start, end, value)
        return end

    def _string(self, text: str, start: int, end: int) -> int:
        if text.startswith('"""') and (opening := _OPENING_LINE.search(text, 3, len(text) - 3)):
            return self._unclosed_long(start, start + opening.start())
        value = ""
        try:
            value = read_string(text)
        except LiteralFault as fault:
            self._report(fault.code, fault.message, start + fault.start, start + fault.end, fault.help)
        self._token("STRING", start, end, value)
        return end

    def _open_long(self, _text: str, start: int, end: int) -> int:
        following = _DECLARATION_LINE.search(self.source.text, start)
        return self._unclosed_long(start, following.start() if following else end)

    def _unclosed_long(self, start: int, end: int) -> int:
        help = 'close it with `"""`'
        self._report("E103", "unclosed string", start, start + 3, help, "the text starts here and never ends")
        self._token("STRING", start, end, "")
        return end

    def _open_string(self, text: str, start: int, end: int) -> int:
        help = 'close it with `"` on the same line; a text of several lines stands between `"""`'
        written = text.rstrip()
        self._report("E103", "unclosed string", start, start + len(written), help)
        # Closing brackets at the end of the line most likely do not belong to the text.
        end = start + max(1, len(written.rstrip(" \t)]},")))
        self._token("STRING", start, end, "")
        return end

    def _quoted(self, text: str, start: int, end: int) -> int:
        if text[0] == "'":
            self._report("E104", "`'` does not enclose strings", start, end, _STRING_HELP)
        else:
            self._report("E104", f"{_named(text[0])} is not a straight quote", start, end, _STRING_HELP)
        self._token("STRING", start, end, "")
        return end

    def _foreign(self, text: str, start: int, end: int) -> int:
        self._report("E104", f"unknown character `{text}`", start, end, _HELP[text])
        word, kind = _INSTEAD[text]
        self._token(kind, start, end, word)
        return end

    def _letters(self, text: str, start: int, end: int) -> int:
        foreign = next((i for i, char in enumerate(text) if not char.isascii()), 0)
        at = start + foreign
        help = "names are made of the letters a to z, A to Z, digits and `_`"
        self._report("E104", f"unknown character {_named(text[foreign])}", at, at + 1, help)
        self._token("NAME", start, end, text)
        return end

    def _unknown(self, text: str, start: int, end: int) -> int:
        if text.startswith("/*") or text == "*/":
            self._report("E104", f"`{text[:2]}` does not enclose comments", start, end, _HELP["/*"])
        else:
            self._report("E104", f"unknown character {_named(text[0])}", start, end, _help_for(text))
        return end


def _named(char: str) -> str:
    """`é` (latin small letter e with acute), or the name alone where the character cannot be seen."""
    number = f"U+{ord(char):04X}"
    name = unicodedata.name(char, "control character" if unicodedata.category(char) == "Cc" else "").lower()
    if char.isascii() and char.isprintable():
        return f"`{char}`"
    if not char.isprintable():
        return f"{number} ({name})" if name else number
    return f"`{char}` ({name})" if name else f"`{char}` ({number})"


def _help_for(text: str) -> str | None:
    char = text[0]
    if char in _HELP:
        return _HELP[char]
    if unicodedata.category(char) in ("Zs", "Zl", "Zp"):
        return "replace it by an ordinary space"
    if not char.isprintable():
        return "it cannot be seen: delete it"
    folded = unicodedata.normalize("NFKC", char)
    plain = {"−": "-", "–": "-", "—": "-", "×": "*", "÷": "/", "…": "..", "≤": "<=", "≥": ">=", "≠": "!=", "→": "|>"}
    look_alike = plain.get(char) or (folded if folded.isascii() and folded.isprintable() else None)
    return f"write `{look_alike}`" if look_alike else None
