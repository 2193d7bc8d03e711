"""Syntax trees walked and rewritten, whatever they are of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from functools import lru_cache
from typing import Any, TypeVar

from pnyx.compiler import syntax
from pnyx.compiler.source import Span

__all__ = ["names_in", "nodes_in", "replaced"]

_Part = TypeVar("_Part")


def nodes_in(part: object) -> Iterator[object]:
    """Every node of a tree, a node before what is in it, in the order of the text."""
    if isinstance(part, tuple):
        for item in part:
            yield from nodes_in(item)
    elif is_dataclass(part) and not isinstance(part, Span | type):
        yield part
        for name in _parts(type(part)):
            yield from nodes_in(getattr(part, name))


def names_in(part: object) -> Iterator[str]:
    """The names that a tree reads, wherever they stand: also words, and names that are its own."""
    return (node.name for node in nodes_in(part) if isinstance(node, syntax.Name))


def replaced(part: _Part, change: Callable[[Any], object | None]) -> _Part:
    """The tree with other nodes: `change` gives what takes a node's place, or None, and then what is in it is looked
    at. What takes a node's place is not looked at again. The same object where nothing changed."""
    changed: Any = part
    if isinstance(part, tuple):
        items = tuple(replaced(item, change) for item in part)
        changed = part if all(new is old for new, old in zip(items, part, strict=True)) else items
    elif is_dataclass(part) and not isinstance(part, Span | type):
        other = change(part)
        if other is not None:
            changed = other
        else:
            values = {name: getattr(part, name) for name in _parts(type(part))}
            news = {name: new for name, old in values.items() if (new := replaced(old, change)) is not old}
            changed = replace(part, **news) if news else part
    result: _Part = changed
    return result


@lru_cache(maxsize=128)
def _parts(kind: type) -> tuple[str, ...]:
    """The fields that hold nodes, or tuples of them, or texts; not the places."""
    return tuple(field.name for field in fields(kind) if field.name != "span" and not field.name.endswith("_span"))
