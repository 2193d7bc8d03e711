"""Search: the choices of a program that do best on a benchmark, within a budget.

The extra `search` brings what it needs (Optuna, NumPy, SciPy, plotly); nothing else of Pnyx imports this package.
"""

from __future__ import annotations

from pnyx.runtime.models.packages import require

__all__ = ["require_packages"]


def require_packages() -> None:
    """Raises PackageMissing (E608). Imports nothing."""
    require(("numpy", "optuna", "plotly", "scipy", "sqlalchemy"), "a search", extra="search")
