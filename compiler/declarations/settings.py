"""Settings: the `key = value` entries of a benchmark or a search, read one by one with every fault reported.

Invariant: a value that is handed out is of the kind that was asked for; where there is none, `sound` is false or the
key was left out. Values are literals and names: nothing is evaluated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Diagnostics, Fix, Label, rename
from pnyx.compiler.elaborate.bind import Given, bind
from pnyx.compiler.elaborate.kinds import REQUIRED, Base, Parameter, Signature
from pnyx.compiler.elaborate.scope import ModuleScope, Named
from pnyx.compiler.limits import NO_LIMITS, Limits, read_limits
from pnyx.compiler.nearest import nearest
from pnyx.compiler.source import Source, Span

__all__ = ["Form", "Literal", "Settings"]

Literal: TypeAlias = str | int | float | None

_WORDS: Final = {
    Base.TEXT: "a text", Base.INT: "a whole number", Base.FLOAT: "a number", Base.MODEL: "the name of a model",
    Base.PROMPT: "the name of a prompt", Base.OP: "the name of a pipeline",
}  # fmt: skip
_DECLARATIONS: Final[Mapping[Base, type[Named]]] = {
    Base.MODEL: syntax.ModelDecl, Base.PROMPT: syntax.PromptDecl, Base.OP: syntax.PipelineDecl,
}  # fmt: skip
_NOUNS: Final = {Base.MODEL: "model", Base.PROMPT: "prompt", Base.OP: "pipeline"}


@dataclass(frozen=True, slots=True)
class Form:
    """A call as a value, such as `jsonl("f")` or the bare `numeric`: its name, its arguments, and where it stands."""

    name: str
    arguments: Mapping[str, Literal]
    span: Span


class Settings:
    """`keys` are those that the declaration may have. `used` collects the names of declarations that values name."""

    def __init__(
        self,
        declaration: syntax.SettingsDecl,
        keys: Sequence[str],
        scope: ModuleScope,
        diagnostics: Diagnostics,
        used: set[str],
    ) -> None:
        self.declaration = declaration
        self.sound = True
        self._scope, self._diagnostics, self._used = scope, diagnostics, used
        self._entries: dict[str, syntax.Argument] = {}
        for entry in declaration.settings:
            self._enter(entry, keys)

    @property
    def source(self) -> Source:
        return self.declaration.span.source

    def _enter(self, entry: syntax.Argument, keys: Sequence[str]) -> None:
        name, place = entry.name or "", entry.name_span or entry.span
        if name not in keys:
            likely = nearest(name, keys)
            help = f"did you mean `{likely}`?" if likely else f"it may have {_listed(keys)}"
            message = f"a {self.declaration.kind} has no `{name}`"
            self.report("E209", message, place, help=help, fixes=rename(place, name, likely))
        elif name in self._entries:
            earlier = self._entries[name]
            first = Label(earlier.name_span or earlier.span, "first here")
            self.report("E205", f"`{name}` is given twice", place, secondary=[first], help="remove one of the two")
        else:
            self._entries[name] = entry

    def report(
        self,
        code: str,
        message: str,
        span: Span,
        label: str = "",
        *,
        secondary: Iterable[Label] = (),
        help: str | None = None,
        fixes: Iterable[Fix] = (),
    ) -> None:
        self.sound = False
        self._diagnostics.report(code, message, span, label, secondary=secondary, help=help, fixes=fixes)

    # Values by key

    def value(self, key: str) -> syntax.Expr | None:
        entry = self._entries.get(key)
        return entry.value if entry else None

    def require(self, key: str, example: str) -> None:
        """Reports a key that is not there."""
        if key not in self._entries:
            kind, name = self.declaration.kind, self.declaration.name
            message = f"the {kind} `{name}` has no `{key}`"
            self.report("E212", message, self.declaration.name_span, help=f"add it: `{key} = {example}`")

    def number(self, key: str, low: float, high: float) -> float | None:
        value = self.value(key)
        return None if value is None else self._number(value, key, low, high, whole=False)

    def whole(self, key: str, low: int, high: int) -> int | None:
        value = self.value(key)
        number = None if value is None else self._number(value, key, low, high, whole=True)
        return None if number is None else int(number)

    def field(self, key: str) -> str | None:
        """The name of a field of a row, bare or as a text."""
        match self.value(key):
            case None:
                return None
            case syntax.Name(name=name):
                return name
            case syntax.Text(value=text) if text:
                return text
            case other:
                help = f'for example `{key} = {key}`; a name with other characters stands in quotes: `"my {key}"`'
                self.report("E301", f"`{key}` is the name of a field", other.span, help=help)
                return None

    def words(self, key: str, known: Sequence[str]) -> tuple[str, ...]:
        """The words of a list of them, or the one that stands alone."""
        found: dict[str, Span] = {}
        for item in self._items(key):
            if not isinstance(item, syntax.Name):
                self.report("E301", f"`{key}` is a word", item.span, help=f"it is {_either(known)}")
            elif item.name not in known:
                likely = nearest(item.name, known)
                help = f"did you mean `{likely}`?" if likely else f"it is {_either(known)}"
                message = f"`{key}` cannot be `{item.name}`"
                self.report("E401", message, item.span, help=help, fixes=rename(item.span, item.name, likely))
            elif item.name in found:
                first = Label(found[item.name], "first here")
                message = f"`{item.name}` is given twice"
                self.report("E205", message, item.span, secondary=[first], help="remove one of the two")
            else:
                found[item.name] = item.span
        return tuple(found)

    def word(self, key: str, known: Sequence[str], default: str) -> str:
        words = self.words(key, known)
        value = self.value(key)
        if value is not None and len(words) > 1:
            self.report("E301", f"`{key}` is one word, not a list", value.span, help=f"it is {_either(known)}")
        return words[0] if words else default

    def limits(self, key: str) -> Limits:
        """An amount with its unit, or a list of them."""
        numbers: list[syntax.Number] = []
        for item in self._items(key):
            if isinstance(item, syntax.Number):
                numbers.append(item)
            else:
                help = f"for example `{key} = 2M tokens`, or `{key} = [2M tokens, $5]`"
                self.report("E301", f"`{key}` is an amount with a unit", item.span, help=help)
        found = Diagnostics()
        limits = read_limits(numbers, found) if numbers else NO_LIMITS
        self.sound &= not found.has_errors
        self._diagnostics.extend(found)
        return limits

    def _items(self, key: str) -> tuple[syntax.Expr, ...]:
        value = self.value(key)
        if isinstance(value, syntax.ListExpr):
            if not value.items:
                self.report("E301", f"`{key}` is empty", value.span, help="leave it out, or list something")
            return value.items
        return () if value is None else (value,)

    # Names of declarations

    def declared(self, key: str, kind: type[Named], noun: str) -> tuple[str, ...]:
        """The names of such declarations: a list of them, or one that stands alone."""
        names = [self._declared(item, kind, noun) for item in self._items(key)]
        return tuple(dict.fromkeys(name for name in names if name is not None))

    def find(self, name: str) -> Named | None:
        return self._scope.find(name)

    def use(self, name: str) -> None:
        self._used.add(name)

    def _declared(self, value: syntax.Expr, kind: type[Named], noun: str) -> str | None:
        if not isinstance(value, syntax.Name):
            self.report(
                "E301", f"the name of a {noun} is needed here", value.span, help=f"declare the {noun}, and name it"
            )
            return None
        found = self._scope.find(value.name)
        if self._is_declared(found, kind, noun):
            self.use(value.name)
            return value.name
        self.sound = False
        if found is not None:
            help = f"name a {noun}"
            declared = [Label(found.name_span, "declared here")]
            self.report("E301", f"`{value.name}` is no {noun}", value.span, secondary=declared, help=help)
        elif not self._scope.is_doubtful(value.name):
            known = [n for n, d in self._scope.own.items() if self._is_declared(d, kind, noun)]
            likely = nearest(value.name, known)
            help = f"did you mean `{likely}`?" if likely else f"there are {_listed(known)}" if known else "declare one"
            message = f"there is no {noun} `{value.name}`"
            self.report("E201", message, value.span, help=help, fixes=rename(value.span, value.name, likely))
        return None

    @staticmethod
    def _is_declared(found: Named | None, kind: type[Named], noun: str) -> bool:
        return isinstance(found, kind) and (not isinstance(found, syntax.SettingsDecl) or found.kind == noun)

    # Calls

    def form(self, key: str, known: Mapping[str, Signature]) -> Form | None:
        """One of the known calls; None where there is none, or a faulty one."""
        value = self.value(key)
        if value is None:
            return None
        earlier, self.sound = self.sound, True
        form = self._form(key, value, known)
        form, self.sound = form if self.sound else None, self.sound and earlier
        return form

    def _form(self, key: str, value: syntax.Expr, known: Mapping[str, Signature]) -> Form | None:
        callee = value.callee if isinstance(value, syntax.Call) else value
        if not isinstance(callee, syntax.Name):
            said = f"`{value.span.text}`" if isinstance(value, syntax.Text | syntax.Number) else "this"
            help = f"it is {_either([*known])}, with what belongs to it in brackets"
            self.report("E301", f"`{key}` cannot be {said}", value.span, help=help)
            return None
        signature = known.get(callee.name)
        if signature is None:
            likely = nearest(callee.name, known)
            help = f"did you mean `{likely}`?" if likely else f"it is {_either([*known])}"
            message = f"`{key}` cannot be `{callee.name}`"
            self.report("E401", message, callee.span, help=help, fixes=rename(callee.span, callee.name, likely))
            return None
        arguments = value.arguments if isinstance(value, syntax.Call) else ()
        given = [Given(a.name, a.value, a.value.span, a.name_span) for a in arguments]
        bound = bind(signature, given, value.span, self)
        if bound is None:
            return None
        literals: dict[str, Literal] = {}
        for parameter in signature.parameters:
            argument = bound.values.get(parameter.name)
            literals[parameter.name] = self._argument(argument.payload, parameter) if argument else _default(parameter)
        return Form(callee.name, literals, value.span)

    def _argument(self, value: syntax.Expr, parameter: Parameter) -> Literal:
        kind = parameter.kind
        match kind.base:
            case Base.TEXT if isinstance(value, syntax.Text) and value.value:
                return value.value
            case Base.INT | Base.FLOAT:
                low, high = kind.low or 0, kind.high if kind.high is not None else 2**63
                number = self._number(value, parameter.name, low, high, whole=kind.base is Base.INT)
                return None if number is None else int(number) if kind.base is Base.INT else number
            case Base.MODEL | Base.PROMPT | Base.OP:
                return self._declared(value, _DECLARATIONS[kind.base], _NOUNS[kind.base])
            case _:
                message = f"`{parameter.name}` is {_WORDS[kind.base]}"
                help = f'it stands in quotes: `{parameter.name} = "…"`'
                self.report("E301", message, value.span, help=help)
                return None

    def _number(self, value: syntax.Expr, name: str, low: float, high: float, *, whole: bool) -> float | None:
        sign, literal = 1, value
        if isinstance(value, syntax.Unary) and value.operator == "-":
            sign, literal = -1, value.operand
        what = "a whole number" if whole else "a number"
        if not isinstance(literal, syntax.Number) or literal.unit is not None:
            self.report("E301", f"`{name}` is {what}", value.span, help=f"{_bounds(low, high)}, and without a unit")
            return None
        number = sign * literal.value
        if not low <= number <= high or (whole and number != int(number)):
            message = f"`{name}` cannot be {value.span.text}"
            self.report("E401", message, value.span, help=f"it is {what}, {_bounds(low, high)}")
            return None
        return number


def _default(parameter: Parameter) -> Literal:
    default = parameter.default
    assert default is not REQUIRED, "binding reports what is missing"
    assert default is None or isinstance(default, str | int | float)
    return default


def _bounds(low: float, high: float) -> str:
    return f"from {low:,} to {high:,}" if high < 2**31 else f"at least {low:,}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _either(names: Sequence[str]) -> str:
    return f"one of {_listed(names)}" if len(names) > 1 else f"`{names[0]}`"
