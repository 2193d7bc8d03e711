"""A program: a file, what it imports, and the standard library around them; what it declares, what is wrong with it,
its plans.

Nothing here raises for a user's mistake but `compile`, which raises CompileError with every diagnostic of the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pnyx.compiler import syntax
from pnyx.compiler.declarations import Benchmark, Declared, Search, read_declared
from pnyx.compiler.diagnostics import CompileError, Diagnostic, Diagnostics
from pnyx.compiler.elaborate.choices import Assignment, Choice, Site, name_sites
from pnyx.compiler.elaborate.choosing import find_choice, option_of, unknown_choice
from pnyx.compiler.elaborate.evaluate import Elaborator
from pnyx.compiler.elaborate.frames import TooLarge
from pnyx.compiler.elaborate.generic import check_alone
from pnyx.compiler.elaborate.kinds import Signature
from pnyx.compiler.elaborate.pipeline import StateStart, elaborate_pipeline, state_start
from pnyx.compiler.elaborate.resolve import resolve
from pnyx.compiler.elaborate.scope import ModuleScope, Named
from pnyx.compiler.fingerprint import fingerprint
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
    from pnyx.compiler.closing import ClosedText
    from pnyx.compiler.plan import Plan, PlanLimits, PlanModel

__all__ = ["Closed", "Program"]

# So many alternatives of a file's choices are checked one by one; a larger file still checks its defaults.
MOST_ALTERNATIVES = 400
# In steps of the elaborator. What is left of it goes to alternatives and to operators that nothing calls.
MOST_EFFORT = 1_000_000
# Results of calls are kept for the next elaboration; so many, and then they are made anew.
_MOST_RESULTS = 50_000


@dataclass(frozen=True, slots=True)
class Closed:
    """A pipeline with its choices closed. `choices` are those that it meets, in that order; `graph` is as written, and
    None where these choices do not go together: `faults` say why."""

    pipeline: str
    choices: tuple[Choice, ...]
    graph: Graph | None
    faults: tuple[Diagnostic, ...]


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

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models that pipelines of the file can ask, those that it imports too."""
        return tuple(name for name, d in self._scope.own.items() if isinstance(d, syntax.ModelDecl))

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

    def close(self, pipeline: str | None, options: Mapping[str, int]) -> Closed:
        """A pipeline with choices closed by the indices of their options. A choice that is not named takes its default;
        one that is not met is passed over, and an index beyond the options is the last. Raises CompileError only where
        the program itself has errors."""
        self._raise_errors()
        declaration = self._pipeline(pipeline)
        found = Diagnostics()
        assignment, graph = self._elaborate(declaration, options, found)
        faults = () if graph is not None else found.sorted()
        return Closed(declaration.name, tuple(assignment.met.values()), graph, faults)

    def close_by_name(self, pipeline: str | None, choices: Mapping[str, object]) -> Closed:
        """The same by the texts or values of options, and names as people write them; the graph is there. Raises
        CompileError also for what is no choice or no option, and where the options do not go together."""
        self._raise_errors()
        closed = self.close(pipeline, self._close(self._pipeline(pipeline), choices))
        if closed.graph is None:
            raise CompileError(closed.faults)
        return closed

    def freeze(self, closed: Closed, *, optimise: bool = True) -> Plan:
        """The plan of what `close` gave, whose graph is not None."""
        from pnyx.compiler.freeze import freeze
        from pnyx.compiler.passes import optimise as optimised

        graph = closed.graph
        assert graph is not None
        if optimise:
            graph = optimised(graph)
        return freeze(
            graph,
            pipeline=closed.pipeline,
            source_name=self.source.name,
            models=self._models(graph),
            choices={c.name: c.value for c in closed.choices},
            optimised=optimise,
            states=self._state_starts(),
            limits=_plan_limits(self._pipeline(closed.pipeline)),
        )

    def closed_source(
        self,
        pipeline: str | None = None,
        choices: Mapping[str, object] | None = None,
        *,
        comments: Sequence[str] = (),
        folder: Path | None = None,
        splits: Mapping[str, float] | None = None,
    ) -> str:
        """A program of one file in which these choices are closed, formatted: the pipeline, the file's benchmarks, and
        what they need. It compiles to the plan that `compile` gives with the choices. `comments` are lines to stand
        first; what was chosen follows them.

        It is for the folder of the program's own file. With another `folder`, paths of data and passages are written
        from there; functions of Python are looked for beside it. `splits`: of benchmarks, in place of those that they
        say. Raises CompileError.
        """
        from pnyx.compiler.closing import not_one_value, write_closed

        closed = self.close_by_name(pipeline, choices or {})
        wanted, name = self.freeze(closed).digest, str(Path(self.source.name).with_suffix(".pnyx"))
        # Tidied, a name that a block introduced may mean something else behind it.
        for text in (self._closed_text(closed, comments, tidy=tidy) for tidy in (True, False)):
            if Program.parse(write_closed(text), name).compile(closed.pipeline).digest == wanted:
                return write_closed(replace(text, folder=folder, splits=splits or {}))
        raise CompileError([not_one_value(self._closed_text(closed))])

    def closed_declarations(self, closed: Closed) -> tuple[Named, ...]:
        """What the pipeline leads to, with its choices closed, as trees, with paths from the program's folder. Raises
        CompileError."""
        from pnyx.compiler.closing import closed_declarations

        self.closed_source(closed.pipeline, {c.name: c.value for c in closed.choices})  # says what cannot be
        text = self._closed_text(closed, tidy=False)
        return closed_declarations(replace(text, folder=Path(self.source.name).parent))

    def _closed_text(self, closed: Closed, head: Sequence[str] = (), *, tidy: bool = True) -> ClosedText:
        from pnyx.compiler.closing import ClosedText

        modules = (*self._imports.modules, self._module)
        return ClosedText(self._scope, modules, self._site_names, closed.pipeline, closed.choices, head, tidy)

    def fingerprint(self, pipelines: Iterable[str]) -> dict[str, str]:
        """Digests of what pipelines depend on, by what a person would call it: ``the prompt `argue` ``. Comments,
        layout and what else the file declares change nothing; `compiler.fingerprint.changes` says what did."""
        return fingerprint(self._scope, self._site_names, pipelines)

    def signature(self, name: str) -> Signature | None:
        """Of the operator of that name: the program's, the library's, or built in."""
        return self._scope.signature(name)

    def models_of(self, choice: Choice) -> tuple[tuple[str, ...], ...]:
        """For each option the models that it is: one, or a list of them; none where it is something else."""
        return tuple(self._models_in(option) for option in choice.options)

    def graph(self, pipeline: str | None = None, choices: Mapping[str, object] | None = None) -> Graph:
        """The graph as written, before any pass. Raises CompileError."""
        graph = self.close_by_name(pipeline, choices or {}).graph
        assert graph is not None
        return graph

    def compile(
        self, pipeline: str | None = None, choices: Mapping[str, object] | None = None, *, optimise: bool = True
    ) -> Plan:
        """The frozen plan of a pipeline (the only one, where there is one) with choices closed. Raises CompileError."""
        return self.freeze(self.close_by_name(pipeline, choices or {}), optimise=optimise)

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

    def _raise_errors(self) -> None:
        if any(d.is_error for d in self.check()):
            raise CompileError(self.diagnostics)

    def _models_in(self, option: str) -> tuple[str, ...]:
        listed = option.startswith("[") and option.endswith("]")
        names = [name.strip() for name in option[1:-1].split(",")] if listed else [option]
        names = [name for name in names if name]
        are_models = all(isinstance(self._scope.own.get(name), syntax.ModelDecl) for name in names)
        return tuple(names) if are_models else ()

    def _close(self, declaration: syntax.PipelineDecl, choices: Mapping[str, object]) -> dict[str, int]:
        """Option indices for choices named by the user. A choice may appear only once another is closed, so the program
        is looked at again after each."""
        closed: dict[str, int] = {}
        waiting = dict(choices)
        while waiting:
            assignment, _ = self._elaborate(declaration, closed, Diagnostics())
            name = next((n for n in waiting if find_choice(n, assignment.met)), None)
            if name is None:
                raise CompileError([unknown_choice(next(iter(waiting)), assignment.met)])
            choice = assignment.met[find_choice(name, assignment.met) or name]
            closed[choice.name] = option_of(choice, waiting.pop(name))
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
        if len(self._scope.results) > _MOST_RESULTS:
            self._scope.results.clear()
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
        states = [d for d in self._scope.own.values() if isinstance(d, syntax.StateDecl)]
        if not states:
            return {}
        elaborator = self._elaborator(Assignment(self._site_names), Diagnostics() if found is None else found)
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
