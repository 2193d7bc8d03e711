"""Which questions are held out, and in which order they are taken: by hashes of their text.

Invariants: neither depends on the other rows or on their order, so rows that are added move no other; questions that
differ only in case and white space are on one side.
"""

from __future__ import annotations

from hashlib import blake2b

__all__ = ["is_held_out", "rank"]

_WHOLE = 2**64


def is_held_out(question: str, share: float, seed: int) -> bool:
    """True for about `share` (0 to 1) of all questions."""
    return _hash("split", question, seed) < share * _WHOLE


def rank(question: str, seed: int) -> int:
    """Sorting by it shuffles. It says nothing of the side that a question is on."""
    return _hash("order", question, seed)


def _hash(purpose: str, question: str, seed: int) -> int:
    text = f"{purpose}\0{seed}\0{' '.join(question.split()).casefold()}"
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
