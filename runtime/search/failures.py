"""What can go wrong with a search: parts of the tree in `pnyx.runtime.errors`, beside those of its book
(`book_failures`).

```text
RuntimeFailure
├── NothingToSearch  E681  no choice is open
├── BudgetTooSmall   E682  what has to be asked first takes more than the budget
├── NothingFeasible  E683  no configuration can be asked
├── NothingScored    E684  no answer of a block could be scored
├── NotIndependent   E685  what a pipeline answers depends on the questions before
├── NothingToTune    E691  the engines have no setting that could be told from another
├── TimeTooShort     E692  the default of engines was not measured before the time was over
└── NotAnswered            an engine failed on a question; its own code
```
"""

from __future__ import annotations

from pnyx.runtime.errors import RuntimeFailure
from pnyx.runtime.results import ErrorRecord

__all__ = [
    "BudgetTooSmall", "NotAnswered", "NotIndependent", "NothingFeasible", "NothingScored", "NothingToSearch",
    "NothingToTune", "TimeTooShort",
]  # fmt: skip


class NothingToSearch(RuntimeFailure):
    code = "E681"


class BudgetTooSmall(RuntimeFailure):
    code = "E682"


class NothingFeasible(RuntimeFailure):
    code = "E683"


class NothingScored(RuntimeFailure):
    code = "E684"


class NotIndependent(RuntimeFailure):
    code = "E685"


class NothingToTune(RuntimeFailure):
    code = "E691"


class TimeTooShort(RuntimeFailure):
    code = "E692"


class NotAnswered(RuntimeFailure):
    """`record` says why."""

    def __init__(self, record: ErrorRecord, place: str) -> None:
        super().__init__(record.message, place=record.place or place, help=record.help)
        self.code = record.code
