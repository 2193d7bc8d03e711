"""The key of a server.

Invariant: it is read from the environment and leaves this module in a request's header alone. It is in no message, no
repr and no pickle; a text that a server wrote is shown only after `hidden`.
"""

from __future__ import annotations

import os
from typing import NoReturn

from pnyx.runtime.errors import KeyRefused

__all__ = ["Key"]


class Key:
    """`variable` names the environment variable, None where the server takes no key."""

    __slots__ = ("_secret", "variable")

    def __init__(self, variable: str | None) -> None:
        self.variable = variable
        self._secret = "" if variable is None else _read(variable)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._secret}"} if self._secret else {}

    def hidden(self, text: str) -> str:
        """`text` without the key."""
        return text.replace(self._secret, "…") if self._secret else text

    def __repr__(self) -> str:
        return f"Key({self.variable!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not written anywhere")


def _read(variable: str) -> str:
    secret = os.environ.get(variable, "").strip()
    if not secret:
        raise KeyRefused(
            f"the environment variable `{variable}`, which should hold the server's key, is not set",
            help=f"set it, as in `export {variable}=…`",
        )
    if not (secret.isascii() and secret.isprintable()):
        raise KeyRefused(f"the environment variable `{variable}` holds characters that no key has")
    return secret
