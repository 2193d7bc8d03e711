"""Recover: reads one declaration and reports every syntax error in it.

A statement with an error is reported, taken out, and the rest is read again; an error in the head of a declaration
is reported and its body read under an invented head. So one slip gives one diagnostic.

Invariant: a declaration in which anything is wrong is not handed on.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from pnyx.compiler.diagnostics import Diagnostic, Diagnostics
from pnyx.compiler.parse.build import Fault
from pnyx.compiler.parse.explain import Misfit, explain
from pnyx.compiler.parse.layout import Piece
from pnyx.compiler.parse.tables import tables
from pnyx.compiler.parse.token import Token
from pnyx.compiler.syntax import Declaration

__all__ = ["Allowance", "read_declaration"]

_MOST_ERRORS: Final = 20

_OPENING: Final = frozenset({"LPAR", "LSQB", "LBRACE", "FIELDS"})
_CLOSING: Final = frozenset({"RPAR", "RSQB", "RBRACE"})
# The shortest head that lets the body of a declaration be read.
_HEADS: Final = {
    "OP": ("PIPELINE", "NAME", "LPAR", "RPAR"), "PIPELINE": ("PIPELINE", "NAME", "LPAR", "RPAR"),
    "BENCHMARK": ("SEARCH", "NAME"), "SEARCH": ("SEARCH", "NAME"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Trouble:
    """Where reading stopped and why. `lacking` as in `Fault`."""

    index: int
    diagnostic: Diagnostic
    lacking: bool = False


@dataclass(slots=True)
class Allowance:
    """How many tokens of a file may still be read a second time, so that no text makes recovery slow."""

    tokens: int = 40_000


def read_declaration(piece: Piece, diagnostics: Diagnostics, again: Allowance) -> Declaration | None:
    """The declaration, or None where it has errors, which are then reported or stand in `piece.broken` already."""
    if piece.deep:
        return None
    tokens: Sequence[Token] = piece.tokens
    sound, headless = not piece.broken, False
    for _ in range(_MOST_ERRORS):
        outcome = _attempt(tokens)
        if not isinstance(outcome, _Trouble):
            return outcome if sound else None
        start, end = _statement(tokens, outcome.index)
        if not (outcome.lacking and not sound) and not _touches(tokens, start, end, piece.broken):
            diagnostics.add(outcome.diagnostic)
        sound = False
        if start:
            remaining = _without(tokens, start, end)
        else:
            remaining = [] if headless else _headless(tokens, outcome.index)
            headless = True
        again.tokens -= len(remaining)
        if not remaining or again.tokens < 0 or (start and len(remaining) >= len(tokens)):
            break
        tokens = remaining
    return None


def _touches(tokens: Sequence[Token], start: int, end: int, offsets: Sequence[int]) -> bool:
    """Whether something is known to be wrong in these tokens or between them and their neighbours."""
    first = tokens[start - 1].end if start else 0
    last = tokens[end].start if end < len(tokens) else math.inf
    return any(first <= offset <= last for offset in offsets)


def _attempt(tokens: Sequence[Token]) -> Declaration | _Trouble:
    from lark import UnexpectedToken

    state: Any = tables().lark.parse_interactive(start="module")
    read = 0
    try:
        for token in tokens:
            state.feed_token(token)
            read += 1
        (declaration,) = state.feed_eof()
    except UnexpectedToken:
        misfit = Misfit(tokens, read, _accepted(tokens[:read]), tables().texts)
        return _Trouble(read, explain(misfit))
    except Fault as fault:
        start = fault.diagnostic.span.start if fault.diagnostic.span else 0
        return _Trouble(bisect_left(tokens, start, key=lambda token: token.start), fault.diagnostic, fault.lacking)
    return cast("Declaration", declaration)


def _accepted(tokens: Sequence[Token]) -> set[str]:
    """The types that may follow. Asked before the misfit is fed, which loses some of them."""
    state: Any = tables().lark.parse_interactive(start="module")
    for token in tokens:
        state.feed_token(token)
    return set(state.accepts())


def _statement(tokens: Sequence[Token], index: int) -> tuple[int, int]:
    """The bounds of the innermost statement or entry around a token; from 0 on in the head of a declaration."""
    start, depth = index, 0
    while start > 0:
        kind = tokens[start - 1].type
        if kind in _CLOSING:
            depth += 1
        elif depth and kind in _OPENING:
            depth -= 1
        elif not depth and kind in ("_NL", "LBRACE", "FIELDS"):
            break
        start -= 1
    end, depth = index, 0
    while end < len(tokens):
        kind = tokens[end].type
        if kind in _OPENING:
            depth += 1
        elif depth and kind in _CLOSING:
            depth -= 1
        elif not depth and kind in ("_NL", "RBRACE"):
            break
        end += 1
    return start, end


def _without(tokens: Sequence[Token], start: int, end: int) -> list[Token]:
    """The tokens without a statement and one line break beside it."""
    if tokens[start - 1].type == "_NL":
        start -= 1
    elif end < len(tokens) and tokens[end].type == "_NL":
        end += 1
    return [*tokens[:start], *tokens[end:]]


def _headless(tokens: Sequence[Token], index: int) -> list[Token]:
    """The body behind an error in the head, under an invented head; nothing where there is no body to read."""
    head = _HEADS.get(tokens[0].type)
    if head is None:
        return []
    depth = 0
    for position, token in enumerate(tokens):
        if token.type == "LBRACE" and not depth and position >= index:
            return [*(Token(kind, token.start, token.start, token.source, "") for kind in head), *tokens[position:]]
        depth += (token.type in _OPENING) - (token.type in _CLOSING)
    return []
