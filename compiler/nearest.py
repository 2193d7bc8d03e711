"""The name a person most likely meant: of an operator, a model, a key of a configuration, a field of a row."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import PurePath

__all__ = ["nearest", "nearest_file"]

_LONGEST = 200
"""Characters of a name that are looked at; comparing takes the square of it."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that this one begins, else the most similar; None where none is close.

    >>> nearest("temp", ["system", "temperature"]), nearest("generte", ["generate", "rank"]), nearest("x", ["rank"])
    ('temperature', 'generate', None)
    """
    names = sorted(set(known))
    begun = [other for other in names if len(name) >= 3 and other.startswith(name)]
    matches = begun if len(begun) == 1 else get_close_matches(name[:_LONGEST], names, n=1, cutoff=0.6)
    return matches[0] if matches else None


def nearest_file(name: str, known: Iterable[str]) -> str | None:
    """The file most likely meant; suffixes, which are all alike, only tell files of one stem apart.

    >>> nearest_file("frist.pnyx", ["first.yaml", "first.pnyx"]), nearest_file("zero.pnyx", ["once.pnyx"])
    ('first.pnyx', None)
    """
    suffix = PurePath(name).suffix
    stems = {PurePath(other).stem: other for other in sorted(known, key=lambda other: PurePath(other).suffix == suffix)}
    likely = nearest(PurePath(name).stem, stems)
    return stems[likely] if likely else None
