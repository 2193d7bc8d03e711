"""The one canonical layout of a Pnyx program.

- Four spaces a level, lines of at most 100 columns where an expression can be opened, two spaces before a comment
  behind code.
- A pipe with several stages that is the value of a statement stands with each stage on its own line, starting with
  `|>`; a single stage stays beside its source if it fits or must be opened anyway. Inside brackets a pipe stays on the
  line while it fits.
- What does not fit is opened at its outermost bracket: one item a line, a comma behind each. Operators that do not
  fit stand in parentheses, each at the start of a line.
- The body of a declaration, loop, `each` and `match` is opened; an `if` that is a value stays on the line if it fits.
- Empty lines between statements are kept up to one; a declaration of several lines stands between empty lines.
- Comments are kept in place; one inside an expression that cannot be opened moves above its statement.
- Numbers keep the author's spelling, strings their kind of quotes.

Invariants: the text reads back as the same tree; formatting it again changes nothing.
"""

from __future__ import annotations

from pnyx.compiler.diagnostics import Diagnostics
from pnyx.compiler.format.comments import Comments
from pnyx.compiler.format.printer import Printer
from pnyx.compiler.parse import parse
from pnyx.compiler.source import Source
from pnyx.compiler.syntax import Module

__all__ = ["format_module", "format_source"]


def format_source(source: Source, diagnostics: Diagnostics) -> str | None:
    """The text in canonical layout, or None where it has syntax errors, which `diagnostics` then holds."""
    found = Diagnostics()
    module = parse(source, found)
    diagnostics.extend(found)
    return None if found.has_errors else format_module(module)


def format_module(module: Module) -> str:
    """The module in canonical layout. Spans are used for comments and empty lines only; made-up ones do no harm."""
    return Printer(Comments(module)).module(module)
