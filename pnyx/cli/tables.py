"""Tables: folded between words to the width of a terminal, and whole where the output goes elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from typing import TextIO

from pnyx.cli.terminal import coloured, interactive

__all__ = ["print_table"]

_UNBOUNDED = 10_000


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
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    stream = file or sys.stdout
    listed = [list(row) for row in rows]
    columns = [[title, *(row[index] for row in listed)] for index, title in enumerate(head)]
    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), show_footer=last_is_total, footer_style="bold"
    )
    footer = listed.pop() if last_is_total else [""] * len(head)
    for index, cells in enumerate(columns):
        table.add_column(
            cells[0],
            footer=Text(footer[index]),
            justify="right" if index in right else "left",
            min_width=max(len(word) for cell in cells for word in cell.split() or [""]),
        )
    for row in listed:
        table.add_row(*(Text(cell) for cell in row))
    console = Console(
        file=stream,
        width=None if interactive(stream) else _UNBOUNDED,
        color_system="standard" if coloured(stream) else None,
        highlight=False,
    )
    with console.capture() as capture:
        console.print(table, crop=False)
    stream.writelines(f"{line.rstrip()}\n" for line in capture.get().splitlines())
