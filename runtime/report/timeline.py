"""How many calls waited and how many were at an engine, over the time of a run whose end is not known before."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Timeline"]

_BINS = 256


class Timeline:
    """Bins of equal width, which doubles whenever the run gets too long for them.

    >>> line = Timeline(width=1.0)
    >>> line.add(0.5, 2.0, 0); line.add(300.0, 301.0, 1)
    >>> line.width, line.series(0)[:2], round(line.series(1)[150], 3)
    (2.0, [0.75, 0.0], 0.5)
    """

    def __init__(self, width: float = 0.001) -> None:
        self.width = width
        self._seconds = [[0.0] * _BINS, [0.0] * _BINS]

    def add(self, began: float, ended: float, which: int) -> None:
        """One call that waited (`which` 0) or was at an engine (1) between two times."""
        began = max(began, 0.0)
        if not began < ended:
            return
        while ended >= self.width * _BINS:
            self._double()
        first, last = int(began / self.width), int(ended / self.width)
        seconds = self._seconds[which]
        for at in range(first, last + 1):
            seconds[at] += min(ended, (at + 1) * self.width) - max(began, at * self.width)

    def series(self, which: int) -> Sequence[float]:
        """The mean number of calls in each bin up to the last that has any."""
        end = max((i + 1 for row in self._seconds for i, s in enumerate(row) if s > 0), default=0)
        return [seconds / self.width for seconds in self._seconds[which][:end]]

    def _double(self) -> None:
        self.width *= 2
        for which, row in enumerate(self._seconds):
            merged = [row[i] + row[i + 1] for i in range(0, _BINS, 2)]
            self._seconds[which] = merged + [0.0] * (_BINS - len(merged))
