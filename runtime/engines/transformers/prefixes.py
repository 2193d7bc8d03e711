"""What is kept of prompts that have been computed, so that the next prompt with the same beginning need not compute it.

Prompts are cut into blocks of `BLOCK` tokens, and a block is known by a digest of everything up to its end. Invariants:
a block is never held without all blocks before it; at most `capacity` blocks are held; the least recently used goes
first, and of one prompt the last block first. What a block holds is the caller's affair.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import blake2b
from itertools import islice
from typing import Final, Generic, TypeVar

from pnyx.runtime.engines.transformers.cache import TILE

__all__ = ["BLOCK", "PrefixCache", "prefix_keys"]

BLOCK: Final = TILE
"""Tokens. As many as a tile, so that what follows a prefix is cut into tiles as it is without one."""

_Held = TypeVar("_Held")


def prefix_keys(tokens: Sequence[int]) -> tuple[bytes, ...]:
    """A key for each whole block of `tokens`: equal where all tokens up to the block's end are equal."""
    keys, digest = [], blake2b(digest_size=16)
    for start in range(0, len(tokens) - BLOCK + 1, BLOCK):
        digest.update(array("q", tokens[start : start + BLOCK]).tobytes())
        keys.append(digest.digest())
    return tuple(keys)


class PrefixCache(Generic[_Held]):
    """From the keys of a prompt to what is held of its blocks. `capacity` in blocks."""

    def __init__(self, capacity: int) -> None:
        self._blocks: OrderedDict[bytes, _Held] = OrderedDict()
        self._most = self.capacity = capacity

    def __len__(self) -> int:
        return len(self._blocks)

    def covers(self, keys: Sequence[bytes]) -> int:
        """How many of the first blocks are held. Does not count as use."""
        return next((at for at, key in enumerate(keys) if key not in self._blocks), len(keys))

    def find(self, keys: Sequence[bytes]) -> list[_Held]:
        """What is held of the first blocks."""
        found = keys[: self.covers(keys)]
        self._touch(found)
        return [self._blocks[key] for key in found]

    def keep(self, keys: Sequence[bytes], cut: Callable[[int], _Held]) -> None:
        """Hold a prompt's first blocks, as many as fit. `cut` gives what is to be held of a block, by its number; where
        it raises, the blocks before it are held."""
        keys = keys[: self.capacity]
        start = self.covers(keys)
        self._touch(keys[:start])
        self._shrink(self.capacity - (len(keys) - start))
        try:
            for number in range(start, len(keys)):
                self._blocks[keys[number]] = cut(number)
        finally:
            self._touch(keys[: self.covers(keys)])

    def surrender(self) -> None:
        """Drop everything, as memory lacks, and hold no more than half as much until `recover`."""
        self.capacity = len(self._blocks) // 2
        self._blocks.clear()

    def recover(self) -> None:
        self.capacity = self._most

    def _touch(self, keys: Sequence[bytes]) -> None:
        """The first block last: no block is older than one that needs it."""
        for key in reversed(keys):
            self._blocks.move_to_end(key)

    def _shrink(self, size: int) -> None:
        for key in [*islice(self._blocks, max(0, len(self._blocks) - size))]:
            del self._blocks[key]
