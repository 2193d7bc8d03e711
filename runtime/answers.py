r"""Final answers in canonical text: two answers of one kind are equal exactly when their canonical texts are.

number
    Behind the most explicit marker (`\boxed{…}`, `####`, "final answer", "answer is", "Answer:"): the number right
    there, unless a calculation starts with it, else the last one; without a marker the last number of the text.
    Canonical: the exact decimal without separators, units, currency, percent sign or needless zeros (`1,000.50` →
    `1000.5`, `3/4` → `0.75`, `50%` → `50`), or a fraction in lowest terms where no decimal ends (`2/6` → `1/3`).
choice
    A letter A to J in a usual form, the most explicit form first, as a capital. The article "a" and the pronoun "I" are
    none.
boxed
    The last balanced `\boxed{…}`: as a number where it is one, else without spacing commands and needless white space.
code
    The last fenced block, without the line breaks around it; one that the reply leaves open runs to the end.
json
    The whole text, else its last object or array; keys sorted, no white space.
regex
    The first group (or all) of the last match, white space at the ends removed.
line
    The last line that is not blank, white space at the ends removed.

Invariants: no text raises; what is not there is None, never a guess. Only the last `TEXT_READ` characters are read.
"""

from __future__ import annotations

import json
import re
from typing import Any, assert_never

from pnyx.compiler.operators import AnswerKind
from pnyx.compiler.patterns import PatternFault, compile_pattern
from pnyx.runtime.numerals import Numeral, numerals

__all__ = ["TEXT_READ", "extract", "squeezed"]

TEXT_READ = 50_000
_JSON_WORK = 2_000_000
_JSON_START = re.compile(r"[\[{]")

_MARKERS = (
    re.compile(r"####"),
    re.compile(r"\bfinal\s+answer\b(?:\s+is\b)?", re.IGNORECASE),
    re.compile(r"\banswer\b[*_\s]{0,4}(?:is\b|:|=)|\banswer\s+(?:would|must|should|will)\s+be\b", re.IGNORECASE),
)
# Between a marker and a number right behind it.
_LEAD_IN = re.compile(r"(?:is|equals|approximately|about|exactly|therefore|[\s:=*_`$€£¥({\[\\≈~])*", re.IGNORECASE)
_OPERATOR = re.compile(r"\s*(?:[-+*/×÷^=·−]|\\(?:times|cdot|div)\b)")
_BRACES = re.compile(r"\\(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)
_RUN = re.compile(r"[\W_]{12,}")
_SPACING = re.compile(r"\\(?:left|right|displaystyle)\b|\\[,;!:> ]|\s+")
_FENCE = re.compile(r"^[ \t]*(```+|~~~+)[^\n`]*$", re.MULTILINE)

_LETTER = r"[*_`$({\[\s\"']*(?:\\(?:text|mathrm|mathbf)\s*\{\s*)?([A-Ja-j])(?![\w'’])"
_NAMED = r"[*_:\s]*(?:(?:the\s+)?(?:option|choice)\b)?" + _LETTER
_CHOICE_MARKERS = (
    re.compile(r"\b(?:answer|choice|option)\b[*_\s]*(?:is\b|:|=)" + _NAMED, re.IGNORECASE),
    re.compile(r"####" + _LETTER),
    re.compile(r"\bcorrect\s+(?:answer|option|choice|one)\b[*_\s]*(?:is\b|:)?" + _NAMED, re.IGNORECASE),
    re.compile(
        rf"\b(?:option|choice)[*_\s]*{_LETTER}[*_)\]\s]*is\s+(?:the\s+)?(?:correct|right|best)\b", re.IGNORECASE
    ),
)
_CHOICE_LINE = re.compile(
    r"^[\s*_`$\"']*(?:option|choice)?\s*[(\[]?([A-Ja-j])[)\].:]?[\s*_`$\"']*$", re.MULTILINE | re.IGNORECASE
)
_CHOICE_BRACKETS = re.compile(r"\(([A-J])\)")
_CHOICE_ITEM = re.compile(r"^[\s*_>-]*\(?([A-J])[).:](?=[\s*_])", re.MULTILINE)


def extract(kind: AnswerKind, text: str, pattern: str | None = None, after: str | None = None) -> str | None:
    """The canonical answer in `text`, or None. With `after` only what follows its last occurrence is read."""
    if after:
        at = text.rfind(after)
        if at < 0:
            return None
        text = text[at + len(after) :]
    text = text[-TEXT_READ:]
    match kind:
        case AnswerKind.NUMBER:
            return _number(text)
        case AnswerKind.CHOICE:
            return _choice(text)
        case AnswerKind.BOXED:
            return _boxed(text)
        case AnswerKind.CODE:
            return _code(text)
        case AnswerKind.JSON:
            return _json(text)
        case AnswerKind.REGEX:
            return _regex(text, pattern or "")
        case AnswerKind.LINE:
            return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), None)
        case _:
            assert_never(kind)


def squeezed(text: str) -> str:
    """The text with long runs of anything but letters and digits cut down, so that reading it takes linear time."""
    return _RUN.sub(lambda run: "\n" if "\n" in run[0] else " ", text)


def _number(text: str) -> str | None:
    text = text.replace("{,}", ",").replace(r"\$", "$").replace(r"\%", "%").replace("−", "-")
    inside = _last_boxed(text)
    if inside is not None and (found := list(numerals(inside))):
        return found[-1].value
    for marker in _MARKERS:
        at = _last(marker, text)
        if at is not None and (stated := _stated(text[at.end() :])) is not None:
            return stated.value
    found = list(numerals(text))
    return found[-1].value if found else None


def _stated(rest: str) -> Numeral | None:
    found = list(numerals(rest))
    if not found:
        return None
    first = found[0]
    lead_in = _LEAD_IN.match(rest)
    right_there = lead_in is not None and first.start <= lead_in.end()
    return first if right_there and not _OPERATOR.match(rest, first.end) else found[-1]


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    found = None
    for found in pattern.finditer(text):  # noqa: B007
        pass
    return found


def _choice(text: str) -> str | None:
    inside = _last_boxed(text)
    if inside is not None and (boxed := re.fullmatch(_LETTER + r"[\s})\].*]*", inside)):
        return boxed[1].upper()
    text = squeezed(text)
    for marker in _CHOICE_MARKERS:
        letters = [m[1].upper() for m in marker.finditer(text) if _names_option(m, text)]
        if letters:
            return letters[-1]
    alone = _CHOICE_LINE.findall(text)
    if alone:
        return str(alone[-1]).upper()
    for form in (_CHOICE_BRACKETS, _CHOICE_ITEM):
        letters = sorted(set(form.findall(text)))
        if len(letters) == 1:
            return letters[0]
        if letters:
            return None  # the options, told again
    return None


def _names_option(found: re.Match[str], text: str) -> bool:
    """Whether the letter stands for an option: "answer is A." does, "answer is a river" and "answer: I think" not."""
    letter, before, behind = found[1], text[found.start(1) - 1], text[found.end(1) :]
    if letter in "Bb" or letter not in "AaIi":
        return letter.isupper() or not re.match(r"\s*\w", behind)
    return before in "(*_[{`\"'" or not re.match(r"\s+(?!because\b|since\b|as\b|and\b|is\b)\w", behind)


def _boxed(text: str) -> str | None:
    inside = _last_boxed(text)
    if inside is None:
        return None
    plain = inside.strip().strip("$").strip().replace("{,}", ",").replace(r"\$", "$").replace(r"\%", "%")
    found = list(numerals(plain.replace("−", "-")))
    if len(found) == 1:
        around = plain[: found[0].start].strip("$€£¥+ ") + plain[found[0].end :].strip("%$. ")
        if not around:
            return found[0].value
    plain = plain.replace(r"\dfrac", r"\frac").replace(r"\tfrac", r"\frac")
    return " ".join(_SPACING.sub(" ", plain).split()) or None


def _last_boxed(text: str) -> str | None:
    r"""What is inside the `\boxed{…}` that closes last."""
    opened: list[int] = []
    inside = None
    for token in _BRACES.finditer(text):
        if token[0] == "}":
            start = opened.pop() if opened else -1
            if start >= 0:
                inside = text[start : token.start()]
        elif token[0].endswith("{") and token[0] != "\\{":
            opened.append(token.end() if len(token[0]) > 1 else -1)
    return inside


def _code(text: str) -> str | None:
    block, start, fence = None, None, ""
    for line in _FENCE.finditer(text):
        if start is None:
            start, fence = line.end() + 1, line[1]
        elif line[0].strip() == line[1] and line[1].startswith(fence):
            block, start = text[start : line.start()], None
    if start is not None and text[start:].strip():
        block = text[start:]
    block = block.rstrip().lstrip("\r\n") if block is not None else ""
    return block if block.strip() else None


def _json(text: str) -> str | None:
    try:
        return _dump(json.loads(text, parse_constant=_refuse))
    except (ValueError, RecursionError):
        pass
    decoder = json.JSONDecoder(parse_constant=_refuse)
    last = None
    at, work = 0, 0
    while work < _JSON_WORK and (start := _JSON_START.search(text, at)) is not None:
        at = start.end()
        try:
            last, at = decoder.raw_decode(text, start.start())
        except json.JSONDecodeError as error:
            work += max(1, error.pos - start.start())
        except (ValueError, RecursionError):
            work += 10_000
    return None if last is None else _dump(last)


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _dump(value: Any) -> str | None:
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (ValueError, RecursionError):
        return None
    return text.encode("utf-8", "replace").decode()


def _regex(text: str, pattern: str) -> str | None:
    """The last match. What is no pattern, which the compiler refuses, finds nothing: a plan may come from elsewhere."""
    try:
        compiled = compile_pattern(pattern)
        found = _last(compiled, text)
    except (PatternFault, UnicodeError):
        return None
    if found is None:
        return None
    answer = found[1] if compiled.groups else found[0]
    return answer.strip() or None if answer is not None else None
