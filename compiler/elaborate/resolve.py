"""Names, checked everywhere in a program: also in branches that are not taken and operators that nothing calls.

Reports unknown names, arguments that do not fit, faulty prompts and model options, and names that nothing uses. Values
and types are the elaborator's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Diagnostics, Label, rename
from pnyx.compiler.elaborate.bind import Given, bind
from pnyx.compiler.elaborate.builtin import VALUES
from pnyx.compiler.elaborate.circles import check_circles
from pnyx.compiler.elaborate.externs import check_extern
from pnyx.compiler.elaborate.kinds import WORDS, Base, Kind, Signature
from pnyx.compiler.elaborate.scope import ModuleScope, check_types
from pnyx.compiler.elaborate.states import check_state
from pnyx.compiler.elaborate.templates import check_prompt
from pnyx.compiler.limits import read_limits
from pnyx.compiler.nearest import nearest
from pnyx.compiler.source import Span

__all__ = ["resolve"]

_MODEL_OPTIONS = {
    "parameters": "number of weights",
    "context": "tokens that fit",
    "price_in": "dollars per million prompt tokens",
    "price_out": "dollars per million generated tokens",
}

_COUNTS = ("parameters", "context")
# What is declared to be used; operators and pipelines may be there for whoever imports the file or runs it.
_USED = (syntax.ModelDecl, syntax.PromptDecl, syntax.LetDecl, syntax.StateDecl)


def resolve(scope: ModuleScope, diagnostics: Diagnostics, used: Iterable[str] = ()) -> Diagnostics:
    """Checks what the program declares, but benchmarks and searches, which give the names that they have `used`.

    Returns warnings of names that its own file declares and nothing uses, for a program that turns out sound: in a
    faulty one the use may be what is faulty."""
    unused = Diagnostics()
    seen = set(used)
    lets: dict[str, set[str]] = {}
    for declaration in scope.own.values():
        match declaration:
            case syntax.ModelDecl():
                _check_model(declaration, diagnostics)
            case syntax.PromptDecl():
                check_prompt(declaration, diagnostics)
            case syntax.OpDecl():
                check_types(declaration, diagnostics)
                _Resolver(scope, diagnostics, seen).declaration(declaration, unused)
            case syntax.PipelineDecl():
                check_types(declaration, diagnostics)
                read_limits(declaration.limits, diagnostics)
                _Resolver(scope, diagnostics, seen, in_pipeline=True).declaration(declaration, unused)
            case syntax.LetDecl():
                lets[declaration.name] = set()
                _Resolver(scope, diagnostics, lets[declaration.name]).expression(declaration.value)
                seen |= lets[declaration.name]
            case syntax.StateDecl():
                check_state(declaration, diagnostics)
                _Resolver(scope, diagnostics, seen).expression(declaration.value)
            case syntax.ExternDecl():
                check_extern(declaration, diagnostics)
                _Resolver(scope, diagnostics, seen).defaults(declaration.params)
            case syntax.SettingsDecl():
                pass
            case _:
                assert_never(declaration)
    check_circles(scope, lets, diagnostics)
    _report_unused(scope, seen, unused)
    return unused


def _check_model(declaration: syntax.ModelDecl, diagnostics: Diagnostics) -> None:
    if not declaration.id.value.strip():
        help = "give it an id: a name that `pnyx models list` shows, a folder, a file"
        diagnostics.report("E401", f"the model `{declaration.name}` has an empty id", declaration.id.span, help=help)
    first: dict[str, Span] = {}
    for option in declaration.options:
        place = option.name_span or option.span
        if option.name not in _MODEL_OPTIONS:
            likely = nearest(option.name or "", _MODEL_OPTIONS)
            listed = ", ".join(f"`{o}`" for o in _MODEL_OPTIONS)
            diagnostics.report(
                "E209",
                f"a model has no option `{option.name}`",
                place,
                help=f"did you mean `{likely}`?" if likely else f"the options are {listed}",
                fixes=rename(place, option.name, likely),
            )
        elif not isinstance(option.value, syntax.Number) or option.value.unit not in (None, "$"):
            diagnostics.report(
                "E301",
                f"`{option.name}` of a model is a number: {_MODEL_OPTIONS[option.name]}",
                option.value.span,
                help=f"for example `{option.name} = {'8B' if option.name == 'parameters' else '2'}`",
            )
        elif option.name in _COUNTS and not (option.value.value >= 1 and float(option.value.value).is_integer()):
            message = f"`{option.name}` of a model cannot be {option.value.span.text}"
            help = f"it is a whole number, at least 1: {_MODEL_OPTIONS[option.name]}"
            diagnostics.report("E401", message, option.value.span, help=help)
        elif option.name in first:
            diagnostics.report(
                "E205",
                f"`{option.name}` is given twice",
                place,
                secondary=[Label(first[option.name], "first here")],
                help="remove one of the two",
            )
        else:
            first[option.name] = place


def _report_unused(scope: ModuleScope, used: set[str], diagnostics: Diagnostics) -> None:
    own = {name: declaration for name, declaration in scope.own.items() if scope.in_main(declaration)}
    if not any(isinstance(d, syntax.PipelineDecl) for d in own.values()):
        return
    for name, declaration in own.items():
        if isinstance(declaration, _USED) and not (name in used or name.startswith("_")):
            _warn_unused(name, declaration.name_span, diagnostics)


def _warn_unused(name: str, span: Span, diagnostics: Diagnostics) -> None:
    diagnostics.report("W702", f"`{name}` is never used", span, help=f"remove it, or call it `_{name}`")


_UNHEARD = "declare it before its use, or check the spelling"


def _wants_model(kind: Kind) -> bool:
    return Base.MODEL in (kind.base, kind.element.base if kind.element is not None else None)


class _Resolver:
    """Walks one declaration. `locals` is a stack of blocks; `read` are the local names that something uses; `unseen`
    those of the parameters, while their defaults are looked at. Only pipelines see what is `state`."""

    def __init__(
        self, scope: ModuleScope, diagnostics: Diagnostics, used: set[str], *, in_pipeline: bool = False
    ) -> None:
        self._scope = scope
        self._in_pipeline = in_pipeline
        self._diagnostics = diagnostics
        self._used = used
        self._locals: list[dict[str, Span]] = [{}]
        self._assigned: dict[str, Span] = {}
        self._read: set[str] = set()
        self._unseen: set[str] = set()
        self._model_wanted = self._text_wanted = False

    def declaration(self, declaration: syntax.OpDecl | syntax.PipelineDecl, unused: Diagnostics) -> None:
        self.defaults(declaration.params)
        self._locals[0].update((p.name, p.name_span) for p in declaration.params)
        self._block(declaration.body)
        for name, span in self._assigned.items():
            if name not in self._read and not name.startswith("_") and self._scope.in_main(declaration):
                _warn_unused(name, span, unused)

    def defaults(self, parameters: Sequence[syntax.Param]) -> None:
        self._unseen = {p.name for p in parameters}
        for parameter in parameters:
            if parameter.default is not None:
                words = parameter.type is not None and parameter.type.name in ("Field", "Policy")
                self.expression(parameter.default, words=words)
        self._unseen = set()

    def _block(self, block: syntax.Block, *names: tuple[str, Span], words: bool = False) -> None:
        self._locals.append(dict(names))
        for statement in block.statements:
            self._statement(statement, words=words)
        self._locals.pop()

    def _statement(self, statement: syntax.Statement, *, words: bool) -> None:
        match statement:
            case syntax.Assign():
                self._assign(statement)
            case syntax.Discard():
                self.expression(statement.value, words=words)
            case syntax.Repeat():
                self.expression(statement.count)
                self._block(statement.body)
            case syntax.For():
                self.expression(statement.items)
                self._block(statement.body, (statement.name, statement.name_span))
            case syntax.Loop():
                self.expression(statement.most)
                self._block(statement.body)
                if statement.until is not None:
                    self.expression(statement.until)

    def _assign(self, statement: syntax.Assign) -> None:
        self.expression(statement.value)
        name, is_local = statement.name, any(statement.name in block for block in self._locals)
        if self._in_pipeline and not is_local and isinstance(self._scope.find(name), syntax.StateDecl):
            return
        self._assigned.setdefault(name, statement.name_span)
        if not is_local:
            self._locals[-1][name] = statement.name_span

    def expression(self, expression: syntax.Expr, *, words: bool = False) -> None:
        match expression:
            case syntax.Name():
                self._name(expression, words=words)
            case syntax.Otherwise():
                self.expression(expression.value)
                self._branch(expression.fallback)
            case syntax.Pipe():
                self.expression(expression.source)
                self._stage(expression)
            case syntax.Call():
                self._call(expression, piped=None)
            case syntax.Tune():
                for option in expression.options:
                    self.expression(option, words=words)
            case syntax.ListExpr():
                for item in expression.items:
                    self.expression(item, words=words)
            case syntax.Range():
                self.expression(expression.low)
                self.expression(expression.high)
            case syntax.Binary():
                self.expression(expression.left)
                self.expression(expression.right)
            case syntax.Unary():
                self.expression(expression.operand)
            case syntax.Field():
                self.expression(expression.value)
            case syntax.If():
                self._if(expression, words=words)
            case syntax.Match():
                self.expression(expression.value)
                for arm in expression.arms:
                    self._pattern(arm.pattern)
                    self._branch(arm.value)
            case syntax.Each():
                self._block(expression.body, (expression.name, expression.name_span))
            case syntax.Policy():
                self.expression(expression.retries)
            case _:
                pass

    def _pattern(self, pattern: syntax.Expr) -> None:
        """A word that nobody declares is meant as a text."""
        self._text_wanted = True
        self.expression(pattern)
        self._text_wanted = False

    def _branch(self, branch: syntax.Expr | syntax.Block) -> None:
        if isinstance(branch, syntax.Block):
            self._block(branch)
        else:
            self.expression(branch)

    def _if(self, expression: syntax.If, *, words: bool) -> None:
        self.expression(expression.condition)
        self._block(expression.then, words=words)
        if isinstance(expression.orelse, syntax.If):
            self._if(expression.orelse, words=words)
        elif expression.orelse is not None:
            self._block(expression.orelse, words=words)

    def _name(self, expression: syntax.Name, *, words: bool) -> None:
        name = expression.name
        if any(name in block for block in self._locals):
            self._read.add(name)
        elif words or self._scope.is_doubtful(name):
            return
        elif isinstance(found := self._scope.find(name), syntax.StateDecl) and not self._in_pipeline:
            message = f"the state `{name}` is seen by pipelines alone"
            help = f"pass it as an argument: `op NAME(…, {name})`"
            declared = [Label(found.name_span, "declared here")]
            self._diagnostics.report("E211", message, expression.span, secondary=declared, help=help)
        elif found is not None or self._scope.signature(name) is not None or name in VALUES:
            self._used.add(name)
        else:
            self._unknown(name, expression.span)

    def _unknown(self, name: str, span: Span) -> None:
        likely = None
        if name in self._unseen:
            help = "a default cannot use another parameter; make it `none`, and choose in the body"
        else:
            known = [n for block in self._locals for n in block]
            likely = None if self._text_wanted else self._scope.suggest(name, known)
            unheard = f'declare it: `model {name} = "…"`' if self._model_wanted else _UNHEARD
            if self._text_wanted:
                unheard = f'a text stands between double quotes: `"{name}"`'
            help = f"did you mean `{likely}`?" if likely else unheard
        self._diagnostics.report("E201", f"there is no `{name}`", span, help=help, fixes=rename(span, name, likely))

    def _stage(self, pipe: syntax.Pipe) -> None:
        stage = pipe.stage
        if isinstance(stage, syntax.Call):
            hole = any(isinstance(a.value, syntax.Placeholder) for a in stage.arguments)
            self._call(stage, piped=None if hole else pipe.source)
            return
        self.expression(stage)
        signature = self._signature(stage)
        if signature is not None:
            bind(signature, [Given(None, None, pipe.source.span)], stage.span, self._diagnostics)

    def _signature(self, callee: syntax.Expr) -> Signature | None:
        if not isinstance(callee, syntax.Name) or any(callee.name in block for block in self._locals):
            return None
        return self._scope.signature(callee.name)

    def _call(self, call: syntax.Call, *, piped: syntax.Expr | None) -> None:
        self.expression(call.callee)
        signature = self._signature(call.callee)
        given = [Given(a.name, None, a.value.span, a.name_span) for a in call.arguments]
        if piped is not None:
            given.insert(0, Given(None, None, piped.span))
        if signature is not None:
            bind(signature, given, call.span, self._diagnostics)
        self._arguments(call.arguments, signature, skip=0 if piped is None else 1)

    def _arguments(self, arguments: Sequence[syntax.Argument], signature: Signature | None, *, skip: int) -> None:
        position = skip
        for argument in arguments:
            parameter = None
            if argument.name is not None:
                parameter = signature.parameter(argument.name) if signature else None
            else:
                if signature is not None and position < len(signature.parameters):
                    parameter = signature.parameters[position]
                position += 1
            if parameter is not None:
                words = parameter.kind.base in WORDS
            else:
                words = signature is None or not signature.variables
            outer, self._model_wanted = self._model_wanted, parameter is not None and _wants_model(parameter.kind)
            self.expression(argument.value, words=words)
            self._model_wanted = outer
