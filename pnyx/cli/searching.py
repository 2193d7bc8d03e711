"""What a person sees while a search runs, on standard error: a panel on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

from pnyx.cli.configurations import named
from pnyx.cli.summary import duration
from pnyx.cli.terminal import count, interactive

if TYPE_CHECKING:
    from rich.table import Table

    from pnyx.runtime.search.search import Progress
    from pnyx.runtime.search.subject import Subject

__all__ = ["watching"]

_EVERY_SECONDS = 10.0
_WHAT = {"searching": "searching", "waiting": "waiting for other processes", "confirming": "confirming the best one"}
_BAR = 20
_SHARED = 1.05
"""Where less is used again, nothing is: what is drawn for answers that are not complete yet counts as drawn."""


@contextmanager
def watching(subject: Subject) -> Iterator[Callable[[Progress], None]]:
    shown = _Shown(subject)
    if not interactive(sys.stderr):
        yield shown.now_and_then
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), transient=True, refresh_per_second=5) as live:
        yield lambda progress: live.update(shown.panel(progress))


@dataclass(slots=True)
class _Shown:
    subject: Subject
    _said: float = field(default=-_EVERY_SECONDS, init=False)
    _phase: str = field(default="", init=False)

    def now_and_then(self, progress: Progress) -> None:
        if progress.phase != self._phase or monotonic() - self._said >= _EVERY_SECONDS:
            self._phase, self._said = progress.phase, monotonic()
            print(self.line(progress), file=sys.stderr, flush=True)

    def line(self, progress: Progress) -> str:
        parts = [_doing(progress), _asked(progress)]
        if progress.standing is not None:
            parts.append(f"best {_score(progress)}: {self._best(progress)}")
        parts += [f"{_amount(kind, left)} of {_limit(kind, limit)} left" for kind, _, left, limit in _left(progress)]
        if (progress.reuse or 0.0) >= _SHARED:
            parts.append(f"reuse {progress.reuse:.1f}×")
        return "; ".join(parts)

    def panel(self, progress: Progress) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        table.add_row(Text(self.subject.declared.name, style="bold"), Text(_doing(progress)))
        table.add_row("asked", Text(_asked(progress)))
        if progress.standing is not None:
            table.add_row("best", Text(_score(progress), style="bold"))
            table.add_row("", Text(self._best(progress)))
        for kind, used, left, limit in _left(progress):
            table.add_row("time" if kind == "seconds" else kind, _bar(kind, used, left, limit))
        if (progress.reuse or 0.0) >= _SHARED:
            table.add_row("reuse", Text(f"{progress.reuse:.1f} times the tokens that were drawn"))
        if progress.phase == "searching" and (kept := _kept(progress)):
            table.add_row("kept", Text(f"{100 * kept:.0f} % of the budget, to confirm the best one"))
        return table

    def _best(self, progress: Progress) -> str:
        from pnyx.runtime.search.space import short_names
        from pnyx.runtime.search.subject import options_of

        assert progress.standing is not None
        space, point = self.subject.space, progress.standing.point
        pipeline = space.pipeline(point)
        choices = named(pipeline, options_of(space, point), short_names(space.parameters))
        return choices if len(space.pipelines) > 1 else choices.removeprefix(f"{pipeline}: ")


def _bar(kind: str, used: float, left: float, limit: float) -> Table:
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    row = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=max(limit, 1e-12), completed=min(used, limit), width=_BAR)
    row.add_row(bar, Text(f"{_amount(kind, left)} of {_amount(kind, limit)} left"))
    return row


def _doing(progress: Progress) -> str:
    what = _WHAT[progress.phase]
    if progress.confirmed is not None:
        done, of = progress.confirmed
        what += f", {done} of {count(of, 'question')}"
    return f"{what}, {duration(progress.charged.seconds)}"


def _asked(progress: Progress) -> str:
    out = f", {progress.raced_out} raced out" if progress.raced_out else ""
    return f"{count(progress.configurations, 'configuration')}{out}, {count(progress.rows, 'answer')}"


def _score(progress: Progress) -> str:
    """With its 95 % interval."""
    standing = progress.standing
    assert standing is not None
    half = 1.96 * standing.sd
    low, high = max(0.0, standing.mean - half), min(1.0, standing.mean + half)
    return f"{100 * standing.mean:.1f} % ({100 * low:.1f} … {100 * high:.1f})"


def _left(progress: Progress) -> Iterator[tuple[str, float, float, float]]:
    """Of each kind that is limited: what was used, what is left to this phase, and the whole budget."""
    from pnyx.runtime.budgets import KINDS

    for kind in KINDS:
        limit, budget = getattr(progress.limits, kind), getattr(progress.budget, kind)
        if limit is not None and budget is not None:
            used = getattr(progress.charged, kind)
            yield kind, used, max(0.0, limit - used), budget


def _kept(progress: Progress) -> float:
    """The share of the budget that is not for searching."""
    return next((1 - (left + used) / limit for _, used, left, limit in _left(progress) if left and limit), 0.0)


def _limit(kind: str, amount: float) -> str:
    return _amount(kind, amount) if kind in ("money", "seconds") else f"{_amount(kind, amount)} {kind}"


def _amount(kind: str, amount: float) -> str:
    from pnyx.compiler.cost.interval import show_number

    if kind == "seconds":
        return duration(amount)
    return f"${amount:.2f}" if kind == "money" else show_number(amount)
