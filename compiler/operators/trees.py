"""Trees of candidates.

A tree is a pool. A candidate's `parent` is the place of its parent in the pool, counted from 0, which comes before its
own; a candidate without one is a root.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pnyx.compiler.operators.words import TreePolicy

__all__ = ["Choose", "Grow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choose:
    """`(Pool{score}) -> Pool[0..1]`: the node that goes on next, as it is; the first of those that are equally good.

    None where a new root is due: with THOMPSON where that is what was drawn, with the others where no node can go on.
    A node cannot where its field `done` is true, and one with children cannot where none below it can. A score that is
    absent counts with N but not with V; a subtree without any comes last. A `prior` that is absent is 0; without
    a field for it every P is 1. `c` belongs to UCT and PUCT, `prior` to PUCT.
    """

    kind: Literal["choose"] = "choose"
    policy: TreePolicy = TreePolicy.UCT
    by: str = "score"
    c: float = 1.0
    prior: str | None = None
    done: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grow:
    """`(Pool, Pool, Pool[0..1]) -> Pool{parent}`: the tree with the children behind it, each with its `parent`: where
    the node, the last input, stands in the tree. Without a node, or with one that is not in the tree, they are
    roots."""

    kind: Literal["grow"] = "grow"
