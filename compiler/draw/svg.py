"""A plan as one self-contained SVG: layers from top to bottom, a box for each node, a line for each use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from pnyx.compiler.cost.estimate import CostReport
from pnyx.compiler.cost.explain import show_type
from pnyx.compiler.draw.captions import Caption, captions, shortened
from pnyx.compiler.draw.flat import Drawn, flattened
from pnyx.compiler.draw.layout import Layout, Route, layered
from pnyx.compiler.plan import Plan

__all__ = ["svg"]

_WIDTH, _HEIGHT = 184, 64
_ACROSS, _DOWN = 220, 116
_MARGIN, _SIDE = 24, 64
_TITLE, _LINE, _EDGE = 19, 26, 26
_EDGES = 3

_STYLE = """\
.pnyx { --ground:#ffffff; --ink:#1f2937; --soft:#6b7280; --line:#94a3b8;
  --question:#f1f5f9; --question-edge:#64748b; --write:#dbeafe; --write-edge:#3b82f6; --judge:#fef3c7;
  --judge-edge:#d97706; --read:#ede9fe; --read-edge:#8b5cf6; --choose:#dcfce7; --choose-edge:#22a35a;
  --control:#fae8ff; --control-edge:#c026d3; }
.pnyx text { font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: var(--ink); }
.pnyx .title { font-size: 14px; font-weight: 600; }
.pnyx .about { font-size: 11.5px; }
.pnyx .soft { font-size: 10.5px; fill: var(--soft); }
.pnyx .type { font-size: 10px; fill: var(--soft); paint-order: stroke; stroke: var(--ground); stroke-width: 4px; }
.pnyx .line { fill: none; stroke: var(--line); stroke-width: 1.5; }
.pnyx .tip { fill: var(--line); }
.pnyx .ground { fill: var(--ground); }
.pnyx .box { stroke-width: 1.4; }
.pnyx .inside { fill: none; stroke: var(--control-edge); stroke-width: 1; stroke-dasharray: 4 3; }
.pnyx .output .box { stroke-width: 3; }
""" + "\n".join(
    f".pnyx .{family} .box {{ fill: var(--{family}); stroke: var(--{family}-edge); }}"
    for family in ("question", "write", "judge", "read", "choose", "control")
)


def svg(plan: Plan, report: CostReport | None = None, *, measured: Mapping[int, str] | None = None) -> str:
    """The document, without an XML declaration, so that it also stands inside HTML. The output has a thick edge;
    details show when the pointer rests on a box. `measured`: by node, what a run took, instead of what is expected."""
    boxes = flattened(plan)
    layout = layered([box.inputs for box in boxes])
    width = round(layout.width * _ACROSS + _WIDTH + 2 * _SIDE)
    height = layout.depth * _DOWN + _HEIGHT + 2 * _MARGIN
    name = escape(f"Plan of the pipeline {plan.pipeline}")
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="pnyx" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img" aria-label="{name}">',
            f"<title>{name}</title>",
            f"<style>\n{_STYLE}\n</style>",
            f'<rect class="ground" width="{width}" height="{height}"/>',
            *(_line(route) for route in layout.routes),
            *_types(boxes, layout),
            *(
                _box(entry, len(boxes[i].within), *_center(layout, i))
                for i, entry in enumerate(captions(boxes, report, measured))
            ),
            "</svg>\n",
        ]
    )


def _center(layout: Layout, index: int) -> tuple[float, float]:
    return _x(layout.columns[index]), _y(layout.layers[index])


def _x(column: float) -> float:
    return _SIDE + _WIDTH / 2 + column * _ACROSS


def _y(layer: int) -> float:
    return _MARGIN + _HEIGHT / 2 + layer * _DOWN


def _box(entry: Caption, depth: int, x: float, y: float) -> str:
    """`depth`: how many bodies it is in; each shows as an edge around it."""
    left, top = x - _WIDTH / 2, y - _HEIGHT / 2
    texts = [("title", shortened(entry.title, _TITLE))]
    texts += zip(("about", "soft"), (shortened(line, _LINE) for line in entry.lines), strict=False)
    first = y + 5 - 8.5 * (len(texts) - 1)
    lines = (
        f'<text class="{style}" x="{x:.1f}" y="{first + 17 * i:.1f}" text-anchor="middle">{escape(text)}</text>'
        for i, (style, text) in enumerate(texts)
    )
    edges = "".join(
        f'<rect class="inside" x="{left - 5 * i:.1f}" y="{top - 5 * i:.1f}" width="{_WIDTH + 10 * i}" '
        f'height="{_HEIGHT + 10 * i}" rx="{11 + 4 * i}"/>'
        for i in range(1, min(depth, _EDGES) + 1)
    )
    return (
        f'<g class="{entry.family}{" output" if entry.is_output else ""}"><title>{escape(entry.tooltip)}</title>{edges}'
        f'<rect class="box" x="{left:.1f}" y="{top:.1f}" width="{_WIDTH}" height="{_HEIGHT}" rx="11"/>'
        f"{''.join(lines)}</g>"
    )


def _line(route: Route) -> str:
    """Cubic curves through the gaps between layers, straight through each layer, and an arrow tip."""
    (column, layer), *rest = route.points
    parts = [f"M{_x(column):.1f} {_y(layer) + _HEIGHT / 2:.1f}"]
    for position, (next_column, next_layer) in enumerate(rest):
        last = position == len(rest) - 1
        start = _y(layer) + _HEIGHT / 2
        end = _y(next_layer) - _HEIGHT / 2 - (6 if last else 0)
        middle = (start + end) / 2
        x, next_x = _x(column), _x(next_column)
        parts.append(f"C{x:.1f} {middle:.1f} {next_x:.1f} {middle:.1f} {next_x:.1f} {end:.1f}")
        if not last:
            parts.append(f"V{end + _HEIGHT:.1f}")
        column, layer = next_column, next_layer
    x, tip = _x(column), _y(layer) - _HEIGHT / 2
    arrow = f'<path class="tip" d="M{x:.1f} {tip:.1f}l-4 -8h8z"/>'
    return f'<path class="line" d="{"".join(parts)}"/>{arrow}'


def _types(boxes: Sequence[Drawn], layout: Layout) -> list[str]:
    """What flows, once for each node that gives it: under its box, on the side of its line that is free."""
    leans: dict[int, float] = {}
    for route in layout.routes:
        if boxes[route.source].node.type.fields is not None:
            leans[route.source] = leans.get(route.source, 0.0) + route.points[1][0] - route.points[0][0]
    texts = []
    for index, lean in leans.items():
        x, y = _center(layout, index)
        shift, anchor = (-7, "end") if lean > 0 else (7, "start")
        words = escape(shortened(show_type(boxes[index].node.type), _EDGE))
        below = _HEIGHT / 2 + 13 + 5 * min(len(boxes[index].within), _EDGES)
        place = f'x="{x + shift:.1f}" y="{y + below:.1f}" text-anchor="{anchor}"'
        texts.append(f'<text class="type" {place}>{words}</text>')
    return texts
