"""Where the boxes and the lines of a layered drawing stand.

The steps of Sugiyama, Tagawa and Toda (1981): layers by longest path, stand-ins where an edge crosses a layer, orders
within the layers by sweeps of medians, positions by pulling nodes towards their neighbours. Deterministic; time grows
with edges times layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

__all__ = ["Layout", "Route", "layered"]

_SWEEPS = 6
_PULLS = 8


@dataclass(frozen=True, slots=True)
class Route:
    """The line from one node to another, by index: `points` are where it crosses layers, `(column, layer)`, its ends
    included."""

    source: int
    target: int
    points: tuple[tuple[float, int], ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """Layers count from 0, top to bottom. Columns are the places of centres, 1 apart at least, from 0 to `width`, which
    holds the lines too."""

    columns: tuple[float, ...]
    layers: tuple[int, ...]
    routes: tuple[Route, ...]
    width: float
    depth: int


def layered(inputs: Sequence[Sequence[int]]) -> Layout:
    """A layout of nodes that read earlier nodes."""
    layer_of = _layers(inputs)
    count = len(inputs)
    # Nodes keep their indices; stand-ins come behind them.
    layers = list(layer_of)
    chains: list[tuple[int, int, list[int]]] = []
    for target, sources in enumerate(inputs):
        for source in dict.fromkeys(sources):
            standins = list(range(len(layers), len(layers) + layer_of[target] - layer_of[source] - 1))
            layers.extend(range(layer_of[source] + 1, layer_of[target]))
            chains.append((source, target, [source, *standins, target]))
    above: list[list[int]] = [[] for _ in layers]
    below: list[list[int]] = [[] for _ in layers]
    for _, _, chain in chains:
        for upper, lower in pairwise(chain):
            above[lower].append(upper)
            below[upper].append(lower)
    rows = _ordered(layers, above, below)
    gaps = [1.0 if item < count else 0.35 for item in range(len(layers))]
    columns = _placed(rows, above, below, gaps)
    left = min(columns)
    columns = [column - left for column in columns]
    routes = tuple(
        Route(source, target, tuple((columns[i], layers[i]) for i in chain)) for source, target, chain in chains
    )
    return Layout(tuple(columns[:count]), tuple(layer_of), routes, max(columns), max(layer_of))


def _layers(inputs: Sequence[Sequence[int]]) -> list[int]:
    """One below the lowest input; what only reads the question stands just above its first user."""
    import networkx as nx

    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(inputs)))
    graph.add_edges_from((source, target) for target, sources in enumerate(inputs) for source in sources)
    layers = [0] * len(inputs)
    for layer, generation in enumerate(nx.topological_generations(graph)):
        for index in generation:
            layers[index] = layer
    for index in reversed(range(1, len(inputs))):
        if inputs[index] and graph.out_degree(index):
            layers[index] = min(layers[user] for user in graph.successors(index)) - 1
    return layers


def _ordered(layers: Sequence[int], above: Sequence[list[int]], below: Sequence[list[int]]) -> list[list[int]]:
    rows: list[list[int]] = [[] for _ in range(max(layers) + 1)]
    for item, layer in enumerate(layers):
        rows[layer].append(item)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        neighbours = above if down else below
        place = {item: i for row in rows for i, item in enumerate(row)}
        for row in rows if down else reversed(rows):
            row.sort(key=lambda item: _mean([place[n] for n in neighbours[item]], place[item]))
            place.update({item: i for i, item in enumerate(row)})
    return rows


def _placed(
    rows: Sequence[Sequence[int]], above: Sequence[list[int]], below: Sequence[list[int]], gaps: Sequence[float]
) -> list[float]:
    columns = [0.0] * len(gaps)
    for row in rows:
        _spread(row, columns, gaps, [0.0] * len(row))
    for pull in range(_PULLS):
        down = pull % 2 == 0
        neighbours = above if down else below
        for row in rows if down else reversed(rows):
            wanted = [_mean([columns[n] for n in neighbours[item]], columns[item]) for item in row]
            _spread(row, columns, gaps, wanted)
    return columns


def _spread(row: Sequence[int], columns: list[float], gaps: Sequence[float], wanted: Sequence[float]) -> None:
    """Puts a row as near to the wanted places as order and gaps allow, in least squares: items that would come too
    close move together as a block (pool adjacent violators)."""
    blocks: list[tuple[float, int]] = []
    offset, offsets = 0.0, []
    for position, item in enumerate(row):
        if position:
            offset += (gaps[row[position - 1]] + gaps[item]) / 2
        offsets.append(offset)
        mean, size = wanted[position] - offset, 1
        while blocks and blocks[-1][0] > mean:
            earlier, many = blocks.pop()
            mean, size = (earlier * many + mean * size) / (many + size), many + size
        blocks.append((mean, size))
    starts = [mean for mean, size in blocks for _ in range(size)]
    for item, start, shift in zip(row, starts, offsets, strict=True):
        columns[item] = start + shift


def _mean(values: Sequence[float], otherwise: float) -> float:
    return fmean(values) if values else otherwise
