"""What stands in a YAML file, before any of it means something.

Invariants: immutable; keys of one mapping differ; spans lie in the file and those of children inside their parent's;
a node that could not be read is `Broken`, and has been reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from pnyx.compiler.source import Span

__all__ = ["Broken", "Mapping", "Node", "Pair", "Scalar", "Sequence", "Style"]

Style: TypeAlias = Literal["plain", "'", '"', "|", ">"]


@dataclass(frozen=True, slots=True)
class Scalar:
    """`style` is how it is written: bare, between quotes, `|`, or `>`. `tagged`: `!expr` stands before it, which is
    part of `span`; `start` is where the scalar itself begins. `flow`: inside `[ ]` or `{ }`."""

    text: str
    style: Style
    tagged: bool
    flow: bool
    start: int
    span: Span

    @property
    def is_plain(self) -> bool:
        """Whether it stands for a name, a number or an expression and not for a text."""
        return self.tagged or self.style == "plain"

    @property
    def is_empty(self) -> bool:
        return self.style == "plain" and not self.text and not self.tagged


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple[Node, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Pair:
    key: Scalar
    value: Node

    @property
    def span(self) -> Span:
        return self.key.span.to(self.value.span)


@dataclass(frozen=True, slots=True)
class Mapping:
    pairs: tuple[Pair, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Broken:
    span: Span


Node: TypeAlias = Scalar | Sequence | Mapping | Broken
