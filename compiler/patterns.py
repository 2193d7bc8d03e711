"""Regular expressions that programs write: RE2's, so that matching takes linear time whatever pattern and text."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

__all__ = ["Pattern", "PatternFault", "compile_pattern"]

Pattern = Any
"""A compiled pattern, with the methods of `re.Pattern`."""


class PatternFault(ValueError):
    """Not a pattern; `str()` says why."""


@lru_cache(maxsize=256)
def compile_pattern(text: str) -> Pattern:
    """Raises PatternFault. RE2 has neither look-around nor back-references."""
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except (re2.error, UnicodeError) as error:
        reason = error.args[0] if error.args else error
        raise PatternFault(reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)) from None
