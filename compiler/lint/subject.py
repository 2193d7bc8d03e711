"""What the lints look at, and what they say.

Invariants: only a sound program is looked at; the first variant of a pipeline is the program as it runs, every choice
at its default, and `alternatives` differ from it in one choice each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Edit, Fix, Label
from pnyx.compiler.elaborate.choices import Choice
from pnyx.compiler.elaborate.scope import Named
from pnyx.compiler.graph import Graph, Node
from pnyx.compiler.lint.view import View
from pnyx.compiler.source import Span

if TYPE_CHECKING:
    from pnyx.compiler.cost import Cost
    from pnyx.compiler.cost.interval import Estimate
    from pnyx.compiler.plan import Plan

__all__ = ["Finding", "Subject", "Variant", "walk"]


@dataclass(frozen=True, slots=True)
class Variant:
    """A pipeline under one assignment of its choices: `closed` as given, `met` as found."""

    pipeline: syntax.PipelineDecl
    closed: Mapping[str, int]
    met: Mapping[str, Choice]
    graph: Graph

    @property
    def is_default(self) -> bool:
        return not self.closed


@dataclass(frozen=True, slots=True)
class Finding:
    """A warning before it is known whether it holds wherever its place is used. `nodes`: the work that it speaks of,
    that of its place first; `wasted`: whether that is for nothing, and its calls are worth naming; `fixes` are worked
    out when the finding is known to stand."""

    code: str
    message: str
    span: Span
    help: str
    nodes: tuple[Node, ...] = ()
    secondary: tuple[Label, ...] = ()
    fixes: Callable[[], tuple[Fix, ...]] = tuple
    wasted: bool = False


@dataclass
class Subject:
    """A sound program: the declarations of its own file, all models it may use, and the graphs of its pipelines as
    written.

    `elaborate` gives a pipeline's graph under other choices, or None where that would take too long; `plan` freezes a
    graph as it is.
    """

    declarations: tuple[Named, ...]
    models: Mapping[str, syntax.ModelDecl]
    variants: tuple[Variant, ...]
    elaborate: Callable[[syntax.PipelineDecl, Mapping[str, int]], Graph | None]
    plan: Callable[[Graph], Plan]
    _views: dict[Graph, View] = field(default_factory=dict)
    _costs: dict[Graph, dict[str, Estimate]] = field(default_factory=dict)
    _totals: dict[Graph, Cost] = field(default_factory=dict)

    def view(self, graph: Graph) -> View:
        known = self._views.get(graph)
        if known is None:
            known = self._views[graph] = View(graph)
        return known

    def made_at(self, span: Span) -> tuple[tuple[View, tuple[Node, ...]], ...]:
        """The nodes that a place makes in the program as it runs, graph by graph."""
        views = (self.view(v.graph) for v in self.variants if v.is_default)
        return tuple((view, nodes) for view in views if (nodes := view.at(span)))

    def calls(self, graph: Graph) -> dict[str, Estimate]:
        """Of each node of the graph as written, by stream: the calls it makes before anything is optimised."""
        from pnyx.compiler.cost import estimate

        known = self._costs.get(graph)
        if known is None:
            plan = self.plan(graph)
            nodes = tuple(plan.everywhere())
            known = self._costs[graph] = {nodes[c.index].stream: c.cost.calls for c in estimate(plan).nodes}
        return known

    def total(self, graph: Graph) -> Cost:
        """What one question costs when the graph is optimised."""
        from pnyx.compiler.cost import estimate
        from pnyx.compiler.passes import optimise

        known = self._totals.get(graph)
        if known is None:
            known = self._totals[graph] = estimate(self.plan(optimise(graph))).total
        return known

    @cached_property
    def settled(self) -> bool:
        """Whether `variants` hold every way of closing the choices."""
        met = {(v.pipeline.name, name) for v in self.variants for name in v.met}
        pipelines = [pipeline for pipeline, _ in met]
        return all(pipelines.count(pipeline) == 1 for pipeline in pipelines)

    @cached_property
    def _stages(self) -> dict[tuple[str, int, int], syntax.Pipe]:
        return {
            (item.stage.span.source.name, item.stage.span.start, item.stage.span.end): item
            for item in walk(self.declarations)
            if isinstance(item, syntax.Pipe)
        }

    def stage(self, span: Span) -> syntax.Pipe | None:
        """The pipe whose stage stands there, in Pnyx."""
        yaml = span.source.name.endswith((".yaml", ".yml"))
        return None if yaml else self._stages.get((span.source.name, span.start, span.end))

    def removal(self, span: Span, name: str, *, safe: bool = False) -> tuple[Fix, ...]:
        """The fix that takes a stage out of its pipe; none where it is no stage, or a comment might go with it."""
        pipe = self.stage(span)
        if pipe is None:
            return ()
        gone = Span(span.source, pipe.source.span.end, pipe.span.end)
        return () if "#" in gone.text else (Fix(f"remove `{name}`", (Edit(gone, ""),), safe),)


def walk(item: object) -> Iterator[object]:
    """A syntax node, or a tuple of them, and everything below."""
    stack = [item]
    while stack:
        current = stack.pop()
        if isinstance(current, tuple):
            stack.extend(reversed(current))
        elif is_dataclass(current) and not isinstance(current, Span):
            yield current
            stack.extend(value for part in fields(current) if not isinstance(value := getattr(current, part.name), str))
