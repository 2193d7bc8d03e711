"""Diagnostics as text for a person."""

from __future__ import annotations

from collections.abc import Iterable

from pnyx.compiler.diagnostics.diagnostic import Diagnostic

__all__ = ["render", "render_all"]


def render(diagnostic: Diagnostic, *, colour: bool = False) -> str:
    raise NotImplementedError


def render_all(diagnostics: Iterable[Diagnostic], *, colour: bool = False) -> str:
    return "\n".join(render(d, colour=colour) for d in diagnostics)
