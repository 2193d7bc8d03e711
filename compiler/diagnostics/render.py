"""Diagnostics as text for a person.

Invariants: marks stand under the characters they mean, whatever their width; no line break, control or direction
character of the source reaches the terminal; a line is never shown wider than about `_WIDEST` columns, nor is more of
a long line looked at than that.
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pnyx.compiler.diagnostics.diagnostic import Diagnostic, Label
from pnyx.compiler.source import Source

__all__ = ["render", "render_all"]

_WIDEST: Final = 140
_NARROWEST: Final = 40
_TAB: Final = 4
_RESET: Final = "\x1b[0m"
_STYLES: Final = {"error": "\x1b[1;31m", "warning": "\x1b[1;33m", "frame": "\x1b[1;34m", "help": "\x1b[1;36m"}
_STRONG: Final = "\x1b[1m"


def render(diagnostic: Diagnostic, *, colour: bool = False, columns: int | None = None) -> str:
    """The diagnostic with the source lines it speaks of, without a line break at the end.

    With `columns`, the width of a terminal, texts are folded between words and longer source lines shown in part.
    """
    level = "warning" if diagnostic.code.startswith("W") else "error"
    paint = _Paint(colour, level)
    code = f"{level}[{diagnostic.code}]"
    first, *rest = _folded(f"{code}: {_visible(diagnostic.message)}", columns)
    lines = [paint(code, level) + paint(first.removeprefix(code), "strong"), *(paint(line, "strong") for line in rest)]
    width = 1
    if diagnostic.primary:
        frames = _frames(diagnostic.primary, diagnostic.secondary, columns)
        width = max(len(str(line.number)) for frame in frames for line in frame.lines)
        for index, frame in enumerate(frames):
            lines += frame.render(paint, width, "-->" if index == 0 else ":::")
    if diagnostic.help:
        indent = f"{' ' * (width + 2)}= "
        first, *rest = _folded(f"help: {_visible(diagnostic.help)}", columns, len(indent))
        lines.append(paint(indent, "frame") + paint("help", "help") + first.removeprefix("help"))
        lines += (" " * (len(indent) + len("help: ")) + line.strip() for line in rest)
    return "\n".join(lines)


def render_all(diagnostics: Iterable[Diagnostic], *, colour: bool = False, columns: int | None = None) -> str:
    """All of them, an empty line between two."""
    return "\n\n".join(render(d, colour=colour, columns=columns) for d in diagnostics)


@dataclass(frozen=True, slots=True)
class _Paint:
    on: bool
    level: str

    def __call__(self, text: str, style: str) -> str:
        if not self.on or not text:
            return text
        return f"{_STRONG if style == 'strong' else _STYLES[style]}{text}{_RESET}"

    def mark(self, text: str, *, primary: bool) -> str:
        return self(text, self.level if primary else "frame")


@dataclass(frozen=True, slots=True)
class _Mark:
    """Columns `start` (included) to `end` (excluded) of a shown line."""

    start: int
    end: int
    text: str
    primary: bool


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    text: str
    marks: tuple[_Mark, ...]
    widest: int

    def render(self, paint: _Paint, width: int) -> list[str]:
        empty = paint(f"{' ' * (width + 2)}|", "frame")
        number = paint(f" {self.number:>{width}} |", "frame")
        rows = [f"{number} {self.text}".rstrip() if self.text.strip() else number]
        rows += [f"{empty} {row}" for row in (self._underlines(paint) if self.marks else ())]
        return rows

    def _underlines(self, paint: _Paint) -> list[str]:
        """The marks; the text of the last one beside it, those of the others below, from right to left."""
        cells: dict[int, tuple[str, bool]] = {}
        for mark in sorted(self.marks, key=lambda m: m.primary):
            for column in range(mark.start, mark.end):
                cells[column] = ("^" if mark.primary else "-", mark.primary)
        ordered = sorted(self.marks, key=lambda m: (m.start, m.end))
        last = ordered[-1]
        fits = last.end + 1 + len(_visible(last.text)) <= self.widest
        beside = fits and last.end >= max(mark.end for mark in ordered)
        row = _row(paint, cells)
        if beside and last.text:
            row += " " + paint.mark(_visible(last.text), primary=last.primary)
        rows = [row]
        waiting = [mark for mark in (ordered[:-1] if beside else ordered) if mark.text]
        while waiting:
            mark = waiting.pop()
            stems = {other.start: ("|", other.primary) for other in waiting if other.start < mark.start}
            if not rows[1:]:
                rows.append(_row(paint, stems | {mark.start: ("|", mark.primary)}))
            text = paint.mark(_visible(mark.text), primary=mark.primary)
            rows.append(_row(paint, stems, mark.start) + text)
        return rows


def _row(paint: _Paint, cells: dict[int, tuple[str, bool]], width: int = 0) -> str:
    parts: list[str] = []
    run, run_style = "", None
    for column in range(max([width, *(c + 1 for c in cells)])):
        char, primary = cells.get(column, (" ", None))
        if primary is not run_style:
            parts.append(run if run_style is None else paint.mark(run, primary=run_style))
            run, run_style = "", primary
        run += char
    parts.append(run if run_style is None else paint.mark(run, primary=run_style))
    return "".join(parts)


@dataclass(frozen=True, slots=True)
class _Frame:
    """The lines of one source, headed by the place of its first label."""

    place: str
    source: Source
    lines: tuple[_Line, ...]
    widest: int

    def render(self, paint: _Paint, width: int, arrow: str) -> list[str]:
        rows = [
            f"{paint(' ' * (width + 1) + arrow, 'frame')} {_visible(self.place)}",
            paint(f"{' ' * (width + 2)}|", "frame"),
        ]
        shown: int | None = None
        for line in self.lines:
            if shown is not None and line.number == shown + 2:
                between = _Window(self.source, shown + 1, 0, self.widest).text
                rows += _Line(shown + 1, between, (), self.widest).render(paint, width)
            elif shown is not None and line.number > shown + 1:
                rows.append(paint("...", "frame"))
            rows += line.render(paint, width)
            shown = line.number
        return rows


class _Window:
    """The part of a line around a character offset (from the line's start) that is shown, and where its columns are."""

    def __init__(self, source: Source, number: int, around: int, widest: int) -> None:
        line = source.line(number)
        self.start = 0
        end = len(line)
        if len(line) > widest:
            self.start = max(0, min(around - widest * 3 // 7, len(line) - widest))
            end = min(len(line), self.start + widest)
        self.columns: list[int] = []
        shown = "…" if self.start else ""
        column = len(shown)
        for char in line[self.start : end]:
            self.columns.append(column)
            text, width = _cell(char, column)
            shown += text
            column += width
        self.columns.append(column)
        self.text = shown + ("…" if end < len(line) else "")

    def column(self, offset: int) -> int:
        return self.columns[min(max(0, offset - self.start), len(self.columns) - 1)]


def _frames(primary: Label, secondary: Sequence[Label], columns: int | None) -> list[_Frame]:
    """One frame a source, that of the primary label first."""
    groups: dict[int, list[tuple[Label, bool]]] = {}
    sources: list[Source] = []
    for label, is_primary in [(primary, True), *((label, False) for label in secondary)]:
        source = label.span.source
        index = next((i for i, known in enumerate(sources) if known is source or known == source), len(sources))
        if index == len(sources):
            sources.append(source)
        groups.setdefault(index, []).append((label, is_primary))
    last = max(label.span.first.line for labels in groups.values() for label, _ in labels)
    # Beside the number stand four characters of the frame, and up to two that say that something is left out.
    widest = _WIDEST if columns is None else min(_WIDEST, max(_NARROWEST, columns - len(str(last)) - 6))
    return [_frame(sources[index], labels, widest) for index, labels in groups.items()]


def _frame(source: Source, labels: list[tuple[Label, bool]], widest: int) -> _Frame:
    by_line: dict[int, list[tuple[Label, bool]]] = {}
    for label, primary in labels:
        by_line.setdefault(label.span.first.line, []).append((label, primary))
    lines = tuple(_line(source, number, by_line[number], widest) for number in sorted(by_line))
    return _Frame(str(labels[0][0].span), source, lines, widest)


def _line(source: Source, number: int, labels: list[tuple[Label, bool]], widest: int) -> _Line:
    main = next((label for label, primary in labels if primary), labels[0][0])
    window = _Window(source, number, main.span.first.column - 1, widest)
    marks = []
    for label, primary in labels:
        span = label.span
        offset = span.first.column - 1
        # What goes over several lines is marked to the end of its first.
        length = span.end - span.start if span.last.line == number else len(source.line(number)) - offset
        start = window.column(offset)
        end = max(window.column(offset + max(0, length)), start + 1)
        marks.append(_Mark(start, end, label.text, primary))
    return _Line(number, window.text, tuple(marks), widest)


def _cell(char: str, column: int) -> tuple[str, int]:
    """How a character is shown and how many columns it takes."""
    if " " <= char <= "~":
        return char, 1
    if char == "\t":
        width = _TAB - column % _TAB
        return " " * width, width
    category = unicodedata.category(char)
    if category in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return "\N{REPLACEMENT CHARACTER}", 1
    if category in ("Mn", "Me"):
        return char, 0
    return char, 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def _folded(text: str, columns: int | None, taken: int = 0) -> list[str]:
    """The lines of a text; for `help: …`, to which `taken` columns are lost, the rest is indented by as much again."""
    if columns is None:
        return [text]
    indent = " " * len("help: ") if taken else ""
    room = max(columns - taken, _NARROWEST)
    return textwrap.wrap(text, room, subsequent_indent=indent, break_on_hyphens=False) or [text]


def _visible(text: str) -> str:
    """A text in one line, without what could move the cursor or turn the direction of writing."""
    short = text if len(text) <= 4 * _WIDEST else text[: 4 * _WIDEST] + "…"
    return "".join(_cell(char, 0)[0] if char not in "\t\n" else " " for char in short)
