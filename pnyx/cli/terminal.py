"""What the terminal can show, and small texts for people."""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Iterable
from typing import TextIO

from pnyx.compiler.diagnostics import Diagnostic, render_all

__all__ = ["coloured", "count", "folded", "interactive", "rendered"]


def interactive(stream: TextIO) -> bool:
    """Whether a person watches this stream."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def coloured(stream: TextIO) -> bool:
    """NO_COLOR (no-color.org) switches colour off, FORCE_COLOR on."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or interactive(stream)


def rendered(diagnostics: Iterable[Diagnostic], stream: TextIO) -> str:
    """In the colours and to the width that the stream can show."""
    return render_all(diagnostics, colour=coloured(stream), columns=_columns(stream))


def _columns(stream: TextIO) -> int | None:
    """The width of the terminal; None where nobody watches."""
    return shutil.get_terminal_size().columns if interactive(stream) else None


def folded(text: str, stream: TextIO, indent: str = "") -> str:
    """Every line folded between words to the width of the terminal, its continuations indented."""
    width = _columns(stream)
    if width is None:
        return text
    return "\n".join(
        textwrap.fill(line, max(width, 20), subsequent_indent=indent, break_on_hyphens=False)
        for line in text.split("\n")
    )


def count(number: int, noun: str) -> str:
    """`1 error`, `2 errors`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
