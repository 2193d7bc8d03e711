"""Where in a TOML file a key stands. The standard library's parser does not tell."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

__all__ = ["key_lines", "line_of"]

_HEADER = re.compile(r"\s*\[\[?([^\[\]]+)\]\]?\s*(#.*)?$")
_ENTRY = re.compile(r"\s*([^=#\[]+?)\s*=")


def key_lines(text: str) -> dict[tuple[str, ...], int]:
    """The line, from 1, where each key of a valid TOML text first stands, tables and dotted keys included."""
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.split("\n"), start=1):
        if header := _HEADER.match(line):
            path = table = _parts(header[1])
        elif entry := _ENTRY.match(line):
            path = table + _parts(entry[1])
        else:
            continue
        for depth in range(1, len(path) + 1):
            lines.setdefault(path[:depth], number)
    return lines


def line_of(lines: Mapping[tuple[str, ...], int], keys: tuple[str, ...]) -> int | None:
    """The line of `keys`, or of the nearest key around it (it may stand inside an inline table); None without one."""
    prefixes = (keys[:depth] for depth in range(len(keys), 0, -1))
    return next((lines[prefix] for prefix in prefixes if prefix in lines), None)


def _parts(key: str) -> tuple[str, ...]:
    """The parts of a key, `models."my model".id`; empty where the text is no key (a line inside a long string)."""
    try:
        value = tomllib.loads(f"{key} = 0")
    except tomllib.TOMLDecodeError:
        return ()
    parts: list[str] = []
    inner: object = value
    while isinstance(inner, dict):
        (part,) = inner
        parts.append(part)
        inner = inner[part]
    return tuple(parts)
