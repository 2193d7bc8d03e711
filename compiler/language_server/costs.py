"""What the stages of a pipeline cost, by where they are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from pnyx.compiler import syntax
from pnyx.compiler.cost.estimate import Cost, estimate
from pnyx.compiler.cost.interval import show, show_number
from pnyx.compiler.language_server.observe import Observer

__all__ = ["StageCost", "StageCosts", "stage_costs"]


@dataclass(frozen=True, slots=True)
class StageCost:
    """The model calls of one stage, all rounds of it together."""

    cost: Cost

    @property
    def short(self) -> str:
        """What is expected."""
        tokens = self.cost.prompt_tokens + self.cost.generated_tokens
        calls = show_number(self.cost.calls.expected)
        return f"{_count(calls, 'call')}, {show_number(tokens.expected)} tokens"

    @property
    def long(self) -> str:
        cost = self.cost
        parts = [
            _count(show(cost.calls), "call"),
            _count(show(cost.samples), "sample"),
            f"{show(cost.prompt_tokens)} tokens in",
            f"{show(cost.generated_tokens)} tokens out",
        ]
        if cost.money is not None:
            parts.append(f"${show(cost.money)}")
        return ", ".join(parts)


StageCosts: TypeAlias = dict[tuple[int, int], StageCost]
"""By the place of the call in the pipeline's text; a stage that asks no model is not there."""


def _count(figure: str, noun: str) -> str:
    return f"{figure} {noun}" if figure == "1" else f"{figure} {noun}s"


def stage_costs(observer: Observer, pipeline: syntax.PipelineDecl) -> StageCosts:
    """Empty where the pipeline is faulty."""
    plan = observer.plan(pipeline)
    if plan is None:
        return {}
    nodes = tuple(plan.everywhere())
    totals: dict[tuple[int, int], Cost] = {}
    for entry in estimate(plan).nodes:
        current = nodes[entry.index]
        call = observer.worth.calls.get(current.stream)
        # What a node with bodies costs is the cost of what is in them, which has its own places.
        if call is not None and not current.bodies and entry.cost.calls.most > 0:
            place = (call.start, call.end)
            totals[place] = totals.get(place, Cost()) + entry.cost
    return {place: StageCost(cost) for place, cost in totals.items()}
