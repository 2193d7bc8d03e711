"""Passages of local files, found by their words (BM25).

The score is Lucene's form of BM25 (Robertson et al., 1994; Kamphuis et al., 2020) with k1 = 1.5 and b = 0.75, over the
words of a text without regard to case. Passages of one score stay in the order of the file.

Invariant: a file is read once, when it is opened; what is wrong with it is found then.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pnyx.compiler.nearest import nearest
from pnyx.runtime.errors import PackageMissing, PassagesUnusable

__all__ = ["Passage", "Passages", "open_passages"]

_WORD = re.compile(r"\w+")
_LINES = (".jsonl", ".ndjson")


@dataclass(frozen=True, slots=True)
class Passage:
    """`index` counts the passages of the file from 0."""

    index: int
    text: str
    score: float


class Passages:
    def __init__(self, texts: list[str]) -> None:
        """Raises PackageMissing (E608)."""
        self._texts = texts
        self._index = _index(texts)

    def find(self, query: str, k: int) -> list[Passage]:
        """At most `k` that have a word of the query, best first."""
        if self._index is None:
            return []
        words = [word for word in _words(query) if word in self._index.vocab_dict]
        if not words:
            return []
        scores = self._index.get_scores(words).tolist()
        best = sorted(range(len(scores)), key=lambda i: -scores[i])[:k]
        return [Passage(i, self._texts[i], scores[i]) for i in best if scores[i] > 0]


def open_passages(path: Path, field: str) -> Passages:
    """Those of a file: of JSON Lines the texts in `field`, of any other the paragraphs. Raises PassagesUnusable (E610)
    where it cannot be read, PackageMissing (E608)."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise PassagesUnusable(f"there is no file `{path}`", help=_neighbour(path)) from None
    except UnicodeDecodeError as error:
        raise PassagesUnusable(f"`{path}` is not UTF-8, at byte {error.start}", help="save it as UTF-8") from None
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise PassagesUnusable(f"`{path}` cannot be read: {reason}") from None
    if path.suffix.lower() in _LINES:
        lines = ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())
        return Passages([_passage(path, number, line, field) for number, line in lines])
    return Passages([part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()])


def _neighbour(path: Path) -> str:
    try:
        near = nearest(path.name, [entry.name for entry in path.parent.iterdir()])
    except OSError:
        near = None
    return f"did you mean `{near}`?" if near else "the path begins at the program's folder"


def _passage(path: Path, number: int, line: str, field: str) -> str:
    where = f"line {number} of `{path}`"
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise PassagesUnusable(f"{where} is not JSON: {error}", help="write one JSON object on each line") from None
    if not isinstance(row, dict):
        raise PassagesUnusable(f"{where} is no JSON object", help='write `{"text": "…"}` on each line')
    if field not in row:
        near = nearest(field, row)
        help = f"did you mean `field = {near}`?" if near else "`field` names the one with the passage"
        raise PassagesUnusable(f"{where} has no `{field}`", help=help)
    if not isinstance(row[field], str):
        raise PassagesUnusable(f"`{field}` in {where} is no text", help="a passage is a text between double quotes")
    return str(row[field])


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _index(texts: list[str]) -> Any:
    try:
        from bm25s import BM25
    except ImportError:
        raise PackageMissing(
            "`retrieve` needs the package `bm25s`", help="install it: `pip install 'pnyx[retrieve]'`"
        ) from None
    words = [_words(text) for text in texts]
    if not any(words):
        return None
    index = BM25(method="lucene", k1=1.5, b=0.75)
    index.index(words, show_progress=False, create_empty_token=False)
    return index
