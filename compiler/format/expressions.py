"""Expressions as canonical text: on one line where that fits, otherwise opened at the outermost bracket or pipe.

Invariant: what is written reads back as the same tree; parentheses stand exactly where the tree needs them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Final, TypeVar, assert_never

from pnyx.compiler import syntax as s
from pnyx.compiler.format.comments import Comments
from pnyx.compiler.format.spell import spell_number, spell_text
from pnyx.compiler.source import Span

__all__ = ["INDENT", "WIDTH", "Expressions"]

WIDTH: Final = 100
INDENT: Final = 4

_OTHERWISE, _PIPE, _NOT, _SIGN, _BRANCH, _PRIMARY = -1, 0, 3, 8, 9, 10
_RANGE: Final = 5
_LEVELS: Final = {
    "or": 1, "and": 2, "==": 4, "!=": 4, "<": 4, "<=": 4, ">": 4, ">=": 4,
    "+": 6, "-": 6, "*": 7, "/": 7, "//": 7, "%": 7,
}  # fmt: skip
_COMPARISON: Final = 4

_Item = TypeVar("_Item", bound="s.Argument | s.Expr | s.Param")


def _level(node: s.Expr) -> int:
    match node:
        case s.Otherwise():
            return _OTHERWISE
        case s.Pipe():
            return _PIPE
        case s.Binary():
            return _LEVELS[node.operator]
        case s.Unary():
            return _NOT if node.operator == "not" else _SIGN
        case s.Range():
            return _RANGE
        case s.If() | s.Match() | s.Each():
            return _BRANCH
        case _:
            return _PRIMARY


def _fed_level(stage: s.Expr) -> int:
    """The least level of a stage that an `else` follows: an `if` would take it for its own."""
    return _PRIMARY if isinstance(stage, s.If) else _BRANCH


def _is_single(node: s.Expr | s.Block) -> bool:
    """Whether no pipe in the chain of a statement has several stages."""
    match node:
        case s.Pipe():
            return not isinstance(node.source, s.Pipe)
        case s.Otherwise():
            return _is_single(node.value) and not isinstance(node.fallback, s.Otherwise) and _is_single(node.fallback)
        case _:
            return True


def _operands(node: s.Binary | s.Range) -> tuple[int, int]:
    """The least levels of the two sides: comparisons and ranges do not chain, the others nest to the left."""
    level = _level(node)
    return (level + 1 if level in (_COMPARISON, _RANGE) else level), level + 1


class Expressions(ABC):
    """Writes expressions. `indent` is that of the line which the expression starts on, `column` where it starts."""

    def __init__(self, comments: Comments) -> None:
        self.comments = comments
        self._flat: dict[int, str | None] = {}

    @abstractmethod
    def block(self, block: s.Block, indent: int) -> str: ...

    @abstractmethod
    def sequence(
        self, items: Sequence[s.MatchArm], indent: int, end: int, span: Span, write: Callable[[s.MatchArm], str]
    ) -> list[str]: ...

    # On one line

    def flat(self, node: s.Expr, least: int = _OTHERWISE) -> str | None:
        """The expression on one line, in parentheses where it binds looser than `least`; None if it needs several."""
        key = id(node)
        if key not in self._flat:
            self._flat[key] = self._write_flat(node)
        text = self._flat[key]
        return f"({text})" if text is not None and _level(node) < least else text

    def _write_flat(self, node: s.Expr) -> str | None:
        match node:
            case s.Name():
                return node.name
            case s.Number():
                return spell_number(node)
            case s.Text():
                text = spell_text(node, 0)
                return None if "\n" in text else text
            case s.Bool():
                return "true" if node.value else "false"
            case s.NoneValue():
                return "none"
            case s.Placeholder():
                return "_"
            case s.ListExpr():
                return _joined("[", [self.flat(item) for item in node.items], "]")
            case s.Range():
                low, high = _operands(node)
                return _joined("", [self.flat(node.low, low), self.flat(node.high, high)], "", "..")
            case s.Call():
                callee = self.flat(node.callee, _PRIMARY)
                return _joined("", [callee, self._flat_arguments(node.arguments)], "", "")
            case s.Tune():
                return _joined("tune", [self._flat_arguments(_tune_arguments(node))], "")
            case s.Policy():
                return _joined("retry(", [self.flat(node.retries)], f") then {node.action}")
            case s.Pipe():
                return _joined("", [self.flat(node.source, _PIPE), self.flat(node.stage, _BRANCH)], "", " |> ")
            case s.Otherwise():
                return _joined("", [self._flat_fed(node.value), self._flat_fallback(node.fallback)], "", " else ")
            case s.Binary():
                low, high = _operands(node)
                return _joined("", [self.flat(node.left, low), self.flat(node.right, high)], "", f" {node.operator} ")
            case s.Unary():
                sign, least = ("not ", _NOT) if node.operator == "not" else ("-", _SIGN)
                return _joined(sign, [self.flat(node.operand, least)], "")
            case s.Field():
                return _joined("", [self.flat(node.value, _PRIMARY)], f".{node.name}")
            case s.If():
                return self._flat_if(node)
            case s.Match() | s.Each():
                return None
            case _:
                assert_never(node)

    def _flat_arguments(self, arguments: Sequence[s.Argument]) -> str | None:
        values = [
            _joined(f"{argument.name} = " if argument.name else "", [self.flat(argument.value)], "")
            for argument in arguments
        ]
        return _joined("(", values, ")")

    def _flat_fed(self, node: s.Pipe) -> str | None:
        return _joined("", [self.flat(node.source, _PIPE), self.flat(node.stage, _fed_level(node.stage))], "", " |> ")

    def _flat_fallback(self, node: s.Expr | s.Block) -> str | None:
        return self._flat_block(node) if isinstance(node, s.Block) else self.flat(node)

    def _flat_if(self, node: s.If) -> str | None:
        parts = [_joined("if ", [self.flat(node.condition)], ""), self._flat_block(node.then)]
        if node.orelse is not None:
            orelse = self._flat_if(node.orelse) if isinstance(node.orelse, s.If) else self._flat_block(node.orelse)
            parts += ["else", orelse]
        return _joined("", parts, "", " ")

    def _flat_block(self, block: s.Block) -> str | None:
        match block.statements:
            case ():
                return "{ }"
            case (s.Discard(value=value),):
                return _joined("{ ", [self.flat(value)], " }")
            case _:
                return None

    # On as many lines as it takes

    def expression(self, node: s.Expr, indent: int, column: int, least: int = _OTHERWISE, room: int = 0) -> str:
        """The expression from `column` on, leaving `room` behind it on its last line."""
        flat = self.flat(node, least)
        if flat is not None and column + len(flat) + room <= WIDTH and not self.comments.inside(node.span):
            return flat
        if _level(node) < least:
            return self._parenthesised(node, indent)
        return self._opened(node, indent, column, indent + INDENT)

    def _parenthesised(self, node: s.Expr, indent: int) -> str:
        inner = indent + INDENT
        text = self._chain(node, inner) if isinstance(node, s.Binary) else self._opened(node, inner, inner, inner)
        for comment in self.comments.before(node.span.end - 1, node.span):
            text += f"\n{' ' * inner}{comment.text.rstrip()}"
        return f"(\n{' ' * inner}{text}\n{' ' * indent})"

    def statement_value(self, node: s.Expr, indent: int, column: int, stage_indent: int) -> str:
        """The value of a statement: a chain of several stages has one on each line, whatever its length."""
        if isinstance(node, s.Pipe | s.Otherwise):
            flat = self.flat(node)
            short = flat is not None and column + len(flat) <= WIDTH and not self.comments.inside(node.span)
            return flat if flat and short and _is_single(node) else self._opened(node, indent, column, stage_indent)
        return self.expression(node, indent, column)

    def _opened(self, node: s.Expr, indent: int, column: int, stage_indent: int) -> str:
        match node:
            case s.Call():
                callee = self.expression(node.callee, indent, column, _PRIMARY, room=1)
                return callee + self.arguments(node.arguments, indent, node.span)
            case s.Tune():
                return "tune" + self.arguments(_tune_arguments(node), indent, node.span)
            case s.ListExpr():
                return self.bracketed("[", node.items, "]", indent, node.span, self._item_writer(indent + INDENT))
            case s.Pipe():
                return self._pipe(node, indent, column, stage_indent)
            case s.Otherwise():
                return self._otherwise(node, indent, column, stage_indent, stage_indent)
            case s.Binary() | s.Range():
                return self._operation(node, indent, column)
            case s.Unary():
                sign, least = ("not ", _NOT) if node.operator == "not" else ("-", _SIGN)
                return sign + self.expression(node.operand, indent, column + len(sign), least)
            case s.Field():
                return self.expression(node.value, indent, column, _PRIMARY) + f".{node.name}"
            case s.Policy():
                retries = self.expression(node.retries, indent, column + 6)
                return f"retry({retries}) then {node.action}"
            case s.If():
                return self._if(node, indent, column)
            case s.Match():
                return self._match(node, indent, column)
            case s.Each():
                return f"each {node.name} {self.block(node.body, indent)}"
            case s.Text():
                return spell_text(node, indent)
            case s.Name() | s.Number() | s.Bool() | s.NoneValue() | s.Placeholder():
                return self.flat(node) or ""
            case _:
                assert_never(node)

    def _item_writer(self, indent: int) -> Callable[[s.Expr], str]:
        return lambda item: self.expression(item, indent, indent, room=1)

    def _operation(self, node: s.Binary | s.Range, indent: int, column: int) -> str:
        if isinstance(node, s.Range):
            left, operator, right = node.low, "..", node.high
        elif self.flat(node) is not None:
            return self._parenthesised(node, indent)
        else:
            left, operator, right = node.left, f" {node.operator} ", node.right
        low, high = _operands(node)
        text = self.expression(left, indent, column, low) + operator
        return text + self.expression(right, indent, _column(text, column), high)

    def _chain(self, node: s.Binary, indent: int) -> str:
        """Operands of one level, one a line, the operators in front."""
        level = _level(node)
        low, high = _operands(node)
        rest: list[s.Binary] = []
        first: s.Expr = node
        while isinstance(first, s.Binary) and _level(first) == level and (low == level or not rest):
            rest.append(first)
            first = first.left
        text = self.expression(first, indent, indent, low)
        previous = first
        for part in reversed(rest):
            text += self.comments.beside(previous.span.end, previous.span)
            for comment in self.comments.before(part.right.span.start, part.right.span):
                text += f"\n{' ' * indent}{comment.text.rstrip()}"
            head = f"{part.operator} "
            text += f"\n{' ' * indent}{head}{self.expression(part.right, indent, indent + len(head), high)}"
            previous = part.right
        return text

    def _pipe(self, node: s.Pipe, indent: int, column: int, stage_indent: int, *, fed: bool = False) -> str:
        """`fed`: an `else` follows."""
        stages: list[s.Expr] = []
        source: s.Expr = node
        while isinstance(source, s.Pipe):
            stages.append(source.stage)
            source = source.source
        stages.reverse()
        text = self.expression(source, indent, column, _PIPE)
        if len(stages) == 1 and self._hugs(source, stages[0], column, stage_indent):
            level = _fed_level(stages[0]) if fed else _BRANCH
            return f"{text} |> " + self.expression(stages[0], indent, _column(text, column) + 4, level)
        previous: s.Expr = source
        for stage in stages:
            text += self.comments.beside(previous.span.end, previous.span)
            prefix = f"\n{' ' * stage_indent}"
            for comment in self.comments.before(stage.span.start, stage.span):
                text += prefix + comment.text.rstrip()
            level = _fed_level(stage) if fed and stage is node.stage else _BRANCH
            text += f"{prefix}|> {self.expression(stage, stage_indent, stage_indent + 3, level)}"
            previous = stage
        return text

    def _otherwise(self, node: s.Otherwise, indent: int, column: int, stage_indent: int, else_indent: int) -> str:
        """The fallback has a line of its own under the stages, but stays beside what ends at the statement's indent."""
        value, fallback = node.value, node.fallback
        text, beside = self._fed(node, indent, column, stage_indent)
        if beside:
            text += " else "
            else_indent = indent
        else:
            text += self.comments.beside(value.span.end, value.span)
            prefix = f"\n{' ' * else_indent}"
            for comment in self.comments.before(fallback.span.start, fallback.span):
                text += prefix + comment.text.rstrip()
            text += f"{prefix}else "
        at, inner = _column(text, column), else_indent + INDENT
        match fallback:
            case s.Block():
                return text + self.block(fallback, else_indent)
            case s.Otherwise():
                return text + self._otherwise(fallback, else_indent, at, inner, else_indent)
            case _:
                return text + self.statement_value(fallback, else_indent, at, inner)

    def _fed(self, node: s.Otherwise, indent: int, column: int, stage_indent: int) -> tuple[str, bool]:
        """The pipe before an `else`, and whether the `else` goes on behind it on its last line."""
        value, is_block = node.value, isinstance(node.fallback, s.Block)
        flat = self._flat_fed(value) if _is_single(value) else None
        if flat is not None and column + len(flat) + len(" else {") <= WIDTH and not self.comments.inside(value.span):
            beside, text = is_block, flat
        else:
            text = self._pipe(value, indent, column, stage_indent, fed=True)
            beside = _is_single(value) and text.endswith((f"\n{' ' * indent}}}", f"\n{' ' * indent})"))
        behind = Span(value.span.source, value.span.end, node.fallback.span.start)
        return text, beside and not self.comments.inside(behind)

    def _hugs(self, source: s.Expr, stage: s.Expr, column: int, stage_indent: int) -> bool:
        """Whether a single stage that must be opened stays beside its source: `query |> each x {`, `pool |> ask(`."""
        flat = self.flat(source)
        between = Span(source.span.source, source.span.start, stage.span.start)
        if flat is None or self.comments.inside(between):
            return False
        match stage:
            case s.Each():
                head: str | None = stage.name
            case s.Match():
                head = self.flat(stage.value)
            case s.If():
                head = self.flat(stage.condition)
            case s.Call():
                head = self.flat(stage.callee, _PRIMARY)
            case _:
                return False
        whole = self.flat(stage)
        if whole is not None and stage_indent + 3 + len(whole) <= WIDTH and not self.comments.inside(stage.span):
            return False
        return head is not None and column + len(flat) + len(head) + len(" |> match  {") <= WIDTH

    def _if(self, node: s.If, indent: int, column: int) -> str:
        condition = self.expression(node.condition, indent, column + 3, room=2)
        text = f"if {condition} {self.block(node.then, indent)}"
        if isinstance(node.orelse, s.If):
            return f"{text} else {self._if(node.orelse, indent, indent + 7)}"
        return text if node.orelse is None else f"{text} else {self.block(node.orelse, indent)}"

    def _match(self, node: s.Match, indent: int, column: int) -> str:
        value = self.expression(node.value, indent, column + 6, room=2)
        inner = indent + INDENT
        head = f"match {value} {{" + self.comments.beside(node.value.span.end, node.value.span, opening=True)
        lines = self.sequence(node.arms, inner, node.span.end - 1, node.span, lambda arm: self._arm(arm, inner))
        empty = not lines and head.endswith("{")
        return f"{head} }}" if empty else "\n".join([head, *lines, f"{' ' * indent}}}"])

    def _arm(self, arm: s.MatchArm, indent: int) -> str:
        text = f"{self.expression(arm.pattern, indent, indent, _PIPE + 1)} => "
        if isinstance(arm.value, s.Block):
            return text + self.block(arm.value, indent)
        return text + self.statement_value(arm.value, indent, _column(text, indent), indent + INDENT)

    def arguments(self, arguments: Sequence[s.Argument], indent: int, span: Span) -> str:
        """Arguments, each on its line; `span` ends with their closing bracket."""
        return self.bracketed("(", arguments, ")", indent, span, lambda a: self.argument(a, indent + INDENT, room=1))

    def argument(self, argument: s.Argument, indent: int, room: int = 0) -> str:
        head = f"{argument.name} = " if argument.name else ""
        return head + self.expression(argument.value, indent, indent + len(head), room=room)

    def bracketed(
        self, opening: str, items: Sequence[_Item], closing: str, indent: int, span: Span, write: Callable[[_Item], str]
    ) -> str:
        """One item a line with a comma behind each; comments before `span` ends stay among them."""
        inner = " " * (indent + INDENT)
        lines: list[str] = []
        for item in items:
            leading = self.comments.before(item.span.start, item.span)
            text = write(item)
            leading += self.comments.before(item.span.end, item.span)
            lines += [inner + comment.text.rstrip() for comment in leading]
            lines.append(f"{inner}{text},{self.comments.beside(item.span.end, item.span)}")
        lines += [inner + comment.text.rstrip() for comment in self.comments.before(span.end - 1, span)]
        return "\n".join([opening, *lines, " " * indent + closing]) if lines else opening + closing


def _tune_arguments(node: s.Tune) -> tuple[s.Argument, ...]:
    options = tuple(s.Argument(name=None, value=option, span=option.span) for option in node.options)
    if node.default is None:
        return options
    return (*options, s.Argument(name="default", value=node.default, span=node.default.span))


def _joined(opening: str, parts: Sequence[str | None], closing: str, separator: str = ", ") -> str | None:
    texts = [part for part in parts if part is not None]
    return opening + separator.join(texts) + closing if len(texts) == len(parts) else None


def _column(text: str, column: int) -> int:
    """Where a text ends that starts at a column."""
    return len(text) - text.rindex("\n") - 1 if "\n" in text else column + len(text)
