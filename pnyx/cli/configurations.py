"""Configurations for a person: choices by their shortest names, in columns of their own where a terminal has room for
them, else each on a line below its figures.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import TypeAlias

from pnyx.cli.tables import fits, print_table
from pnyx.cli.terminal import folded

__all__ = ["Choices", "Configured", "named", "print_configured"]

Choices: TypeAlias = Sequence[tuple[str, str]]
Configured: TypeAlias = tuple[Sequence[str], str, Choices]
"""Figures, the pipeline, and its choices."""


def named(pipeline: str | None, choices: Choices, short: Mapping[str, str]) -> str:
    """`answer: n = 4, model = large`. Choices that have no short name are shown without their pipeline."""
    said = ", ".join(f"{short.get(name, name.removeprefix(f'{pipeline}.'))} = {option}" for name, option in choices)
    return ": ".join(part for part in (pipeline, said) if part)


def print_configured(head: Sequence[str], rows: Sequence[Configured], short: Mapping[str, str]) -> str | None:
    """A table of figures, which are aligned to the right but for the first, and what differs between configurations.
    Gives what they have in common, where something is not in the table for that."""
    met = list(dict.fromkeys(name for _, _, choices in rows for name, _ in choices))
    options = [dict(choices) for _, _, choices in rows]
    varied = [name for name in met if len({taken.get(name) for taken in options}) > 1]
    several = len({pipeline for _, pipeline, _ in rows}) > 1
    columns = [*(["pipeline"] if several else []), *(short.get(name, name) for name in varied)]
    table = [
        [*figures, *([pipeline] if several else []), *(_whole(taken.get(name, "")) for name in varied)]
        for (figures, pipeline, _), taken in zip(rows, options, strict=True)
    ]
    if columns and fits([*head, *columns], table):
        print_table([*head, *columns], table, right=range(1, len(head)))
        same = [(name, options[0][name]) for name in met if name not in varied]
        return named(None, same, short) or None
    _print_below(head, rows, short, several=several)
    return None


def _print_below(head: Sequence[str], rows: Sequence[Configured], short: Mapping[str, str], *, several: bool) -> None:
    shown = StringIO()
    print_table(head, [figures for figures, _, _ in rows], right=range(1, len(head)), file=shown)
    lines = shown.getvalue().splitlines()
    print("\n".join(lines[: -len(rows)]))
    for line, (_, pipeline, choices) in zip(lines[-len(rows) :], rows, strict=True):
        print(line)
        said = named(pipeline if several or not choices else None, choices, short)
        print(folded(f"    {said}", sys.stdout, indent="    "))


def _whole(option: str) -> str:
    return option.replace(" ", "\N{NO-BREAK SPACE}")
