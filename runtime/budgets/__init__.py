"""What a run, or one query, may spend: never more, and what is done is kept."""

from pnyx.runtime.budgets.budget import Budget, Claim, Refused
from pnyx.runtime.budgets.limits import KINDS, Limits, parse_limits
from pnyx.runtime.budgets.purse import Purse
from pnyx.runtime.budgets.tariff import Charge, Tariff, tariffs

__all__ = ["KINDS", "Budget", "Charge", "Claim", "Limits", "Purse", "Refused", "Tariff", "parse_limits", "tariffs"]
