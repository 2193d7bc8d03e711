"""Kinds of parameters and the signatures of operators.

A kind says what a parameter accepts. Signatures of `op`s come from their declarations, those of built-in operators from
the table in `builtin.py`; both are bound and checked by the same code.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from pnyx.compiler import syntax

if TYPE_CHECKING:
    from pnyx.compiler.elaborate.values import Value

__all__ = ["Base", "Kind", "Parameter", "REQUIRED", "Required", "Signature", "TYPE_NAMES", "WORDS", "kind_of"]


class Base(StrEnum):
    ANY = "any value"
    CHAT = "Chat"
    TEXT = "Text"
    INT = "Int"
    FLOAT = "Float"
    BOOL = "Bool"
    MODEL = "Model"
    PROMPT = "Prompt"
    OP = "Op"
    POOL = "Pool"
    FIELD = "Field"
    POLICY = "Policy"
    CHOICE = "word"
    LIST = "List"
    SUBJECT = "Chat or Pool"


WORDS = frozenset({Base.FIELD, Base.CHOICE, Base.POLICY})
"""Kinds whose arguments may be bare words."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a parameter accepts.

    `words`: the words of a CHOICE. `fields`: those a POOL must have; a name of another parameter of kind FIELD stands
    for its value. `element`: of a LIST; `single` lets one element stand for a list of one. `low`, `high`: bounds of a
    number, both included. `size`: bounds of a declared pool. `late`: a single value known only at run time will do.
    """

    base: Base
    optional: bool = False
    words: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    element: Kind | None = None
    single: bool = False
    low: float | None = None
    high: float | None = None
    size: tuple[int, int | None] | None = None
    late: bool = False

    def __str__(self) -> str:
        text = self.base.value
        match self.base:
            case Base.CHOICE:
                text = " | ".join(self.words)
            case Base.LIST:
                text = f"{self.element} or a list of them" if self.single else f"List[{self.element}]"
            case Base.POOL if self.fields:
                text = f"Pool{{{', '.join(self.fields)}}}"
        return f"{text}, or none" if self.optional and " " in text else f"{text}?" if self.optional else text


@dataclass(frozen=True, slots=True)
class Required:
    """Marks a parameter without a default."""


REQUIRED = Required()


@dataclass(frozen=True, slots=True)
class Parameter:
    """`default` is a value (built-in operators), an expression (`op`s), or REQUIRED."""

    name: str
    kind: Kind
    default: Value | Required | syntax.Expr = REQUIRED
    doc: str = ""


@dataclass(frozen=True)
class Signature:
    """`variables`: further named arguments are accepted (the variables of a prompt)."""

    name: str
    parameters: tuple[Parameter, ...]
    returns: Kind | None = None
    variables: bool = False
    doc: str = ""
    declaration: syntax.OpDecl | syntax.ExternDecl | None = field(default=None, compare=False)

    def parameter(self, name: str) -> Parameter | None:
        return self._by_name.get(name)

    @cached_property
    def _by_name(self) -> dict[str, Parameter]:
        return {p.name: p for p in self.parameters}

    @cached_property
    def words_first(self) -> tuple[Parameter, ...]:
        """Parameters that take bare words before the others: a pool may be declared to have the field they name."""
        return tuple(sorted(self.parameters, key=lambda p: p.kind.base not in WORDS))


_BASES = {
    "Chat": Base.CHAT, "Text": Base.TEXT, "Int": Base.INT, "Float": Base.FLOAT, "Bool": Base.BOOL,
    "Model": Base.MODEL, "Prompt": Base.PROMPT, "Op": Base.OP, "Pool": Base.POOL, "Field": Base.FIELD,
    "Policy": Base.POLICY, "Scorer": Base.OP, "List": Base.LIST,
}  # fmt: skip
TYPE_NAMES = tuple(_BASES)


def kind_of(written: syntax.TypeExpr | None) -> Kind | None:
    """The kind that a type annotation means; None for a name that is no type."""
    if written is None:
        return Kind(Base.ANY, optional=True)
    base = _BASES.get(written.name)
    if base is None:
        return None
    element = kind_of(written.arguments[0]) if base is Base.LIST and written.arguments else None
    if base is Base.LIST and element is None:
        element = Kind(Base.ANY, optional=True)
    late = base in (Base.TEXT, Base.INT, Base.FLOAT, Base.BOOL)
    return Kind(base, written.optional, fields=written.fields or (), element=element, size=written.size, late=late)
