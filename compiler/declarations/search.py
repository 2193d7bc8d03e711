"""Searches: which pipelines' choices are closed, by which measure, and what finding out may cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, cast

from pnyx.compiler import syntax
from pnyx.compiler.declarations.settings import Settings
from pnyx.compiler.limits import Limits
from pnyx.compiler.parse.literals import LARGEST
from pnyx.compiler.source import Span

__all__ = ["SEARCH_KEYS", "Objective", "Search", "read_search"]

Algorithm = Literal["rms", "tpe", "random", "grid"]

SEARCH_KEYS: Final = (
    "pipeline", "benchmark", "maximize", "minimize", "budget", "per query", "algorithm", "seed", "baseline",
    "held out",
)  # fmt: skip
_ALGORITHMS: Final = ("rms", "tpe", "random", "grid")
_GOALS: Final = ("accuracy",)
_COSTS: Final = ("tokens", "calls", "money", "seconds", "flops")


@dataclass(frozen=True, slots=True)
class Objective:
    """`accuracy` is the mean score; the others are means of what one question costs."""

    metric: Literal["accuracy", "tokens", "calls", "money", "seconds", "flops"]
    maximize: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """`budget` is what the whole search may spend, `per_query` what the architecture that it finds may spend on one
    question. `baselines` are the pipelines that it is held against. `held_out` None: as the benchmark splits."""

    name: str
    pipelines: tuple[str, ...]
    benchmark: str
    objectives: tuple[Objective, ...]
    budget: Limits
    per_query: Limits
    algorithm: Algorithm
    seed: int
    baselines: tuple[str, ...]
    held_out: float | None
    span: Span = field(compare=False, repr=False)


def read_search(settings: Settings) -> Search | None:
    """None where something is faulty; it has been reported."""
    settings.require("pipeline", "NAME")
    settings.require("benchmark", "NAME")
    settings.require("budget", "2M tokens")
    pipelines = settings.declared("pipeline", syntax.PipelineDecl, "pipeline")
    benchmark = _single(settings, "benchmark", settings.declared("benchmark", syntax.SettingsDecl, "benchmark"))
    declaration = settings.declaration
    objectives = _objectives(settings)
    found = Search(
        name=declaration.name,
        pipelines=pipelines,
        benchmark=benchmark or "",
        objectives=objectives,
        budget=settings.limits("budget"),
        per_query=settings.limits("per query"),
        algorithm=cast(Algorithm, settings.word("algorithm", _ALGORITHMS, "rms")),
        seed=settings.whole("seed", 0, LARGEST) or 0,
        baselines=settings.declared("baseline", syntax.PipelineDecl, "pipeline"),
        held_out=settings.number("held out", 0, 0.99),
        span=declaration.name_span,
    )
    return found if settings.sound else None


def _single(settings: Settings, key: str, names: tuple[str, ...]) -> str | None:
    value = settings.value(key)
    if isinstance(value, syntax.ListExpr) and value.items:
        settings.report("E301", f"`{key}` is one name, not a list", value.span, help="write a search for each")
    return names[0] if names else None


def _objectives(settings: Settings) -> tuple[Objective, ...]:
    """Accuracy, also where only costs are said."""
    for key, wrong, right in (("maximize", _COSTS, "minimize"), ("minimize", _GOALS, "maximize")):
        value = settings.value(key)
        items = value.items if isinstance(value, syntax.ListExpr) else (value,)
        for item in items:
            if isinstance(item, syntax.Name) and item.name in wrong:
                help = f"write `{right} = {item.name}`"
                settings.report("E401", f"`{key}` cannot be `{item.name}`", item.span, help=help)
                return ()
    goals = [Objective(cast(Literal["accuracy"], name), True) for name in settings.words("maximize", _GOALS)]
    costs = [Objective(cast(Literal["tokens"], name), False) for name in settings.words("minimize", _COSTS)]
    return (*(goals or [Objective("accuracy", True)]), *costs)
