"""Write: from the syntax tree to what stands in a YAML file.

Invariant: reading what was written gives the same tree. What has a form of its own in YAML is written in it, all else
as an expression of the language.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pnyx.compiler import syntax as s
from pnyx.compiler.format.comments import Comments
from pnyx.compiler.format.printer import Printer
from pnyx.compiler.yaml.emit import Bare, Doc, Items, Pairs, Quoted
from pnyx.compiler.yaml.forms import STEPS

__all__ = ["Writer", "pairs"]

_HEADS: Final = frozenset(form.head for form in STEPS)
_WIDEST: Final = 90


def pairs(*entries: tuple[str, Doc], open: bool = False) -> Pairs:
    return Pairs(tuple((Bare(key), value) for key, value in entries), open)


class Writer:
    """Writes expressions and blocks. `subject` is the name that a pipe without `from` begins with."""

    def __init__(self, module: s.Module) -> None:
        self.printer = Printer(Comments(s.Module(declarations=(), span=module.span)))
        self.subject: str | None = None

    # Values

    def expression(self, node: s.Expr) -> Doc:
        match node:
            case s.Text():
                return Quoted(node.value)
            case s.ListExpr():
                return Items(tuple(map(self.expression, node.items)))
            case s.Tune():
                return self._tune(node)
            case s.If():
                return self._if(node)
            case s.Match():
                return self._match(node)
            case s.Each():
                around, self.subject = self.subject, node.name
                body = self.block(node.body)
                self.subject = around
                return pairs(("each", Bare(node.name)), ("do", body), open=True)
            case s.Pipe() | s.Otherwise():
                return pairs(*self._pipe(node), open=True)
            case _:
                return self.snippet(node)

    def snippet(self, node: s.Expr) -> Bare:
        flat = self.printer.flat(node)
        if flat is not None and len(flat) <= _WIDEST:
            return Bare(flat)
        return Bare(self.printer.statement_value(node, 0, 0, 0))

    def _tune(self, node: s.Tune) -> Pairs:
        match node.options:
            case (s.Range() as only,):
                options = self.expression(only)
            case _:
                options = Items(tuple(map(self.expression, node.options)))
        default = [] if node.default is None else [("default", self.expression(node.default))]
        return pairs(("tune", options), *default)

    def _if(self, node: s.If) -> Pairs:
        entries = [("if", self.expression(node.condition)), ("then", self.block(node.then))]
        match node.orelse:
            case None:
                pass
            case s.If():
                entries.append(("else", self._if(node.orelse)))
            case s.Block():
                entries.append(("else", self.block(node.orelse, is_else=True)))
        return pairs(*entries, open=True)

    def _match(self, node: s.Match) -> Pairs:
        arms = [(self._pattern(arm.pattern), self._arm(arm.value)) for arm in node.arms]
        cases: Doc = Pairs(tuple(arms), open=True)
        if len({key for key, _ in arms}) < len(arms):
            cases = Items(tuple(Pairs((arm,)) for arm in arms), open=True)
        return pairs(("match", self.expression(node.value)), ("cases", cases), open=True)

    def _pattern(self, node: s.Expr) -> Bare | Quoted:
        return Quoted(node.value) if isinstance(node, s.Text) else self.snippet(node)

    def _arm(self, node: s.Expr | s.Block) -> Doc:
        """A list would be read as a block."""
        if isinstance(node, s.Block):
            return Items(self.steps(node), open=True)
        return self.snippet(node) if isinstance(node, s.ListExpr) else self.expression(node)

    # Steps

    def block(self, node: s.Block, *, is_else: bool = False) -> Doc:
        match node.statements:
            case (s.Discard(value=value),) if not isinstance(value, s.ListExpr | s.Pipe | s.Otherwise):
                if not (is_else and isinstance(value, s.If)):
                    return self.expression(value)
        return Items(self.steps(node), open=True)

    def steps(self, node: s.Block) -> tuple[Doc, ...]:
        found: list[Doc] = []
        running = False
        for statement in node.statements:
            found += self._statement(statement, running=running)
            running = isinstance(statement, s.Discard)
        return tuple(found)

    def _statement(self, node: s.Statement, *, running: bool) -> Sequence[Doc]:
        match node:
            case s.Discard():
                return self._flow(node.value, running=running)
            case s.Assign(value=s.Pipe() | s.Otherwise() as value):
                return [pairs(("set", Bare(node.name)), *self._pipe(value), open=True)]
            case s.Assign():
                return [pairs(("set", Bare(node.name)), ("to", self.expression(node.value)), open=True)]
            case s.Repeat():
                return [pairs(("repeat", self.expression(node.count)), ("do", self.block(node.body)), open=True)]
            case s.For():
                head = (("for", Bare(node.name)), ("in", self.expression(node.items)))
                return [pairs(*head, ("do", self.block(node.body)), open=True)]
            case s.Loop():
                until = [] if node.until is None else [("until", self.expression(node.until))]
                return [pairs(("loop", self.expression(node.most)), *until, ("do", self.block(node.body)), open=True)]

    def _flow(self, node: s.Expr, *, running: bool) -> list[Doc]:
        """An expression as a statement: what the pipe begins with, and its steps. Steps behind steps that are `running`
        would go on with their pipe."""
        source, links = self._unwound(node)
        if isinstance(source, s.If | s.Match):
            return [self.expression(source), *links]
        if links and not running and self._is_subject(source):
            return links
        return [pairs(("from", self.expression(source))), *links]

    def _pipe(self, node: s.Pipe | s.Otherwise) -> list[tuple[str, Doc]]:
        source, links = self._unwound(node)
        begins = [] if self._is_subject(source) else [("from", self.expression(source))]
        return [*begins, ("pipe", Items(tuple(links), open=True))]

    def _is_subject(self, node: s.Expr) -> bool:
        return isinstance(node, s.Name) and node.name == self.subject

    def _unwound(self, node: s.Expr) -> tuple[s.Expr, list[Doc]]:
        """What a chain of pipes begins with, and its steps."""
        links: list[Doc] = []
        while isinstance(node, s.Pipe | s.Otherwise):
            if isinstance(node, s.Pipe):
                links.append(self._stage(node.stage))
                node = node.source
            else:
                links.append(pairs(("else", self._arm(node.fallback)), open=True))
                node = node.value
        links.reverse()
        return node, links

    def _stage(self, node: s.Expr) -> Doc:
        match node:
            case s.Call(callee=s.Name(name=name)) if name not in _HEADS:
                return pairs((name, self._arguments(node.arguments)))
            case s.Tune() | s.Each():
                return self.expression(node)
            case s.If() | s.Match() | s.Text() | s.ListExpr() | s.Pipe() | s.Otherwise():
                return pairs(("then", self.expression(node)), open=True)
            case _:
                return self.snippet(node)

    # Calls

    def _arguments(self, arguments: Sequence[s.Argument]) -> Doc:
        names = [argument.name for argument in arguments]
        if names and None not in names and len(set(names)) == len(names):
            return Pairs(tuple(map(self._named, arguments)))
        if names == [None]:
            value = self._positional(arguments[0].value)
            if not isinstance(value, Items):
                return value
        return Items(tuple(map(self._argument, arguments)))

    def _argument(self, argument: s.Argument) -> Doc:
        return self._positional(argument.value) if argument.name is None else Pairs((self._named(argument),))

    def _named(self, argument: s.Argument) -> tuple[Bare, Doc]:
        return Bare(argument.name or ""), self.expression(argument.value)

    def _positional(self, node: s.Expr) -> Doc:
        """A pipe among arguments is written in the language: its keys would be taken for names of arguments."""
        return self.snippet(node) if isinstance(node, s.Pipe | s.Otherwise) else self.expression(node)
