"""Accuracy for fewer samples from one pool of more: every subset of the pool is as good a draw as the first samples.

What operators make of a subset is found by running the plan again with other numbers of samples. Their prompts and
seeds are those of the pool's run, so the call store answers for all that is drawn of a sample and asked about it alone.
What a model is asked about several samples together is not there, and then there is nothing to pool.

Averaging over subsets takes out most of the luck of the draw: nothing of the first order in it is left that the whole
pool does not have (Hoeffding, 1948, on U-statistics).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import comb
from random import Random

from pnyx.compiler.operators import Sample
from pnyx.compiler.plan import Plan

__all__ = ["draws", "pooled_streams", "subsets"]

Numbers = tuple[int, ...]


def pooled_streams(plan: Plan, largest: Plan) -> dict[str, tuple[int, int]]:
    """The streams of which this plan draws fewer samples than the largest one: how many, and of how many."""
    here, there = _drawn(plan), _drawn(largest)
    return {stream: (n, there[stream]) for stream, n in here.items() if n < there.get(stream, 0)}


def _drawn(plan: Plan) -> dict[str, int]:
    """How many samples are drawn of each stream, where that is one number."""
    numbers: dict[str, set[int]] = {}
    for node in plan.everywhere():
        n = node.operator.n if isinstance(node.operator, Sample) else 0
        numbers.setdefault(node.stream, set()).add(n)
    outside = {node.stream for node in plan.nodes if isinstance(node.operator, Sample)}
    return {stream: next(iter(found)) for stream, found in numbers.items() if stream in outside and len(found) == 1}


def subsets(k: int, pool: int, most: int, *, seed: int = 0) -> list[Numbers]:
    """Sets of k of so many samples: all of them, or else `most`, cut from shuffles of the pool, so that each sample is
    in as many as any other, but for the last shuffle."""
    if comb(pool, k) <= most:
        return list(combinations(range(pool), k))
    random, found = Random(f"{seed} {k} {pool}"), list[Numbers]()
    while len(found) < most:
        order = random.sample(range(pool), pool)
        found.extend(tuple(sorted(order[start : start + k])) for start in range(0, pool - k + 1, k))
    return found[:most]


def draws(streams: Mapping[str, tuple[int, int]], most: int, *, seed: int = 0) -> Sequence[Mapping[str, Numbers]]:
    """For each subset the numbers of the samples of every stream."""
    sets = {stream: subsets(k, pool, most, seed=seed) for stream, (k, pool) in streams.items()}
    number = max((len(found) for found in sets.values()), default=0)
    return [{stream: found[i % len(found)] for stream, found in sets.items()} for i in range(number)]
