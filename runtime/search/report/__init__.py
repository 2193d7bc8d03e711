"""What a search has found, for people: a page with plots that needs no network, and the same as Markdown."""

from __future__ import annotations

from pathlib import Path

from pnyx.runtime.search.report.markdown import markdown_of
from pnyx.runtime.search.report.page import page_of
from pnyx.runtime.search.results import SearchResult

__all__ = ["markdown_of", "page_of", "write_report"]


def write_report(result: SearchResult, folder: Path, *, source: str | None = None) -> tuple[Path, Path]:
    """Writes `report.md` and `report.html` into the folder. `source`: the winner as a program. Raises OSError."""
    written = (folder / "report.md", folder / "report.html")
    for path, text in zip(written, (markdown_of(result, source), page_of(result, source)), strict=True):
        path.write_text(text, encoding="utf-8")
    return written
