"""When a failed request is tried again.

What cannot succeed is not tried again; what may pass is tried three times in all; an engine that is overloaded, or
away, is asked more often, for about a minute, and left alone for as long as it asks. Waits double and are jittered by
the request's own seed, so failed requests do not come back all at once, and two runs wait alike.
"""

from __future__ import annotations

from random import Random

from pnyx.runtime.errors import EngineFailure, RuntimeFailure, ServerAway
from pnyx.runtime.request import Request

__all__ = ["TRIES", "TRIES_WITH_PATIENCE", "wait_before_next"]

TRIES = 3
TRIES_WITH_PATIENCE = 8
_LONGEST = 60.0
_PATIENCE = 600.0


def wait_before_next(failure: RuntimeFailure, tried: int, request: Request, backoff: float) -> float | None:
    """Seconds to wait after try number `tried` (from 1); None where it was the last one.

    A server that asks to be left alone for longer than ten minutes is taken to be gone.
    """
    may_come_back = isinstance(failure, ServerAway) or (isinstance(failure, EngineFailure) and failure.overloaded)
    asked = (isinstance(failure, EngineFailure) and failure.retry_after) or 0.0
    if not failure.retryable or tried >= (TRIES_WITH_PATIENCE if may_come_back else TRIES) or asked > _PATIENCE:
        return None
    chance = Random(request.seed + request.first + tried)
    own = min(backoff * 2.0 ** (tried - 1), _LONGEST) * chance.uniform(0.75, 1.25)
    return max(own, asked * chance.uniform(1.0, 1.1))
