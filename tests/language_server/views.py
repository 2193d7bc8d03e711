"""Documents without a server around them, asked at the place of a mark in their text."""

from __future__ import annotations

from lsprotocol import types as lsp

from pnyx.compiler.language_server.completion import complete
from pnyx.compiler.language_server.document import Document, View
from pnyx.compiler.language_server.hover import hover
from pnyx.compiler.language_server.renaming import rename

__all__ = ["MARK", "completions", "here", "hovered", "renamed", "view"]

MARK = "¦"


def view(text: str, name: str = "main.pnyx") -> View:
    found = Document(name, text, 1, "utf-32").view
    assert found is not None
    return found


def here(marked: str, name: str = "main.pnyx") -> tuple[View, lsp.Position]:
    """The document without its one mark, and where the mark stood."""
    before, after = marked.split(MARK)
    shown = view(before + after, name)
    return shown, shown.text.position(len(before))


def completions(marked: str) -> dict[str, lsp.CompletionItem]:
    """What may stand at the mark, by its label."""
    shown, position = here(marked)
    return {item.label: item for item in complete(shown, position, snippets=True)}


def hovered(marked: str) -> str:
    """What is told of the place at the mark; empty where that is nothing."""
    answer = hover(*here(marked))
    if answer is None:
        return ""
    assert isinstance(answer.contents, lsp.MarkupContent)
    return answer.contents.value


def renamed(marked: str, new: str, name: str = "main.pnyx") -> str:
    """The text after the name at the mark is another. Raises CannotRename."""
    shown, position = here(marked, name)
    text = shown.text.text
    for edit in sorted(rename(shown, position, new), key=lambda e: shown.text.offset(e.range.start), reverse=True):
        start, end = shown.text.offset(edit.range.start), shown.text.offset(edit.range.end)
        text = text[:start] + edit.new_text + text[end:]
    return text
