"""The report as one page that loads nothing.

Invariants: its policy forbids the network; everything from the result is escaped, or lies in the data of a plot, which
plotly's writer escapes for a script.
"""

from __future__ import annotations

import re
from html import escape
from importlib.resources import files

from pnyx.runtime.search.report.plots import PLOTS
from pnyx.runtime.search.report.sections import Section, Table, sections
from pnyx.runtime.search.report.shortened import shortened
from pnyx.runtime.search.results import SearchResult

__all__ = ["page_of"]

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; script-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'"
)
_LONG = 24


def page_of(result: SearchResult, source: str | None = None) -> str:
    """The page as HTML. `source`: the winner as a program."""
    from plotly.offline import get_plotlyjs

    result = shortened(result)
    name = escape(result.name)
    head = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{name} · a search of Pnyx</title>\n"
        f"<style>\n{_style()}</style>\n"
        f"<script>{get_plotlyjs()}</script></head><body>\n<header><h1>{name}</h1>{_warnings(result)}</header><main>"
    )
    body = "\n".join(_section(section, result) for section in sections(result, source))
    return f"{head}\n{body}\n</main></body></html>\n"


def _style() -> str:
    return files("pnyx.runtime.search.report").joinpath("page.css").read_text("utf-8")


def _warnings(result: SearchResult) -> str:
    said = []
    if result.simulated:
        said.append("Simulated: these answers come from a simulated world, not from a language model.")
    if not result.complete:
        said.append("The search has not ended: the same command goes on.")
    return "".join(f'<p class="warn">{sentence}</p>' for sentence in said)


def _section(section: Section, result: SearchResult) -> str:
    parts = [f"<section><h2>{escape(section.title)}</h2>"]
    parts += [f"<p>{_marked(_sentence(said))}</p>" for said in section.said]
    parts += [_table(table) for table in section.tables]
    if section.plot is not None:
        parts += [_plot(draw(result)) for draw in PLOTS[section.plot]]
    if section.source is not None:
        parts.append(f"<pre>{escape(section.source)}</pre>")
    if section.difference:
        parts.append(f"<pre>{escape(chr(10).join(section.difference))}</pre>")
    return "".join(parts) + "</section>"


def _sentence(said: str) -> str:
    return f"{said[:1].upper()}{said[1:]}."


def _marked(text: str) -> str:
    """What stands between backticks is code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))


def _table(table: Table) -> str:
    def row(cells: tuple[str, ...], tag: str) -> str:
        kinds = (_kind(cell) if i < table.texts else "" for i, cell in enumerate(cells))
        shown = (f"<{tag}{kind}>{_marked(cell)}</{tag}>" for cell, kind in zip(cells, kinds, strict=True))
        return f"<tr>{''.join(shown)}</tr>"

    head = f"<thead>{row(table.head, 'th')}</thead>" if any(table.head) else ""
    body = "".join(row(cells, "td") for cells in table.rows)
    return f'<div class="table"><table>{head}<tbody>{body}</tbody></table></div>'


def _kind(text: str) -> str:
    return ' class="text long"' if len(text) > _LONG else ' class="text"'


def _plot(figure: object) -> str:
    from plotly.io import to_html

    if figure is None:
        return ""
    config = {"displayModeBar": False, "responsive": True}
    return str(to_html(figure, include_plotlyjs=False, full_html=False, config=config))
