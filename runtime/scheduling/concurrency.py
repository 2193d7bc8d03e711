"""How many samples may be in flight at an engine: its window, or, at a server that others use too, what it bears.

Additive increase, multiplicative decrease (Chiu and Jain, 1989), with a slow start as in TCP. Invariants: the limit is
between 1 and the window; one wave of refusals halves it once.
"""

from __future__ import annotations

__all__ = ["Adaptive", "Concurrency"]

_START = 32


class Concurrency:
    """The window of an engine in this process: it says itself how much keeps it busy."""

    __slots__ = ("limit",)

    def __init__(self, window: int) -> None:
        self.limit = max(1, window)

    def succeeded(self, samples: int = 1) -> None:
        """A request for so many samples was answered."""

    def overloaded(self, began: float, now: float) -> None:
        """A request that began at `began` was refused at `now` for being one too many."""


class Adaptive(Concurrency):
    """Grows by one for every sample until the first refusal, so that it doubles with every full window, and then by
    about one for every full window."""

    __slots__ = ("_cut", "_exact", "_most", "_slow_start")

    def __init__(self, window: int) -> None:
        super().__init__(min(window, _START))
        self._most = max(1, window)
        self._exact = float(self.limit)
        self._slow_start = True
        self._cut = float("-inf")

    def succeeded(self, samples: int = 1) -> None:
        self._exact = min(self._exact + samples * (1.0 if self._slow_start else 1.0 / self._exact), float(self._most))
        self.limit = int(self._exact)

    def overloaded(self, began: float, now: float) -> None:
        if began < self._cut:  # sent before the limit was lowered: it says nothing new
            return
        self._exact = max(1.0, self._exact / 2)
        self.limit = int(self._exact)
        self._slow_start, self._cut = False, now
