"""`Ask` over two candidates: neighbours of which one stays, or every two of a pool.

Invariants: the seed of a comparison comes from the keys of both candidates, in the order in which they are shown, never
from their places; a comparison whose reply cannot be read says nothing of either.
"""

from __future__ import annotations

from itertools import permutations

from pnyx.compiler.operators import Action
from pnyx.runtime.candidates import Candidate, Pool
from pnyx.runtime.operators.asking import Asking, Reading

__all__ = ["Neighbours", "Pairs"]


class _Comparisons(Reading):
    """One reply for each two candidates."""

    __slots__ = ("_pool",)

    def __init__(self, asking: Asking, pool: Pool, shown: list[tuple[Candidate, Candidate]]) -> None:
        keys = [f"{a.key} {b.key}" for a, b in shown]
        requests = [
            asking.request({"a": a.fields, "b": b.fields}, (a, b), key) for (a, b), key in zip(shown, keys, strict=True)
        ]
        super().__init__(asking, keys, requests, 2)
        self._pool = pool


class Neighbours(_Comparisons):
    """The first against the second, the third against the fourth; the winner stays, and an odd last one."""

    __slots__ = ()

    def __init__(self, asking: Asking, pool: Pool) -> None:
        super().__init__(asking, pool, list(zip(pool[::2], pool[1::2], strict=False)))

    def finish(self) -> Pool:
        self.report()
        drop = self.asking.ask.on_fail.then is Action.DROP
        kept = []
        for a, b, won in zip(self._pool[::2], self._pool[1::2], self.values, strict=False):
            if won is not None:
                kept.append(b if won == "B" else a)
            elif not drop:
                kept.append(a)
        return (*kept, *self._pool[len(self.values) * 2 :])


class Pairs(_Comparisons):
    """Every two, once in either order, so that a liking for the place cancels out; the share that each has won."""

    __slots__ = ("_into", "_places")

    def __init__(self, asking: Asking, pool: Pool) -> None:
        self._into = asking.ask.into or ""
        self._places = list(permutations(range(len(pool)), 2))
        super().__init__(asking, pool, [(pool[a], pool[b]) for a, b in self._places])

    def finish(self) -> Pool:
        self.report()
        won, counted = [0] * len(self._pool), [0] * len(self._pool)
        for (a, b), winner in zip(self._places, self.values, strict=True):
            if winner is not None:
                won[b if winner == "B" else a] += 1
                counted[a] += 1
                counted[b] += 1
        compared = len(self._pool) > 1
        drop = compared and self.asking.ask.on_fail.then is Action.DROP
        return tuple(
            candidate.having(self._into, wins / count) if count else candidate.without(self._into)
            for candidate, wins, count in zip(self._pool, won, counted, strict=True)
            if count or not drop
        )
