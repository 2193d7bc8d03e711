"""What calls are paid from, whoever keeps the account: a purse in memory, or a ledger that processes share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from pnyx.runtime.budgets.limits import Limits
from pnyx.runtime.budgets.tariff import Charge
from pnyx.runtime.errors import RuntimeFailure

__all__ = ["Budget", "Claim", "Refused"]

Refused: TypeAlias = Callable[[str | RuntimeFailure], None]
"""Hears the kind of limit that stands against a claim, or why the account cannot be kept any more."""


class Claim(Protocol):
    """A part of a budget, set aside or waited for: at most `charge`."""

    charge: Charge

    def settle(self, spent: Charge | None = None) -> None:
        """It is settled once, with what was spent; None: nothing. What was waited for is given up. Only the first call
        counts."""
        ...


class Budget(Protocol):
    @property
    def limits(self) -> Limits: ...

    @property
    def mark(self) -> int:
        """Rises when somebody else has drawn something. Taken before the call store is asked for samples, it says how
        old its answer is."""
        ...

    def claim(
        self,
        charge: Charge,
        granted: Callable[[], None],
        refused: Refused,
        *,
        priority: int = 0,
        keys: Sequence[bytes] = (),
        mark: int = 0,
        elsewhere: Callable[[], None] | None = None,
    ) -> Claim:
        """Calls one of the three, at once or later, from the event loop. What does not fit waits while others may still
        cost less than was set aside for them.

        `keys`: under which the call store keeps the samples that will be drawn; `mark`: as it was before the store was
        asked. Samples that somebody else is drawing are waited for; once somebody else has drawn some since `mark`,
        nothing is set aside, and `elsewhere` is called: the store has them now, or nobody does.
        """
        ...
