"""JSON with the place of every value and key, for messages that point into the file.

The standard library's reader forgets where things stand, and also takes what is no JSON (`NaN`). This one reads the
format of RFC 8259. Invariants: every value has the span of its text; a key may be there twice, in the order written;
the first fault ends the reading, and is located; nesting and number of values are bounded, so that no file takes
long or exhausts the stack.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from pnyx.compiler.source import Source, Span

__all__ = ["JsonArray", "JsonFault", "JsonMember", "JsonObject", "JsonScalar", "JsonValue", "read_json"]

_DEEPEST: Final = 64
_MOST_VALUES: Final = 50_000
# More digits than this are no number that a configuration means, and take long to convert.
_LONGEST_NUMBER: Final = 400

_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?P<fraction>\.[0-9]+)?(?P<exponent>[eE][+-]?[0-9]+)?")
_NUMBER_LIKE = re.compile(r"[-+.\w]+")
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_WORD = re.compile(r"[A-Za-z_]\w*")
_HEX = re.compile(r"[0-9a-fA-F]{4}")
_ESCAPES: Final = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None}
_HIGH, _LOW = range(0xD800, 0xDC00), range(0xDC00, 0xE000)


@dataclass(frozen=True, slots=True)
class JsonScalar:
    """A text, a number, `true`, `false` or `null`."""

    value: str | int | float | bool | None
    span: Span


@dataclass(frozen=True, slots=True)
class JsonArray:
    items: tuple[JsonValue, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class JsonMember:
    key: str
    value: JsonValue
    key_span: Span


@dataclass(frozen=True, slots=True)
class JsonObject:
    members: tuple[JsonMember, ...]
    span: Span


JsonValue: TypeAlias = JsonScalar | JsonArray | JsonObject


class JsonFault(ValueError):
    """What is no JSON, and where."""

    def __init__(self, message: str, span: Span, help: str | None = None) -> None:
        super().__init__(message)
        self.message, self.span, self.help = message, span, help


def read_json(source: Source) -> JsonValue:
    """The one value that the text is. Raises JsonFault.

    >>> read_json(Source("a.json", '{"n": 1}')).members[0].value.value
    1
    """
    reader = _Reader(source)
    value = reader.value(0)
    if (end := reader.skip_space()) < len(source.text):
        raise reader.fault("there is more text behind the end of the JSON", end, _WORD)
    return value


class _Reader:
    """Reads from `at` onwards."""

    def __init__(self, source: Source) -> None:
        self._source, self._text, self._at = source, source.text, 0
        self._values = 0

    def skip_space(self) -> int:
        found = _SPACE.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return self._at

    def fault(
        self, message: str, start: int, shown: re.Pattern[str] | None = None, help: str | None = None
    ) -> JsonFault:
        """At `start`, marking what `shown` matches there, else one character; at the end of the file its last one."""
        found = shown.match(self._text, start) if shown else None
        end = max(found.end() if found else 0, start + 1)
        start = min(start, max(len(self._text) - 1, 0))
        return JsonFault(message, Span(self._source, start, min(end, len(self._text))), help)

    def value(self, depth: int) -> JsonValue:
        start = self.skip_space()
        self._values += 1
        if self._values > _MOST_VALUES:
            raise self.fault(f"more than {_MOST_VALUES:,} values", start)
        match self._text[start : start + 1]:
            case "{":
                return self._object(start, depth)
            case "[":
                return self._array(start, depth)
            case '"':
                text = self._string(start)
                return JsonScalar(text, self._from(start))
            case "":
                raise self.fault("the file is empty" if not self._text.strip() else "the file ends too early", start)
            case first if first in "-0123456789":
                return self._number(start)
            case _:
                return self._constant(start)

    def _from(self, start: int) -> Span:
        return Span(self._source, start, self._at)

    def _deeper(self, depth: int, start: int) -> int:
        if depth >= _DEEPEST:
            raise self.fault(f"more than {_DEEPEST} values inside each other", start)
        return depth + 1

    def _object(self, start: int, depth: int) -> JsonObject:
        depth = self._deeper(depth, start)
        members: list[JsonMember] = []
        self._at = start + 1
        if self._closed("}"):
            return JsonObject((), self._from(start))
        while True:
            at = self.skip_space()
            if self._text[at : at + 1] != '"':
                raise self._unexpected("a key in double quotes", at, comma=bool(members))
            key = self._string(at)
            key_span = self._from(at)
            at = self.skip_space()
            if self._text[at : at + 1] != ":":
                raise self._unexpected(f"`:` behind the key `{key}`", at)
            self._at = at + 1
            members.append(JsonMember(key, self.value(depth), key_span))
            if self._separated("}"):
                return JsonObject(tuple(members), self._from(start))

    def _array(self, start: int, depth: int) -> JsonArray:
        depth = self._deeper(depth, start)
        items: list[JsonValue] = []
        self._at = start + 1
        if self._closed("]"):
            return JsonArray((), self._from(start))
        while True:
            at = self.skip_space()
            if items and self._text[at : at + 1] == "]":
                raise self._unexpected("a value", at, comma=True)
            items.append(self.value(depth))
            if self._separated("]"):
                return JsonArray(tuple(items), self._from(start))

    def _closed(self, bracket: str) -> bool:
        at = self.skip_space()
        if self._text[at : at + 1] != bracket:
            return False
        self._at = at + 1
        return True

    def _separated(self, bracket: str) -> bool:
        """Whether the bracket closes here; otherwise a comma was passed."""
        at = self.skip_space()
        if self._closed(bracket):
            return True
        if self._text[at : at + 1] != ",":
            raise self._unexpected(f"`,` or `{bracket}`", at)
        self._at = at + 1
        return False

    def _unexpected(self, wanted: str, at: int, *, comma: bool = False) -> JsonFault:
        if at >= len(self._text):
            return self.fault(f"the file ends where {wanted} is expected", at)
        help = "JSON takes no comma behind the last one" if comma and self._text[at] in "]}" else None
        return self.fault(f"{wanted} is expected here", at, _WORD, help)

    def _string(self, start: int) -> str:
        parts: list[str] = []
        self._at = start + 1
        while True:
            found = _PLAIN.match(self._text, self._at)
            assert found is not None
            parts.append(found[0])
            self._at = found.end()
            match self._text[self._at : self._at + 1]:
                case '"':
                    self._at += 1
                    return "".join(parts)
                case "\\":
                    parts.append(self._escape())
                case "":
                    raise self.fault("this text is not closed", start)
                case _:
                    raise self.fault("a text holds no line breaks or control characters", self._at, None, "write `\\n`")

    def _escape(self) -> str:
        start = self._at
        letter = self._text[start + 1 : start + 2]
        self._at = start + 2
        if letter in _ESCAPES:
            return _ESCAPES[letter]
        first = self._hex() if letter == "u" else None
        if first is None:
            raise JsonFault("unknown escape", Span(self._source, start, min(start + 2, len(self._text))))
        if first not in _HIGH and first not in _LOW:
            return chr(first)
        second = None
        if first in _HIGH and self._text.startswith("\\u", self._at):
            self._at += 2
            second = self._hex()
        if second is None or second not in _LOW:
            raise JsonFault("half of a surrogate pair is no character", self._from(start))
        return chr(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))

    def _hex(self) -> int | None:
        found = _HEX.match(self._text, self._at)
        if found is None:
            return None
        self._at = found.end()
        return int(found[0], 16)

    def _number(self, start: int) -> JsonScalar:
        found = _NUMBER.match(self._text, start)
        written = _NUMBER_LIKE.match(self._text, start)
        if found is None or written is None or found.end() != written.end():
            raise self.fault("a number that JSON does not know", start, _NUMBER_LIKE)
        self._at = found.end()
        span = self._from(start)
        if len(found[0]) > _LONGEST_NUMBER:
            raise JsonFault("a number of too many digits", span)
        whole = found["fraction"] is None and found["exponent"] is None
        value = int(found[0]) if whole else float(found[0])
        if value in (float("inf"), float("-inf")):
            raise JsonFault("a number that is too large", span)
        return JsonScalar(value, span)

    def _constant(self, start: int) -> JsonScalar:
        found = _WORD.match(self._text, start)
        if found is not None and found[0] in _WORDS:
            self._at = found.end()
            return JsonScalar(_WORDS[found[0]], self._from(start))
        word = found[0] if found else ""
        if word.lower() in _WORDS or word == "None":
            help = f"JSON writes it `{'null' if word == 'None' else word.lower()}`"
        else:
            help = "JSON has texts in double quotes, numbers, `true`, `false`, `null`, `[…]` and `{…}`"
        shown = f"`{word[:40]}`" if word else "this"
        raise self.fault(f"{shown} is no JSON value", start, _WORD, help)
