"""Texts with pieces cut out, doubled and put in where they do not belong."""

from __future__ import annotations

import random
from collections.abc import Sequence

__all__ = ["damaged"]


def damaged(text: str, pieces: Sequence[str], source: random.Random) -> str:
    """The text after one to six changes, each at a place of its own; `pieces` are what may be put in."""
    for _ in range(source.randint(1, 6)):
        start = source.randrange(len(text) + 1)
        end = min(len(text), start + source.choice([0, 1, 1, 2, 5, 40]))
        swapped = source.choice(["", source.choice(pieces), text[start:end] * 2, text[end : end + 20]])
        text = text[:start] + swapped + text[end:]
    return text
