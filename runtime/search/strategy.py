"""What a strategy is: which points are asked which questions next.

Invariant: what a strategy answers is a function of its settings and of the rows that are given to it, so that a search
that was killed goes on as if it had not been.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from pnyx.runtime.search.rows import Rows
from pnyx.runtime.search.space import Point

__all__ = ["Origin", "Proposal", "Standing", "Stop", "Strategy"]

Origin: TypeAlias = Literal["given", "default", "model", "template", "random", "proposed", "incumbent"]
"""Why a point is asked: a person wants it (`given`), the program's defaults, a model alone, a template around the best
models, drawn uniformly, proposed by the algorithm; or it is the best one and gets more questions."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """`point` is asked the questions up to `upto`, in blocks, and after each block is raced against `rival`, which has
    seen at least as many; None: it is not raced."""

    point: Point
    origin: Origin
    upto: int
    rival: Point | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """There is nothing more worth asking, and why, in a sentence without a full stop."""

    reason: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What is believed of a point: its mean score over all questions like these."""

    point: Point
    mean: float
    sd: float


class Strategy(Protocol):
    def next(self, rows: Rows, pending: Collection[Point]) -> tuple[Proposal, ...] | Stop:
        """A round: proposals that may be carried out side by side, not empty. `pending` are points that others are at
        work on."""
        ...

    def standings(self, rows: Rows) -> tuple[Standing, ...]:
        """Every point with rows that may win, the best one (the incumbent) first; empty before the first rows."""
        ...
