"""How a reply becomes a value.

Invariant: a reply that does not say it clearly is None. Nothing is guessed, nothing raises; what counts as clear stands
at each reader.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import TypeAlias, assert_never

from pnyx.compiler.operators import AnswerKind, Reads
from pnyx.runtime.answers import TEXT_READ, extract, squeezed

__all__ = ["ReadValue", "read"]

ReadValue: TypeAlias = str | bool | float | int | tuple[int, ...] | tuple[str, ...]

_EMPHASIS = re.compile(r"[*_`]+")

_JUDGED = r"(?P<no>not\s+|in|un)?(?P<word>correct|right|valid|true|wrong|false)\b"
_VERDICT = re.compile(
    r"\bverdict\b\s*(?::|=|-|–|—|\bis\b)?\s*[\[(\"']*(?:(?:the|this)\s+(?:[a-z]+\s+){1,2}is\s+)?" + _JUDGED,
    re.IGNORECASE,
)
_BARE_VERDICT = re.compile(r"^\W*" + _JUDGED + r"\W*$", re.IGNORECASE | re.MULTILINE)
_STATED_VERDICT = re.compile(
    r"(?:^|[.!?\n])\s*(?:(?:yes|no|so|thus|hence|therefore|overall)\b,?\s*)?(?:the|this|your|it|that)\b(?:\s+(?:[a-z]+'?s?|\w)){0,3}?"
    r"\s+(?:is|was|are)\s+" + _JUDGED + r"\s*(?=[.!\n]|$)",
    re.IGNORECASE,
)
_ALTERNATIVE = re.compile(r"\s*(?:/|\||\bor\b)\s*(?:not\s+|in)?(?:correct|right|valid|true|wrong|false)", re.IGNORECASE)

_NUMBER = r"(?P<value>-?\d+(?:\.\d+)?)(?![\w%]|\.\d|\s*%)"
_GRADE = re.compile(
    r"\b(?:grade|score|rating)\b(?:\s*\([^()\n]{0,20}\))?\s*(?::|=|-(?=\s)|–|—|\bis\b|\bof\b)?\s*[\[(\"']*"
    + _NUMBER
    + r"(?P<scale>\s*(?:/|out\s+of)\s*(?P<most>\d+))?(?P<range>\s*(?:-|–|to)\s*\d)?",
    re.IGNORECASE,
)
_OUT_OF_TEN = re.compile(r"(?<![\w./-])" + _NUMBER + r"\s*(?:/|out\s+of)\s*10(?![\w/]|\.\d)", re.IGNORECASE)
_ONLY_NUMBER = re.compile(r"\s*" + _NUMBER + r"\s*\.?\s*")

_TEST_LINE = re.compile(
    r"^\W*(?:(?:unit\s+)?(?:test|case|criterion|item)s?)?\W*(?P<id>\d{1,4})\b(?P<rest>.*)$", re.IGNORECASE
)
_PASSED = re.compile(
    r"(?P<not>\b(?:not|never|doesn['’]t|didn['’]t|cannot)\s+)?\b(?P<what>pass|fail)(?:es|s|ed)?\b", re.IGNORECASE
)

_ID = r"(?:(?:answer|candidate|response|option)\s*)?[\[(#]{0,2}\s?(\d{1,4})\s?[\])]{0,2}"
_CHAINS = tuple(
    re.compile(rf"(?<![\w.\[(#]){_ID}(?:\s{{0,3}}{mark}\s{{0,3}}{_ID}){{1,1000}}", re.IGNORECASE)
    for mark in ("(?:>|≻)", ",")
)

_NAMED = re.compile(
    r"\b(?:answer|choice|option|label|category)\b\s{0,3}(?::|=|\bis\b)[ \t]{0,3}(?P<value>[^\n]{1,500})", re.IGNORECASE
)
_AROUND = " \t\r\n.,:;!?\"'()[]{}<>"
_NOT = r"(?P<no>\b(?:not|never|neither|nor|isn['’]t|than)\s+(?:(?:a|an|the|so|very|at|all)\s+){0,2})?"

# The letters themselves are capitals: "a" is an article.
_BETTER = re.compile(
    r"\b(?i:better|best|winner|answer|choice|verdict)\b\s{0,3}(?::|=|(?i:\bis\b))\s{0,3}"
    r"(?:(?i:answer|candidate|response|option)\s{1,3})?[\[(\"']{0,3}(?P<which>[AB])(?=[\])\"'.,;:\s]*(?:$|\n|(?i:because|since|is)\b))",
)
_ONLY_LETTER = re.compile(r"\W*(?:(?i:answer|candidate|response|option)\s{1,3})?[\[(\"']{0,3}(?P<which>[AB])\W*")
_STATED_BETTER = re.compile(
    r"(?:^|[.!?\n]|\b(?i:answer|candidate|response|option))\s{0,3}[\[(\"']{0,3}(?P<which>[AB])[\])\"']{0,3}\s{1,3}(?i:is)\s{1,3}"
    r"(?:(?i:the|clearly|much|slightly|far)\s{1,3}){0,2}(?i:better|best|stronger|superior|preferable|winner)\b"
)
_DOUBT = re.compile(r"\b(?:not|never|neither|nor|if|whether|either)\b|n['’]t\b", re.IGNORECASE)

_ITEM = re.compile(r"^(?P<indent>\s*)(?:[-*•+]|\*{0,2}\(?\d{1,3}[.)]\*{0,2})\s+(?P<item>\S.*)$")
_BARE_MARKER = re.compile(r"\W*\d{1,3}[.)]\W*")


def read(reads: Reads, text: str, *, size: int, count: int | None, options: tuple[str, ...] = ()) -> ReadValue | None:
    """The value of a reply, or None where it cannot be read.

    `size`: how many candidates are to be ordered, or tests to be judged; `count`: the most items of a list; `options`
    what is to be chosen from. The order is given as indices from 0.
    """
    match reads:
        case Reads.TEXT:
            return text
        case Reads.VERDICT:
            return _verdict(_plain(text))
        case Reads.GRADE:
            return _grade(_plain(text))
        case Reads.NUMBER:
            return _number(text)
        case Reads.PASSES:
            return _passes(_plain(text), size)
        case Reads.CHOICE:
            return _choice(_plain(text), options)
        case Reads.WINNER:
            return _winner(_plain(text))
        case Reads.ORDER:
            return _order(_plain(text), size)
        case Reads.LIST:
            return _items(text, count)
        case Reads.YES:
            return None  # read from probabilities, not from text
        case _:
            assert_never(reads)


def _plain(text: str) -> str:
    return squeezed(_EMPHASIS.sub("", text[-TEXT_READ:]))


def _verdict(text: str) -> bool | None:
    """The last "Verdict: …"; else lines that are a verdict alone; else sentences that state one, all the same."""
    explicit = _judged(_VERDICT, text)
    if explicit:
        return explicit[-1]
    for form in (_BARE_VERDICT, _STATED_VERDICT):
        found = set(_judged(form, text))
        if found:
            return found.pop() if len(found) == 1 else None
    return None


def _judged(form: re.Pattern[str], text: str) -> list[bool]:
    return [
        (match["word"].lower() in ("wrong", "false")) == bool(match["no"])
        for match in form.finditer(text)
        if not _ALTERNATIVE.match(text, match.end())
    ]


def _grade(text: str) -> float | None:
    """The last "Grade: 7"; else one "7/10"; else a reply that is a number alone. Outside 1 to 10 it is no grade."""
    explicit = [m for m in _GRADE.finditer(text) if not m["range"]]
    if explicit:
        last = explicit[-1]
        return _within(last["value"]) if last["most"] in (None, "10") else None
    shares = {m["value"] for m in _OUT_OF_TEN.finditer(text)}
    if shares:
        return _within(shares.pop()) if len(shares) == 1 else None
    alone = _ONLY_NUMBER.fullmatch(text)
    return _within(alone["value"]) if alone else None


def _within(value: str) -> float | None:
    grade = float(value)
    return grade if 1 <= grade <= 10 else None


def _number(text: str) -> float | None:
    """What `extract(number)` reads."""
    answer = extract(AnswerKind.NUMBER, text)
    if answer is None:
        return None
    top, _, bottom = answer.partition("/")
    value = float(top) / float(bottom or 1)
    return value if isfinite(value) else None


def _passes(text: str, size: int) -> int | None:
    """One line for each test: its number first, then whether it passes. A test that is not judged, or both ways, makes
    the reply unreadable."""
    judged: dict[int, set[bool]] = {}
    for line in text.splitlines():
        found = _TEST_LINE.match(line)
        if found is None:
            continue
        verdicts = {(m["what"].lower() == "pass") != bool(m["not"]) for m in _PASSED.finditer(found["rest"])}
        if len(verdicts) == 1:
            judged.setdefault(int(found["id"]), set()).update(verdicts)
    wanted = [judged.get(number, set()) for number in range(1, size + 1)]
    return sum(True in verdicts for verdicts in wanted) if all(len(verdicts) == 1 for verdicts in wanted) else None


def _choice(text: str, options: tuple[str, ...]) -> str | None:
    """The option that is the whole reply; else the one that the last "Answer: …" names, the last line if it is one, or
    the only one that the reply says, as whole words and not behind a "not"."""
    whole = _option(text, options)
    if whole is not None:
        return whole
    named = [found["value"] for found in _NAMED.finditer(text)]
    if named:
        return _option(named[-1], options) or _said(named[-1], options)
    lines = [line for line in text.splitlines() if line.strip()]
    last = _option(lines[-1], options) if lines else None
    return last if last is not None else _said(text, options)


def _option(text: str, options: tuple[str, ...]) -> str | None:
    """The option that this text is, spelt the same or else the only one spelt the same but for case."""
    told = text.strip(_AROUND)
    if told in options:
        return told
    alike = [option for option in options if _folded(option) == _folded(told)]
    return alike[0] if len(alike) == 1 else None


def _folded(text: str) -> str:
    return " ".join(text.strip(_AROUND).casefold().split())


def _said(text: str, options: tuple[str, ...]) -> str | None:
    """The only option that occurs. A single letter or sign occurs by chance, so those are not looked for; of options
    within one another the longest counts."""
    if not options or min(map(len, options)) < 2:
        return None
    longest_first = "|".join(map(re.escape, sorted(options, key=len, reverse=True)))
    found = list(re.finditer(rf"{_NOT}(?<!\w)(?P<option>{longest_first})(?!\w)", text, re.IGNORECASE))
    if any(match["no"] for match in found):
        return None
    told = {_option(match["option"], options) for match in found}
    return told.pop() if len(told) == 1 else None


def _winner(text: str) -> str | None:
    """The last "Better: A"; else a reply, or a last line, that is one letter; else sentences that state one, all the
    same and none in doubt."""
    named = [found["which"] for found in _BETTER.finditer(text)]
    if named:
        return str(named[-1])
    lines = [line for line in text.splitlines() if line.strip()]
    alone = _ONLY_LETTER.fullmatch(lines[-1]) if lines else None
    if alone is not None:
        return alone["which"]
    stated = set()
    for found in _STATED_BETTER.finditer(text):
        before = re.split(r"[.!?\n]", text[: found.start("which")])[-1]
        if _DOUBT.search(before):
            return None
        stated.add(found["which"])
    return str(stated.pop()) if len(stated) == 1 else None


def _order(text: str, size: int) -> tuple[int, ...] | None:
    """The last chain "[2] > [1] > [3]", else the last "2, 1, 3", when it names every candidate once."""
    if size <= 1:
        return tuple(range(size))
    for chain in _CHAINS:
        found = None
        for found in chain.finditer(text):  # noqa: B007
            pass
        if found is not None:
            order = tuple(int(number) - 1 for number in re.findall(r"\d+", found[0]))
            return order if sorted(order) == list(range(size)) else None
    return None


def _items(text: str, count: int | None) -> tuple[str, ...] | None:
    """Numbered or bulleted items, each with the lines that continue it; without any marker every line that says
    something is one."""
    lines = text.splitlines()
    items: list[str] = []
    indent, open_item = -1, False
    for line in lines:
        found = _ITEM.match(line)
        if found is not None and (indent < 0 or len(found["indent"]) <= indent + 1):
            indent = max(indent, len(found["indent"]))
            items.append(found["item"].strip())
            open_item = True
        elif open_item and line.strip():
            items[-1] += "\n" + line.strip()
        else:
            open_item = False
    if not items:
        items = [line.strip() for line in lines if any(c.isalnum() for c in line) and not _BARE_MARKER.fullmatch(line)]
    return tuple(items[:count]) or None
