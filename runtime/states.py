"""Values that outlive the examples of a data set: what each example sees, and what it leaves.

Invariants: an example sees every state as it was after the last whole chunk of rows before its own, so the examples of
a chunk can run together and in any order; within a chunk the last row that has something to leave decides.
"""

from __future__ import annotations

from collections.abc import Mapping

from pnyx.compiler.plan import Plan, PlanState
from pnyx.runtime.candidates import Value

__all__ = ["States", "initial_states"]


def initial_states(plan: Plan) -> dict[str, Value]:
    """The states at the start of a run. Without an initial value one is an empty pool."""
    return {state.name: () if state.initial is None else state.initial for state in plan.states}


class States:
    """The states of one run over rows 0, 1, … of a plan.

    `before(index)` is what a row sees, or None while a row that it depends on is not recorded; `record` is told what
    every row leaves, in any order, and None for a row that did not get so far.
    """

    def __init__(self, plan: Plan) -> None:
        initial = initial_states(plan)
        self._lines = {state.name: _Line(state, initial[state.name]) for state in plan.states}

    def before(self, index: int) -> dict[str, Value] | None:
        """Rows are asked for in their order; an earlier chunk is not remembered."""
        if any(line.chunk != index // line.size for line in self._lines.values()):
            return None
        return {name: line.value for name, line in self._lines.items()}

    def record(self, index: int, left: Mapping[str, Value] | None) -> None:
        for name, line in self._lines.items():
            line.record(index, left is not None, None if left is None else left[name])


class _Line:
    """One state: its `value` before chunk number `chunk`."""

    __slots__ = ("_last", "_left", "_recorded", "chunk", "size", "value")

    def __init__(self, state: PlanState, value: Value) -> None:
        self.size, self.value, self.chunk = state.chunk, value, 0
        self._recorded, self._last, self._left = 0, -1, value

    def record(self, index: int, leaves: bool, value: Value) -> None:
        if index // self.size != self.chunk:
            raise ValueError(f"row {index} is recorded before it could have run")
        self._recorded += 1
        if leaves and index > self._last:
            self._last, self._left = index, value
        if self._recorded == self.size:
            self.chunk += 1
            self.value, self._recorded = self._left, 0
