"""Search: the choices of a program that do best on a benchmark, within a budget.

The extra `search` brings what it needs (Optuna, NumPy, SciPy, plotly); nothing else of Pnyx imports this package.
"""
