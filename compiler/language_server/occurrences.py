"""Where names occur and what each of them means: for definitions, references and renaming.

Invariant: occurrences of one target never overlap; what a name means follows the rules of `elaborate/resolve.py` and
`elaborate/scope.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum, auto

from pnyx.compiler import syntax
from pnyx.compiler.elaborate.builtin import BUILTINS
from pnyx.compiler.elaborate.kinds import WORDS, Base, Signature
from pnyx.compiler.elaborate.scope import ModuleScope, Named
from pnyx.compiler.source import Span

__all__ = ["Occurrence", "Origin", "Target", "children", "occurrences"]


class Origin(Enum):
    """Where a name comes from."""

    PROGRAM = auto()
    LIBRARY = auto()
    BUILTIN = auto()
    PARAMETER = auto()
    LOCAL = auto()
    WORD = auto()


@dataclass(frozen=True, slots=True)
class Target:
    """What a name means. `owner`: the declaration that a parameter or local name belongs to; `place` tells local names
    of one owner apart: where each is introduced."""

    origin: Origin
    name: str
    owner: str = ""
    place: int = -1


@dataclass(frozen=True, slots=True)
class Occurrence:
    span: Span
    target: Target
    definition: bool = False


def occurrences(declaration: syntax.Declaration, scope: ModuleScope) -> list[Occurrence]:
    """Every name in a declaration, as it is met."""
    if isinstance(declaration, syntax.Import):
        return []
    walk = _Walk(scope, declaration)
    walk.declaration()
    return walk.found


def children(item: object) -> Iterator[object]:
    """The syntax nodes right below one."""
    if isinstance(item, tuple):
        for part in item:
            yield from children(part) if isinstance(part, tuple) else (part,)
    elif is_dataclass(item):
        for part in fields(item):
            value = getattr(item, part.name)
            if isinstance(value, tuple):
                yield from children(value)
            elif is_dataclass(value) and not isinstance(value, Span):
                yield value


# The settings of a search that name declarations.
_NAMING = frozenset({"pipeline", "benchmark", "baseline"})


class _Walk:
    """`blocks`: the names of the blocks around, the innermost last."""

    def __init__(self, scope: ModuleScope, declaration: Named) -> None:
        self.scope = scope
        self.root = declaration
        self.owner = declaration.name
        self.found: list[Occurrence] = []
        self.blocks: list[dict[str, Target]] = [{}]
        self.word_params: set[str] = set()

    def declaration(self) -> None:
        root = self.root
        self._add(root.name_span, Target(Origin.PROGRAM, root.name), definition=True)
        params: tuple[syntax.Param, ...] = getattr(root, "params", ())
        for parameter in params:
            if parameter.default is not None:
                self.visit(parameter.default, words=_takes_words(parameter))
        for parameter in params:
            target = Target(Origin.PARAMETER, parameter.name, self.owner)
            self.blocks[0][parameter.name] = target
            self._add(parameter.name_span, target, definition=True)
            if _takes_words(parameter):
                self.word_params.add(parameter.name)
        for written in (*(p.type for p in params), getattr(root, "returns", None)):
            self._fields_of(written)
        match root:
            case syntax.PromptDecl():
                for template in (root.system, root.user):
                    if template is not None:
                        self._template(template, {p.name for p in root.params})
            case syntax.SettingsDecl():
                for setting in root.settings:
                    self._setting(setting)
            case syntax.ModelDecl() | syntax.ExternDecl():
                pass
            case _:
                for child in children(root):
                    if not isinstance(child, syntax.Param | syntax.TypeExpr):
                        self.visit(child)

    def _setting(self, setting: syntax.Argument) -> None:
        """What is declared and named in a setting; its other words are fields of rows, metrics and the like."""
        match setting.value:
            case syntax.Call(arguments=arguments):
                for argument in arguments:
                    self.visit(argument.value)
            case syntax.Name(name=name) as value:
                declared = isinstance(self.scope.find(name), syntax.ExternDecl)
                if setting.name in _NAMING or (setting.name == "score" and declared):
                    self.visit(value)
            case value if setting.name in _NAMING:
                self.visit(value)

    def _fields_of(self, written: syntax.TypeExpr | None) -> None:
        """`Pool{by}`: a field that stands for what a parameter names."""
        if written is None or not self.word_params.intersection(written.fields or ()):
            return
        for found in re.finditer(r"[A-Za-z_]\w*", written.span.text.partition("{")[2]):
            if found.group() in self.word_params:
                start = written.span.start + written.span.text.index("{") + 1 + found.start()
                self._add(Span(written.span.source, start, start + len(found.group())), self.blocks[0][found.group()])

    def visit(self, item: object, *, words: bool = False) -> None:
        match item:
            case syntax.Name():
                self._name(item.name, item.span, words=words)
            case syntax.Assign():
                self.visit(item.value)
                self._assigned(item.name, item.name_span)
            case syntax.Block():
                self._block(item, words=words)
            case syntax.For():
                self.visit(item.items)
                self._block(item.body, (item.name, item.name_span))
            case syntax.Each():
                self._block(item.body, (item.name, item.name_span))
            case syntax.Pipe(stage=syntax.Call() as call):
                self.visit(item.source)
                hole = any(isinstance(a.value, syntax.Placeholder) for a in call.arguments)
                self._call(call, 0 if hole else 1)
            case syntax.Call():
                self._call(item, 0)
            case syntax.If():
                self.visit(item.condition)
                self._each((item.then, item.orelse), words=words)
            case syntax.Tune():
                self._each((*item.options, item.default), words=words)
            case syntax.ListExpr():
                self._each(item.items, words=words)
            case _:
                self._each(tuple(children(item)), words=False)

    def _each(self, items: Sequence[object], *, words: bool) -> None:
        for item in items:
            self.visit(item, words=words)

    def _block(self, block: syntax.Block, *names: tuple[str, Span], words: bool = False) -> None:
        self.blocks.append({})
        for name, span in names:
            self._introduce(name, span)
        self._each(block.statements, words=False) if not words else self._words_block(block)
        self.blocks.pop()

    def _words_block(self, block: syntax.Block) -> None:
        for statement in block.statements:
            self.visit(statement.value if isinstance(statement, syntax.Discard) else statement, words=True)

    def _introduce(self, name: str, span: Span) -> None:
        self.blocks[-1][name] = Target(Origin.LOCAL, name, self.owner, span.start)
        self._add(span, self.blocks[-1][name], definition=True)

    def _assigned(self, name: str, span: Span) -> None:
        known = self._local(name)
        if known is not None:
            self._add(span, known, definition=True)
        elif isinstance(self.root, syntax.PipelineDecl) and isinstance(self.scope.find(name), syntax.StateDecl):
            self._add(span, Target(Origin.PROGRAM, name), definition=True)
        else:
            self._introduce(name, span)

    def _local(self, name: str) -> Target | None:
        return next((block[name] for block in reversed(self.blocks) if name in block), None)

    def _global(self, name: str) -> Target | None:
        if name in self.scope.own:
            return Target(Origin.PROGRAM, name)
        if name in self.scope.library:
            return Target(Origin.LIBRARY, name)
        return Target(Origin.BUILTIN, name) if name in BUILTINS else None

    def _name(self, name: str, span: Span, *, words: bool) -> None:
        local = self._local(name)
        if words:
            self._add(span, local if local is not None and name in self.word_params else Target(Origin.WORD, name))
        elif (target := local or self._global(name)) is not None:
            self._add(span, target)

    def _call(self, call: syntax.Call, position: int) -> None:
        self.visit(call.callee)
        callee = call.callee.name if isinstance(call.callee, syntax.Name) else None
        signature = self.scope.signature(callee) if callee and self._local(callee) is None else None
        for argument in call.arguments:
            words = signature is not None and not signature.variables
            parameter = signature.parameter(argument.name) if signature and argument.name else None
            if signature is not None and argument.name is None:
                parameter = signature.parameters[position] if position < len(signature.parameters) else None
                position += 1
            if parameter is not None:
                words = parameter.kind.base in WORDS
            if argument.name is not None and argument.name_span is not None and signature is not None:
                owner = signature.name if parameter is not None else self._prompt_of(call, signature)
                self._add(argument.name_span, Target(Origin.PARAMETER, argument.name, owner))
            if signature is None and isinstance(argument.value, syntax.Name):
                words = self._local(argument.value.name) is None and self._global(argument.value.name) is None
            self.visit(argument.value, words=words)

    def _prompt_of(self, call: syntax.Call, signature: Signature) -> str:
        """The prompt whose variable an argument is that the operator itself does not have."""
        for argument in call.arguments:
            if isinstance(argument.value, syntax.Name):
                declaration = self.scope.find(argument.value.name)
                if isinstance(declaration, syntax.PromptDecl):
                    return declaration.name
        return signature.name

    def _template(self, template: syntax.Text, params: set[str]) -> None:
        for name, span in template_names(template):
            if name in params:
                self._add(span, Target(Origin.PARAMETER, name, self.owner))

    def _add(self, span: Span, target: Target, *, definition: bool = False) -> None:
        self.found.append(Occurrence(span, target, definition))


def _takes_words(parameter: syntax.Param) -> bool:
    return parameter.type is not None and parameter.type.name in (Base.FIELD, Base.POLICY)


_EXPRESSIONS = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_NAMES = re.compile(r""""[^"]*"|'[^']*'|(?<![.\w])(?P<name>[A-Za-z_]\w*)(?!\s*=[^=])""")


def template_names(template: syntax.Text) -> Iterator[tuple[str, Span]]:
    """The names in a template that are not behind a dot, where they stand in the source."""
    span = template.span
    for part in _EXPRESSIONS.finditer(span.text):
        for found in _NAMES.finditer(part.group()):
            if found["name"]:
                start = span.start + part.start() + found.start("name")
                yield found["name"], Span(span.source, start, start + len(found["name"]))
