"""From source text to the syntax tree: scan, lay out, read each declaration.

Every syntax error of the file is reported; a declaration with an error is left out of the module. Nothing raises and
nothing takes long, whatever the text: the number of tokens, the depth of the tree and the number of errors are bounded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from pnyx.compiler.diagnostics import Diagnostics
from pnyx.compiler.source import Source, Span
from pnyx.compiler.syntax import Declaration, Module

if TYPE_CHECKING:
    from pnyx.compiler.parse.layout import Piece
    from pnyx.compiler.parse.recover import Allowance

__all__ = ["parse"]

Read: TypeAlias = "Callable[[Piece, Diagnostics, Allowance], Declaration | None]"


def parse(source: Source, diagnostics: Diagnostics, read: Read | None = None) -> Module:
    """The declarations that could be read, and the comments; what could not is in `diagnostics`.

    `read` stands in for `read_declaration` where declarations are kept from one text to the next.
    """
    from pnyx.compiler.parse.layout import declared_name, lay_out
    from pnyx.compiler.parse.recover import Allowance, read_declaration
    from pnyx.compiler.parse.scan import DECLARATION_WORDS, MOST_ERRORS, scan

    found = Diagnostics()
    scanned = scan(source, found)
    words = {word.upper() for word in DECLARATION_WORDS}
    declarations: list[Declaration] = []
    unread: list[str] = []
    allowance, faulty = Allowance(), False
    read = read or read_declaration
    for piece in lay_out(scanned, found):
        if not scanned.complete or len(found) >= MOST_ERRORS:
            break
        # Lines without a declaration behind a faulty one, or behind each other, are one slip, not many.
        if not piece.tokens or (faulty and piece.tokens[0].type not in words):
            continue
        declaration = read(piece, found, allowance)
        faulty = declaration is None
        if declaration is not None:
            declarations.append(declaration)
        elif name := declared_name(piece):
            unread.append(name)
    diagnostics.extend(found.sorted())
    whole = Span(source, 0, len(source.text))
    comments = tuple(scanned.comments)
    return Module(declarations=tuple(declarations), comments=comments, unread=tuple(unread), span=whole)
