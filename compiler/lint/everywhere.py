"""From nodes to places: a finding about a node stands only where all that is made from its place shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TypeAlias

from pnyx.compiler.graph import Graph, Node
from pnyx.compiler.lint.subject import Finding, Subject
from pnyx.compiler.lint.view import View, written
from pnyx.compiler.operators import ModelOperator

__all__ = ["GraphLint", "Place", "everywhere", "place_of"]

GraphLint: TypeAlias = Callable[[Subject, View], Iterator[Finding]]
"""Looks at one graph; the first of a finding's `nodes` is the one it is about."""

Place: TypeAlias = tuple[str, int, int, str, str | None]

# So many nodes are looked at in the alternatives of a file's choices.
MOST_NODES = 20_000


def everywhere(check: GraphLint, subject: Subject) -> Iterator[Finding]:
    """What a lint finds in the program as it runs, less what is not so in another use of the same place or under
    another choice. Findings of one place are one."""
    found: dict[Place, list[Finding]] = {}
    for variant in subject.variants:
        if variant.is_default:
            for finding in check(subject, subject.view(variant.graph)):
                found.setdefault(place_of(finding.nodes[0]), []).append(finding)
    if not found:
        return
    looked = 0
    for variant in subject.variants:
        view = subject.view(variant.graph)
        looked += 0 if variant.is_default else len(view.nodes)
        if looked > MOST_NODES:
            break
        shown = {finding.nodes[0].digest for finding in check(subject, view)}
        for place in {place_of(n) for n in view.nodes if n.digest not in shown} & found.keys():
            del found[place]
    yield from _joined(subject, found.values())


def place_of(current: Node) -> Place:
    """What tells the nodes of one call apart from those of others, and from each other."""
    assert current.span is not None
    span = current.span
    return span.source.name, span.start, span.end, current.operator.kind, written(current)


def _joined(subject: Subject, found: Iterable[list[Finding]]) -> Iterator[Finding]:
    """One finding for each code and call, with the calls of all of its nodes."""
    calls: dict[tuple[str, str, int, int], list[Finding]] = {}
    for findings in found:
        for finding in findings:
            key = finding.code, finding.span.source.name, finding.span.start, finding.span.end
            calls.setdefault(key, []).append(finding)
    for findings in calls.values():
        first = findings[0]
        nodes = tuple({n.digest: n for finding in findings for n in finding.nodes}.values())
        yield replace(first, message=first.message + (_cost(subject, nodes) if first.wasted else ""), nodes=nodes)


def _cost(subject: Subject, nodes: tuple[Node, ...]) -> str:
    """`: 8 calls a question`; nothing where the work asks no model."""
    asking = {n.stream for n in nodes if isinstance(n.operator, ModelOperator)}
    if not asking:
        return ""
    from pnyx.compiler.cost.interval import Estimate, show

    graph = next(v.graph for v in subject.variants if v.is_default and asking & _streams(v.graph))
    calls = subject.calls(graph)
    total = Estimate.exactly(0)
    for stream in asking & calls.keys():
        total += calls[stream]
    if total.most == 0:
        return ""
    return f": {show(total)} {'call' if total == Estimate.exactly(1) else 'calls'} a question"


def _streams(graph: Graph) -> set[str]:
    return {n.stream for n in graph.everywhere()}
