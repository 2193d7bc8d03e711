"""The process that compares mathematical answers: a line of JSON in, a line of JSON out, until its input ends.

In: `answer` and `targets`. Out: `right`, whether it means the same as one of them, and `read`, what was understood of
it, or null.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from contextlib import suppress
from typing import Any

__all__ = ["compared"]

_MEMORY = 4 << 30
"""Bytes: a tower of powers takes all there are."""
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{3,}")
"""And no name of a function: `\\\\sqrt`."""


def compared(answer: str, targets: list[str]) -> dict[str, Any]:
    """`math-verify` limits its own time by signals, so this belongs in the main thread."""
    from math_verify import verify

    read = _read(answer)
    right = any(verify(gold, read) for gold in map(_read, targets) if gold) if read else False
    return {"right": bool(right), "read": str(read[-1]) if read else None}


def _read(text: str) -> list[Any]:
    """What is alone a formula is read as one, also without the marks around it: `\\sqrt{8}`, `(1, 2)`."""
    from math_verify import parse

    bare = text.strip()
    if _WORD.search(bare) or any(mark in bare for mark in ("$", "\\boxed", "\\(", "\\[", "\n")):
        return list(parse(text))
    return list(parse(f"${bare}$") or parse(text))


def main() -> None:
    logging.disable()
    with suppress(ImportError):  # not on this system
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    for line in sys.stdin:
        job = json.loads(line)
        print(json.dumps(compared(job["answer"], job["targets"])), flush=True)


if __name__ == "__main__":
    main()
