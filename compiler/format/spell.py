"""Spell: literals, names of types and signs as text that reads back as the same value."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from typing import Final

from pnyx.compiler.modules import MODULE_SUFFIXES
from pnyx.compiler.parse.literals import LiteralFault, read_number, read_string
from pnyx.compiler.syntax import Import, Number, Text, TypeExpr

__all__ = ["spell_import", "spell_number", "spell_text", "spell_type"]

_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}
_UNITS: Final = ("s", "m", "h")
_LARGE: Final = (("B", 10**9), ("M", 10**6))
_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


def spell_number(number: Number) -> str:
    """The author's spelling (`2_000`, `2k`) where the node's text has the value; a plain one otherwise."""
    own_unit = number.unit if number.unit in (*_UNITS, "$") else None
    word = f" {number.unit}" if number.unit is not None and own_unit is None else ""
    written = number.span.text.split(maxsplit=1)
    if written and _reads_as(written[0], number.value, own_unit):
        return written[0] + word
    digits = repr(number.value)
    if isinstance(number.value, int) and own_unit not in _UNITS:
        suffix, size = next(((s, n) for s, n in _LARGE if number.value and number.value % n == 0), ("", 1))
        digits = f"{number.value // size}{suffix}"
    return f"${digits}{word}" if own_unit == "$" else f"{digits}{own_unit or ''}{word}"


def _reads_as(text: str, value: float, unit: str | None) -> bool:
    try:
        read, read_unit = read_number(text)
    except LiteralFault:
        return False
    return type(read) is type(value) and read == value and read_unit == unit


def spell_text(text: Text, indent: int) -> str:
    """In the author's kind of quotes where they can hold the text; the lines of a long one stand under `indent`."""
    if text.triple:
        long = _long(text.value, indent)
        if '"""' not in text.value and _is_plain(text.value) and read_string(long) == text.value:
            return long
    return '"' + "".join(_escaped(char) for char in text.value) + '"'


def _long(value: str, indent: int) -> str:
    if "\n" not in value:
        return f'"""{value}"""'
    inner = textwrap.indent(value, " " * (indent + 4), lambda line: bool(line.strip("\n")))
    return f'"""\n{inner}{" " * indent if value.endswith(chr(10)) else ""}"""'


def _is_plain(value: str) -> bool:
    return all(char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cs") for char in value)


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    # Half a character is no character to escape; only a text that came from no file can have one.
    plain = char.isprintable() or unicodedata.category(char) == "Cs"
    return char if plain else f"\\u{{{ord(char):x}}}"


def spell_import(node: Import) -> str:
    """A path of names stands without quotes, unless it is the name of a file."""
    if _PATH.fullmatch(node.path) and not node.path.endswith(MODULE_SUFFIXES):
        return f"import {node.path}"
    return f"import {spell_text(Text(value=node.path, span=node.span), 0)}"


def spell_type(node: TypeExpr) -> str:
    text = node.name
    if node.size is not None:
        low, high = node.size
        text += f"[{low}]" if low == high else f"[{low}..{'' if high is None else high}]"
    elif node.arguments:
        text += f"[{' -> '.join(spell_type(argument) for argument in node.arguments)}]"
    if node.fields is not None:
        text += f"{{{', '.join(node.fields)}}}"
    return text + ("?" if node.optional else "")
