"""Where the elaborator is: the calls of operators it is inside of."""

from __future__ import annotations

from dataclasses import dataclass

from pnyx.compiler import syntax
from pnyx.compiler.source import Span

__all__ = ["Frame", "TooLarge"]


class TooLarge(Exception):
    """The program unrolls without a reasonable end. The diagnostic has been reported."""


@dataclass(frozen=True, slots=True)
class Frame:
    """An operator being inlined, and the call that asked for it."""

    declaration: syntax.OpDecl
    call: Span
