"""Texts compared by their words, as SQuAD's evaluation script does (Rajpurkar et al., 2016)."""

from __future__ import annotations

import re
import string
from collections import Counter

__all__ = ["f1", "normalized"]

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")


def normalized(text: str) -> str:
    """In lower case, without punctuation, articles and needless white space."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def f1(answer: str, target: str) -> float:
    """The harmonic mean of precision and recall of the words; of no words, whether both have none."""
    said, wanted = normalized(answer).split(), normalized(target).split()
    if not said or not wanted:
        return float(said == wanted)
    shared = (Counter(said) & Counter(wanted)).total()
    return 2 * shared / (len(said) + len(wanted))
