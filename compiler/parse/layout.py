"""Layout: where statements and declarations end, which words are words, which brackets belong together.

Invariants of the declarations handed on: brackets are balanced (missing ones are invented, empty), `_NL` stands only
between two statements or entries, and the tree that the grammar makes of one is at most `MOST_DEPTH` deep, so that
nothing behind the parser needs to fear for the stack.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Final

from pnyx.compiler.diagnostics import Diagnostics, Label
from pnyx.compiler.parse.scan import DECLARATION_WORDS, MOST_ERRORS, Scan
from pnyx.compiler.parse.token import Token, span_of
from pnyx.compiler.source import Span

__all__ = ["MOST_DEPTH", "Piece", "declared_name", "lay_out"]

MOST_DEPTH: Final = 160

_MOST_OPEN: Final = 200
# How many levels of the tree a bracket stands for at most (`(` where it makes a call), and what adds one level each
# without a bracket. Parentheses around an expression add none, so that the formatter may put them where it needs them.
_WEIGHTS: Final = {"LPAR": 1, "LSQB": 1, "LBRACE": 4, "FIELDS": 1}
_CALLED: Final = frozenset("NAME NUMBER STRING TRUE FALSE NONE PLACEHOLDER TUNE RETRY RPAR RSQB RBRACE".split())
_CHAINING: Final = frozenset(
    "PIPE OR AND NOT EQUALS DIFFERS LESSTHAN AT_MOST MORETHAN AT_LEAST DOTS PLUS MINUS STAR SLASH FLOOR PERCENT DOT"
    " ELSE YIELDS".split()
)
_CONTINUING: Final = frozenset({"PIPE", "ELSE"})
_CLOSING: Final = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE", "FIELDS": "RBRACE"}
_CLOSERS: Final = frozenset(_CLOSING.values())
_TEXTS: Final = {"LPAR": "(", "LSQB": "[", "LBRACE": "{", "FIELDS": "{", "RPAR": ")", "RSQB": "]", "RBRACE": "}"}
_DECLARATION_TYPES: Final = frozenset(word.upper() for word in DECLARATION_WORDS)
_SECOND: Final = {
    "MODEL": ("EQUAL",), "LET": ("EQUAL",), "PROMPT": ("LPAR",), "OP": ("LPAR",), "PIPELINE": ("LPAR",),
    "BENCHMARK": ("LBRACE",), "SEARCH": ("LBRACE",), "STATE": ("COLON", "EQUAL"),
}  # fmt: skip


@dataclass(slots=True)
class Piece:
    """The tokens of one declaration. `broken`: offsets where something is wrong already; `deep`: not to be parsed."""

    tokens: list[Token] = field(default_factory=list)
    broken: list[int] = field(default_factory=list)
    deep: bool = False


def declared_name(piece: Piece) -> str | None:
    """The name that a declaration gives, as far as it can be told without reading it."""
    kinds = [token.type for token in piece.tokens[:3]]
    index = 2 if kinds[:2] == ["EXTERN", "OP"] else 1
    is_name = len(kinds) > index and kinds[0] in _SECOND | {"EXTERN": ()} and kinds[index] == "NAME"
    return piece.tokens[index].text if is_name else None


@dataclass(slots=True)
class _Open:
    """An open bracket and its weight; `chain` counts the levels that the expression around it has without brackets."""

    token: Token
    weight: int
    chain: int


def lay_out(scan: Scan, diagnostics: Diagnostics) -> list[Piece]:
    """One piece a declaration, or what stands where one should."""
    return _Layout(scan, diagnostics).run()


class _Layout:
    def __init__(self, scan: Scan, diagnostics: Diagnostics) -> None:
        self.scan, self.diagnostics = scan, diagnostics
        self.source, self.tokens = scan.source, scan.tokens
        self.pieces: list[Piece] = []
        self.piece = Piece()
        self.open: list[_Open] = []
        self.chain = 0
        self.depth = 0

    def run(self) -> list[Piece]:
        line_break: Token | None = None
        for index, token in enumerate(self.tokens):
            if token.type == "_NL":
                line_break = token
                continue
            if line_break is not None or index == 0:
                self._begin_line(index, token, line_break)
                line_break = None
            self._add(self._worded(token))
        if self.open and self.scan.complete:
            self._report_unclosed(None)
        self._end_piece()
        self._place_broken()
        return self.pieces

    def _begin_line(self, index: int, token: Token, line_break: Token | None) -> None:
        if self.open and self._starts_declaration(index, token):
            self._report_unclosed(token)
            self._end_piece()
        elif token.type in _CONTINUING or line_break is None:
            return
        elif not self.open:
            self._end_piece()
        elif self.open[-1].token.type in ("LBRACE", "FIELDS"):
            previous = self.piece.tokens[-1].type
            if token.type not in ("RBRACE", "COMMA") and previous not in ("LBRACE", "FIELDS", "COMMA"):
                self.piece.tokens.append(line_break)
            self._end_chain()

    def _starts_declaration(self, index: int, token: Token) -> bool:
        """Whether a new declaration plainly begins here, at the left edge, although brackets are open."""
        if token.type not in _DECLARATION_TYPES or self.source.position(token.start).column != 1:
            return False
        following = [t.type for t in self.tokens[index + 1 : index + 3]]
        if token.type == "IMPORT":
            return following[:1] in (["STRING"], ["NAME"])
        if token.type == "EXTERN":
            return following[:1] == ["OP"]
        return len(following) == 2 and following[1] in _SECOND[token.type]

    def _worded(self, token: Token) -> Token:
        """The token with the type that it has at its place (see the head of the grammar)."""
        tokens = self.piece.tokens
        previous = tokens[-1] if tokens else None
        if token.type in _DECLARATION_TYPES:
            is_word = previous is None or (token.type == "OP" and len(tokens) == 1 and previous.type == "EXTERN")
            return token if is_word else token._replace(type="NAME")
        if token.type == "MAX":
            return token if previous and previous.type == "LOOP" else token._replace(type="NAME")
        if token.type == "LIMIT":
            is_behind = previous is not None and previous.type == "RPAR" and not self.open
            return token if is_behind and tokens[0].type == "PIPELINE" else token._replace(type="NAME")
        if token.type == "LBRACE" and previous and previous.end == token.start:
            is_type = previous.type == "RSQB" or (previous.type == "NAME" and previous.text[:1].isupper())
            return token._replace(type="FIELDS") if is_type else token
        return token

    def _add(self, token: Token) -> None:
        if token.type in _CLOSERS:
            token = self._mended(token)
            if not self._close(token):
                return
        previous = self.piece.tokens[-1].type if self.piece.tokens else ""
        self.piece.tokens.append(token)
        if token.type in _WEIGHTS:
            is_group = token.type == "LPAR" and previous not in _CALLED
            weight = 0 if is_group else _WEIGHTS[token.type]
            # The chain goes on behind a call: `f(a)(b)(c)`.
            self._deepen(token, 1 if token.type == "LPAR" and not is_group else 0, weight)
            self.open.append(_Open(token, weight, self.chain))
            self.depth += weight
            self.chain = 0
        elif token.type in _CHAINING:
            self._deepen(token, 1, 0)
        elif token.type == "COMMA":
            self._end_chain()

    def _deepen(self, token: Token, chained: int, weight: int) -> None:
        self.chain += chained
        self.depth += chained
        too_deep = self.depth + weight > MOST_DEPTH or len(self.open) >= _MOST_OPEN
        if too_deep and not self.piece.deep:
            self.piece.deep = True
            help = "name the parts: `part = …`, or an `op` for each"
            self.diagnostics.report(
                "E105", "nested or chained too deeply", token.span, "here it is too much", help=help
            )

    def _end_chain(self) -> None:
        self.depth -= self.chain
        self.chain = 0

    def _pop(self) -> Token:
        self._end_chain()
        opened = self.open.pop()
        self.chain = opened.chain
        self.depth -= opened.weight
        return opened.token

    def _mended(self, token: Token) -> Token:
        """`(a]`: the closing bracket that was meant, where it is plainly the wrong one."""
        opener = self.open[-1].token if self.open else None
        if opener is None or "RBRACE" in (token.type, _CLOSING[opener.type]) or _CLOSING[opener.type] == token.type:
            return token
        if any(_CLOSING[o.token.type] == token.type for o in self.open):
            return token
        right = _TEXTS[_CLOSING[opener.type]]
        message = f"`{token.text}` does not close `{opener.text}`"
        self._report("E102", message, token.span, token.start, f"write `{right}`", f"expected `{right}`", opener)
        return token._replace(type=_CLOSING[opener.type])

    def _close(self, token: Token) -> bool:
        """Closes the bracket that belongs to this one; False where there is none."""
        crossed = 0
        for opened in reversed(self.open):
            if _CLOSING[opened.token.type] == token.type:
                break
            if token.type != "RBRACE" and opened.token.type == "LBRACE":
                crossed = len(self.open)
            crossed += 1
        if crossed >= len(self.open):
            help = "delete it, or open the bracket before it"
            self._report("E109", f"`{token.text}` closes no bracket", token.span, token.start, help)
            return False
        if crossed:
            self._report_unclosed(token, crossed)
        self._pop()
        return True

    def _report_unclosed(self, found: Token | None, count: int | None = None) -> None:
        """Reports the innermost open bracket and invents what closes the `count` innermost, or all."""
        count = len(self.open) if count is None else count
        # Where several are open, the outermost of them is the one that a person forgot.
        opener = self.open[-1 if found and found.type in _CLOSERS else -count].token
        closer = _TEXTS[_CLOSING[opener.type]]
        where = f"before `{found.text}`" if found else "before the end of the file"
        last = self.piece.tokens[-1]
        span = found.span if found else span_of(self.source, last.end, last.end)
        message = f"unclosed bracket: expected `{closer}` {where}"
        self._report("E102", message, span, opener.start, f"close it with `{closer}`", f"expected `{closer}`", opener)
        for _ in range(count):
            kind = _CLOSING[self._pop().type]
            self.piece.tokens.append(Token(kind, last.end, last.end, self.source, ""))

    def _report(
        self, code: str, message: str, span: Span, at: int, help: str, label: str = "", opener: Token | None = None
    ) -> None:
        secondary = [Label(opener.span, "opened here")] if opener else []
        if len(self.diagnostics) < MOST_ERRORS:
            self.diagnostics.report(code, message, span, label, secondary=secondary, help=help)
        self.piece.broken.append(at)

    def _end_piece(self) -> None:
        if self.piece.tokens or self.piece.broken:
            self.pieces.append(self.piece)
        self.piece = Piece()
        self.open.clear()
        self.chain = self.depth = 0

    def _place_broken(self) -> None:
        """Hands every lexical error to the piece that it stands in or on one line with."""
        pieces = [piece for piece in self.pieces if piece.tokens]
        starts = [piece.tokens[0].start for piece in pieces]
        text = self.source.text
        for offset in self.scan.broken:
            following = bisect_right(starts, offset)
            if following and "\n" not in text[pieces[following - 1].tokens[-1].end : offset]:
                pieces[following - 1].broken.append(offset)
            elif following < len(pieces) and "\n" not in text[offset : starts[following]]:
                pieces[following].broken.append(offset)
