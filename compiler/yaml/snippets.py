"""Snippets: expressions, types and names that stand as text in a YAML file, read by the parser of the language.

A snippet is put into a declaration that it completes; what comes back, nodes and diagnostics, is moved to the place of
the snippet in the file.

Invariant: a snippet is exactly one expression, type or name; it cannot end the declaration around it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final, TypeVar, cast

from pnyx.compiler import syntax as s
from pnyx.compiler.diagnostics import Diagnostic, Diagnostics, Label
from pnyx.compiler.parse import parse
from pnyx.compiler.parse.literals import LiteralFault, read_number
from pnyx.compiler.source import Source, Span
from pnyx.compiler.yaml.compose import MOST_ERRORS
from pnyx.compiler.yaml.nodes import Node, Scalar

__all__ = ["Snippets"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"\$?[0-9][A-Za-z0-9_.]*")
_QUANTITY = re.compile(r"\$?[0-9]\S*[ \t]+[A-Za-z_][A-Za-z0-9_]*")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}\b.*", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:x..|u....|U........|.)")
_LINES_HELP: Final = "write it on one line, or as lines behind `!expr |`"
_FLOW_HELP: Final = (
    'inside `[ ]` and `{ }` of YAML a comma or bracket ends it: give it a line of its own, or write `!expr "…"`'
)
_T = TypeVar("_T")


class Snippets:
    """Reads texts of the language inside one file. `faulty` is set with every report."""

    def __init__(self, source: Source, diagnostics: Diagnostics) -> None:
        self.source, self.diagnostics = source, diagnostics
        self.faulty = False
        # Texts that are known to be a `Name` where an expression stands, and where a name stands.
        self._values: set[str] = set()
        self._names: set[str] = set()

    def report(
        self, code: str, message: str, span: Span, help: str | None = None, secondary: Iterable[Label] = ()
    ) -> None:
        self.faulty = True
        if len(self.diagnostics) < MOST_ERRORS:
            self.diagnostics.report(code, message, span, help=help, secondary=secondary)

    def stand_in(self, span: Span) -> s.Expr:
        """An expression in the place of a faulty one, whose declaration will be left out."""
        self.faulty = True
        return s.NoneValue(span=span)

    def snippet(self, node: Scalar, *, quantity: bool = False) -> s.Expr:
        """The expression that a bare or tagged scalar is; with `quantity` also a number with a word, `20 calls`."""
        text = node.text
        if text in self._values:
            return s.Name(name=text, span=node.span)
        if _NUMBER.fullmatch(text) and node.style == "plain" and (number := _number(text, node.span)):
            return number
        if node.style == "plain" and _DATE.fullmatch(text):
            self.report("E115", "a date is no value", node.span, f'write it as a text: `"{text}"`')
            return self.stand_in(node.span)
        if quantity and _QUANTITY.fullmatch(text):
            settings = self._declared(node, "search x {\nx = ", "\n}", s.SettingsDecl)
            return settings.settings[0].value if settings else self.stand_in(node.span)
        let = self._declared(node, "let x = ", "", s.LetDecl)
        if let is None:
            return self.stand_in(node.span)
        if isinstance(let.value, s.Name) and _NAME.fullmatch(text):
            self._values.add(text)
        return let.value

    def type_(self, node: Node) -> s.TypeExpr | None:
        if not isinstance(node, Scalar) or node.is_empty:
            self.report(
                "E115", "a type is written as in the language", node.span, "`Pool[1..4]{text}`, `Int?`, `Model`"
            )
            return None
        extern = self._declared(node, "extern op x() -> ", ' = ""', s.ExternDecl)
        if extern is not None and extern.returns is not None and self._is_whole(node, extern.returns.span, "type"):
            return extern.returns
        return None

    def type_and_default(self, node: Scalar) -> tuple[s.TypeExpr | None, s.Expr | None]:
        """What stands behind the name of a parameter: `Int`, `Int = 5`, `= 5`."""
        before = "extern op x(x " if node.text.lstrip().startswith("=") else "extern op x(x: "
        extern = self._declared(node, before, ') = ""', s.ExternDecl)
        if extern is None:
            return None, None
        (param, *more) = extern.params
        last = param.default or param.type
        if more or extern.returns is not None or last is None:
            self.report("E115", "more than a parameter stands here", node.span, "give each a line of its own")
            return None, None
        if not self._is_whole(node, last.span, "parameter", end=True):
            return None, None
        return param.type, param.default

    def name(self, node: Node, what: str = "a name") -> str:
        """The name that a scalar is; empty after a report."""
        if not isinstance(node, Scalar):
            self.report("E115", f"{what} stands here, and nothing else", node.span, "write a name")
            return ""
        if node.text not in self._names:
            let = self._declared(node, "let ", " = 0", s.LetDecl)
            return self._known(node, let.name, what) if let else ""
        return node.text

    def key(self, node: Scalar) -> str:
        """The key of a setting, which may have two words; empty after a report."""
        if node.text not in self._names:
            settings = self._declared(node, "search x {\n", " = 0\n}", s.SettingsDecl)
            return self._known(node, settings.settings[0].name or "", "the name of a setting") if settings else ""
        return node.text

    def _known(self, node: Scalar, read: str, what: str) -> str:
        if read != node.text:
            self.report("E115", f"{what} stands here, and nothing else", node.span, f"write `{read}`")
            return ""
        self._names.add(node.text)
        return node.text

    # Inside

    def _is_whole(self, node: Scalar, span: Span, what: str, *, end: bool = False) -> bool:
        """Whether what was read is all that stands there."""
        text, places = self._content(node) or ("", [0])
        first, last = len(text) - len(text.lstrip()), len(text.rstrip())
        if (end or span.start == places[first]) and span.end == places[last]:
            return True
        self.report("E115", f"more than a {what} stands here", node.span, f"write one {what}, without a comment")
        return False

    def _declared(self, node: Scalar, before: str, after: str, kind: type[_T]) -> _T | None:
        """The declaration of that kind that the snippet completes, placed in the file; None after a report."""
        content = self._content(node)
        if content is None:
            self.report("E115", "an expression of several lines in quotes cannot be read", node.span, _LINES_HELP)
            return None
        if len(self.diagnostics) >= MOST_ERRORS:
            self.faulty = True
            return None
        text, places = content
        found = Diagnostics()
        module = parse(Source(self.source.name, before + text + after), found)
        moved = _Move(self.source, len(before), places)
        for diagnostic in found:
            self._add(moved(diagnostic), node)
        if found.has_errors:
            return None
        if len(module.declarations) != 1 or not isinstance(module.declarations[0], kind):
            self.report("E115", "more than one thing stands here", node.span, "write one expression")
            return None
        return moved(module.declarations[0])

    def _add(self, diagnostic: Diagnostic, node: Scalar) -> None:
        self.faulty = True
        if node.flow and node.style == "plain" and node.text.count("(") > node.text.count(")"):
            diagnostic = replace(diagnostic, help=_FLOW_HELP, fixes=())
        if len(self.diagnostics) < MOST_ERRORS:
            self.diagnostics.add(diagnostic)

    def _content(self, node: Scalar) -> tuple[str, Sequence[int]] | None:
        """The text of a scalar and where in the file each of its characters and its end stand; None if that is not
        told character by character."""
        raw = self.source.text[node.start : node.span.end]
        if node.style == "plain":
            return raw.replace("\r", " ").replace("\n", " "), range(node.start, node.span.end + 1)
        if node.style == "|":
            return _block_content(node, raw)
        if node.style == ">" or "\n" in raw:
            return None
        pattern = re.compile("''|.") if node.style == "'" else re.compile(_ESCAPE.pattern + "|.")
        starts = [node.start + match.start() for match in pattern.finditer(raw, 1, len(raw) - 1)]
        return node.text, [*starts, node.span.end - 1]


def _block_content(node: Scalar, raw: str) -> tuple[str, Sequence[int]]:
    """Each line of the text ends where its line of the file does."""
    text = node.text.rstrip("\n")
    header, *written = raw.split("\n")
    places: list[int] = []
    at = node.start + len(header) + 1
    for line, whole in zip(text.split("\n"), written, strict=False):
        end = at + len(whole.rstrip("\r"))
        places.extend(range(end - len(line), end + 1))
        at += len(whole) + 1
    return text, places


def _number(text: str, span: Span) -> s.Number | None:
    try:
        value, unit = read_number(text)
    except LiteralFault:
        return None
    return s.Number(value=value, unit=unit, span=span)


class _Move:
    """Moves nodes and diagnostics from a snippet, which begins at `before`, to their places in the file."""

    def __init__(self, source: Source, before: int, places: Sequence[int]) -> None:
        self.source, self.before, self.places = source, before, places

    def __call__(self, item: _T) -> _T:
        return cast(_T, self._moved(item))

    def _moved(self, item: Any) -> Any:
        if isinstance(item, Span):
            return Span(self.source, self._place(item.start), self._place(item.end))
        if isinstance(item, tuple):
            return tuple(self._moved(part) for part in item)
        if is_dataclass(item) and not isinstance(item, type):
            parts = {part.name: getattr(item, part.name) for part in fields(item)}
            return replace(item, **{name: self._moved(part) for name, part in parts.items()})
        return item

    def _place(self, offset: int) -> int:
        return self.places[min(max(0, offset - self.before), len(self.places) - 1)]
