"""Warnings that repeat: said once for a file, with every place (of a great many only the first are shown)."""

from __future__ import annotations

from typing import Final

from pnyx.compiler.diagnostics import Diagnostic, Diagnostics, Label
from pnyx.compiler.source import Span

__all__ = ["Remarks"]

_MOST_TEXTS: Final = 200
_MOST_PLACES: Final = 60


class Remarks:
    """Collects places by what is said of them; `deliver` makes one diagnostic of each text."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], tuple[list[Label], str | None]] = {}

    def add(self, code: str, message: str, span: Span, label: str = "", *, help: str | None = None) -> None:
        """`label` is shown at the first place of this message; the help is that of the first, too."""
        if len(self._found) >= _MOST_TEXTS and (code, message) not in self._found:
            return
        labels, _ = self._found.setdefault((code, message), ([], help))
        labels.append(Label(span, "" if labels else label))

    def deliver(self, diagnostics: Diagnostics) -> None:
        for (code, message), (labels, help) in self._found.items():
            times = f" ({len(labels)} times)" if len(labels) > 1 else ""
            diagnostics.add(Diagnostic(code, message + times, labels[0], tuple(labels[1:_MOST_PLACES]), help))
        self._found.clear()
