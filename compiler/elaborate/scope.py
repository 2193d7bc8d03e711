"""What names mean: the declarations of a program over those of the standard library, and local names.

Invariant: everything that a program declares, in all its files, shares one namespace; a program may redeclare a name of
the standard library, never one of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Diagnostics, Label, Reporter, rename
from pnyx.compiler.elaborate.builtin import BUILTINS, VALUES
from pnyx.compiler.elaborate.kinds import REQUIRED, TYPE_NAMES, Base, Kind, Parameter, Signature, kind_of
from pnyx.compiler.elaborate.recipes import Recipe
from pnyx.compiler.elaborate.templates import prompt_text
from pnyx.compiler.elaborate.values import PromptValue, Value
from pnyx.compiler.modules import Imports
from pnyx.compiler.nearest import nearest
from pnyx.library import LIBRARY_PREFIX

__all__ = [
    "Environment", "ModuleScope", "Named", "Options", "check_annotation", "check_types", "in_library", "signature_of",
]  # fmt: skip

Named: TypeAlias = (
    syntax.ModelDecl
    | syntax.PromptDecl
    | syntax.OpDecl
    | syntax.PipelineDecl
    | syntax.LetDecl
    | syntax.StateDecl
    | syntax.ExternDecl
    | syntax.SettingsDecl
)


@dataclass(frozen=True, slots=True)
class Options:
    """Of a `tune`: `texts` as written, `values` to evaluate, `literals` what each is where it is one; `default` is an
    index."""

    tune: syntax.Tune
    texts: tuple[str, ...]
    values: tuple[syntax.Expr | int, ...]
    literals: tuple[object, ...]
    default: int


@dataclass(frozen=True, slots=True)
class ModuleScope:
    """`own` are the declarations of all the program's files, `library` the standard library's; `main` is the name of
    the source that is the program. `unread` names exist, but their declarations are faulty, so their uses are not;
    `complete` says that an unknown name is unknown indeed, and not one of a file that could not be read."""

    own: dict[str, Named]
    library: dict[str, Named]
    main: str = ""
    unread: set[str] = field(default_factory=set)
    complete: bool = True
    defaults: dict[tuple[str, str], Value] = field(default_factory=dict)
    results: dict[tuple[object, ...], Recipe | Value] = field(default_factory=dict)
    options: dict[int, Options] = field(default_factory=dict)
    """By the identity of their `tune`, which they hold; not of those whose options depend on other choices."""
    _signatures: dict[int, Signature] = field(default_factory=dict)
    _prompts: dict[int, PromptValue | None] = field(default_factory=dict)

    @classmethod
    def build(
        cls,
        module: syntax.Module,
        library: Iterable[syntax.Module],
        diagnostics: Diagnostics,
        imports: Imports,
    ) -> ModuleScope:
        shared: dict[str, Named] = {}
        for part in library:
            _collect(part, shared, diagnostics)
        own: dict[str, Named] = {}
        unread: set[str] = set()
        for part in (*imports.modules, module):
            unread |= _collect(part, own, diagnostics)
        own = {name: declaration for name, declaration in own.items() if name not in unread}
        unread.update(name for part in (*imports.modules, module) for name in part.unread)
        return cls(own, shared, module.span.source.name, unread, imports.complete)

    def is_doubtful(self, name: str) -> bool:
        """Whether the name exists, or may, and nobody can say what it means: why has been reported."""
        return name in self.unread or not (self.complete or name in self.names())

    def in_main(self, declaration: Named) -> bool:
        """Whether the program's own file declares it, not one that it imports."""
        return declaration.span.source.name == self.main

    def find(self, name: str, *, from_library: bool = False) -> Named | None:
        """The library sees only itself, so a program that redeclares a name does not change what the library does."""
        if from_library:
            return self.library.get(name)
        return self.own.get(name) or self.library.get(name)

    def signature(self, name: str, *, from_library: bool = False) -> Signature | None:
        """Of the operator of that name, its own or built in."""
        if name in self.unread and not from_library:
            return None
        declaration = self.find(name, from_library=from_library)
        if isinstance(declaration, syntax.OpDecl | syntax.ExternDecl):
            return self.signature_of(declaration)
        return BUILTINS.get(name) if declaration is None else None

    def signature_of(self, declaration: syntax.OpDecl | syntax.ExternDecl) -> Signature:
        known = self._signatures.get(id(declaration))
        if known is None:
            known = self._signatures[id(declaration)] = signature_of(declaration)
        return known

    def prompt(self, declaration: syntax.PromptDecl, reporter: Reporter) -> PromptValue | None:
        """The prompt as a value; None where its template is faulty, which is reported once."""
        if id(declaration) not in self._prompts:
            text = prompt_text(declaration, reporter)
            self._prompts[id(declaration)] = PromptValue(text, declaration) if text else None
        return self._prompts[id(declaration)]

    def names(self) -> Iterator[str]:
        yield from self.own
        yield from self.library
        yield from BUILTINS
        yield from VALUES

    def suggest(self, name: str, local: Iterable[str] = ()) -> str | None:
        return nearest(name, [*self.names(), *local])


def _collect(module: syntax.Module, into: dict[str, Named], diagnostics: Diagnostics) -> set[str]:
    """Fills `into`; returns names declared as two different things, whose uses nobody can judge."""
    unclear: set[str] = set()
    for declaration in module.declarations:
        if isinstance(declaration, syntax.Import):
            continue
        earlier = into.get(declaration.name)
        builtin = BUILTINS.get(declaration.name)
        if earlier is not None:
            diagnostics.report(
                "E202",
                f"`{declaration.name}` is declared twice",
                declaration.name_span,
                secondary=[Label(earlier.name_span, "first declared here")],
                help="rename one of the two",
            )
            if type(earlier) is not type(declaration):
                unclear.add(declaration.name)
        elif builtin is not None:
            diagnostics.report(
                "E202",
                f"`{declaration.name}` is a built-in operator",
                declaration.name_span,
                help=f"choose another name, such as `my_{declaration.name}`",
            )
        else:
            into[declaration.name] = declaration
    return unclear


def in_library(declaration: Named) -> bool:
    return declaration.span.source.name.startswith(LIBRARY_PREFIX)


def signature_of(declaration: syntax.OpDecl | syntax.ExternDecl) -> Signature:
    """The signature that an `op` or `extern op` declares. Unknown types accept anything here; `check_types` reports
    them."""
    parameters = tuple(
        Parameter(
            p.name,
            kind_of(p.type) or Kind(Base.ANY, optional=True),
            REQUIRED if p.default is None else p.default,
        )
        for p in declaration.params
    )
    returns = kind_of(declaration.returns) if declaration.returns else None
    return Signature(declaration.name, parameters, returns, declaration=declaration)


def check_types(declaration: syntax.OpDecl | syntax.PipelineDecl | syntax.ExternDecl, diagnostics: Diagnostics) -> None:
    """Reports annotations that name no type, and parameters declared twice."""
    seen: dict[str, syntax.Param] = {}
    for parameter in declaration.params:
        if parameter.name in seen:
            diagnostics.report(
                "E202",
                f"parameter `{parameter.name}` is declared twice",
                parameter.name_span,
                secondary=[Label(seen[parameter.name].name_span, "first declared here")],
                help="rename one of the two",
            )
        seen[parameter.name] = parameter
    annotations = [p.type for p in declaration.params]
    if not isinstance(declaration, syntax.PipelineDecl):
        annotations.append(declaration.returns)
    for annotation in annotations:
        if annotation is not None:
            check_annotation(annotation, diagnostics)


def check_annotation(annotation: syntax.TypeExpr, diagnostics: Diagnostics) -> None:
    """Reports names in an annotation that are no types."""
    if annotation.name not in TYPE_NAMES:
        likely = nearest(annotation.name, TYPE_NAMES)
        diagnostics.report(
            "E201",
            f"there is no type `{annotation.name}`",
            annotation.span,
            help=f"did you mean `{likely}`?" if likely else f"the types are {', '.join(TYPE_NAMES)}",
            fixes=rename(annotation.span, annotation.name, likely),
        )
    for argument in annotation.arguments:
        check_annotation(argument, diagnostics)


@dataclass(slots=True)
class Environment:
    """Local names of one operator or pipeline body. Blocks inside it are children: they may reassign names of their
    parents, and names they introduce end with them. What a `closed` child assigns ends with it in any case."""

    parent: Environment | None = None
    values: dict[str, Value] = field(default_factory=dict)
    from_library: bool = False
    closed: bool = False

    def child(self, *, closed: bool = False) -> Environment:
        return Environment(self, from_library=self.from_library, closed=closed)

    def holder(self, name: str) -> Environment | None:
        current: Environment | None = self
        while current is not None:
            if name in current.values:
                return current
            current = current.parent
        return None

    def get(self, name: str) -> Value:
        holder = self.holder(name)
        return holder.values[name] if holder is not None else None

    def assign(self, name: str, value: Value) -> None:
        current: Environment | None = self
        while current is not None and name not in current.values:
            current = None if current.closed else current.parent
        (current or self).values[name] = value

    def names(self) -> Iterator[str]:
        current: Environment | None = self
        while current is not None:
            yield from current.values
            current = current.parent
