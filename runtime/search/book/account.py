"""The account of a search's budget, and the row of a search that holds it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from operator import add, sub
from typing import Any, Self, cast

from pnyx.runtime.budgets import Charge

__all__ = ["NOTHING", "Account", "Head", "charge_of", "plus"]

NOTHING: Charge = (0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Account:
    """`charged` for what was drawn; `aside` for `held` claims that are on their way; `lost` with workers that died:
    their calls may have been made, so they count in full."""

    charged: Charge
    aside: Charge
    lost: Charge
    held: int

    @property
    def total(self) -> Charge:
        """What there may be no more of than the budget."""
        return plus(plus(self.charged, self.aside), self.lost)


@dataclass(slots=True)
class Head:
    """The row of a search, locked while it is changed. `claims` were ever made; `seconds` is the clock."""

    mark: int
    claims: int
    held: int
    seconds: float
    charged: Charge
    aside: Charge
    lost: Charge

    @classmethod
    def of(cls, row: Any) -> Self:
        charges = (charge_of(said) for said in (row.charged, row.aside, row.lost))
        return cls(row.mark, row.claims, row.held, row.seconds, *charges)

    @property
    def values(self) -> dict[str, object]:
        """By column."""
        return {
            "mark": self.mark, "claims": self.claims, "held": self.held, "seconds": self.seconds,
            "charged": json.dumps(self.charged), "aside": json.dumps(self.aside), "lost": json.dumps(self.lost),
        }  # fmt: skip

    @property
    def account(self) -> Account:
        return Account(self.charged, self.aside, self.lost, self.held)

    def set_aside(self, bound: Charge) -> None:
        self.held += 1
        self.aside = plus(self.aside, bound)

    def release(self, bound: Charge) -> None:
        """What was set aside for one claim is not any more."""
        self.held -= 1
        # Sums of what is not a whole number drift; with nothing on its way nothing is set aside.
        self.aside = _zip(sub, self.aside, bound) if self.held else NOTHING

    def lose(self, bound: Charge) -> None:
        self.release(bound)
        self.lost = plus(self.lost, bound)

    def find(self, bound: Charge) -> None:
        """What was lost was not."""
        self.lost = _zip(sub, self.lost, bound)


def charge_of(said: str) -> Charge:
    return cast(Charge, tuple(json.loads(said)))


def plus(left: Charge, right: Charge) -> Charge:
    return _zip(add, left, right)


def _zip(operator: Any, left: Charge, right: Charge) -> Charge:
    a, b, c, d, e = map(operator, left, right)
    return a, b, c, d, e
