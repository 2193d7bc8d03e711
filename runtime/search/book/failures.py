"""What can go wrong with the book of a search: parts of the tree in `pnyx.runtime.errors`.

```text
RuntimeFailure
├── BookUnusable   E660  the database of a search cannot be opened
│   └── BookNewer  E661  it was written by a newer Pnyx
├── BookFailure    E662  it failed while it was used: a full disk, a lock that is not given back, a server that is gone
├── OtherSearch    E663  under this name it holds a search that depends on something else
└── NoSearch       E664  it holds no search of this name to join
```
"""

from __future__ import annotations

from pnyx.runtime.errors import RuntimeFailure

__all__ = ["BookFailure", "BookNewer", "BookUnusable", "NoSearch", "OtherSearch"]


class BookUnusable(RuntimeFailure):
    code = "E660"


class BookNewer(BookUnusable):
    code = "E661"


class BookFailure(RuntimeFailure):
    code = "E662"


class OtherSearch(RuntimeFailure):
    """`changed`: the entries of the fingerprint that are not as they were."""

    code = "E663"

    def __init__(self, message: str, *, changed: tuple[str, ...], help: str) -> None:
        super().__init__(message, help=help)
        self.changed = changed


class NoSearch(RuntimeFailure):
    code = "E664"
