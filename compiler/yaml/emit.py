"""Emit: what is to stand in a YAML file, as its text.

What fits on a line stands on it, between `[ ]` and `{ }`; steps and declarations always stand below each other, two
spaces a level. Texts of several lines stand behind `|` where YAML can hold them so.

Invariant: bare scalars stay bare and texts stay quoted, whatever they contain; a bare scalar that YAML would cut is
written behind `!expr`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias, assert_never

from pnyx.compiler.yaml.compose import EXPRESSION_TAG

__all__ = ["Bare", "Doc", "Items", "Pairs", "Quoted", "emit"]

_WIDTH: Final = 100
_LONGEST_KEY: Final = 1000
"""Characters; a longer key needs the form `? key`."""
_BARE = re.compile(r"(?!.*(?:: | #|:$))(?:[\w$(=]|-(?=\S))(?:.*\S)?")
_CUT_IN_FLOW: Final = frozenset(",[]{}:?#")
_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}


@dataclass(frozen=True, slots=True)
class Bare:
    """A name, a number, an expression of the language."""

    text: str


@dataclass(frozen=True, slots=True)
class Quoted:
    text: str


@dataclass(frozen=True, slots=True)
class Items:
    """`open`: one item a line, whatever fits."""

    items: tuple[Doc, ...]
    open: bool = False


@dataclass(frozen=True, slots=True)
class Pairs:
    """`apart`: with empty lines between entries of several lines."""

    pairs: tuple[tuple[Doc, Doc], ...]
    open: bool = False
    apart: bool = False


Doc: TypeAlias = Bare | Quoted | Items | Pairs


def emit(doc: Items | Pairs) -> str:
    """The text of a whole file.

    >>> print(emit(Pairs(((Bare("n"), Items((Bare("m"), Quoted("one")))),), open=True)), end="")
    n: [m, "one"]
    """
    if isinstance(doc, Pairs) and not doc.pairs:
        return ""
    return _block(doc, 0) + "\n"


def _is_bare(text: str) -> bool:
    """Whether a text can stand bare where it has the rest of its line."""
    return bool(_BARE.fullmatch(text)) and text.isprintable()


def _scalar(doc: Bare | Quoted) -> str:
    """On one line."""
    if isinstance(doc, Quoted):
        return _quoted(doc.text)
    if _is_bare(doc.text):
        return doc.text
    if doc.text.isprintable():
        return f"{EXPRESSION_TAG} '" + doc.text.replace("'", "''") + "'"
    return f"{EXPRESSION_TAG} {_quoted(doc.text)}"


def _quoted(text: str) -> str:
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


def _is_long(doc: Bare | Quoted) -> bool:
    """Whether it has several lines that can stand behind `|`."""
    lines = doc.text.split("\n")
    return (
        len(lines) > 1
        and bool(doc.text[0].strip())
        and not doc.text.endswith("\n\n")
        and all(line.isprintable() and (line.strip(" ") or not line) for line in lines)
    )


def _long(doc: Bare | Quoted, indent: int) -> str:
    tag = f"{EXPRESSION_TAG} " if isinstance(doc, Bare) else ""
    text = doc.text.removesuffix("\n")
    lines = [f"{' ' * indent}{line}" if line else "" for line in text.split("\n")]
    return "\n".join([f"{tag}|" if text != doc.text else f"{tag}|-", *lines])


def _flow(doc: Doc) -> str | None:
    """On one line inside of brackets; None where it cannot or shall not stand there."""
    match doc:
        case Bare():
            cut = _is_bare(doc.text) and not _CUT_IN_FLOW.isdisjoint(doc.text)
            return None if cut or "\n" in doc.text else _scalar(doc)
        case Quoted():
            return None if _is_long(doc) else _scalar(doc)
        case Items():
            return _bracketed("[", None if doc.open else [_flow_item(item) for item in doc.items], "]")
        case Pairs():
            return _bracketed("{", None if doc.open else [_flow_pair(*pair) for pair in doc.pairs], "}")
        case _:
            assert_never(doc)


def _flow_item(doc: Doc) -> str | None:
    """A mapping of one entry needs no braces in a list."""
    if isinstance(doc, Pairs) and len(doc.pairs) == 1 and not doc.open:
        return _flow_pair(*doc.pairs[0])
    return _flow(doc)


def _flow_pair(key: Doc, value: Doc) -> str | None:
    written, text = _flow(key), _flow(value)
    return None if written is None or text is None or len(written) > _LONGEST_KEY else f"{written}: {text}"


def _bracketed(opening: str, parts: Sequence[str | None] | None, closing: str) -> str | None:
    if parts is None:
        return None
    texts = [part for part in parts if part is not None]
    return opening + ", ".join(texts) + closing if len(texts) == len(parts) else None


def _block(doc: Items | Pairs, indent: int) -> str:
    """Below each other; the first line without its indentation."""
    inner = "\n" + " " * indent
    if isinstance(doc, Items):
        return inner.join(_entry("-", item, indent, dash=True) for item in doc.items)
    entries = [_entry(_key(key, indent), value, indent, dash=False) for key, value in doc.pairs]
    text = entries[0]
    for before, entry in pairwise(entries):
        is_apart = doc.apart and ("\n" in before or "\n" in entry)
        text += ("\n" if is_apart else "") + inner + entry
    return text


def _key(key: Doc, indent: int) -> str:
    assert isinstance(key, Bare | Quoted)
    text = _scalar(key)
    return f"? {text}\n{' ' * indent}:" if len(text) > _LONGEST_KEY else f"{text}:"


def _entry(head: str, doc: Doc, indent: int, *, dash: bool) -> str:
    """What stands behind `head`: on its line where it fits or is a scalar, else below, a level deeper."""
    deeper = indent + 2
    if isinstance(doc, Bare | Quoted):
        return f"{head} {_long(doc, deeper) if _is_long(doc) else _scalar(doc)}"
    flat = _flow(doc)
    is_empty = not (doc.items if isinstance(doc, Items) else doc.pairs)
    if is_empty:
        return f"{head} {'[]' if isinstance(doc, Items) else '{}'}"
    is_call = dash and isinstance(doc, Pairs) and len(doc.pairs) == 1
    if flat is not None and not is_call and indent + len(head) + 1 + len(flat) <= _WIDTH:
        return f"{head} {flat}"
    return f"{head} {_block(doc, deeper)}" if dash else f"{head}\n{' ' * deeper}{_block(doc, deeper)}"
