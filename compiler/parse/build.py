"""Build: from what the grammar recognises to the syntax tree, one method for each rule of the grammar.

Invariants: a node's span reaches from its first to its last token; an expression in parentheses is the expression
itself with the parentheses in its span. What the grammar allows and the language does not is raised as `Fault`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar, cast, get_args

from pnyx.compiler import syntax as s
from pnyx.compiler.diagnostics import Diagnostic, Label
from pnyx.compiler.nearest import nearest
from pnyx.compiler.parse.token import Token
from pnyx.compiler.source import Span

__all__ = ["Builder", "Fault"]


_EXPRESSIONS: Final = tuple(get_args(s.Expr))
_FOREIGN_VALUES: Final = {
    "None": "none", "null": "none", "nil": "none", "True": "true", "False": "false",
}  # fmt: skip
_PROMPT_PARTS: Final = ("system", "user")
_T = TypeVar("_T")

Children = list[Any]


class Fault(Exception):
    """Something that the grammar lets through and the language does not.

    `lacking`: something is not there; which says nothing once a faulty statement has been taken out.
    """

    def __init__(self, code: str, message: str, span: Span, help: str | None = None, *, lacking: bool = False) -> None:
        super().__init__(message)
        self.diagnostic = Diagnostic(code, message, Label(span), (), help)
        self.lacking = lacking


@dataclass(frozen=True, slots=True)
class _Group:
    """Items between brackets, on the way to the node that they belong to."""

    span: Span
    items: tuple[Any, ...] = ()


def _span(children: Sequence[Any]) -> Span:
    present = [child for child in children if child is not None]
    first, last = present[0], present[-1]
    start = first.start if isinstance(first, Token) else first.span.start
    if isinstance(last, Token):
        return Span(last.source, start, last.end)
    return Span(last.span.source, start, last.span.end)


def _only(children: Iterable[object], kind: type[_T]) -> tuple[_T, ...]:
    return tuple(child for child in children if isinstance(child, kind))


def _expressions(children: Iterable[object]) -> tuple[s.Expr, ...]:
    return tuple(cast("s.Expr", child) for child in children if isinstance(child, _EXPRESSIONS))


def _named(token: Token) -> dict[str, Any]:
    return {"name": token.value, "name_span": token.span}


def _text(token: Token) -> s.Text:
    return s.Text(value=cast(str, token.value), triple=token.text.startswith('"""'), span=token.span)


class Builder:
    """What Lark calls when a rule is complete, with the tokens and nodes of the rule in order."""

    def module(self, children: Children) -> tuple[s.Declaration, ...]:
        return tuple(child for child in children if child is not None)

    # Declarations

    def model(self, children: Children) -> s.ModelDecl:
        options = children[4].items if len(children) > 4 else ()
        return s.ModelDecl(**_named(children[1]), id=_text(children[3]), options=options, span=_span(children))

    def prompt_text(self, children: Children) -> s.PromptDecl:
        params = children[2].items
        user = _text(children[4])
        return s.PromptDecl(**_named(children[1]), params=params, user=user, system=None, span=_span(children))

    def prompt_parts(self, children: Children) -> s.PromptDecl:
        parts: dict[str, s.Text] = {}
        for entry in children[-1].items:
            span = entry.name_span
            if entry.name not in _PROMPT_PARTS:
                near = nearest(entry.name, _PROMPT_PARTS)
                help = f"did you mean `{near}`?" if near else "a prompt has a `user` part and may have a `system` part"
                raise Fault("E101", f"a prompt has no part `{entry.name}`", span, help=help)
            if entry.name in parts:
                raise Fault("E101", f"the `{entry.name}` part is written twice", span, "remove one of the two")
            if not isinstance(entry.value, s.Text):
                help = f'write `{entry.name} = """…"""`'
                message = f"the `{entry.name}` part of a prompt must be a string"
                raise Fault("E101", message, entry.value.span, help)
            parts[entry.name] = entry.value
        name = children[1]
        if "user" not in parts:
            help = 'add `user = """…"""`'
            raise Fault("E101", f"prompt `{name.value}` has no `user` part", name.span, help, lacking=True)
        params = children[2].items
        return s.PromptDecl(
            **_named(name), params=params, user=parts["user"], system=parts.get("system"), span=_span(children)
        )

    def op(self, children: Children) -> s.OpDecl:
        _, name, params, _, returns, body = children
        return s.OpDecl(**_named(name), params=params.items, returns=returns, body=body, span=_span(children))

    def pipeline(self, children: Children) -> s.PipelineDecl:
        _, name, params, limits, body = children
        return s.PipelineDecl(
            **_named(name),
            params=params.items,
            limits=limits.items if limits else (),
            body=body,
            span=_span(children),
        )

    def limits(self, children: Children) -> _Group:
        return _Group(_span(children), _only(children, s.Number))

    def let(self, children: Children) -> s.LetDecl:
        return s.LetDecl(**_named(children[1]), value=children[3], span=_span(children))

    def state(self, children: Children) -> s.StateDecl:
        _, name, _, type_, _, value, *entries = children
        options = entries[0].items if entries else ()
        return s.StateDecl(**_named(name), type=type_, value=value, options=options, span=_span(children))

    def import_file(self, children: Children) -> s.Import:
        return s.Import(path=children[1].value, span=_span(children))

    def import_path(self, children: Children) -> s.Import:
        return s.Import(path=children[1].items[0], span=_span(children))

    def path(self, children: Children) -> _Group:
        return _Group(_span(children), ("".join(str(child.value) for child in children),))

    def extern(self, children: Children) -> s.ExternDecl:
        _, _, name, params, _, returns, _, target = children
        params = params.items
        return s.ExternDecl(**_named(name), params=params, returns=returns, target=_text(target), span=_span(children))

    def settings(self, children: Children) -> s.SettingsDecl:
        kind, name, entries = children
        return s.SettingsDecl(kind=kind.value, **_named(name), settings=entries.items, span=_span(children))

    def params(self, children: Children) -> _Group:
        return _Group(_span(children), _only(children, s.Param))

    def param(self, children: Children) -> s.Param:
        name, _, type_, _, default = children
        return s.Param(**_named(name), type=type_, default=default, span=_span(children))

    def entries(self, children: Children) -> _Group:
        return _Group(_span(children), _only(children, s.Argument))

    def entry(self, children: Children) -> s.Argument:
        key, _, value = children
        return s.Argument(name=key.items[0], name_span=key.span, value=value, span=_span(children))

    def key(self, children: Children) -> _Group:
        return _Group(_span(children), (" ".join(str(word.value) for word in children),))

    def quantity(self, children: Children) -> s.Number:
        number, word = children
        value, unit = number.value
        if unit is not None:
            raise Fault("E106", f"`{number.text}` has a unit already", word.span, help=f"delete `{word.text}`")
        return s.Number(value=value, unit=word.value, span=_span(children))

    # Types

    def type(self, children: Children) -> s.TypeExpr:
        name, inner, fields, optional = children
        size, arguments = inner.items if inner else (None, ())
        return s.TypeExpr(
            name=name.value,
            size=size,
            fields=fields.items if fields else None,
            arguments=arguments,
            optional=optional is not None,
            span=_span(children),
        )

    def size_exact(self, children: Children) -> _Group:
        size = self._size(children[1])
        return _Group(_span(children), ((size, size), ()))

    def size_range(self, children: Children) -> _Group:
        _, low, dots, high, _ = children
        least, most = self._size(low), self._size(high) if high else None
        if most is not None and most < least:
            span = _span((low, dots, high))
            raise Fault("E106", f"the size {span.text} ends before it begins", span, help=f"write `{most}..{least}`")
        return _Group(_span(children), ((least, most), ()))

    def _size(self, token: Token) -> int:
        value, unit = cast("tuple[int | float, str | None]", token.value)
        if unit is not None or not isinstance(value, int):
            help = "for example `Pool[3]`, or `Pool[1..8]`"
            raise Fault("E106", f"the size of a pool is a whole number, not `{token.text}`", token.span, help)
        return value

    def type_parameters(self, children: Children) -> _Group:
        return _Group(_span(children), (None, _only(children, s.TypeExpr)))

    def type_fields(self, children: Children) -> _Group:
        names = tuple(t.value for t in children if t is not None and t.type == "NAME")
        return _Group(_span(children), names)

    # Statements

    def block(self, children: Children) -> s.Block:
        statements = tuple(child for child in children if child is not None and not isinstance(child, Token))
        return s.Block(statements=statements, span=_span(children))

    def assign(self, children: Children) -> s.Assign:
        return s.Assign(**_named(children[0]), value=children[2], span=_span(children))

    def discard(self, children: Children) -> s.Discard:
        return s.Discard(value=children[0], span=_span(children))

    def repeat(self, children: Children) -> s.Repeat:
        return s.Repeat(count=children[1], body=children[2], span=_span(children))

    def for_(self, children: Children) -> s.For:
        return s.For(**_named(children[1]), items=children[3], body=children[4], span=_span(children))

    def loop(self, children: Children) -> s.Loop:
        _, _, most, _, until, body = children
        return s.Loop(most=most, until=until, body=body, span=_span(children))

    # Expressions

    def pipe(self, children: Children) -> s.Pipe:
        return s.Pipe(source=children[0], stage=children[2], span=_span(children))

    def otherwise(self, children: Children) -> s.Otherwise:
        return s.Otherwise(value=children[0], fallback=children[2], span=_span(children))

    def binary(self, children: Children) -> s.Binary:
        left, operator, right = children
        return s.Binary(operator=operator.value, left=left, right=right, span=_span(children))

    def unary(self, children: Children) -> s.Unary:
        return s.Unary(operator=children[0].value, operand=children[1], span=_span(children))

    def range(self, children: Children) -> s.Range:
        return s.Range(low=children[0], high=children[2], span=_span(children))

    def call(self, children: Children) -> s.Call:
        callee, _, arguments, _ = children
        return s.Call(callee=callee, arguments=arguments.items if arguments else (), span=_span(children))

    def field(self, children: Children) -> s.Field:
        value, _, name = children
        return s.Field(value=value, name=name.value, name_span=name.span, span=_span(children))

    def name(self, children: Children) -> s.Name:
        token = children[0]
        if token.value in _FOREIGN_VALUES:
            help = f"write `{_FOREIGN_VALUES[token.value]}`"
            raise Fault("E101", f"`{token.value}` is not a word of the language", token.span, help)
        return s.Name(name=children[0].value, span=children[0].span)

    def number(self, children: Children) -> s.Number:
        value, unit = children[0].value
        return s.Number(value=value, unit=unit, span=children[0].span)

    def text(self, children: Children) -> s.Text:
        return _text(children[0])

    def true(self, children: Children) -> s.Bool:
        return s.Bool(value=True, span=children[0].span)

    def false(self, children: Children) -> s.Bool:
        return s.Bool(value=False, span=children[0].span)

    def none(self, children: Children) -> s.NoneValue:
        return s.NoneValue(span=children[0].span)

    def placeholder(self, children: Children) -> s.Placeholder:
        return s.Placeholder(span=children[0].span)

    def parenthesised(self, children: Children) -> s.Expr:
        return cast("s.Expr", replace(children[1], span=_span(children)))

    def list(self, children: Children) -> s.ListExpr:
        return s.ListExpr(items=_expressions(children), span=_span(children))

    def tune(self, children: Children) -> s.Tune:
        arguments: tuple[s.Argument, ...] = children[2].items if children[2] else ()
        default: s.Expr | None = None
        options = []
        for argument in arguments:
            span = argument.name_span or argument.span
            if argument.name is None:
                options.append(argument.value)
            elif argument.name != "default":
                help = "the options stand without names; `default = …` says which is the first to run"
                raise Fault("E101", f"`tune` has no argument `{argument.name}`", span, help=help)
            elif default is not None:
                raise Fault("E101", "`default` is given twice", span, "remove one of the two")
            else:
                default = argument.value
        return s.Tune(options=tuple(options), default=default, span=_span(children))

    def policy(self, children: Children) -> s.Policy:
        action = children[-1]
        return s.Policy(retries=children[2], action=action.value, action_span=action.span, span=_span(children))

    def if_(self, children: Children) -> s.If:
        _, condition, then, _, orelse = children
        return s.If(condition=condition, then=then, orelse=orelse, span=_span(children))

    def match(self, children: Children) -> s.Match:
        return s.Match(value=children[1], arms=_only(children, s.MatchArm), span=_span(children))

    def arm(self, children: Children) -> s.MatchArm:
        return s.MatchArm(pattern=children[0], value=children[2], span=_span(children))

    def each(self, children: Children) -> s.Each:
        return s.Each(**_named(children[1]), body=children[2], span=_span(children))

    def arguments(self, children: Children) -> _Group:
        return _Group(_span(children), _only(children, s.Argument))

    def argument(self, children: Children) -> s.Argument:
        name, _, value = children
        return s.Argument(
            name=name.value if name else None,
            name_span=name.span if name else None,
            value=value,
            span=_span(children),
        )
