"""The syntax tree: what was written, nothing resolved.

Invariants: immutable; every node has the span of its text; equality ignores spans, so two trees are equal
when they say the same thing (`parse(format(tree)) == tree`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pnyx.compiler.source import Span

__all__ = [
    "Argument", "Assign", "Binary", "BinaryOperator", "Block", "Bool", "Call", "Declaration", "Discard", "Each", "Expr",
    "ExternDecl", "Field", "For", "If", "Import", "LetDecl", "ListExpr", "Loop", "Match", "MatchArm", "ModelDecl",
    "Module", "Name", "NoneValue", "Number", "OpDecl", "Otherwise", "Param", "Pipe", "PipelineDecl", "Placeholder",
    "Policy", "PromptDecl", "Range", "Repeat", "SettingsDecl", "StateDecl", "Statement", "Text", "Tune", "TypeExpr",
    "Unary", "UnaryOperator",
]  # fmt: skip

BinaryOperator: TypeAlias = Literal["+", "-", "*", "/", "//", "%", "==", "!=", "<", "<=", ">", ">=", "and", "or"]
UnaryOperator: TypeAlias = Literal["-", "not"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Node:
    span: Span = field(compare=False, repr=False)


# Expressions -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Name(_Node):
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(_Node):
    """`value` has the suffix applied (`2k` is 2000); `unit` is `s`, `m`, `h`, `$`, or a word (`tokens`) in settings."""

    value: int | float
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(_Node):
    """A string literal, escapes resolved and dedented. `triple` only remembers how it was written."""

    value: str
    triple: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bool(_Node):
    value: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NoneValue(_Node):
    """`none`: the absent optional."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placeholder(_Node):
    """`_`, the hole of an operator value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListExpr(_Node):
    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Range(_Node):
    """`low..high`, both ends included."""

    low: Expr
    high: Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument(_Node):
    """One argument of a call; `name` is None for a positional one."""

    name: str | None
    value: Expr
    name_span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(_Node):
    callee: Expr
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tune(_Node):
    """`tune(a, b, c, default = b)`: an open choice. A single `Range` option stands for its integers."""

    options: tuple[Expr, ...]
    default: Expr | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy(_Node):
    """`retry(retries) then action`: what to do with a reply that cannot be read."""

    retries: Expr
    action: str
    action_span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipe(_Node):
    """`source |> stage`; a chain nests to the left."""

    source: Expr
    stage: Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class Otherwise(_Node):
    """`pool |> stage else fallback`: the fallback where the pool turns out empty. Nests to the right."""

    value: Pipe
    fallback: Expr | Block


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary(_Node):
    operator: BinaryOperator
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class Unary(_Node):
    operator: UnaryOperator
    operand: Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class Field(_Node):
    """`value.name`."""

    value: Expr
    name: str
    name_span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class If(_Node):
    """`if condition { … } else { … }`; `orelse` is a block or a nested `If` (`else if`)."""

    condition: Expr
    then: Block
    orelse: Block | If | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchArm(_Node):
    pattern: Expr
    value: Expr | Block


@dataclass(frozen=True, slots=True, kw_only=True)
class Match(_Node):
    value: Expr
    arms: tuple[MatchArm, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Each(_Node):
    """`each name { … }`, a pipe stage."""

    name: str
    body: Block
    name_span: Span = field(compare=False, repr=False)


# Statements --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Assign(_Node):
    name: str
    value: Expr
    name_span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Discard(_Node):
    """An expression as a statement; the last one is its block's value."""

    value: Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat(_Node):
    count: Expr
    body: Block


@dataclass(frozen=True, slots=True, kw_only=True)
class For(_Node):
    name: str
    items: Expr
    body: Block
    name_span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop(_Node):
    most: Expr
    until: Expr | None
    body: Block


@dataclass(frozen=True, slots=True, kw_only=True)
class Block(_Node):
    statements: tuple[Statement, ...]


# Declarations ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeExpr(_Node):
    """`Pool[lo..hi]{fields}`, `List[Model]`, `Op[Pool -> Pool{score}]`, `Int?` …

    `size`: (low, high), `Pool[3]` is (3, 3), high None is unbounded (`Pool[1..]`); `arguments`: element type of a list,
    or the two sides of an `Op`.
    """

    name: str
    size: tuple[int, int | None] | None = None
    fields: tuple[str, ...] | None = None
    arguments: tuple[TypeExpr, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Param(_Node):
    name: str
    type: TypeExpr | None = None
    default: Expr | None = None
    name_span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDecl(_Node):
    name: str
    id: Text
    options: tuple[Argument, ...]
    name_span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptDecl(_Node):
    """`user` is the template of the user message, `system` of the system message."""

    name: str
    params: tuple[Param, ...]
    user: Text
    system: Text | None
    name_span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpDecl(_Node):
    name: str
    params: tuple[Param, ...]
    returns: TypeExpr | None
    body: Block
    name_span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineDecl(_Node):
    """`limits`: `limit 20 calls, 40k tokens, $0.01, 30s`, each a number with its unit."""

    name: str
    params: tuple[Param, ...]
    body: Block
    limits: tuple[Number, ...] = ()
    name_span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LetDecl(_Node):
    name: str
    value: Expr
    name_span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Import(_Node):
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternDecl(_Node):
    name: str
    params: tuple[Param, ...]
    returns: TypeExpr | None
    target: Text
    name_span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StateDecl(_Node):
    """`state NAME: TYPE = initial { chunk = 8 }`: a value that outlives an example. Pipelines read and assign it."""

    name: str
    type: TypeExpr | None
    value: Expr
    options: tuple[Argument, ...]
    name_span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsDecl(_Node):
    """`benchmark NAME { key = value … }`, `search NAME { … }`. A key of two words (`per query`) is kept as written."""

    kind: Literal["benchmark", "search"]
    name: str
    settings: tuple[Argument, ...]
    name_span: Span = field(compare=False, repr=False)


Expr: TypeAlias = (
    Name | Number | Text | Bool | NoneValue | Placeholder | ListExpr | Range | Call | Tune | Policy | Pipe | Binary
    | Unary | Field | If | Match | Each | Otherwise
)  # fmt: skip
Statement: TypeAlias = Assign | Discard | Repeat | For | Loop
Declaration: TypeAlias = (
    ModelDecl | PromptDecl | OpDecl | PipelineDecl | LetDecl | Import | ExternDecl | SettingsDecl | StateDecl
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Module(_Node):
    """One source file. `comments` are the spans of its comments, in order, for the formatter.

    `unread` are the names of declarations left out because of syntax errors: they exist, though nothing else is known.
    """

    declarations: tuple[Declaration, ...]
    comments: tuple[Span, ...] = field(default=(), compare=False, repr=False)
    unread: tuple[str, ...] = field(default=(), compare=False, repr=False)
