"""A plan as one self-contained page: the drawing and the table of costs, for light and dark screens."""

from __future__ import annotations

from html import escape

from pnyx.compiler.cost.estimate import CostReport, estimate
from pnyx.compiler.cost.explain import COLUMNS, Row, explain_rows, telling_columns
from pnyx.compiler.draw.svg import svg
from pnyx.compiler.plan import Plan

__all__ = ["html"]

_STYLE = """\
:root { color-scheme: light dark; --page:#ffffff; --text:#1f2937; --faint:#6b7280; --rule:#e5e7eb; --stripe:#f8fafc; }
body { margin: 2rem auto; padding: 0 1.5rem; max-width: 84rem; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
p { color: var(--faint); margin: .25rem 0; overflow-wrap: anywhere; }
.drawing, .table { overflow-x: auto; border: 1px solid var(--rule); border-radius: 12px; }
.drawing { max-height: 85vh; overflow-y: auto; }
.drawing svg { display: block; margin: 0 auto; }
.legend span { display: inline-block; margin-right: 1.2em; }
.legend i { display: inline-block; width: .8em; height: .8em; border-radius: .25em; margin-right: .4em;
  border: 1.5px solid; vertical-align: -1px; }
table { border-collapse: collapse; width: 100%; font-size: .86rem; }
th, td { padding: .38rem .7rem; text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
th { color: var(--faint); font-weight: 600; border-bottom: 1px solid var(--rule); }
th:nth-child(-n+3), td:nth-child(-n+3) { text-align: left; }
tbody tr:nth-child(even) { background: var(--stripe); }
tbody tr.total { font-weight: 600; }
tbody tr.total td { border-top: 2px solid var(--rule); }
tbody tr.free { color: var(--faint); }
"""

_DARK = """\
@media (prefers-color-scheme: dark) {
:root { --page:#0f172a; --text:#e2e8f0; --faint:#94a3b8; --rule:#334155; --stripe:#15203a; }
.pnyx { --ground:#0f172a; --ink:#e2e8f0; --soft:#a3b1c6; --line:#64748b; --question:#1e293b; --write:#17305c;
  --judge:#46330c; --read:#34245e; --choose:#123b26; --control:#4a1350; }
}
"""

_LEGEND = (
    ("write", "a model writes"),
    ("judge", "a model judges"),
    ("read", "reads"),
    ("choose", "chooses"),
    ("control", "runs what is drawn with a dashed edge"),
)


def html(plan: Plan, report: CostReport | None = None) -> str:
    """The page. Without a report it shows the costs as estimated without measurements."""
    if report is None:
        report = estimate(plan)
    name = escape(plan.pipeline)
    basis = "measured lengths" if report.measured else "assumed lengths, nothing measured yet"
    models = ", ".join(f"{model.name} = {model.id}" for model in plan.models) or "none"
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{name} · Pnyx</title>",
            f"<style>\n{_STYLE}</style></head><body>",
            f"<h1>{name}</h1>",
            f"<p>{escape(plan.source)} · plan {plan.digest[:12]} · models: {escape(models)}</p>",
            f'{_choices(plan)}<p class="legend pnyx">{_legend()}</p>',
            "<p>Every prompt also sees the question; it is drawn where nothing else is read.</p>",
            f'<div class="drawing">{svg(plan, report)}</div>',
            f"<style>\n{_DARK}</style>",
            "<h2>Cost of one question</h2>",
            f"<p>expected (least–most), from {basis}; — where nothing bounds it or it is not known</p>",
            f'<div class="table">{_table(explain_rows(plan, report))}</div>',
            "</body></html>\n",
        ]
    )


def _choices(plan: Plan) -> str:
    if not plan.choices:
        return ""
    chosen = ", ".join(f"{name} = {value}" for name, value in plan.choices.items())
    return f"<p>choices: {escape(chosen)}</p>"


def _legend() -> str:
    return "".join(
        f'<span><i style="background:var(--{family});border-color:var(--{family}-edge)"></i>{words}</span>'
        for family, words in _LEGEND
    )


def _table(rows: tuple[Row, ...]) -> str:
    shown = telling_columns(rows)
    head = "".join(f"<th>{escape(COLUMNS[i])}</th>" for i in shown)
    body = "".join(_table_row(row, shown) for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _table_row(row: Row, shown: tuple[int, ...]) -> str:
    style = "total" if row.index is None else "free" if row.free else "asks"
    title = f' title="{escape(row.place)}"' if row.place else ""
    cells = "".join(f"<td>{escape(cell)}</td>" for cell in (row.cells[i] for i in shown))
    return f'<tr class="{style}"{title}>{cells}</tr>'
