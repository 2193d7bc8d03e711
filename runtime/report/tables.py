"""The parts of the page that stand there without a script: figures, failures, the table of nodes, the timeline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from pnyx.compiler.cost.interval import show_number
from pnyx.runtime.report.figures import NodeFigures, RunFigures

__all__ = ["cards", "drawing_box", "duration", "failures", "head_lines", "node_table", "notes", "timeline"]

_MOST_FAILURES = 8
_MOST_LINKS = 12


def head_lines(figures: RunFigures) -> str:
    header = figures.header
    models = ", ".join(f"{name} = {model.model} ({model.engine})" for name, model in header.models.items())
    sittings = f", in {figures.sittings} sittings" if figures.sittings > 1 else ""
    versions = ", ".join(f"{name} {version}" for name, version in header.versions.items())
    simulated = (
        '<p class="warn">Simulated: these answers come from a simulated world, not from a language model.</p>'
        if header.simulated
        else ""
    )
    return (
        f"{simulated}<p>{escape(header.source)} · plan {escape(header.digest[:12])} · seed {header.seed} · "
        f"{escape(header.started)}{sittings}</p><p>models: {escape(models or 'none')}</p><p>{escape(versions)}</p>"
    )


def cards(figures: RunFigures) -> str:
    prompt, generated = figures.total("prompt_tokens"), figures.total("generated_tokens")
    ended = f"{figures.answered} answered" + (f", {figures.cut_off} cut off" if figures.cut_off else "")
    rate = f"{show_number(generated / figures.seconds)} generated tokens/s" if figures.seconds > 0 else ""
    shown = [
        ("questions", str(figures.examples), ended),
        ("failures", str(figures.failed), _by_code(figures.errors)),
        ("calls", show_number(figures.total("calls")), f"{show_number(figures.total('samples'))} samples"),
        ("prompt tokens", show_number(prompt), f"{show_number(figures.total('cached_tokens'))} cached by the engine"),
        ("generated tokens", show_number(generated), rate),
        (
            "from the store",
            show_number(figures.total("stored")),
            f"calls, with {show_number(figures.total('stored_tokens'))} tokens that cost nothing",
        ),
        ("retries", str(figures.total("retries")), f"{figures.total('failed')} calls failed for good"),
        ("unread replies", str(figures.total("unread")), "could not be read as the program wants"),
        ("time", duration(figures.seconds), f"{duration(figures.total('engine_seconds'))} at engines, summed"),
    ]
    bad = {"failures": figures.failed, "retries": figures.total("retries"), "unread replies": figures.total("unread")}
    body = "".join(
        f'<div class="card{" bad" if bad.get(name) else ""}"><span>{name}</span><b>{escape(value)}</b>'
        f"<small>{escape(about)}</small></div>"
        for name, value, about in shown
    )
    return f'<section class="cards">{body}</section>'


def failures(figures: RunFigures) -> str:
    """What went wrong, alike failures together, with links to some of them."""
    alike: dict[tuple[str, str], list[int]] = {}
    for row in figures.rows:
        if row.state != "answered":
            said = row.answer if row.code else "the run ended before the question did"
            alike.setdefault((row.code or row.state, said), []).append(row.index)
    if not alike:
        return ""
    by_number = sorted(alike.items(), key=lambda entry: -len(entry[1]))
    items = "".join(
        f"<li><b>{escape(code)}</b> × {len(where)} {escape(said)}: {_links(where)}</li>"
        for (code, said), where in by_number[:_MOST_FAILURES]
    )
    left = len(by_number) - _MOST_FAILURES
    more = f"<p>and {left} other kinds; all are first in the list below</p>" if left > 0 else ""
    return f'<section class="failures"><h2>Failures</h2><ul>{items}</ul>{more}</section>'


def _links(where: Sequence[int]) -> str:
    links = ", ".join(f'<a href="#e={index}">{index + 1}</a>' for index in where[:_MOST_LINKS])
    return f"{links}, …" if len(where) > _MOST_LINKS else links


def notes(figures: RunFigures, without_details: int, without_rows: int) -> str:
    said = [
        (without_rows, "questions are counted but not listed"),
        (without_details, "of the listed questions are without their details, which did not fit into the page"),
        (figures.lost, "questions are not whole in the trace: the disk was too slow for it"),
        (figures.damaged, "lines of the trace could not be read"),
    ]
    return "".join(f'<p class="note">{number} {words}.</p>' for number, words in said if number)


def drawing_box(drawing: str) -> str:
    if not drawing:
        return '<p class="note">The plan in the trace is not one that this Pnyx can draw.</p>'
    return f'<section><h2>Pipeline</h2><div class="drawing">{drawing}</div></section>'


def node_table(figures: RunFigures) -> str:
    """Actual beside predicted; predictions are for the questions that ran to their end."""
    heads = (
        "node", "model", "runs", "calls", "predicted", "tokens in", "predicted", "cached", "tokens out", "predicted",
        "stored", "retries", "failed", "unread", "waited", "at engines",
    )  # fmt: skip
    rows = [_node_row(figures, figures.nodes[number]) for number in sorted(figures.nodes)]
    empty = {i for i in range(len(heads)) if i > 2 and all(row[1][i] in ("", "0", "0 s") for row in rows)}
    shown = [i for i in range(len(heads)) if i not in empty]
    head = "".join(f"<th{_soft(heads[i])}>{heads[i]}</th>" for i in shown)
    body = "".join(_table_row(style, title, [(heads[i], cells[i]) for i in shown]) for style, cells, title in rows)
    basis = "" if figures.predicted is None else "Predicted: what was expected of so many questions before the run."
    return (
        f'<section><h2>Nodes</h2><p>{basis}</p><div class="table"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div></section>"
    )


def _table_row(style: str, title: str, cells: Sequence[tuple[str, str]]) -> str:
    inside = "".join(f"<td{_soft(head)}>{escape(cell)}</td>" for head, cell in cells)
    return f'<tr class="{style}"{title}>{inside}</tr>'


def _soft(head: str) -> str:
    return ' class="soft"' if head == "predicted" else ""


def _node_row(figures: RunFigures, node: NodeFigures) -> tuple[str, list[str], str]:
    ran = figures.answered + figures.failed
    cells = ["\u2003" * figures.depths.get(node.node, 0) + node.label, node.model, str(node.runs)]
    asks = bool(node.calls or node.failed or node.dropped)
    for name, more in (("calls", ()), ("prompt_tokens", ("cached_tokens",)), ("generated_tokens", ())):
        expected = figures.predicted_of(node.node, name)
        cells.append(show_number(getattr(node, name)) if asks else "")
        cells.append(show_number(expected * ran) if asks and expected is not None else "")
        cells.extend(show_number(getattr(node, other)) if asks else "" for other in more)
    cells.extend(str(getattr(node, name)) if asks else "" for name in ("stored", "retries", "failed", "unread"))
    cells.append(duration(node.queue_seconds) if asks else "")
    cells.append(duration(node.engine_seconds) if asks else "")
    style = "bad" if node.failed or node.errors else "" if asks else "free"
    title = f' title="{escape(node.source)}"' if node.source else ""
    return style, cells, title


def timeline(figures: RunFigures) -> str:
    waiting, working = figures.timeline.series(0), figures.timeline.series(1)
    if not working:
        return ""
    most = max(a + b for a, b in zip(waiting, working, strict=True))
    wide, high = len(working), 100.0
    engine = _area(working, [0.0] * wide, most, high)
    queue = _area([a + b for a, b in zip(waiting, working, strict=True)], working, most, high)
    return (
        '<section><h2>Calls over time</h2><p class="legend"><span><i class="engine"></i>at an engine</span>'
        f'<span><i class="queue"></i>waiting for one</span><span>at most {show_number(most)} at once</span></p>'
        f'<svg class="timeline" viewBox="0 0 {wide} {high:.0f}" preserveAspectRatio="none" role="img" '
        f'aria-label="calls over time"><path class="engine" d="{engine}"/><path class="queue" d="{queue}"/></svg>'
        f'<p class="axis"><span>0</span><span>{duration(wide * figures.timeline.width)}</span></p></section>'
    )


def _area(top: Iterable[float], bottom: Iterable[float], most: float, high: float) -> str:
    """Steps between two lines, as a path."""
    there = [f"L{i} {high - t / most * high:.2f}L{i + 1} {high - t / most * high:.2f}" for i, t in enumerate(top)]
    back = [f"L{i + 1} {high - b / most * high:.2f}L{i} {high - b / most * high:.2f}" for i, b in enumerate(bottom)]
    return f"M0 {high:.2f}{''.join(there)}{''.join(reversed(back))}Z"


def _by_code(errors: dict[str, int]) -> str:
    return ", ".join(f"{code} × {number}" for code, number in sorted(errors.items()))


def duration(seconds: float) -> str:
    """`0 s`, `99 ms`, `3.2 s`, `12 min`, `2.5 h`."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:.2g} ms" if seconds < 0.0995 else f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"
