"""A purse: what may be spent, what is spent, and what is set aside for requests on their way.

Invariants
- Spent and set aside together never exceed the limits, as long as no request costs more than was set aside for it.
- What does not fit waits while others may still cost less than was set aside for them; the lowest priority value goes
  first, and among equals the first come.
- What does not fit when nothing is on its way is refused, and so is all that waits behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from operator import add, sub

from pnyx.runtime.budgets.limits import KINDS, Limits
from pnyx.runtime.budgets.tariff import Charge

__all__ = ["Purse", "exceeded"]

_NOTHING: Charge = (0.0, 0.0, 0.0, 0.0, 0.0)


class _Claim:
    __slots__ = ("_purse", "charge", "granted", "held", "over", "refused")

    def __init__(
        self, purse: Purse, charge: Charge, granted: Callable[[], None], refused: Callable[[str], None]
    ) -> None:
        self._purse = purse
        self.charge = charge
        self.granted, self.refused = granted, refused
        self.held = self.over = False

    def settle(self, spent: Charge | None = None) -> None:
        if not self.over:
            self.over = True
            self._purse.settle(self, spent or _NOTHING)


class Purse:
    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.mark = 0
        self.spent: Charge = _NOTHING
        self._caps = limits.caps
        self._aside: Charge = _NOTHING
        self._held = 0
        self._waiting: list[tuple[int, int, _Claim]] = []
        self._arrivals = 0

    def claim(
        self,
        charge: Charge,
        granted: Callable[[], None],
        refused: Callable[[str], None],
        *,
        priority: int = 0,
        **_: object,
    ) -> _Claim:
        """Nobody else draws from this purse, so nothing is `elsewhere`."""
        claim = _Claim(self, charge, granted, refused)
        self._arrivals += 1
        heappush(self._waiting, (priority, self._arrivals, claim))
        if self._waiting[0][2] is claim:
            self._serve()
        return claim

    def settle(self, claim: _Claim, spent: Charge) -> None:
        if claim.held:
            self._held -= 1
            # Sums of what is not a whole number drift; with nothing on its way nothing is set aside.
            self._aside = _zip(sub, self._aside, claim.charge) if self._held else _NOTHING
            self.spent = _zip(add, self.spent, spent)
        self._serve()

    def _serve(self) -> None:
        while self._waiting:
            claim = self._waiting[0][2]
            if claim.over:
                heappop(self._waiting)
                continue
            against = exceeded(self._caps, (self.spent, self._aside, claim.charge))
            if against is None:
                heappop(self._waiting)
                self._held += 1
                self._aside = _zip(add, self._aside, claim.charge)
                claim.held = True
                claim.granted()
            elif self._held == 0:
                heappop(self._waiting)
                claim.over = True
                claim.refused(against)
            else:
                return


def exceeded(caps: Sequence[float], charges: Sequence[Charge]) -> str | None:
    """The first kind of which the charges together are more than may be."""
    for kind, cap, amounts in zip(KINDS[:-1], caps, zip(*charges, strict=True), strict=True):
        if sum(amounts) > cap:
            return kind
    return None


def _zip(operator: Callable[[float, float], float], left: Charge, right: Charge) -> Charge:
    a, b, c, d, e = map(operator, left, right)
    return a, b, c, d, e
