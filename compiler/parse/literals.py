"""What number and string literals stand for.

Invariants: a number is finite and, where it is whole, fits 64 bits; reading never raises anything but `LiteralFault`.
"""

from __future__ import annotations

import math
import re
import textwrap
from decimal import Decimal
from typing import Final

__all__ = ["LARGEST", "LiteralFault", "read_number", "read_string"]

LARGEST: Final = 2**63 - 1
_LONGEST_NUMBER: Final = 64
_MULTIPLIERS: Final = {"k": 10**3, "M": 10**6, "B": 10**9}
_UNITS: Final = ("s", "m", "h")
_ESCAPES: Final = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}
_NUMBER = re.compile(r"(\$?)([0-9][0-9_]*)(\.[0-9][0-9_]*)?([eE][+-]?[0-9]+)?([A-Za-z0-9_]*)")
_ESCAPE = re.compile(r"\\(?:u\{([^}\"]*)\}|([\s\S]))")
_SUFFIX_HELP: Final = "numbers end in `k`, `M`, `B` (thousand, million, billion) or `s`, `m`, `h` (durations)"


class LiteralFault(Exception):
    """A literal that cannot be read: code, message, place inside its text, and the way out."""

    def __init__(self, code: str, message: str, start: int, end: int, help: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.start, self.end, self.help = code, message, start, end, help


def read_number(text: str) -> tuple[int | float, str | None]:
    """The value with its suffix applied, and the unit (`s`, `m`, `h`, `$`)."""
    match = _NUMBER.fullmatch(text)
    if match is None or len(text) > _LONGEST_NUMBER:
        help = f"a number has at most {_LONGEST_NUMBER} characters"
        raise LiteralFault("E106", f"a number of {len(text)} characters is too long", 0, len(text), help)
    money, whole, fraction, exponent, suffix = match.groups(default="")
    if suffix and suffix not in _MULTIPLIERS and (suffix not in _UNITS or money):
        raise LiteralFault("E106", f"unknown suffix `{suffix}` of a number", match.start(5), match.end(5), _SUFFIX_HELP)
    digits = (whole + fraction + exponent).replace("_", "")
    value = _value(digits, is_float=bool(fraction or exponent), multiplier=_MULTIPLIERS.get(suffix))
    if value is None:
        help = f"whole numbers go up to {LARGEST:_}, others from about 1e-308 to 1e308"
        raise LiteralFault("E106", f"`{text}` is too large or too small for a number", 0, len(text), help)
    return value, "$" if money else suffix if suffix in _UNITS else None


def _value(digits: str, *, is_float: bool, multiplier: int | None) -> int | float | None:
    if is_float and multiplier is None:
        value = float(digits)
        underflow = value == 0 and bool(re.search(r"[1-9]", re.split("[eE]", digits)[0]))
        return value if math.isfinite(value) and not underflow else None
    if is_float:
        exact = Decimal(digits)
        if abs(exact.adjusted()) > 30:
            return None
        exact *= multiplier or 1
        whole = int(exact)
        if whole != exact:
            return float(exact)
    else:
        whole = int(digits) * (multiplier or 1)
    return whole if whole <= LARGEST else None


def read_string(text: str) -> str:
    """The value of a string literal, quotes included.

    Between single quotes escapes are resolved. Between triple quotes the text stands as it is (backslashes too, so that
    LaTeX and patterns can be written plainly), without the line break behind the opening quotes, and dedented.
    """
    if text.startswith('"""'):
        inner = text[3:-3].replace("\r\n", "\n")
        return textwrap.dedent(inner[1:] if inner.startswith("\n") else inner)
    if "\\" not in text:
        return text[1:-1]
    return _ESCAPE.sub(_unescape, text[1:-1])


def _unescape(match: re.Match[str]) -> str:
    start, end = match.start() + 1, match.end() + 1
    hexadecimal, char = match.groups()
    if hexadecimal is None and char in _ESCAPES:
        return _ESCAPES[char]
    if hexadecimal is None:
        known = 'escapes are `\\n`, `\\t`, `\\"`, `\\\\` and `\\u{…}`; a backslash is written `\\\\`'
        raise LiteralFault("E108", f"unknown escape `{match.group()}`", start, end, known)
    code = int(hexadecimal, 16) if re.fullmatch(r"[0-9a-fA-F]{1,6}", hexadecimal) else -1
    if not 0 <= code <= 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise LiteralFault("E108", f"`{match.group()}` is no Unicode character", start, end, "write 1 to 6 hex digits")
    return chr(code)
