"""A result whose choices have their shortest names, for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pnyx.runtime.search.results import SearchResult
from pnyx.runtime.search.space import short_names

__all__ = ["shortened"]

_Choices = tuple[tuple[str, str], ...]


def shortened(result: SearchResult) -> SearchResult:
    """Points keep the names they have. Choices of baselines, which are not of the space, are shown without the name of
    their pipeline."""
    short = short_names(result.parameters)
    found = result.confirmation
    return replace(
        result,
        parameters=tuple(replace(p, name=short[p.name]) for p in result.parameters),
        configurations=tuple(replace(c, choices=_short(c.choices, c.pipeline, short)) for c in result.configurations),
        infeasible=tuple(replace(i, choices=_short(i.choices, "", short)) for i in result.infeasible),
        effects=tuple(replace(e, parameter=short.get(e.parameter, e.parameter)) for e in result.effects),
        confirmation=found
        and replace(
            found, pipelines=tuple(replace(p, choices=_short(p.choices, p.pipeline, short)) for p in found.pipelines)
        ),
    )


def _short(choices: _Choices, pipeline: str, short: Mapping[str, str]) -> _Choices:
    return tuple((short.get(name, name.removeprefix(f"{pipeline}.")), option) for name, option in choices)
