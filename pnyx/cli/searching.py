"""What a person sees while a search runs, on standard error: a panel on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from pnyx.cli.summary import duration
from pnyx.cli.terminal import count, interactive

if TYPE_CHECKING:
    from rich.table import Table

    from pnyx.runtime.search.search import Progress
    from pnyx.runtime.search.subject import Subject

__all__ = ["line_of", "watching"]

_EVERY_SECONDS = 10.0
_WHAT = {"searching": "searching", "waiting": "waiting for other processes", "confirming": "confirming"}


@contextmanager
def watching(subject: Subject) -> Iterator[Callable[[Progress], None]]:
    if not interactive(sys.stderr):
        yield _Lines().show
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), transient=True, refresh_per_second=5) as live:
        yield lambda progress: live.update(_panel(subject, progress))


class _Lines:
    def __init__(self) -> None:
        self._said = -_EVERY_SECONDS
        self._phase = ""

    def show(self, progress: Progress) -> None:
        if progress.phase != self._phase or monotonic() - self._said >= _EVERY_SECONDS:
            self._phase, self._said = progress.phase, monotonic()
            print(line_of(progress), file=sys.stderr, flush=True)


def line_of(progress: Progress) -> str:
    parts = [_WHAT[progress.phase], _asked(progress)]
    if progress.standing is not None:
        parts.append(f"best {_score(progress)}: {progress.incumbent}")
    parts += _spent(progress)
    if progress.reuse is not None:
        parts.append(f"reuse {progress.reuse:.1f}×")
    return "; ".join(parts)


def _panel(subject: Subject, progress: Progress) -> Table:
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_row(Text(subject.declared.name, style="bold"), Text(f"{_WHAT[progress.phase]}; {_asked(progress)}"))
    if progress.standing is not None:
        table.add_row("best", Text(f"{_score(progress)}  {progress.incumbent}"))
    for kind, used, limit in _used(progress):
        bar = ProgressBar(total=limit, completed=min(used, limit), width=24)
        row = Table.grid(padding=(0, 1))
        row.add_row(bar, Text(f"{_amount(kind, used)} of {_amount(kind, limit)}"))
        table.add_row(kind, row)
    if progress.reuse is not None:
        table.add_row("reuse", Text(f"{progress.reuse:.1f} times what was drawn"))
    return table


def _asked(progress: Progress) -> str:
    out = f", {progress.raced_out} raced out" if progress.raced_out else ""
    return f"{count(progress.rows, 'answer')} of {count(progress.configurations, 'configuration')}{out}"


def _score(progress: Progress) -> str:
    standing = progress.standing
    assert standing is not None
    return f"{100 * standing.mean:.1f} % ± {196 * standing.sd:.1f}"


def _used(progress: Progress) -> Iterator[tuple[str, float, float]]:
    from pnyx.runtime.budgets import KINDS

    for kind in KINDS:
        limit = getattr(progress.limits, kind)
        if limit is not None:
            yield kind, getattr(progress.charged, kind), limit


def _spent(progress: Progress) -> list[str]:
    return [
        f"{_amount(kind, used)} of {_amount(kind, limit)} {_noun(kind)}".rstrip()
        for kind, used, limit in _used(progress)
    ]


def _noun(kind: str) -> str:
    """What the amount does not say itself."""
    return "" if kind in ("money", "seconds") else kind


def _amount(kind: str, amount: float) -> str:
    from pnyx.compiler.cost.interval import show_number

    if kind == "seconds":
        return duration(amount)
    return f"${amount:.2f}" if kind == "money" else show_number(amount)
