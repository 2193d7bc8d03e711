"""What a run, or one query, may spend: never more, and what is done is kept."""

from pnyx.runtime.budgets.limits import KINDS, Limits, parse_limits
from pnyx.runtime.budgets.purse import Claim, Purse
from pnyx.runtime.budgets.tariff import Charge, Tariff, tariffs

__all__ = ["KINDS", "Charge", "Claim", "Limits", "Purse", "Tariff", "parse_limits", "tariffs"]
