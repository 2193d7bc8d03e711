"""What went wrong, as text in the style of diagnostics and as an exit code."""

from __future__ import annotations

import errno
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from pnyx.cli.terminal import rendered
from pnyx.compiler.diagnostics import CompileError, Diagnostic, Label
from pnyx.compiler.source import Source, Span

__all__ = [
    "EXIT_BUDGET", "EXIT_ENGINE", "EXIT_USER", "Described", "describe", "exit_code", "located",
    "user_error",
]  # fmt: skip

EXIT_USER = 1
EXIT_BUDGET = 3
EXIT_ENGINE = 4


@dataclass(frozen=True, slots=True)
class Described:
    text: str
    exit: int


def user_error(code: str, message: str, help: str | None = None) -> CompileError:
    """An error that has no place in a program: a file, an argument."""
    return CompileError([Diagnostic(code, message, help=help)])


def describe(error: Exception) -> Described | None:
    """None for what no user can cause: a bug."""
    if isinstance(error, CompileError):
        return Described(rendered(error.diagnostics, sys.stderr), EXIT_USER)
    if isinstance(error, OSError):
        return Described(rendered([_of_system(error)], sys.stderr), EXIT_USER)
    diagnostic = _as_diagnostic(error)
    if diagnostic is None:
        return None
    return Described(rendered([diagnostic], sys.stderr), exit_code(diagnostic.code))


def exit_code(code: str) -> int:
    """Of a failure of the runtime that ends the command."""
    from pnyx.runtime.errors import ENGINE_CODES

    if code in ENGINE_CODES:
        return EXIT_ENGINE
    return {"E615": EXIT_ENGINE, "E662": EXIT_ENGINE, "R820": EXIT_BUDGET}.get(code, EXIT_USER)


def _as_diagnostic(error: Exception) -> Diagnostic | None:
    """A failure of the runtime as a diagnostic; None for any other exception."""
    from pnyx.runtime.errors import RuntimeFailure

    if not isinstance(error, RuntimeFailure):
        return None
    return located(error.code, error.message, error.place, error.help)


def located(code: str, message: str, place: str | None, help: str | None) -> Diagnostic:
    """A diagnostic at `file:line:column`."""
    label = _label(place) if place else None
    return Diagnostic(code, message if label or not place else f"{message} (at {place})", label, help=help)


def _label(place: str) -> Label | None:
    """The character at `file:line:column`, where the file is still there to be shown."""
    found = re.fullmatch(r"(.+):(\d+):(\d+)", place, re.DOTALL)
    if not found:
        return None
    name, line, column = found[1], int(found[2]), int(found[3])
    try:
        text = Path(name).read_bytes().decode("utf-8-sig")
    except (OSError, ValueError):
        return None
    lines = text.split("\n")
    if not (1 <= line <= len(lines) and 1 <= column <= len(lines[line - 1]) + 1):
        return None
    start = sum(len(before) + 1 for before in lines[: line - 1]) + column - 1
    return Label(Span(Source(name, text), start, min(start + 1, len(text))))


_WAYS_OUT = {
    errno.ENOSPC: "free some space, or write to another disk",
    errno.EDQUOT: "free some space, or write to another disk",
    errno.EACCES: "name a file that you may read or write",
    errno.EPERM: "name a file that you may read or write",
    errno.EROFS: "name a file that you may write",
}


def _of_system(error: OSError) -> Diagnostic:
    where = f"`{Path(error.filename).as_posix()}`: " if isinstance(error.filename, str) else ""
    reason = (error.strerror or str(error) or type(error).__name__).lower()
    return Diagnostic("E601", f"{where}{reason}", help=_WAYS_OUT.get(error.errno or 0))
