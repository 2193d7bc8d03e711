"""The diagnostic and the bag that collects them.

Invariants: the message states the problem, lowercase, no full stop, names in backticks; only `help` proposes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from pnyx.compiler.diagnostics.codes import CODES
from pnyx.compiler.diagnostics.fix import Fix
from pnyx.compiler.source import Span

__all__ = ["CompileError", "Diagnostic", "Diagnostics", "Label", "Reporter"]


@dataclass(frozen=True, slots=True)
class Label:
    """A place that belongs to a diagnostic, with a few words on its part in it (may be empty)."""

    span: Span
    text: str = ""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    code: str
    message: str
    primary: Label | None = None
    secondary: tuple[Label, ...] = ()
    help: str | None = None
    fixes: tuple[Fix, ...] = ()

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"diagnostic code {self.code} is not registered")

    @property
    def is_error(self) -> bool:
        return self.code.startswith("E")

    @property
    def span(self) -> Span | None:
        return self.primary.span if self.primary else None


class Reporter(Protocol):
    """Whoever takes reports: a bag, or somebody who first puts them in context."""

    def report(
        self,
        code: str,
        message: str,
        span: Span,
        label: str = "",
        *,
        secondary: Iterable[Label] = (),
        help: str | None = None,
        fixes: Iterable[Fix] = (),
    ) -> None: ...


class Diagnostics:
    """Collects diagnostics of one compilation: no duplicates, in the order they were reported."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str, Span | None, str], Diagnostic] = {}

    def report(
        self,
        code: str,
        message: str,
        span: Span | None,
        label: str = "",
        *,
        secondary: Iterable[Label] = (),
        help: str | None = None,
        fixes: Iterable[Fix] = (),
    ) -> None:
        primary = Label(span, label) if span else None
        self.add(Diagnostic(code, message, primary, tuple(secondary), help, tuple(fixes)))

    def add(self, diagnostic: Diagnostic) -> None:
        span = diagnostic.span
        key = (diagnostic.code, diagnostic.message, span, span.source.name if span else "")
        self._seen.setdefault(key, diagnostic)

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        for diagnostic in diagnostics:
            self.add(diagnostic)

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self._seen.values())

    def __len__(self) -> int:
        return len(self._seen)

    @property
    def has_errors(self) -> bool:
        return any(d.is_error for d in self)

    def sorted(self) -> tuple[Diagnostic, ...]:
        """By place in the source; what has no place comes first."""
        return tuple(sorted(self, key=lambda d: (d.span.source.name, d.span.start) if d.span else ("", -1)))


class CompileError(Exception):
    """The program has errors. `diagnostics` holds all of them; `str()` is the rendered text."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        from pnyx.compiler.diagnostics.render import render_all

        return render_all(self.diagnostics)
