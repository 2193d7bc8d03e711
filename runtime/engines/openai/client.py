"""The HTTP client: JSON out, bytes in, and failures of the one tree.

Of the clients at hand aiohttp takes least of the processor: see docs/engines.md. Invariants: nothing but a failure of
the tree leaves `ask`; a redirect is not followed, so the key goes to one server alone; cancelling `ask` closes the
connection, which tells the server to stop.
"""

from __future__ import annotations

import json
import os
from typing import Any, Final

import aiohttp

from pnyx.runtime.engines.openai.failures import status_failure
from pnyx.runtime.engines.openai.key import Key
from pnyx.runtime.errors import ConfigurationError, EngineFailure, ServerAway, ServerFailed, ServerUnusable

__all__ = ["Client"]

_CONNECT: Final = 10.0
"""Seconds to wait for a connection."""

_IDLE: Final = 3.0
"""Seconds that an unused connection is kept: less than servers do (uvicorn 5), or they close it as it is used."""

_LARGEST: Final = 1 << 28
"""Bytes of an answer: 256 MB, far above a thousand long samples with their log-probabilities."""


class Client:
    """`url`: where the API starts, without a slash at its end. `timeout`: seconds that the server may be silent. The
    connections belong to the event loop that asks first."""

    def __init__(self, url: str, key: Key, *, timeout: float, connections: int) -> None:
        self.url = url.rstrip("/")
        self._key, self._timeout, self._connections = key, timeout, connections
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def ask(self, path: str, body: dict[str, Any] | None = None) -> bytes:
        """The body of the answer to a POST of `body`, or to a GET without one. A `path` that starts with a slash is
        under the API's address, another under the server's own (`version`)."""
        address = self.url + path if path.startswith("/") else f"{self.url.removesuffix('/v1')}/{path}"
        timeout = aiohttp.ClientTimeout(sock_connect=_CONNECT, sock_read=self._timeout)
        try:
            async with self._opened().request(
                "GET" if body is None else "POST",
                address,
                data=None if body is None else json.dumps(body, separators=(",", ":")).encode(),
                headers={"Content-Type": "application/json", **self._key.headers},
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                said = await self._body(response)
                if response.status != 200:
                    raise status_failure(response.status, response.headers, said, server=self.url, key=self._key)
                return said
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._broken(error) from None

    async def close(self) -> None:
        self._closed = True
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._closed:
            raise EngineFailure(f"the engine that asks `{self.url}` is closed")
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=_IDLE)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        parts, size = [], 0
        async for part in response.content.iter_any():
            parts.append(part)
            size += len(part)
            if size > _LARGEST:
                raise ServerFailed(f"the server at `{self.url}` gives an answer without end", retryable=False)
        return b"".join(parts)

    def _broken(self, error: Exception) -> EngineFailure | ConfigurationError:
        """Nothing of an error's text is shown that may repeat what was sent."""
        server = f"the server at `{self.url}`"
        match error:
            case aiohttp.InvalidURL():
                return ConfigurationError(f"`{self.url}` is no address of a server")
            case aiohttp.ClientSSLError():
                return ServerUnusable(f"{server} has no certificate that this machine trusts")
            case aiohttp.ClientConnectorError():
                number = error.os_error.errno or 0  # not above 0 where no address was found
                reason = os.strerror(number) if number > 0 else error.os_error.strerror or str(error.os_error)
                return ServerAway(f"{server} cannot be reached: {reason.lower()}")
            case aiohttp.ConnectionTimeoutError():
                return ServerAway(f"{server} cannot be reached within {_CONNECT:g} seconds")
            case TimeoutError():
                return ServerFailed(
                    f"{server} was silent for {self._timeout:g} seconds",
                    help="`timeout` in pnyx.toml gives it more",
                )
            case aiohttp.ClientPayloadError():
                return ServerFailed(f"{server} broke off in the middle of an answer")
            case aiohttp.ClientResponseError():
                return ServerFailed(f"{server} does not speak HTTP")
            case _:
                return ServerFailed(f"{server} closed the connection")
