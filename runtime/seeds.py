"""Seeds: where every draw of a run comes from.

Invariant: a seed depends on the run's seed, the question, the meaning of the node, the candidate asked about and the
try, and on nothing else: not on the order of arrival, the batch, the number of samples or the rest of the plan.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b

from pnyx.runtime.request import Message

__all__ = ["example_key", "seed_for"]


def seed_for(run_seed: int, example: str, stream: str, candidate: str, attempt: int) -> int:
    """The base seed of a request, in [0, 2**62); sample k of it is drawn with the base seed + k."""
    text = f"{run_seed}\0{example}\0{stream}\0{candidate}\0{attempt}"
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 2


def example_key(messages: Sequence[Message]) -> str:
    """Names a question by its messages: the same question in another row or file has the same samples."""
    text = json.dumps([(m.role, m.content) for m in messages], separators=(",", ":"))
    return blake2b(text.encode(), digest_size=12).hexdigest()
