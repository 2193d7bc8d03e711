"""Completion: what may stand at the cursor, the likely first."""

from __future__ import annotations

from collections.abc import Iterator

from lsprotocol import types as lsp

from pnyx.compiler import syntax
from pnyx.compiler.elaborate.builtin import BUILTINS
from pnyx.compiler.elaborate.kinds import REQUIRED, TYPE_NAMES, Base, Kind, Parameter, Signature
from pnyx.compiler.elaborate.scope import ModuleScope
from pnyx.compiler.elaborate.values import GraphValue, Symbol, Value
from pnyx.compiler.language_server.cursor import Call, Cursor
from pnyx.compiler.language_server.describe import FIELDS, KEYWORDS, document, parameter_label, signature_label
from pnyx.compiler.language_server.document import View
from pnyx.compiler.language_server.occurrences import Origin, Target
from pnyx.compiler.operators import Action
from pnyx.compiler.types import Chat, Pool

__all__ = ["complete", "resolve"]

_KINDS = lsp.CompletionItemKind
_DECLARATIONS = {
    "model": 'model ${1:name} = "${2:smollm2-135m}"',
    "prompt": 'prompt ${1:name}(${2:query, candidate}) = """\n    ${0:{{ query \\}\\}}\n"""',
    "op": "op ${1:name}(${2:pool: Pool{text\\}, model: Model}) -> ${3:Pool} {\n    $0\n}",
    "pipeline": "pipeline ${1:name}(query) {\n    query |> generate(${2:model})$0\n}",
    "let": "let ${1:name} = $0",
    "state": "state ${1:name} = $0",
    "import": 'import "${1:file.pnyx}"',
    "extern": 'extern op ${1:name}(${2:pool: Pool}) -> ${3:Pool} = "${4:package.module}:${5:function}"',
    "benchmark": 'benchmark ${1:name} {\n    data = jsonl("${2:questions.jsonl}")\n    $0\n}',
    "search": "search ${1:name} {\n    pipeline = ${2:pipeline}\n    benchmark = ${3:benchmark}\n    $0\n}",
}
_STATEMENTS = {
    "repeat": "repeat ${1:2} {\n    $0\n}",
    "for": "for ${1:item} in ${2:list} {\n    $0\n}",
    "loop": "loop max ${1:5} until ${2:condition} {\n    $0\n}",
    "if": "if ${1:condition} {\n    $0\n} else {\n    \n}",
}
_VALUES = {"tune": "tune($0)"}
_STAGES = {**_VALUES, "each": "each ${1:candidate} {\n    $0\n}"}
_POLICIES = {**{str(action): str(action) for action in Action}, "retry": "retry(${1:2}) then ${2:keep}"}


def complete(view: View, position: lsp.Position, *, snippets: bool) -> list[lsp.CompletionItem]:
    """`snippets`: whether the editor takes texts with places to fill in."""
    cursor = Cursor(view, view.text.offset(position))
    return list(_Completion(cursor, snippets=snippets).items())


class _Completion:
    def __init__(self, cursor: Cursor, *, snippets: bool) -> None:
        self.cursor = cursor
        self.scope: ModuleScope = cursor.view.analysis.scope
        self.snippets = snippets

    def items(self) -> Iterator[lsp.CompletionItem]:
        cursor = self.cursor
        before = cursor.before()
        if cursor.in_comment:
            return
        if cursor.in_text:
            yield from self._template()
        elif cursor.at_line_start:
            yield from self._words(_DECLARATIONS)
        elif (pipe := cursor.pipe()) is not None:
            yield from self._stages(cursor.value_before(pipe))
        elif before == "DOT":
            yield from self._fields(cursor.value_before(cursor.tokens[-1].start))
        elif before in ("COLON", "ARROW"):
            yield from (self._plain(name, _KINDS.TypeParameter) for name in TYPE_NAMES)
        elif (call := cursor.call()) is not None:
            yield from self._arguments(call)
        elif cursor.open() and not cursor.in_head:
            if before in ("LBRACE", "_NL"):
                yield from self._words(_STATEMENTS)
            yield from self._expressions()
        elif before == "EQUAL":
            yield from self._expressions()

    # What kinds of things there are --------------------------------------------------------------

    def _words(self, snippets: dict[str, str]) -> Iterator[lsp.CompletionItem]:
        for word, snippet in snippets.items():
            yield self._item(word, _KINDS.Keyword, snippet, detail=KEYWORDS[word])

    def _expressions(self) -> Iterator[lsp.CompletionItem]:
        yield from (self._plain(name, _KINDS.Variable, "0") for name in self.cursor.locals())
        for name, declaration in self.scope.own.items():
            if isinstance(declaration, syntax.LetDecl | syntax.ModelDecl | syntax.PromptDecl | syntax.StateDecl):
                yield self._named(name, _kind_of(declaration), "1")
        yield from self._words(_VALUES)
        yield from (self._operator(name, signature, rank, 0) for name, signature, rank in self._operators())

    def _stages(self, value: Value) -> Iterator[lsp.CompletionItem]:
        """Operators that take what is piped; all where that is not known."""
        for name, signature, rank in self._operators():
            if signature.parameters and (value is None or _takes(signature, value)):
                yield self._operator(name, signature, rank, 1)
        yield from self._words(_STAGES)

    def _operators(self) -> Iterator[tuple[str, Signature, str]]:
        names = {**dict.fromkeys(self.scope.own, "2"), **dict.fromkeys(self.scope.library, "3")}
        for name, rank in {**names, **{n: "4" for n in BUILTINS if n not in names}}.items():
            signature = self.scope.signature(name)
            if signature is not None:
                yield name, signature, rank

    def _arguments(self, call: Call) -> Iterator[lsp.CompletionItem]:
        signature = self.scope.signature(call.callee)
        if signature is None:
            yield from self._expressions()
            return
        name = self.cursor.argument_name()
        if name is not None:
            yield from self._values(signature.parameter(name), call)
            return
        if self.cursor.before() not in ("LPAR", "COMMA"):
            yield from self._expressions()
            return
        position = call.count + call.piped
        if position < len(signature.parameters) and not call.names:
            yield from self._values(signature.parameters[position], call)
        for parameter in signature.parameters[position:]:
            if parameter.name not in call.names:
                label = f"{parameter.name} = "
                yield self._item(label, _KINDS.Property, label, detail=parameter_label(parameter), rank="1",
                                 doc=parameter.doc)  # fmt: skip

    def _values(self, parameter: Parameter | None, call: Call) -> Iterator[lsp.CompletionItem]:
        kind = parameter.kind if parameter is not None else Kind(Base.ANY)
        base = kind.element.base if kind.base is Base.LIST and kind.element else kind.base
        match base:
            case Base.CHOICE:
                yield from (self._plain(str(word), _KINDS.EnumMember, "0") for word in kind.words)
            case Base.POLICY:
                yield from (self._item(w, _KINDS.EnumMember, s, rank="0") for w, s in _POLICIES.items())
            case Base.FIELD:
                value = self.cursor.value_before(call.pipe) if call.pipe is not None else None
                yield from self._fields(value, new=parameter is not None and parameter.name == "into")
            case Base.BOOL:
                yield from (self._plain(word, _KINDS.Keyword, "0") for word in ("true", "false"))
            case Base.MODEL:
                yield from self._declared(syntax.ModelDecl)
            case Base.PROMPT:
                yield from self._declared(syntax.PromptDecl)
            case Base.OP:
                yield from (self._operator(n, s, r, 0, hole=True) for n, s, r in self._operators() if s.parameters)
            case Base.POOL | Base.CHAT | Base.SUBJECT | Base.ANY:
                yield from self._expressions()
            case _:
                yield from self._words(_VALUES)
        if kind.optional:
            yield self._plain("none", _KINDS.Keyword, "5")

    def _declared(self, kind: type[syntax.ModelDecl | syntax.PromptDecl]) -> Iterator[lsp.CompletionItem]:
        for rank, declarations in (("0", self.scope.own), ("3", self.scope.library)):
            for name, declaration in declarations.items():
                if isinstance(declaration, kind):
                    yield self._named(name, _kind_of(declaration), rank)

    def _fields(self, value: Value, *, new: bool = False) -> Iterator[lsp.CompletionItem]:
        """Those of the candidates; with `new` also those that others know, for a field to be filled."""
        known = value.node.type.fields if isinstance(value, GraphValue) and isinstance(value.node.type, Pool) else None
        names = [*sorted(known or ()), *(f for f in FIELDS if (known is None or new) and f not in (known or ()))]
        for name in names:
            yield self._item(name, _KINDS.Field, name, detail=FIELDS.get(name, ""), rank="0")

    def _template(self) -> Iterator[lsp.CompletionItem]:
        """Inside `{{ … }}` or `{% … %}` of a prompt: its parameters."""
        text = self.cursor.view.text.text[self.cursor.start : self.cursor.offset]
        if max(text.rfind("{{"), text.rfind("{%")) > max(text.rfind("}}"), text.rfind("%}")):
            yield from (self._plain(name, _KINDS.Variable) for name in self.cursor.locals())

    # One item ------------------------------------------------------------------------------------

    def _operator(
        self, name: str, signature: Signature, rank: str, given: int, *, hole: bool = False
    ) -> lsp.CompletionItem:
        """With what it needs beyond the first `given` arguments to fill in."""
        needed = [p for p in signature.parameters[1 if hole else given :] if p.default is REQUIRED]
        places = [f"${{{i}:{self._likely(p)}}}" for i, p in enumerate(needed, 1)]
        if hole:
            places.insert(0, "_")
        snippet = f"{name}({', '.join(places)})" if places else name
        return self._item(name, _KINDS.Function, snippet, detail=signature_label(signature), rank=rank, target=name)

    def _likely(self, parameter: Parameter) -> str:
        kind = parameter.kind
        base = kind.element.base if kind.base is Base.LIST and kind.element else kind.base
        if base is Base.MODEL:
            return next((n for n, d in self.scope.own.items() if isinstance(d, syntax.ModelDecl)), parameter.name)
        return str(kind.words[0]) if kind.words else parameter.name

    def _named(self, name: str, kind: lsp.CompletionItemKind, rank: str) -> lsp.CompletionItem:
        return self._item(name, kind, name, rank=rank, target=name)

    def _plain(self, name: str, kind: lsp.CompletionItemKind, rank: str = "1") -> lsp.CompletionItem:
        return self._item(name, kind, name, rank=rank)

    def _item(
        self,
        label: str,
        kind: lsp.CompletionItemKind,
        snippet: str,
        *,
        detail: str = "",
        rank: str = "1",
        doc: str = "",
        target: str | None = None,
    ) -> lsp.CompletionItem:
        rich = self.snippets and "$" in snippet
        return lsp.CompletionItem(
            label,
            kind=kind,
            detail=detail or None,
            documentation=doc or None,
            sort_text=f"{rank}{label}",
            insert_text=snippet if rich else label,
            insert_text_format=lsp.InsertTextFormat.Snippet if rich else lsp.InsertTextFormat.PlainText,
            data=None if target is None else {"uri": self.cursor.view.uri, "name": target},
        )


def resolve(view: View, item: lsp.CompletionItem, name: str) -> lsp.CompletionItem:
    """The item with its documentation."""
    scope = view.analysis.scope
    origin = Origin.PROGRAM if name in scope.own else Origin.LIBRARY if name in scope.library else Origin.BUILTIN
    text = document(Target(origin, name), scope, view.analysis.placement)
    if text is not None:
        item.documentation = lsp.MarkupContent(lsp.MarkupKind.Markdown, text)
    return item


def _kind_of(declaration: object) -> lsp.CompletionItemKind:
    match declaration:
        case syntax.ModelDecl():
            return _KINDS.Module
        case syntax.PromptDecl():
            return _KINDS.Interface
        case _:
            return _KINDS.Constant


def _takes(signature: Signature, value: Value) -> bool:
    """Whether the value can be the operator's first argument."""
    kind = signature.parameters[0].kind
    if not isinstance(value, GraphValue):
        return kind.base not in (Base.POOL, Base.CHAT, Base.SUBJECT)
    type_ = value.node.type
    match kind.base:
        case Base.POOL:
            return isinstance(type_, Pool) and {_field(signature, f) for f in kind.fields} <= type_.fields
        case Base.CHAT:
            return isinstance(type_, Chat)
        case Base.SUBJECT:
            return isinstance(type_, Chat | Pool)
        case base:
            return base is Base.ANY


def _field(signature: Signature, name: str) -> str:
    """The field that a pool needs where its type names a parameter: that parameter's default."""
    parameter = signature.parameter(name)
    if parameter is None or parameter.kind.base is not Base.FIELD:
        return name
    default = parameter.default
    return default.name if isinstance(default, Symbol | syntax.Name) else name
