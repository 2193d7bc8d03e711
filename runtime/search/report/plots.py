"""The plots of a report, as plotly figures. None where there is nothing to show.

Invariant: plotly takes texts for markup, so every text of a result is escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from pnyx.runtime.search.report.sections import Plot, most_promising
from pnyx.runtime.search.report.words import choices_of, percent
from pnyx.runtime.search.results import Configuration, SearchResult

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["PLOTS"]

_BLUE: Final = "#3b82f6"
_GREY: Final = "#94a3b8"
_GREEN: Final = "#16a34a"
_ORANGE: Final = "#d97706"
_CHOICES_SHOWN: Final = 12


def _figure(height: int, **layout: Any) -> Figure:
    from plotly.graph_objects import Figure

    grid = {"gridcolor": "rgba(148,163,184,.25)", "zerolinecolor": "rgba(148,163,184,.6)", "automargin": True}
    figure = Figure()
    figure.update_layout(
        height=height,
        margin={"l": 10, "r": 20, "t": 20, "b": 10},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": "#64748b", "family": "system-ui, sans-serif", "size": 13},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
        hoverlabel={"align": "left"},
        xaxis=grid,
        yaxis=grid,
    )
    figure.update_layout(**layout)
    return figure


def confirmation(result: SearchResult) -> Figure | None:
    """Accuracy of what was confirmed, with 95 % intervals."""
    found = result.confirmation
    shown = [p for p in found.pipelines if p.accuracy is not None and p.interval is not None] if found else []
    if not shown:
        return None
    figure = _figure(90 + 46 * len(shown), xaxis_title="accuracy, %, with 95 % interval", showlegend=False)
    figure.update_yaxes(autorange="reversed")
    for pipeline in shown:
        assert pipeline.accuracy is not None
        assert pipeline.interval is not None
        low, high = pipeline.interval
        figure.add_scatter(
            x=[100 * pipeline.accuracy],
            y=[f"{pipeline.role}: {escape(pipeline.pipeline)}" if pipeline.role != "defaults" else "the defaults"],
            error_x={
                "type": "data", "symmetric": False, "array": [100 * (high - pipeline.accuracy)],
                "arrayminus": [100 * (pipeline.accuracy - low)], "thickness": 2,
            },
            mode="markers",
            marker={"size": 12, "color": _GREEN if pipeline.role == "winner" else _GREY},
            hovertext=f"{escape(choices_of(pipeline.choices))}<br>{pipeline.cost.tokens:.0f} tokens a question",
        )  # fmt: skip
    return figure


def compute(result: SearchResult) -> Figure | None:
    """Believed score against tokens of a question, with the front of what is believed."""
    shown = [c for c in result.configurations if c.mean is not None and c.cost is not None and c.cost.tokens > 0]
    if not shown:
        return None
    figure = _figure(460, xaxis_title="tokens of a question, nothing shared", yaxis_title="believed accuracy, %")
    figure.update_xaxes(type="log", dtick="D2", tickformat="~s")
    groups = (
        ("configurations", [c for c in shown if c.number != result.winner and not c.raced_out], _BLUE, 8),
        ("raced out", [c for c in shown if c.number != result.winner and c.raced_out], _GREY, 7),
        ("the winner", [c for c in shown if c.number == result.winner], _GREEN, 14),
    )
    for name, group, colour, size in groups:
        if group:
            figure.add_scatter(
                x=[c.cost.tokens for c in group if c.cost],
                y=[100 * (c.mean or 0.0) for c in group],
                error_y={"type": "data", "array": [100 * (c.sd or 0.0) for c in group], "thickness": 1, "width": 0},
                mode="markers",
                name=name,
                marker={"size": size, "color": colour},
                hovertext=[_about(c) for c in group],
                hoverinfo="text",
            )
    front = _believed_front(shown)
    tokens = [c.cost.tokens for c in front if c.cost]
    believed = [100 * (c.mean or 0.0) for c in front]
    figure.add_scatter(
        x=tokens,
        y=believed,
        mode="lines",
        name="front, ± one sd",
        line={"color": _ORANGE, "shape": "hv", "width": 1.5},
        hoverinfo="skip",
    )
    sds = [100 * (c.sd or 0.0) for c in front]
    _add_band(figure, tokens, believed, sds, "rgba(217,119,6,.16)", shape="hv")
    return figure


def _add_band(
    figure: Figure, x: list[float], y: list[float], sds: list[float], colour: str, shape: str = "linear"
) -> None:
    """Between one sd below and one above."""
    still = {"mode": "lines", "showlegend": False, "hoverinfo": "skip"}
    for sign, fill in ((1, None), (-1, "tonexty")):
        edge = [value + sign * sd for value, sd in zip(y, sds, strict=True)]
        figure.add_scatter(x=x, y=edge, fill=fill, fillcolor=colour, line={"width": 0, "shape": shape}, **still)


def _believed_front(configurations: list[Configuration]) -> list[Configuration]:
    """Those that nothing cheaper equals, in the order of their cost."""
    ordered = sorted(configurations, key=lambda c: (c.cost.tokens if c.cost else 0.0, -(c.mean or 0.0)))
    best = list(accumulate((c.mean or 0.0 for c in ordered), max))
    return [c for i, c in enumerate(ordered) if i == 0 or (c.mean or 0.0) > best[i - 1]]


def _about(configuration: Configuration) -> str:
    c = configuration
    said = f"{c.number}: {percent(c.mean)} ± {100 * (c.sd or 0.0):.1f}, {len(c.scores)} questions"
    return f"{said}<br>" + "<br>".join(escape(f"{name} = {option}") for name, option in c.choices)


def effects(result: SearchResult) -> Figure | None:
    """What each option adds or takes, over uniform configurations."""
    names = list(dict.fromkeys(effect.parameter for effect in result.effects))
    widest = {n: max(abs(e.effect) for e in result.effects if e.parameter == n) for n in names}
    names = sorted(names, key=lambda name: -widest[name])[:_CHOICES_SHOWN]
    shown = [effect for name in names for effect in result.effects if effect.parameter == name]
    if not shown:
        return None
    figure = _figure(110 + 26 * len(shown), xaxis_title="points, with 95 % interval", showlegend=False)
    figure.update_yaxes(autorange="reversed", type="multicategory", dividercolor="rgba(148,163,184,.4)")
    figure.add_scatter(
        x=[100 * e.effect for e in shown],
        y=[[escape(e.parameter) for e in shown], [escape(e.option) for e in shown]],
        error_x={"type": "data", "array": [50 * (e.interval[1] - e.interval[0]) for e in shown], "thickness": 1.5},
        mode="markers",
        marker={"size": 9, "color": _BLUE},
    )
    figure.add_vline(x=0, line={"color": _GREY, "width": 1})
    return figure


def ordered(result: SearchResult) -> Figure | None:
    """Believed score against each count, temperature and the like, of the most promising configurations."""
    names = {p.name: p.options for p in result.parameters if p.ordered}
    drawn = [c for c in most_promising(result, 60) if c.mean is not None]
    shown = {n: options for n, options in names.items() if len({dict(c.choices).get(n) for c in drawn} - {None}) > 1}
    if not shown:
        return None
    figure = _figure(360, xaxis_title="option", yaxis_title="believed accuracy, %")
    for place, (name, options) in enumerate(shown.items()):
        best: dict[str, Configuration] = {}
        for c in drawn:
            option = dict(c.choices).get(name)
            if option is not None and (option not in best or (c.mean or 0) > (best[option].mean or 0)):
                best[option] = c
        taken = [option for option in options if option in best]
        figure.add_scatter(
            x=[escape(option) for option in taken],
            y=[100 * (best[option].mean or 0.0) for option in taken],
            error_y={"type": "data", "array": [100 * (best[option].sd or 0.0) for option in taken], "thickness": 1},
            mode="lines+markers",
            name=escape(f"{name} (best with each option)"),
            visible=True if place == 0 else "legendonly",
            hovertext=[_about(best[option]) for option in taken],
        )
    figure.update_xaxes(type="category")
    figure.update_layout(showlegend=True)
    return figure


def history(result: SearchResult) -> Figure | None:
    """What is believed of the incumbent, against what was charged."""
    shown = [r for r in result.history if r.mean is not None]
    if not shown:
        return None
    spent, believed = [r.charged.tokens for r in shown], [100 * (r.mean or 0.0) for r in shown]
    figure = _figure(360, xaxis_title="tokens charged", yaxis_title="believed accuracy, %")
    _add_band(figure, spent, believed, [100 * (r.sd or 0.0) for r in shown], "rgba(59,130,246,.18)")
    figure.add_scatter(
        x=spent,
        y=believed,
        mode="lines+markers",
        name="incumbent, ± one sd",
        line={"color": _BLUE},
        hovertext=[f"round {r.number}: configuration {r.incumbent}, {r.rows} questions asked" for r in shown],
    )
    figure.update_layout(showlegend=True)
    return figure


def regret(result: SearchResult) -> Figure | None:
    """How far the incumbent was below the winner, by what is believed of both in the end, against what was charged."""
    best = result.best
    if best is None or best.mean is None:
        return None
    at = {c.number: c.mean for c in result.configurations}
    found = [(r, mean) for r in result.history if r.incumbent is not None and (mean := at[r.incumbent]) is not None]
    if not found:
        return None
    figure = _figure(280, xaxis_title="tokens charged", yaxis_title="regret, points", showlegend=False)
    figure.add_scatter(
        x=[r.charged.tokens for r, _ in found],
        y=[100 * (best.mean - mean) for _, mean in found],
        mode="lines+markers",
        line={"color": _BLUE, "shape": "hv"},
        hovertext=[f"round {r.number}: configuration {r.incumbent}" for r, _ in found],
    )
    return figure


PLOTS: Final[Mapping[Plot, tuple[Callable[[SearchResult], Figure | None], ...]]] = {
    "confirmation": (confirmation,),
    "compute": (compute, ordered),
    "effects": (effects,),
    "history": (history, regret),
}
"""What belongs to a section, in its order."""
