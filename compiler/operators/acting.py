"""Operators that act: they run code, confined, or look something up. None asks a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Retrieve", "RunCode", "RunTests"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCode:
    """`(Pool{by}) -> Pool{into, error}`: runs the Python program in the field `by`, its last fenced block or else all
    of it.

    `into` is what it printed, white space at the ends removed; absent where that is nothing, or where it did not end
    well: then `error` says why, in one line. `stdin` is what it can read.
    """

    kind: Literal["run_code"] = "run_code"
    by: str = "text"
    into: str = "output"
    seconds: float = 5.0
    stdin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTests:
    """`(Pool{by}, Pool{text}) -> Pool{into, passed}`: how many tests pass: Python code that runs after the program in
    the field `by`, each after a run of its own, to its end and without an exception. `seconds` are of each.

    `passed` tells which, by their places from 1 on, as text: `1 3 4`; it is empty where none passes.
    """

    kind: Literal["run_tests"] = "run_tests"
    by: str = "text"
    into: str = "passes"
    seconds: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieve:
    """`(Chat) -> Pool[0..k]{text, score}`: the passages of a file that fit the question best, best first, by BM25.

    `source` is the path of the file, relative to the program's: JSON Lines, the passages in `field`, or a text, whose
    paragraphs they are. A passage that has no word of the question is none.
    """

    kind: Literal["retrieve"] = "retrieve"
    source: str
    k: int = 5
    field: str = "text"
