"""Who is let in next: as many as there is room for, and of these the ones that are best computed together.

Pure functions of what waits, runs and is known. The first of those that fit always goes, so none waits for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from pnyx.runtime.engines.transformers.cache import padded
from pnyx.runtime.engines.transformers.jobs import Job, Row
from pnyx.runtime.engines.transformers.prefixes import BLOCK

__all__ = ["PREFILL", "Entry", "choose", "fitting", "shape"]

PREFILL: Final = 1024
"""Tokens, padding included, that are computed in one go; a longer prompt goes alone. More at once is hardly faster on a
CPU, and the running rows wait meanwhile."""

_COPY: Final = 8
"""So many known tokens are put on a level with one that is computed: they are copied, and attended to."""

_WORTH: Final = 2
"""Blocks for whose sake a prompt waits until another has computed them. For fewer, a larger group is worth more."""

Entry: TypeAlias = tuple[Job, int]
"""A job, and how many of its samples get a row."""


def fitting(waiting: Sequence[Job], rows: Sequence[Row], *, limit: int, memory: int) -> list[Entry]:
    """In order of priority and arrival, and no job passes one that waits for rows; those that draw nothing need none.
    `limit`: rows; `memory`: tokens, every row taken for as long as the longest may become."""
    found: list[Entry] = []
    taken, widest, full = len(rows), max((row.job.longest for row in rows), default=0), False
    for job in waiting:
        if job.draws_nothing:
            found.append((job, 0))
        elif not full:
            width = max(widest, job.longest)
            affordable = max(memory // width, 1)
            number = min(len(job.todo), min(limit, affordable) - taken)
            full = number < len(job.todo)
            if number > 0 or not job.todo:
                found.append((job, number))
                taken, widest = taken + number, width
    return found


def shape(job: Job, known: int) -> tuple[bool, int]:
    """Prompts of one shape are computed as one batch. `known`: blocks."""
    return known > 0, padded(len(job.prompt) - known * BLOCK)


def choose(entries: Sequence[Entry], known: Callable[[Job], int], *, kept: int) -> list[Entry]:
    """Those of one shape together, beginning with the first, until `PREFILL` tokens are reached. A prompt that has much
    in common with one that is chosen waits: when that is computed, only the rest of it need be. `known`: the blocks of
    a prompt that need not be computed now; `kept`: of how many blocks at most there will be something to share."""
    chosen = [entry for entry in entries if entry[0].prefilled is not None]
    kinds: dict[tuple[bool, int], list[tuple[Entry, int]]] = {}
    for entry in entries:
        if entry[0].prefilled is None:
            blocks = known(entry[0])
            kinds.setdefault(shape(entry[0], blocks), []).append((entry, blocks))
    coming: set[bytes] = set()
    tokens = 0
    for (_, width), several in kinds.items():
        for entry, blocks in several:
            if len(coming.intersection(entry[0].reusable[blocks:kept])) >= _WORTH:
                continue
            cost = width + blocks * BLOCK // _COPY
            if tokens and tokens + cost > PREFILL:
                return chosen
            tokens += cost
            chosen.append(entry)
            coming.update(entry[0].keys)
    return chosen
