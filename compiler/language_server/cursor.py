"""What stands before the cursor, in a text that most likely is not sound yet: the tokens of the declaration, the
brackets that are open, and the value of what is piped into the stage that is being written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Diagnostics
from pnyx.compiler.elaborate.values import Value
from pnyx.compiler.language_server.document import View
from pnyx.compiler.language_server.observe import Observer
from pnyx.compiler.parse import parse
from pnyx.compiler.parse.scan import DECLARATION_WORDS, Scan, scan
from pnyx.compiler.parse.token import Token
from pnyx.compiler.source import Source

__all__ = ["Call", "Cursor"]

_DECLARATION = re.compile(rf"^(?:{'|'.join((*DECLARATION_WORDS, 'state'))})\b", re.MULTILINE)
_PAIRS = {"LPAR": ")", "LSQB": "]", "LBRACE": "\n}", "FIELDS": "\n}"}
_CLOSING = frozenset({"RPAR", "RSQB", "RBRACE"})


@dataclass(frozen=True, slots=True)
class Call:
    """The call whose brackets the cursor is in. `index`: the argument it is at; `names` and `count`: the named and
    the positional arguments before it; `piped`: whether a value comes through a pipe; `start`: of the callee."""

    callee: str
    start: int
    index: int
    names: tuple[str, ...]
    count: int
    piped: bool
    pipe: int | None


class Cursor:
    """A place in a document. `tokens` are those of its declaration before it, without the word being written."""

    def __init__(self, view: View, offset: int) -> None:
        self.view = view
        self.offset = offset
        text = view.text.text[:offset]
        self.start = max((found.start() for found in _DECLARATION.finditer(text)), default=0)
        self._source = Source("<cursor>", text[self.start :])
        scanned = scan(self._source, Diagnostics())
        tokens = scanned.tokens
        self.word = ""
        if tokens and tokens[-1].end == len(self._source.text) and re.fullmatch(r"[A-Za-z_]\w*", tokens[-1].text):
            self.word = tokens[-1].text
            tokens = tokens[:-1]
        self.tokens = list(_significant(tokens))
        self.in_text, self.in_comment = _inside(scanned, len(self._source.text))

    @property
    def at_line_start(self) -> bool:
        """Whether the word being written begins a line outside of everything."""
        return not self.view.text.line_before(self.offset - len(self.word))

    def before(self, index: int = 1) -> str:
        """The type of the last token, or of one before it; empty where there is none."""
        return self.tokens[-index].type if len(self.tokens) >= index else ""

    def open(self) -> list[int]:
        """The indices of the tokens that are open brackets."""
        found: list[int] = []
        for index, token in enumerate(self.tokens):
            if token.type in _PAIRS:
                found.append(index)
            elif token.type in _CLOSING and found:
                found.pop()
        return found

    @property
    def in_head(self) -> bool:
        """Whether the cursor is among the parameters of a declaration."""
        opened = self.open()
        return bool(opened) and opened[0] == 2 and self.before(len(self.tokens)) in ("OP", "PROMPT", "PIPELINE")

    @property
    def _head_end(self) -> int:
        return next((i for i, token in enumerate(self.tokens) if token.type == "LBRACE"), len(self.tokens))

    def call(self) -> Call | None:
        """The innermost call around the cursor; None where a block or a list is nearer."""
        opened = self.open()
        if not opened or self.in_head or self.tokens[opened[-1]].type != "LPAR" or opened[-1] == 0:
            return None
        bracket = opened[-1]
        callee = self.tokens[bracket - 1]
        if callee.type not in ("NAME", "TUNE") and not callee.text.isidentifier():
            return None
        arguments = list(_split(self.tokens[bracket + 1 :]))
        names = tuple(a[0].text for a in arguments[:-1] if len(a) > 1 and a[1].type == "EQUAL")
        holes = any(len(a) == 1 and a[0].type == "PLACEHOLDER" for a in arguments)
        pipe = self.tokens[bracket - 2].start if bracket > 1 and self.tokens[bracket - 2].type == "PIPE" else None
        start = self.start + callee.start
        count = len(arguments) - 1 - len(names)
        return Call(callee.text, start, len(arguments) - 1, names, count, pipe is not None and not holes, pipe)

    def argument_name(self) -> str | None:
        """`by` where the cursor stands behind `by =` in a call."""
        return self.tokens[-2].text if self.before() == "EQUAL" and len(self.tokens) > 1 else None

    def pipe(self) -> int | None:
        """Where the `|>` stands that the cursor is behind, counted from the start of the declaration."""
        return self.tokens[-1].start if self.before() == "PIPE" else None

    def value_before(self, end: int) -> Value:
        """What the expression is worth that ends before a `|>` at `end`; None where that cannot be told. The
        declaration is cut there, what is open is closed, and the rest is elaborated as it stands."""
        kept = [token for token in self.tokens if token.start < end]
        closing = [_PAIRS[token.type] for token in _still_open(kept)]
        text = self._source.text[:end].rstrip() + "".join(reversed(closing)) + "\n"
        cut = len(self._source.text[:end].rstrip())
        source = Source(self.view.analysis.source.name, text)
        read = parse(source, Diagnostics()).declarations
        if len(read) != 1 or not isinstance(read[0], syntax.PipelineDecl | syntax.OpDecl):
            return None
        draft = read[0]
        module = self.view.analysis.module
        others = tuple(d for d in module.declarations if getattr(d, "name", None) != draft.name)
        observer = Observer(self.view.analysis.source, replace(module, declarations=(*others, draft)))
        if isinstance(draft, syntax.PipelineDecl):
            observer.observe(draft)
        else:
            observer.observe_operator(draft)
        ending = [(start, values) for (at, start, stop), values in observer.worth.values.items()
                  if at == id(source) and stop == cut]  # fmt: skip
        return min(ending, key=lambda item: item[0])[1][-1] if ending else None

    def locals(self) -> Iterator[str]:
        """Names that the declaration introduces before the cursor: parameters, then what is assigned."""
        seen: dict[str, None] = {}
        for index, token in enumerate(self.tokens):
            following = self.tokens[index + 1].type if index + 1 < len(self.tokens) else ""
            before = self.tokens[index - 1].type if index else ""
            depth_one = token.type == "NAME" and index > 2
            if depth_one and (
                (following == "EQUAL" and before in ("_NL", "LBRACE"))
                or before in ("FOR", "EACH")
                or (before in ("LPAR", "COMMA") and index < self._head_end)
            ):
                seen[token.text] = None
        return iter(seen)


def _significant(tokens: Sequence[Token]) -> Iterator[Token]:
    """Without the line breaks inside of `( )` and `[ ]`, which separate nothing."""
    opened: list[str] = []
    for token in tokens:
        if token.type in _PAIRS:
            opened.append(token.type)
        elif token.type in _CLOSING and opened:
            opened.pop()
        if token.type != "_NL" or not opened or opened[-1] not in ("LPAR", "LSQB"):
            yield token


def _still_open(tokens: Sequence[Token]) -> list[Token]:
    opened: list[Token] = []
    for token in tokens:
        if token.type in _PAIRS:
            opened.append(token)
        elif token.type in _CLOSING and opened:
            opened.pop()
    return opened


def _split(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """The arguments between commas; the last one may be empty."""
    current: list[Token] = []
    depth = 0
    for token in tokens:
        depth += (token.type in _PAIRS) - (token.type in _CLOSING)
        if token.type == "COMMA" and not depth:
            yield current
            current = []
        else:
            current.append(token)
    yield current


def _inside(scanned: Scan, end: int) -> tuple[bool, bool]:
    """Whether a text, or a comment, goes on at the end."""
    broken = any(token.type == "STRING" and token.start in scanned.broken for token in scanned.tokens[-1:])
    comment = bool(scanned.comments) and scanned.comments[-1].end == end
    return broken, comment
