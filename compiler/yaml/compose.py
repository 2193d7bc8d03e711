"""Compose: from the text of a YAML file to its nodes.

Works on the events of the YAML parser, so nothing is constructed and every place is exact. What YAML has and programs
do not (anchors, aliases, merge keys, tags, directives, further documents) is reported and left out.

Invariants: nothing raises and nothing takes long, whatever the text: depth and number of nodes are bounded, and no
alias is followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, cast

from pnyx.compiler.diagnostics import Diagnostics, Label
from pnyx.compiler.source import Source, Span
from pnyx.compiler.yaml.nodes import Broken, Mapping, Node, Pair, Scalar, Sequence, Style

__all__ = ["EXPRESSION_TAG", "MOST_ERRORS", "compose"]

EXPRESSION_TAG: Final = "!expr"
MOST_ERRORS: Final = 100
_MOST_CHARACTERS: Final = 500_000
_MOST_NODES: Final = 30_000
_MOST_DEPTH: Final = 160
_FORMS: Final = "programs are plain data: mappings, lists, names, numbers and texts"
# How the messages of the YAML parser begin, what is said instead, and the way out.
_MALFORMED: Final = (
    ("mapping values are not allowed", "`:` cannot stand here", "a text with `: ` in it stands between quotes"),
    ("could not find expected ':'", "a line without its `:`", "an entry is `key: value`, an item `- value`"),
    ("found unexpected end of stream", "unclosed quotes", "close them"),
    ("expected <block end>", "a line that does not fit those before", "begin entries of one list in one column"),
    (
        "expected ',' or",
        "unclosed bracket of YAML",
        "close it; a value with commas or brackets of its own needs its own line",
    ),
    ("expected the node content", "a value is missing before this", 'write one; an empty text is `""`'),
    ("expected '<document start>'", "text behind the end of the program", "check the brackets and the indentation"),
    ("found unknown escape", "unknown escape", "a backslash is `\\\\` between double quotes; `'…'` has no escapes"),
    ("found character", "a mark that cannot begin a value", "a text that begins with it stands between quotes"),
)
_STYLES: Final[dict[str | None, Style]] = {"'": "'", '"': '"', "|": "|", ">": ">"}
_PROPERTIES = re.compile(r"[!&]\S*(?:\s+[!&]\S*)*")
_LONG_ESCAPE = re.compile(r"\\U([0-9a-fA-F]{8})")


def compose(source: Source, diagnostics: Diagnostics) -> Node | None:
    """The only document of the file; None where it is empty or cannot be read."""
    return _Composer(source, diagnostics).run()


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come. `key` waits for its value; `seen` are the keys so far."""

    event: Any
    nodes: list[Node] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    seen: dict[tuple[str, bool], Scalar] = field(default_factory=dict)
    key: Node | None = None


class _Composer:
    def __init__(self, source: Source, diagnostics: Diagnostics) -> None:
        self.source, self.diagnostics = source, diagnostics
        # The parser does not count a byte order mark.
        self.base = 1 if source.text.startswith("\ufeff") else 0
        self.open: list[_Open] = []
        self.count = self.at = 0
        self.failed = False

    def run(self) -> Node | None:
        if len(self.source.text) > _MOST_CHARACTERS:
            message, help = f"the file has more than {_MOST_CHARACTERS:,} characters", "cut it into several files"
            self._report("E405", message, self._at(_MOST_CHARACTERS), help)
            return None
        root: Node | None = None
        documents = 0
        for event in self._events():
            kind = type(event).__name__
            self.at = event.end_mark.index + self.base
            if kind == "DocumentStartEvent":
                documents += 1
                if documents > 1:
                    self._refuse("a second document", self._span(event), "a file is one program: delete the `---`")
                    break
                self._check_directives(event)
            elif kind in ("ScalarEvent", "AliasEvent", "SequenceStartEvent", "MappingStartEvent"):
                self.count += 1
                if self._is_too_large(event):
                    return None
                root = self._begin(event, kind) or root
            elif kind in ("SequenceEndEvent", "MappingEndEvent"):
                root = self._end(event) or root
        is_empty = isinstance(root, Scalar) and root.is_empty
        return None if self.failed or is_empty else root

    def _events(self) -> Iterator[Any]:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError, YAMLError
        from ruamel.yaml.reader import ReaderError

        try:
            yield from YAML(typ="safe", pure=True).parse(self.source.text[self.base :])
        except ReaderError as error:
            span = self._at(error.position)
            character = span.text or chr(cast(int, error.character))
            help = 'delete it, or write it as an escape in a text: `"\\u0000"`'
            self._report("E104", f"unknown character U+{ord(character):04X}", span, help)
            self.failed = True
        except MarkedYAMLError as error:
            self._report_malformed(error)
            self.failed = True
        except (YAMLError, ValueError, OverflowError):
            self._report_escape()
            self.failed = True

    # Faults

    def _report(self, code: str, message: str, span: Span, help: str | None, *others: Label) -> None:
        if len(self.diagnostics) < MOST_ERRORS:
            self.diagnostics.report(code, message, span, secondary=others, help=help)

    def _refuse(self, what: str, span: Span, help: str = _FORMS) -> None:
        self._report("E111", f"{what} has no meaning in a program", span, help)

    def _report_malformed(self, error: Any) -> None:
        mark = error.problem_mark or error.context_mark
        span = self._at(mark.index)
        written = str(error.problem or error.context)
        known = ((said, way_out) for begin, said, way_out in _MALFORMED if written.startswith(begin))
        problem, help = next(known, (re.sub(r"['<>]", "`", written), "programs are YAML 1.2"))
        if span.text == "\t":
            problem, help = "a tab cannot stand here", "indent with spaces"
        context = error.context_mark
        others = [Label(self._at(context.index), "begins here")] if context and error.context else []
        self._report("E110", problem, span, help, *(label for label in others if label.span.first != span.first))

    def _report_escape(self) -> None:
        found = next((m for m in _LONG_ESCAPE.finditer(self.source.text, self.at) if int(m[1], 16) > 0x10FFFF), None)
        span = Span(self.source, *found.span()) if found else self._at(self.at - self.base)
        self._report("E108", f"`{span.text}` is no Unicode character", span, "write the code of a character")

    def _check_directives(self, event: Any) -> None:
        if event.tags or (event.version and tuple(event.version) != (1, 2)):
            first = self.source.text.find("%")
            end = self.source.text.find("\n", first)
            self._refuse("a directive", Span(self.source, first, end), "delete the line; programs are YAML 1.2")

    def _is_too_large(self, event: Any) -> bool:
        if self.count > _MOST_NODES:
            message = f"the file has more than {_MOST_NODES:,} keys and values"
            self._report("E405", message, self._span(event), "cut it into several files")
        elif len(self.open) >= _MOST_DEPTH:
            help = "name the parts: `set: part`, or an operator for each"
            self._report("E105", "nested too deeply", self._span(event), help)
        else:
            return False
        return True

    # Places

    def _at(self, index: int) -> Span:
        start = min(index + self.base, len(self.source.text))
        return Span(self.source, start, min(start + 1, len(self.source.text)))

    def _span(self, event: Any) -> Span:
        start, end = event.start_mark.index + self.base, event.end_mark.index + self.base
        while end > start and self.source.text[end - 1].isspace():
            end -= 1
        return Span(self.source, start, end)

    # Nodes

    def _begin(self, event: Any, kind: str) -> Node | None:
        """What the event is, where it is whole and the root; collections are opened."""
        span = self._span(event)
        if kind == "AliasEvent":
            self._refuse(
                f"the alias `*{event.anchor[:40]}`", span, "write the value again, or give it a name with `let`"
            )
            return self._add(Broken(span))
        if event.anchor is not None:
            self._refuse(f"the anchor `&{event.anchor[:40]}`", span, "a value gets a name with `let`")
        tag = None if event.ctag is None else str(event.ctag)
        if tag is not None and (tag != EXPRESSION_TAG or kind != "ScalarEvent"):
            help = f"the only tag is `{EXPRESSION_TAG}`, before an expression between quotes or behind `|`"
            properties = Span(self.source, span.start, self._behind_properties(span))
            self._refuse(f"the tag `{properties.text[:40]}`", properties, help)
        if kind == "ScalarEvent":
            return self._add(self._scalar(event, span, tagged=tag == EXPRESSION_TAG))
        self.open.append(_Open(event))
        return None

    def _behind_properties(self, span: Span) -> int:
        """Where the tag and the anchor before a node end."""
        found = _PROPERTIES.match(self.source.text, span.start, max(span.end, span.start + 1))
        return found.end() if found else span.start

    def _scalar(self, event: Any, span: Span, *, tagged: bool) -> Node:
        if any("\ud800" <= char <= "\udfff" for char in event.value):
            self._report("E108", "half of a character", span, 'write the whole character, or `"\\U0001F600"`')
            return Broken(span)
        style = _STYLES.get(event.style, "plain")
        start = span.start
        if tagged or event.anchor is not None:
            start = self._behind_properties(span)
            while start < span.end and self.source.text[start].isspace():
                start += 1
        flow = any(o.event.flow_style for o in self.open)
        return Scalar(event.value, style, tagged, flow, start, span)

    def _end(self, event: Any) -> Node | None:
        opened = self.open.pop()
        start = opened.event.start_mark.index + self.base
        children = [*opened.nodes, *(pair.value for pair in opened.pairs)]
        end = max((child.span.end for child in children), default=start)
        if opened.event.flow_style:
            end = max(end, event.end_mark.index + self.base)
        span = Span(self.source, start, end)
        if type(event).__name__ == "SequenceEndEvent":
            return self._add(Sequence(tuple(opened.nodes), span))
        return self._add(Mapping(tuple(opened.pairs), span))

    def _add(self, node: Node) -> Node | None:
        """Puts a whole node into the collection around it; gives it back where it is the root."""
        if not self.open:
            return node
        around = self.open[-1]
        if type(around.event).__name__ == "SequenceStartEvent":
            around.nodes.append(node)
        elif around.key is None:
            around.key = node
        else:
            self._pair(around, around.key, node)
            around.key = None
        return None

    def _pair(self, around: _Open, key: Node, value: Node) -> None:
        if isinstance(key, Broken):
            return
        if not isinstance(key, Scalar):
            self._report("E115", "a key must be a name", key.span, "write `name: value`")
            return
        if key.text == "<<" and key.style == "plain":
            self._refuse("the merge key `<<`", key.span, "write the entries out")
            return
        identity = (key.text, key.is_plain)
        if identity in around.seen:
            first = Label(around.seen[identity].span, "first here")
            self._report("E112", f"`{key.text}` is given twice", key.span, "delete one, or give it another name", first)
            return
        around.seen[identity] = key
        around.pairs.append(Pair(key, value))
