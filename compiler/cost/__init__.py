"""What a plan costs, before it runs: bounds that hold, and expectations that measurements sharpen."""

from pnyx.compiler.cost.estimate import Cost, CostReport, NodeCost, estimate
from pnyx.compiler.cost.explain import COLUMNS, explain_rows, telling_columns, to_json
from pnyx.compiler.cost.interval import Estimate
from pnyx.compiler.cost.profile import Profile, ProfileError

__all__ = [
    "COLUMNS",
    "Cost",
    "CostReport",
    "Estimate",
    "NodeCost",
    "Profile",
    "ProfileError",
    "estimate",
    "explain_rows",
    "telling_columns",
    "to_json",
]
