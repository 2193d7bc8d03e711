"""What a server's refusal means: every status, and every way in which a connection breaks, as one failure of the tree.

| seen | failure | tried again |
|---|---|---|
| 401, 403 | KeyRefused, names the variable | no |
| 404 | ModelNotFound | no |
| 400, 413, 422 that speak of the context | PromptTooLong | no |
| 400, 403, 422 that speak of a content filter | ReplyRefused | no |
| other 4xx, redirects | EngineFailure | no |
| 408, 409, 425, 429, 503, 529 | ServerBusy, with `Retry-After` | yes, for about a minute |
| connection refused, 502, 504 | ServerAway | yes, for about a minute |
| other 5xx, connection reset, half a body, silence | ServerFailed | yes |
| a certificate that is not trusted | ServerUnusable | no |
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from pnyx.runtime.engines.openai.key import Key
from pnyx.runtime.errors import (
    EngineFailure,
    KeyRefused,
    ModelNotFound,
    PromptTooLong,
    ReplyRefused,
    RuntimeFailure,
    ServerAway,
    ServerBusy,
    ServerFailed,
)

__all__ = ["ContextExceeded", "retry_after", "status_failure"]

_BUSY: Final = frozenset({408, 409, 425, 429, 503, 529})
_AWAY: Final = frozenset({502, 504})
_LONGEST: Final = 300  # characters of a server's message that are shown
_MOST_WAIT: Final = 24 * 3600.0

_CONTEXT = re.compile(
    r"context_length_exceeded|context (?:length|window|size)|too long|too many (?:input )?tokens", re.IGNORECASE
)
_FILTER = re.compile(r"content[_ ](?:filter|policy|management)|safety|moderation|flagged", re.IGNORECASE)
_HOLDS = re.compile(r"(?:context (?:length|window|size)|maximum)\D{0,40}?(\d+)", re.IGNORECASE)
_ASKED = re.compile(
    r"(?:prompt contains|request has|input has|\()\s*(?:at least\s+)?(\d+)"
    r"\s*(?:input tokens|tokens|in (?:the|your) (?:messages|prompt))",
    re.IGNORECASE,
)


class ContextExceeded(PromptTooLong):
    """`left`: tokens that a reply to this prompt may have, where the server said so; above 0 only max_tokens was too
    large."""

    def __init__(self, message: str, left: int | None) -> None:
        super().__init__(message)
        self.left = left


def status_failure(status: int, headers: Mapping[str, str], body: bytes, *, server: str, key: Key) -> RuntimeFailure:
    """The failure that an answer with this status is."""
    code, said = _message(body)
    said = key.hidden(said)
    told = f": {said}" if said else ""
    if status in (400, 403, 413, 422):
        if _CONTEXT.search(f"{code} {said}"):
            return ContextExceeded(f"the server at `{server}` finds the prompt too long{told}", _left(said))
        if _FILTER.search(f"{code} {said if status != 403 else ''}"):
            return ReplyRefused(f"the server at `{server}` declines to answer this prompt{told}")
    if status in (401, 403):
        return _refused_key(status, server, key)
    if status == 404:
        return ModelNotFound(f"the server at `{server}` does not know this model or address{told}")
    if status in _BUSY:
        return ServerBusy(
            f"the server at `{server}` has no room now ({status}){told}",
            retry_after=retry_after(headers),
            help="ask it later; a smaller `window` in pnyx.toml asks for less at once",
        )
    if status >= 500:
        message, after = f"the server at `{server}` failed ({status}){told}", retry_after(headers)
        return (ServerAway if status in _AWAY else ServerFailed)(message, worked=False, retry_after=after)
    if 300 <= status < 400:
        message = f"the server at `{server}` sends requests elsewhere ({status})"
        return EngineFailure(message, worked=False, help="set `url` to where its API is")
    return EngineFailure(f"the server at `{server}` rejects the request ({status}){told}", worked=False)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a `Retry-After` header, given as a number or as a date; None without one that can be read. A date is
    read by the server's own clock where it says what that shows: this machine's may be off."""
    value = headers.get("Retry-After", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        when = _date(value)
        if when is None:
            return None
        now = _date(headers.get("Date", "")) or datetime.fromtimestamp(time.time(), UTC)
        seconds = (when - now).total_seconds()
    return None if math.isnan(seconds) else min(max(seconds, 0.0), _MOST_WAIT)


def _date(value: str) -> datetime | None:
    try:
        when = parsedate_to_datetime(value.strip())
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _refused_key(status: int, server: str, key: Key) -> KeyRefused:
    """What the server says is not shown: some repeat parts of the key."""
    if key.variable is None:
        return KeyRefused(
            f"the server at `{server}` wants a key ({status})",
            help='put it into an environment variable and name that in pnyx.toml: `key_env = "OPENAI_API_KEY"`',
        )
    return KeyRefused(
        f"the server at `{server}` does not accept the key in the environment variable `{key.variable}` ({status})",
        help="see that it is that server's key, and that it may use this model",
    )


def _left(said: str) -> int | None:
    holds, asked = _HOLDS.search(said), _ASKED.search(said)
    return int(holds[1]) - int(asked[1]) if holds and asked else None


def _message(body: bytes) -> tuple[str, str]:
    """Code and message of an error's body: `{"error": {"code", "type", "message"}}`, `{"message"}`, `{"detail"}`, or
    plain text."""
    text = body[:100_000].decode("utf-8", "replace")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return "", _short(re.sub(r"<[^>]*>", " ", text))
    error = found.get("error", found) if isinstance(found, dict) else found
    if isinstance(error, dict):
        said = next((error[name] for name in ("message", "detail", "error") if error.get(name)), "")
        return " ".join(str(error.get(name) or "") for name in ("code", "type")), _short(str(said))
    return "", _short(str(error))


def _short(text: str) -> str:
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
