"""Chance from hashes: every random-looking quantity of the simulated world is a function of what it is about.

Invariant: nothing here has state, so no draw depends on the draws before it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import blake2b

from pnyx.compiler.operators import Sampling

__all__ = ["DIGEST_BYTES", "Draw", "digest", "logistic", "logistic_noise", "unit"]

DIGEST_BYTES = 64
_SLOTS = DIGEST_BYTES // 8


def digest(*parts: object) -> bytes:
    """64 bytes that depend on every part; no two different lists of parts give the same text to hash."""
    hashed = blake2b(digest_size=DIGEST_BYTES)
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")
        hashed.update(b"%d:" % len(data))
        hashed.update(data)
    return hashed.digest()


def unit(source: bytes, slot: int = 0) -> float:
    """A number strictly between 0 and 1, uniform over digests; eight independent slots."""
    start = 8 * (slot % _SLOTS)
    return ((int.from_bytes(source[start : start + 8], "big") >> 12) + 0.5) / (1 << 52)


def logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-min(max(x, -60.0), 60.0)))


def logistic_noise(chance: float) -> float:
    """The quantile of the standard logistic distribution: P(x + noise > 0) is `logistic(x)`."""
    return math.log(chance / (1.0 - chance))


@dataclass(frozen=True, slots=True)
class Draw:
    """What decides one sample: a digest of the model, the messages and the sample's seed, and how it is drawn.

    `steady` leaves out the seed; at temperature 0 it is also the `source`. Slots 0 to 3 decide what is said, the last
    32 bytes how.
    """

    source: bytes
    steady: bytes
    sampling: Sampling

    def unit(self, slot: int) -> float:
        return unit(self.source, slot)

    def noise(self, *about: object) -> float:
        """Logistic noise of this sample about one thing among several."""
        return logistic_noise(unit(digest(self.source, *about)))

    @property
    def style(self) -> bytes:
        return self.source[32:]

    @property
    def looseness(self) -> float:
        """The probability that the sample goes its own way instead of the greedy one's."""
        return min(self.sampling.temperature, 1.0)

    @property
    def loose(self) -> bool:
        return unit(self.source, 1) < self.looseness

    @property
    def chance(self) -> float:
        """What decides between outcomes: the sample's own unless it follows the greedy one."""
        return unit(self.source if self.loose else self.steady)
