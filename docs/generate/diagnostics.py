"""The tables of diagnostic codes."""

from __future__ import annotations

from pnyx.compiler.diagnostics import CODES

__all__ = ["table"]


def table(prefix: str) -> str:
    """The codes that begin with `E1`, `R8`, …"""
    rows = [f"| [{c.code}]({c.code}.md) | {c.title} |" for c in CODES.values() if c.code.startswith(prefix)]
    return "\n".join(["| code | what it says |", "|---|---|", *rows])
