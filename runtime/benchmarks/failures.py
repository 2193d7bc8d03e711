"""What can go wrong with a benchmark: parts of the tree in `pnyx.runtime.errors`.

```text
RuntimeFailure
├── DataUnusable            E641  the data of a benchmark cannot be read
├── NoProblems              E642  there is nothing to ask
├── UnknownField            E644  no row has a field that the benchmark names
└── ExampleFailure
    ├── FaultyRow           R830  a row that is no record of the fields
    ├── Unasked             R802, R803, R808  a row whose question cannot be asked
    ├── NoTarget            R831  a row without the right answer
    ├── FaultyTarget        R832  a right answer that the score cannot use
    ├── FaultyChoices       R833  choices that cannot be shown
    └── NotScored           R834  an answer that could not be scored
```
"""

from __future__ import annotations

from pnyx.runtime.errors import ExampleFailure, RuntimeFailure
from pnyx.runtime.results import ErrorRecord

__all__ = [
    "DataUnusable", "FaultyChoices", "FaultyRow", "FaultyTarget", "NoProblems", "NoTarget", "NotScored",
    "Unasked", "UnknownField",
]  # fmt: skip


class DataUnusable(RuntimeFailure):
    code = "E641"


class NoProblems(RuntimeFailure):
    code = "E642"


class UnknownField(RuntimeFailure):
    code = "E644"


class FaultyRow(ExampleFailure):
    code = "R830"


class NoTarget(ExampleFailure):
    code = "R831"


class FaultyTarget(ExampleFailure):
    code = "R832"


class FaultyChoices(ExampleFailure):
    code = "R833"


class NotScored(ExampleFailure):
    code = "R834"


class Unasked(ExampleFailure):
    """`record` says why; its place is that of the row."""

    def __init__(self, record: ErrorRecord) -> None:
        super().__init__(record.message, help=record.help)
        self.code = record.code
