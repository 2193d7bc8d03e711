"""Progress of long work, on standard error: bars where a person watches, one line a step elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pnyx.cli.terminal import interactive

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["counting", "passing", "transferring"]


@contextmanager
def passing(what: str) -> Iterator[None]:
    """Inside, a person sees what is going on; nothing of it stays, also where it is interrupted."""
    if not interactive(sys.stderr):
        yield
        return
    print(what, end="\r", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        print("\r\033[K", end="", file=sys.stderr, flush=True)


@contextmanager
def transferring() -> Iterator[Callable[[str, int, int | None], None]]:
    """Gives a function to call with what is being done, bytes done, and bytes in all or None."""
    if not interactive(sys.stderr):
        said: set[str] = set()

        def say(what: str, _done: int, _total: int | None) -> None:
            if what not in said:
                said.add(what)
                print(what, file=sys.stderr, flush=True)

        yield say
        return
    from rich.progress import BarColumn, SpinnerColumn, TextColumn

    spinner, what_is_done, size = SpinnerColumn(finished_text="✓"), "{task.description}", "{task.fields[size]}"
    with _bars(spinner, TextColumn(what_is_done), BarColumn(16), TextColumn(size)) as bars:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int | None) -> None:
            amount = f"{done / 1e6:.0f} of {total / 1e6:.0f} MB" if total else ""
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total, size=amount)
            bars.update(tasks[what], completed=done, total=total, size=amount)

        yield show
        for task in bars.tasks:  # what has no size is done when all is
            if task.total is None:
                bars.update(task.id, completed=1, total=1)


@contextmanager
def counting(what: str, total: int | None, *, done: int = 0, shown: bool = True) -> Iterator[Callable[[str], None]]:
    """Gives a function to call with a note after each item; `done` were done before. Silent where nobody watches, or
    not `shown`."""
    if not shown or not interactive(sys.stderr):
        yield lambda _note: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    with _bars(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("·"), TimeRemainingColumn(), TextColumn("left · {task.fields[note]}"),
    ) as bars:  # fmt: skip
        task = bars.add_task(what, total=total, completed=done, note="")
        yield lambda note: bars.update(task, advance=1, note=note)


def _bars(*columns: object) -> Progress:
    from rich.console import Console
    from rich.progress import Progress

    return Progress(*columns, console=Console(stderr=True))  # type: ignore[arg-type]
