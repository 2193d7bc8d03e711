"""One self-contained page of a traced run.

Invariants: the page loads nothing and asks no network (its policy forbids it); everything from the trace is escaped, or
lies packed in the page and is put into it as text alone; what is left out for its size is said.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import astuple
from html import escape
from importlib.resources import files
from typing import Any

from pnyx.compiler.cost.interval import show_number
from pnyx.runtime.report.details import details_of
from pnyx.runtime.report.figures import ExampleRow, RunFigures
from pnyx.runtime.report.tables import cards, drawing_box, duration, failures, head_lines, node_table, notes, timeline
from pnyx.runtime.traces.reader import TraceReader

__all__ = ["measured_words", "page_of"]

MOST_DETAILS = 100_000_000
_CHUNK = 1_000_000


def page_of(
    figures: RunFigures,
    reader: TraceReader,
    *,
    drawing: str,
    most: int | None = None,
    advance: Callable[[int], None] = lambda _bytes: None,
) -> str:
    """The page as HTML. `drawing`: the pipeline as SVG, empty where there is none. `most`: so many examples have their
    details, failures first; without it as many as fit. Reads the trace once more; `advance` hears how many bytes."""
    chosen = _chosen(figures.rows, most)
    places, chunks = _packed(figures, reader, chosen, advance)
    rows = [[*astuple(row)[:-2], *places.get(row.index, (-1, -1))] for row in figures.rows]
    left_out = len(figures.rows) - len(places), figures.examples - len(figures.rows)
    script, style = _asset("page.js"), _asset("page.css")
    name = escape(figures.header.pipeline)
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"script-src 'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
    )
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{name} · a run of Pnyx</title>",
            f"<style>\n{style}</style></head><body>",
            f"<header><h1>{name}</h1>{head_lines(figures)}</header>",
            "<main>",
            cards(figures),
            failures(figures),
            notes(figures, *left_out),
            drawing_box(drawing),
            node_table(figures),
            timeline(figures),
            _list(figures),
            "</main>",
            _data("rows", rows),
            *(_block(f"chunk-{i}", chunk) for i, chunk in enumerate(chunks)),
            f"<script>{script}</script>",
            "</body></html>\n",
        ]
    )


def measured_words(figures: RunFigures) -> dict[int, str]:
    """For a drawing: what each node that asked a model took."""
    return {
        number: ", ".join(
            (
                f"{show_number(node.calls)}×",
                f"{show_number(node.prompt_tokens + node.generated_tokens)} tok",
                duration(node.engine_seconds),
            )
        )
        for number, node in figures.nodes.items()
        if node.calls or node.failed
    }


def _chosen(rows: Sequence[ExampleRow], most: int | None) -> dict[int, int]:
    """Which examples have details: their index, and which attempt at them."""
    chosen: dict[int, int] = {}
    room = MOST_DETAILS
    for row in rows:
        if (most is not None and len(chosen) >= most) or row.size > room:
            continue
        room -= row.size
        chosen[row.index] = row.nth
    return chosen


def _packed(
    figures: RunFigures, reader: TraceReader, chosen: dict[int, int], advance: Callable[[int], None]
) -> tuple[dict[int, tuple[int, int]], list[str]]:
    """The details in chunks, and for each example its chunk and its place there."""
    kinds: dict[int, str] = (
        {i: node.operator.kind for i, node in enumerate(figures.plan.everywhere())} if figures.plan else {}
    )
    places: dict[int, tuple[int, int]] = {}
    chunks: list[str] = []
    waiting: list[str] = []
    attempts: Counter[int] = Counter()
    for example in reader.examples(advance):
        attempt = attempts[example.index]
        attempts[example.index] += 1
        if chosen.get(example.index) != attempt:
            continue
        places[example.index] = len(chunks), len(waiting)
        waiting.append(_json(details_of(example, kinds)))
        if sum(map(len, waiting)) > _CHUNK:
            chunks.append(_squeezed(f"[{','.join(waiting)}]"))
            waiting = []
    if waiting:
        chunks.append(_squeezed(f"[{','.join(waiting)}]"))
    return places, chunks


def _list(figures: RunFigures) -> str:
    states = Counter(row.state for row in figures.rows)
    options = "".join(
        f'<option value="{state}">{state} ({states[state]})</option>'
        for state in ("failed", "cut off", "answered")
        if states[state]
    )
    return (
        '<section id="examples"><h2>Questions</h2>'
        '<div class="filter"><input id="find" type="search" placeholder="find in questions and answers" '
        'aria-label="find in questions and answers">'
        f'<select id="state" aria-label="which questions"><option value="">all</option>{options}'
        '<option value="unread">with unread replies</option><option value="retried">with retries</option></select>'
        '<select id="order" aria-label="order"><option value="failures">failures first</option>'
        '<option value="index">in the order of the rows</option><option value="seconds">slowest first</option>'
        '<option value="tokens">most tokens first</option></select><span id="count"></span></div>'
        '<noscript><p class="note">The questions are shown by a script of this page, which is off.</p></noscript>'
        '<div id="list"></div><button id="more" hidden>show more</button></section>'
    )


def _data(name: str, value: Any) -> str:
    return _block(name, _squeezed(_json(value)))


def _block(name: str, packed: str) -> str:
    return f'<script type="application/octet-stream" id="{name}">{packed}</script>'


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _squeezed(text: str) -> str:
    """For `DecompressionStream` in the browser; the time in the header is left out, so equal runs make equal pages."""
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()


def _asset(name: str) -> str:
    return files("pnyx.runtime.report").joinpath(name).read_text("utf-8")
