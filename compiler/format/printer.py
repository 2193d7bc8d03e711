"""Statements, declarations and whole modules as canonical text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar, assert_never

from pnyx.compiler import syntax as s
from pnyx.compiler.format.expressions import INDENT, WIDTH, Expressions
from pnyx.compiler.format.spell import spell_import, spell_number, spell_text, spell_type
from pnyx.compiler.source import Span

__all__ = ["Printer"]

_Item = TypeVar("_Item", bound="s.Statement | s.Argument | s.MatchArm")


class Printer(Expressions):
    def module(self, module: s.Module) -> str:
        lines: list[str] = []
        previous: Span | None = None
        was_long = False
        for declaration in module.declarations:
            leading = self.comments.before(declaration.span.start, declaration.span)
            text = self.declaration(declaration)
            leading += self.comments.before(declaration.span.end, declaration.span)
            text += self.comments.beside(declaration.span.end, declaration.span)
            first = leading[0] if leading else declaration.span
            is_long = "\n" in text
            if lines and (was_long or is_long) and not self.comments.blank_between(previous, first):
                lines.append("")
            self._lead(lines, leading, previous, declaration.span, 0)
            lines.append(text)
            previous, was_long = declaration.span, is_long
        self._lead(lines, self.comments.rest(), previous, None, 0)
        return "\n".join(lines) + "\n" if lines else ""

    def _lead(
        self, lines: list[str], comments: Sequence[Span], previous: Span | None, following: Span | None, indent: int
    ) -> None:
        """Comments on lines of their own, keeping single empty lines around them."""
        for comment in comments:
            if lines and self.comments.blank_between(previous, comment):
                lines.append("")
            lines.append(" " * indent + comment.text.rstrip())
            previous = comment
        if following is not None and lines and self.comments.blank_between(previous, following):
            lines.append("")

    def sequence(
        self, items: Sequence[_Item], indent: int, end: int, span: Span, write: Callable[[_Item], str]
    ) -> list[str]:
        """One item a line; `end` is where the closing bracket of `span` stands."""
        lines: list[str] = []
        previous: Span | None = None
        for item in items:
            leading = self.comments.before(item.span.start, item.span)
            text = write(item)
            leading += self.comments.before(item.span.end, item.span)
            self._lead(lines, leading, previous, item.span, indent)
            lines.append(" " * indent + text + self.comments.beside(item.span.end, item.span))
            previous = item.span
        self._lead(lines, self.comments.before(end, span), previous, None, indent)
        return lines

    # Statements

    def block(self, block: s.Block, indent: int) -> str:
        head = "{" + self.comments.beside(block.span.start + 1, block.span)
        inner = indent + INDENT
        write = self._statement_writer(inner)
        lines = self.sequence(block.statements, inner, block.span.end - 1, block.span, write)
        if not lines and head == "{":
            return "{ }"
        return "\n".join([head, *lines, " " * indent + "}"])

    def _statement_writer(self, indent: int) -> Callable[[s.Statement], str]:
        return lambda statement: self.statement(statement, indent)

    def statement(self, node: s.Statement, indent: int) -> str:
        match node:
            case s.Assign():
                head = f"{node.name} = "
                return head + self.statement_value(node.value, indent, indent + len(head), indent + INDENT)
            case s.Discard():
                return self.statement_value(node.value, indent, indent, indent)
            case s.Repeat():
                count = self.expression(node.count, indent, indent + 7, room=2)
                return f"repeat {count} {self.block(node.body, indent)}"
            case s.For():
                head = f"for {node.name} in "
                items = self.expression(node.items, indent, indent + len(head), room=2)
                return f"{head}{items} {self.block(node.body, indent)}"
            case s.Loop():
                text = f"loop max {self.expression(node.most, indent, indent + 9)}"
                if node.until is not None:
                    text += f" until {self.expression(node.until, indent, indent + len(text) + 7, room=2)}"
                return f"{text} {self.block(node.body, indent)}"
            case _:
                assert_never(node)

    # Declarations

    def declaration(self, node: s.Declaration) -> str:
        match node:
            case s.ModelDecl():
                head = f"model {node.name} = {spell_text(node.id, 0)}"
                behind = Span(node.span.source, node.id.span.end, node.span.end)
                has_options = node.options or self.comments.inside(behind)
                return f"{head} {self._entries(node.options, head, behind)}" if has_options else head
            case s.PromptDecl():
                return self._prompt(node)
            case s.OpDecl():
                head = self._signature("op", node.name, node.params, node.returns, node.body.span.start, " {")
                return f"{head} {self.block(node.body, 0)}"
            case s.PipelineDecl():
                limits = f" limit {', '.join(map(spell_number, node.limits))}" if node.limits else ""
                end = (node.limits or (node.body,))[0].span.start
                head = self._signature("pipeline", node.name, node.params, None, end, limits + " {")
                return f"{head}{limits} {self.block(node.body, 0)}"
            case s.LetDecl():
                head = f"let {node.name} = "
                return head + self.statement_value(node.value, 0, len(head), INDENT)
            case s.StateDecl():
                return self._state(node)
            case s.Import():
                return spell_import(node)
            case s.ExternDecl():
                target = f" = {spell_text(node.target, 0)}"
                end = node.target.span.start
                return self._signature("extern op", node.name, node.params, node.returns, end, target) + target
            case s.SettingsDecl():
                head = f"{node.kind} {node.name}"
                behind = Span(node.span.source, node.name_span.end, node.span.end)
                return f"{head} {self._entries(node.settings, head, behind, short=False)}"
            case _:
                assert_never(node)

    def _state(self, node: s.StateDecl) -> str:
        head = f"state {node.name}{f': {spell_type(node.type)}' if node.type else ''} = "
        behind = Span(node.span.source, node.value.span.end, node.span.end)
        if not (node.options or self.comments.inside(behind)):
            return head + self.statement_value(node.value, 0, len(head), INDENT)
        head += self.expression(node.value, 0, len(head), room=len(" {"))
        return f"{head} {self._entries(node.options, head.rpartition(chr(10))[2], behind)}"

    def _prompt(self, node: s.PromptDecl) -> str:
        if node.system is None:
            text = spell_text(node.user, 0)
            end = node.user.span.start
            return self._signature("prompt", node.name, node.params, None, end, " = " + text[:3]) + f" = {text}"
        parts = [
            s.Argument(name="system", value=node.system, span=node.system.span),
            s.Argument(name="user", value=node.user, span=node.user.span),
        ]
        parts.sort(key=lambda part: part.span.start)
        head = self._signature("prompt", node.name, node.params, None, parts[0].span.start, " = {") + " ="
        behind = Span(node.span.source, parts[0].span.start, node.span.end)
        return f"{head} {self._entries(parts, head, behind, short=False)}"

    def _entries(self, entries: Sequence[s.Argument], head: str, span: Span, *, short: bool = True) -> str:
        if short and not self.comments.inside(span):
            values = [self.flat(entry.value) for entry in entries]
            pairs = [
                f"{entry.name} = {value}" for entry, value in zip(entries, values, strict=True) if value is not None
            ]
            text = f"{{ {', '.join(pairs)} }}"
            if len(pairs) == len(entries) and len(head) + 1 + len(text) <= WIDTH:
                return text
        opening = "{" + self.comments.beside(span.start, span, opening=True)
        lines = self.sequence(entries, INDENT, span.end - 1, span, lambda entry: self.argument(entry, INDENT))
        return "{ }" if not lines and opening == "{" else "\n".join([opening, *lines, "}"])

    def _signature(
        self, word: str, name: str, params: Sequence[s.Param], returns: s.TypeExpr | None, end: int, tail: str
    ) -> str:
        """The head of a declaration; `end` is where what follows it begins, `tail` how that begins."""
        head = f"{word} {name}"
        gives = f" -> {spell_type(returns)}" if returns else ""
        flat = [self._flat_param(param) for param in params]
        text = f"{head}({', '.join(p for p in flat if p is not None)}){gives}"
        span = Span(params[0].span.source, params[0].span.start, end) if params else None
        long = None in flat or len(text) + len(tail.split("\n", maxsplit=1)[0]) > WIDTH
        if span is None or not (long or self.comments.inside(span)):
            return text
        limit = Span(span.source, span.start, end + 1)
        return head + self.bracketed("(", params, ")", 0, limit, self._param) + gives

    def _param_head(self, param: s.Param) -> str:
        return param.name + (f": {spell_type(param.type)}" if param.type else "")

    def _flat_param(self, param: s.Param) -> str | None:
        head = self._param_head(param)
        if param.default is None:
            return head
        value = self.flat(param.default)
        return None if value is None else f"{head} = {value}"

    def _param(self, param: s.Param) -> str:
        head = self._param_head(param)
        if param.default is None:
            return head
        return f"{head} = {self.expression(param.default, INDENT, INDENT + len(head) + 3, room=1)}"
