"""Tables: folded to the width of a terminal, and whole where the output goes elsewhere.

They fold between words; words of a column that is aligned to the left are broken where nothing else helps, figures
never. A no-break space is shown as a space.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from pnyx.cli.terminal import coloured, interactive

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["fits", "print_table"]

_UNBOUNDED = 10_000
_GAP = 2
_BROKEN = 12  # the least that is left of a word which is broken
_SOLID = "\ue000"  # of private use: stands for a no-break space, which rich takes for any other


def fits(head: Sequence[str], rows: Iterable[Sequence[str]], *, file: TextIO | None = None) -> bool:
    """Whether such a table can be shown without breaking a word."""
    columns = _columns(head, [[_solid(cell) for cell in row] for row in rows])
    return _taken(_least(columns)) <= _console(file or sys.stdout).width


def print_table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: Collection[int] = (),
    last_is_total: bool = False,
    file: TextIO | None = None,
) -> None:
    """Columns whose index is in `right` are aligned to the right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    stream = file or sys.stdout
    console = _console(stream)
    listed = [[_solid(cell) for cell in row] for row in rows]
    columns = _columns(head, listed)
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, _GAP - 1, 0, 0),
        show_footer=last_is_total,
        footer_style="bold",
    )
    footer = listed.pop() if last_is_total else [""] * len(head)
    for index, width in enumerate(_widths(columns, right, console.width)):
        table.add_column(
            head[index],
            footer=Text(footer[index]),
            justify="right" if index in right else "left",
            width=width,
            overflow="fold",
        )
    for row in listed:
        table.add_row(*(Text(cell) for cell in row))
    with console.capture() as capture:
        console.print(table, crop=False)
    shown = capture.get().replace(_SOLID, " ")
    stream.writelines(f"{line.rstrip()}\n" for line in shown.splitlines())


def _solid(cell: str) -> str:
    return cell.replace("\N{NO-BREAK SPACE}", _SOLID)


def _columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[list[str]]:
    return [[title, *(row[index] for row in rows)] for index, title in enumerate(head)]


def _widths(columns: Sequence[Sequence[str]], right: Collection[int], room: int) -> list[int]:
    """As many columns as possible as wide as their longest cell, and none narrower than its longest word, unless words
    of the columns aligned to the left have to be broken. Heads fold before cells do."""
    from rich.cells import cell_len

    bodies = [max(map(cell_len, cells), default=0) for _, *cells in columns]
    wholes = [max(map(cell_len, cells)) for cells in columns]
    widths = _least(columns)
    if tight := _taken(widths) > room:
        widths = [n if i in right else min(n, _BROKEN) for i, n in enumerate(widths)]
    spare = room - _taken(widths)
    for wanted in (bodies, wholes):
        lacking = [want - width for want, width in zip(wanted, widths, strict=True)]
        for index in sorted(range(len(columns)), key=lambda i: (tight and i in right, lacking[i])):
            more = max(0, min(lacking[index], spare))
            widths[index] += more
            spare -= more
    return widths


def _least(columns: Sequence[Sequence[str]]) -> list[int]:
    from rich.cells import cell_len

    return [max(cell_len(word) for cell in cells for word in cell.split() or [""]) for cells in columns]


def _taken(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * len(widths) - 1


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    return Console(
        file=stream,
        width=None if interactive(stream) else _UNBOUNDED,
        color_system="standard" if coloured(stream) else None,
        highlight=False,
    )
