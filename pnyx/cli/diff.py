"""What would change in a file, for a person."""

from __future__ import annotations

import sys
from difflib import unified_diff

from pnyx.cli.terminal import coloured

__all__ = ["show_diff"]

_COLOURS = {"+": "32", "-": "31", "@": "36"}


def show_diff(before: str, after: str, name: str, what: str) -> None:
    """Prints a unified diff, in colour where a terminal shows it; nothing where the texts are the same."""
    lines = before.splitlines(keepends=True), after.splitlines(keepends=True)
    sys.stdout.writelines(map(_painted, unified_diff(*lines, name, f"{name} ({what})")))


def _painted(line: str) -> str:
    if not line.endswith("\n"):
        line += "\n\\ No newline at end of file\n"
    colour = _COLOURS.get(line[:1])
    if colour is None or not coloured(sys.stdout):
        return line
    words = line.rstrip("\n")
    return f"\033[{colour}m{words}\033[0m{line[len(words) :]}"
