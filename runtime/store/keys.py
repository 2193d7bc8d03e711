"""Under which key a sample is stored: everything that decides what the engine answers, and nothing else.

Invariants
- Sample k of a request has the key of the single sample with seed `seed + k`, so a request for more samples finds those
  that were drawn for fewer.
- What a request is about (`subject`), how urgent it is and how its samples are grouped is not in the key; every other
  field of a request is, also one that is added later.
- Samples with log-probabilities have a key of their own; where the key without them has nothing, they answer too.
"""

from __future__ import annotations

from dataclasses import fields, replace
from functools import lru_cache
from hashlib import blake2b
from operator import attrgetter

from pnyx.compiler.operators import Sampling
from pnyx.runtime.engines.engine import EngineInfo
from pnyx.runtime.request import Request

__all__ = ["KEY_BYTES", "Keys", "identity_of"]

KEY_BYTES = 16
_NOT_IN_THE_KEY = {"n", "first", "seed", "subject", "priority"}
_ENCODED_APART = {"messages", "sampling"}
_OTHERS = tuple(f.name for f in fields(Request) if f.name not in _NOT_IN_THE_KEY | _ENCODED_APART)
_others = attrgetter(*_OTHERS)


def identity_of(info: EngineInfo) -> str:
    """What stands behind a logical model, as one text. The context is part of it: a reply may be cut by it."""
    return " ".join(filter(None, (info.engine, info.model, info.variant, f"context={info.context}")))


class Keys:
    """The keys of the requests to one engine."""

    __slots__ = ("_root",)

    def __init__(self, info: EngineInfo) -> None:
        self._root = blake2b(identity_of(info).encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES)

    def of(self, request: Request) -> list[bytes]:
        """One for every sample; one for choices, or for continuations."""
        draws = not (request.choices or request.continuations)
        if not (draws or request.logprobs):  # nobody gives log-probabilities of what is not drawn
            request = replace(request, logprobs=True)
        said = self._root.copy()
        parts = [_sampling(request.sampling), _form(_others(request))]
        for message in request.messages:
            content = message.content.encode("utf-8", "surrogatepass")
            parts.append(b"%s %d:" % (message.role.encode(), len(content)))
            parts.append(content)
        said.update(b"".join(parts))
        first = request.seed + request.first
        made = []
        for seed in range(first, first + (request.n if draws else 1)):
            seeded = said.copy()
            seeded.update(b"seed %d" % seed)
            made.append(seeded.digest())
        return made

    def richer(self, request: Request) -> list[bytes]:
        """Those of the same samples with log-probabilities, where the request wants none; else nothing."""
        draws = not (request.choices or request.continuations)
        return [] if request.logprobs or not draws else self.of(replace(request, logprobs=True))


@lru_cache(maxsize=1024)
def _form(others: tuple[object, ...]) -> bytes:
    return repr(others).encode("utf-8", "backslashreplace")


@lru_cache(maxsize=1024)
def _sampling(sampling: Sampling) -> bytes:
    told = ", ".join(f"{name}={value!r}" for name, value in sampling.told().items())
    return b"\0%s\0" % f"Sampling({told})".encode("utf-8", "backslashreplace")
