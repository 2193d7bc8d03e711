"""A program: a file, what it imports, and the standard library around them; what it declares, what is wrong with it,
its plans.

Nothing here raises for a user's mistake but `compile`, which raises CompileError with every diagnostic of the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pnyx.compiler import syntax
from pnyx.compiler.declarations import Benchmark, Declared, Search, read_declared
from pnyx.compiler.diagnostics import CompileError, Diagnostic, Diagnostics, Label
from pnyx.compiler.elaborate.choices import Assignment, Choice, Site, name_sites
from pnyx.compiler.elaborate.evaluate import Elaborator
from pnyx.compiler.elaborate.frames import TooLarge
from pnyx.compiler.elaborate.generic import check_alone
from pnyx.compiler.elaborate.pipeline import StateStart, elaborate_pipeline, state_start
from pnyx.compiler.elaborate.resolve import resolve
from pnyx.compiler.elaborate.scope import ModuleScope
from pnyx.compiler.graph import Graph
from pnyx.compiler.limits import limits_of
from pnyx.compiler.lint import Subject, Variant, lint
from pnyx.compiler.modules import follow_imports, parse_source, read_source
from pnyx.compiler.nearest import nearest
from pnyx.compiler.operators import ModelOperator
from pnyx.compiler.parse import parse
from pnyx.compiler.source import Source, Span
from pnyx.library import sources as library_sources

if TYPE_CHECKING:
    from pnyx.compiler.plan import Plan, PlanLimits, PlanModel

__all__ = ["Program"]

# So many alternatives of a file's choices are checked one by one; a larger file still checks its defaults.
MOST_ALTERNATIVES = 400
# In steps of the elaborator. What is left of it goes to alternatives and to operators that nothing calls.
MOST_EFFORT = 1_000_000


class Program:
    """Made by `load` or `parse`. `diagnostics` holds everything found so far; `check` finds it all."""

    def __init__(self, source: Source, found: Diagnostics | None = None) -> None:
        self.source = source
        self._found = found or Diagnostics()
        self._module = syntax.Module(declarations=(), span=Span(source, 0, 0))
        if not self._found.has_errors:
            self._module = self._parsed()
        self._imports = follow_imports(self._module, self._found)
        self._checked = False
        self._effort = self._alternatives = 0
        self._variants: list[Variant] = []

    @classmethod
    def load(cls, path: Path | str) -> Program:
        """The program in a file. A file that cannot be read or is not UTF-8 is a diagnostic."""
        path = Path(path)
        found = Diagnostics()
        source = read_source(path, found)
        return cls(source or Source(str(path), ""), found)

    @classmethod
    def parse(cls, text: str, name: str = "<text>") -> Program:
        return cls(Source(name, text))

    @property
    def module(self) -> syntax.Module:
        return self._module

    @property
    def sources(self) -> tuple[Source, ...]:
        """The program's own file, then those that it imports, directly or not."""
        return (self.source, *(part.span.source for part in self._imports.modules))

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        return self._found.sorted()

    @property
    def pipelines(self) -> tuple[str, ...]:
        """Names of the pipelines, in the order of the file."""
        return tuple(d.name for d in self._module.declarations if isinstance(d, syntax.PipelineDecl))

    def check(self) -> tuple[Diagnostic, ...]:
        """Everything that is wrong with the file: all pipelines, every option of every choice, every operator."""
        if self._checked:
            return self.diagnostics
        self._checked = True
        unused = resolve(self._scope, self._found, self._declared.used)
        self._state_starts(self._found)
        instantiated: set[str] = set()
        for declaration in (*self._own_pipelines(), *self._searched()):
            if self._effort > 2 * MOST_EFFORT:
                message = "the pipelines of this file take too long to unroll"
                self._found.report("E405", message, declaration.name_span, help="put this one into a file of its own")
                break
            self._check_pipeline(declaration, instantiated)
        for operator in self._scope.own.values():
            if self._effort > MOST_EFFORT:
                break
            if not (isinstance(operator, syntax.OpDecl) and self._scope.in_main(operator)):
                continue
            if operator.name not in instantiated:
                self._check_operator(operator)
        if not self._found.has_errors:
            self._found.extend(self._linted(self._subject(), unused))
        return self.diagnostics

    def _check_pipeline(self, declaration: syntax.PipelineDecl, instantiated: set[str]) -> None:
        """Its defaults and every alternative of its choices. Adds the operators that it uses to `instantiated`."""
        assignment, graph = self._elaborate(declaration, {}, self._found, instantiated)
        if graph is not None:
            self._variants.append(Variant(declaration, {}, assignment.met, graph))
        for name, index in _others(assignment):
            self._alternatives += 1
            if self._alternatives > MOST_ALTERNATIVES or self._effort > MOST_EFFORT:
                break
            found = Diagnostics()
            other, graph = self._elaborate(declaration, {name: index}, found, instantiated)
            self._found.extend(d for d in found if d.is_error)
            if graph is not None:
                self._variants.append(Variant(declaration, {name: index}, other.met, graph))

    def _linted(self, subject: Subject, unused: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
        return lint(subject, unused)

    def _subject(self) -> Subject:
        """The program as the lints see it."""

        def elaborate(declaration: syntax.PipelineDecl, closed: Mapping[str, int]) -> Graph | None:
            within = self._effort <= MOST_EFFORT
            return self._elaborate(declaration, closed, Diagnostics())[1] if within else None

        own = self._scope.own.values()
        return Subject(
            declarations=tuple(d for d in own if self._scope.in_main(d)),
            models={d.name: d for d in own if isinstance(d, syntax.ModelDecl)},
            variants=tuple(self._variants),
            elaborate=elaborate,
            plan=self._as_written,
        )

    def _as_written(self, graph: Graph) -> Plan:
        from pnyx.compiler.freeze import freeze

        name, models = self.source.name, self._models(graph)
        return freeze(
            graph,
            pipeline="",
            source_name=name,
            models=models,
            choices={},
            optimised=False,
            states=self._state_starts(),
        )

    def _check_operator(self, operator: syntax.OpDecl) -> None:
        """One that no pipeline uses."""
        self._effort += check_alone(operator, self._scope, self._site_names, self._found)

    @property
    def benchmarks(self) -> Mapping[str, Benchmark]:
        """The sound benchmarks of the program's file and of those that it imports, by name."""
        return self._declared.benchmarks

    @property
    def searches(self) -> Mapping[str, Search]:
        """The sound searches of the program's file, by name."""
        return self._declared.searches

    def choices(self, pipeline: str | None = None, closed: Mapping[str, object] | None = None) -> tuple[Choice, ...]:
        """The choices of a pipeline, some of them closed, the others at their defaults. Raises CompileError."""
        declaration = self._pipeline(pipeline)
        assignment, _ = self._elaborate(declaration, self._close(declaration, closed or {}), Diagnostics())
        return tuple(assignment.met.values())

    def graph(self, pipeline: str | None = None, choices: Mapping[str, object] | None = None) -> Graph:
        """The graph as written, before any pass. Raises CompileError."""
        return self._compiled(pipeline, choices or {})[1]

    def compile(
        self, pipeline: str | None = None, choices: Mapping[str, object] | None = None, *, optimise: bool = True
    ) -> Plan:
        """The frozen plan of a pipeline (the only one, where there is one) with choices closed. Raises CompileError."""
        from pnyx.compiler.freeze import freeze
        from pnyx.compiler.passes import optimise as optimised

        assignment, graph = self._compiled(pipeline, choices or {})
        if optimise:
            graph = optimised(graph)
        return freeze(
            graph,
            pipeline=self._pipeline(pipeline).name,
            source_name=self.source.name,
            models=self._models(graph),
            choices={c.name: c.value for c in assignment.met.values()},
            optimised=optimise,
            states=self._state_starts(),
            limits=_plan_limits(self._pipeline(pipeline)),
        )

    # Inside --------------------------------------------------------------------------------------

    def _parsed(self) -> syntax.Module:
        return parse_source(self.source, self._found)

    @cached_property
    def _scope(self) -> ModuleScope:
        return ModuleScope.build(self._module, _library(), self._found, self._imports)

    @cached_property
    def _declared(self) -> Declared:
        return read_declared(self._scope, self._found)

    @cached_property
    def _site_names(self) -> dict[Site, str]:
        return name_sites(iter(self._scope.own.values()), self._scope.signature)

    def _own_pipelines(self) -> Iterator[syntax.PipelineDecl]:
        """Those of the program's own file: an imported one is compiled only where it is asked for by name."""
        return (d for d in self._scope.own.values() if isinstance(d, syntax.PipelineDecl) and self._scope.in_main(d))

    def _searched(self) -> Iterator[syntax.PipelineDecl]:
        """The imported pipelines whose choices a search of the program's own file closes."""
        names = dict.fromkeys(name for search in self.searches.values() for name in search.pipelines)
        found = (self._scope.own[name] for name in names)
        return (d for d in found if isinstance(d, syntax.PipelineDecl) and not self._scope.in_main(d))

    def _pipeline(self, name: str | None) -> syntax.PipelineDecl:
        declared = {d.name: d for d in self._own_pipelines()}
        if name is None and len(declared) == 1:
            return next(iter(declared.values()))
        wanted = self._scope.own.get(name) if name is not None else None
        if isinstance(wanted, syntax.PipelineDecl):
            return wanted
        found = Diagnostics()
        listed = ", ".join(f"`{n}`" for n in declared)
        if not declared:
            found.extend(d for d in self.check() if d.is_error)
            help = "declare one: `pipeline main(query) { … }`"
            found.report("E603", f"`{self.source.name}` has no pipeline", None, help=help)
        elif name is None:
            found.report(
                "E603",
                f"`{self.source.name}` has {len(declared)} pipelines",
                None,
                help=f"choose one with `--pipeline`: {listed}",
            )
        else:
            likely = nearest(name, declared)
            help = f"did you mean `{likely}`?" if likely else f"there are {listed}"
            found.report("E603", f"`{self.source.name}` has no pipeline `{name}`", None, help=help)
        raise CompileError(found)

    def _compiled(self, pipeline: str | None, choices: Mapping[str, object]) -> tuple[Assignment, Graph]:
        if any(d.is_error for d in self.check()):
            raise CompileError(self.diagnostics)
        declaration = self._pipeline(pipeline)
        closed = self._close(declaration, choices)
        found = Diagnostics()
        assignment, graph = self._elaborate(declaration, closed, found)
        if graph is None:
            raise CompileError(found.sorted())
        return assignment, graph

    def _close(self, declaration: syntax.PipelineDecl, choices: Mapping[str, object]) -> dict[str, int]:
        """Option indices for choices named by the user. A choice may appear only once another is closed, so the program
        is looked at again after each."""
        closed: dict[str, int] = {}
        waiting = dict(choices)
        while waiting:
            assignment, _ = self._elaborate(declaration, closed, Diagnostics())
            name = next((n for n in waiting if _find(n, assignment.met)), None)
            if name is None:
                raise CompileError([_unknown_choice(next(iter(waiting)), assignment.met)])
            choice = assignment.met[_find(name, assignment.met) or name]
            closed[choice.name] = _option(choice, waiting.pop(name))
        return closed

    def _elaborator(self, assignment: Assignment, found: Diagnostics) -> Elaborator:
        return Elaborator(self._scope, assignment, found)

    def _elaborate(
        self,
        declaration: syntax.PipelineDecl,
        closed: Mapping[str, int],
        found: Diagnostics,
        instantiated: set[str] | None = None,
    ) -> tuple[Assignment, Graph | None]:
        assignment = Assignment(self._site_names, closed)
        elaborator = self._elaborator(assignment, found)
        try:
            graph = elaborate_pipeline(elaborator, declaration)
        except TooLarge:
            return assignment, None
        except RecursionError:
            message = f"`{declaration.name}` is nested too deeply"
            found.report("E405", message, declaration.name_span, help="split it into operators")
            return assignment, None
        finally:
            self._effort += elaborator.effort
        if instantiated is not None:
            instantiated.update(elaborator.instantiated)
        return assignment, graph

    def _state_starts(self, found: Diagnostics | None = None) -> dict[str, StateStart]:
        """What the sound states of the program begin as."""
        elaborator = self._elaborator(Assignment(self._site_names), Diagnostics() if found is None else found)
        states = (d for d in self._scope.own.values() if isinstance(d, syntax.StateDecl))
        starts = {state.name: state_start(elaborator, state) for state in states}
        return {name: start for name, start in starts.items() if start is not None}

    def _models(self, graph: Graph) -> list[PlanModel]:
        from pnyx.compiler.plan import PlanModel

        asking = (n.operator for n in graph.everywhere() if isinstance(n.operator, ModelOperator))
        names = dict.fromkeys(operator.model for operator in asking)
        models = []
        for name in names:
            declaration = self._scope.own[name]
            assert isinstance(declaration, syntax.ModelDecl)
            options = {
                o.name: o.value.value for o in declaration.options if o.name and isinstance(o.value, syntax.Number)
            }
            context = options.pop("context", None)
            models.append(
                PlanModel(
                    name=name, id=declaration.id.value, context=None if context is None else int(context), **options
                )
            )
        return models


@cache
def _library() -> tuple[syntax.Module, ...]:
    return tuple(parse(Source(name, text), Diagnostics()) for name, text in library_sources())


def _plan_limits(declaration: syntax.PipelineDecl) -> PlanLimits | None:
    from pnyx.compiler.plan import PlanLimits

    return PlanLimits(**asdict(limits_of(declaration))) if declaration.limits else None


def _others(assignment: Assignment) -> Iterator[tuple[str, int]]:
    """Every option that the assignment did not take."""
    for choice in assignment.met.values():
        for index in range(len(choice.options)):
            if index != choice.chosen:
                yield choice.name, index


def _find(name: str, met: Mapping[str, Choice]) -> str | None:
    """The choice of that name, or the only one that ends with it (`n` for `archon.generate.n`)."""
    if name in met:
        return name
    ending = [full for full in met if full.endswith(f".{name}")]
    return ending[0] if len(ending) == 1 else None


def _unknown_choice(name: str, met: Mapping[str, Choice]) -> Diagnostic:
    listed = ", ".join(f"`{n}`" for n in met)
    ending = [full for full in met if full.endswith(f".{name}")]
    if ending:
        help = f"say which: {', '.join(f'`{full}`' for full in ending)}"
        return Diagnostic("E403", f"{len(ending)} choices are called `{name}`", help=help)
    likely = nearest(name, [*met, *(n.rpartition(".")[2] for n in met)])
    if not met:
        help = "the pipeline has no `tune`"
    elif likely and likely != name:
        help = f"did you mean `{likely}`?"
    else:
        help = f"the choices are {listed}"
    return Diagnostic("E403", f"there is no choice `{name}`", help=help)


def _option(choice: Choice, wanted: object) -> int:
    """The index of the option that a person means: its text, or its value."""
    text = " ".join(str(wanted).split())
    for index, option in enumerate(choice.options):
        literal = choice.values[index]
        same_value = (
            not isinstance(wanted, str) and literal == wanted and isinstance(literal, bool) == isinstance(wanted, bool)
        )
        if text == option or same_value or (isinstance(literal, str) and text == literal):
            return index
    listed = ", ".join(f"`{o}`" for o in choice.options)
    raise CompileError(
        [
            Diagnostic(
                "E403",
                f"`{choice.name}` cannot be `{text}`",
                Label(choice.span, "declared here"),
                help=f"the options are {listed}",
            )
        ]
    )
