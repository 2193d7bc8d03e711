"""A program: one source file with the standard library around it; what it declares, what is wrong with it, its plans.

Nothing here raises for a user's mistake but `compile`, which raises CompileError with every diagnostic of the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import CompileError, Diagnostic, Diagnostics, Label
from pnyx.compiler.elaborate.choices import Assignment, Choice, Site, name_sites
from pnyx.compiler.elaborate.evaluate import Elaborator
from pnyx.compiler.elaborate.frames import TooLarge
from pnyx.compiler.elaborate.generic import check_alone
from pnyx.compiler.elaborate.lint import lint
from pnyx.compiler.elaborate.resolve import resolve
from pnyx.compiler.elaborate.scope import Environment, ModuleScope
from pnyx.compiler.elaborate.values import ERROR, GraphValue, describe
from pnyx.compiler.graph import Graph, node
from pnyx.compiler.nearest import nearest
from pnyx.compiler.operators import Ask, Input, Sample
from pnyx.compiler.parse import parse
from pnyx.compiler.source import Source, Span
from pnyx.compiler.types import CHAT, Pool
from pnyx.library import sources as library_sources

if TYPE_CHECKING:
    from pnyx.compiler.plan import Plan, PlanModel

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
            self._module = parse(source, self._found)
        self._checked = False
        self._effort = 0

    @classmethod
    def load(cls, path: Path | str) -> Program:
        """The program in a file. A file that cannot be read or is not UTF-8 is a diagnostic."""
        path = Path(path)
        found = Diagnostics()
        text = ""
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            message = f"`{path}` is not UTF-8: byte {error.start} cannot be read"
            found.report("E602", message, None, help="save the file as UTF-8")
        except (OSError, ValueError) as error:  # a name that no file can have is a ValueError
            reason = (getattr(error, "strerror", None) or str(error)).lower()
            found.report("E601", f"`{path}` cannot be read: {reason}", None, help=_near_file(path))
        return cls(Source(str(path), text), found)

    @classmethod
    def parse(cls, text: str, name: str = "<text>") -> Program:
        return cls(Source(name, text))

    @property
    def module(self) -> syntax.Module:
        return self._module

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
        unused = resolve(self._scope, self._found)
        alternatives = 0
        instantiated: set[str] = set()
        for declaration in self._own_pipelines():
            if self._effort > 2 * MOST_EFFORT:
                message = "the pipelines of this file take too long to unroll"
                self._found.report("E405", message, declaration.name_span, help="put this one into a file of its own")
                break
            assignment, graph = self._elaborate(declaration, {}, self._found, instantiated)
            if graph is not None:
                lint(graph, self._found)
            for name, index in _others(assignment):
                alternatives += 1
                if alternatives > MOST_ALTERNATIVES or self._effort > MOST_EFFORT:
                    break
                found = Diagnostics()
                self._elaborate(declaration, {name: index}, found, instantiated)
                self._found.extend(d for d in found if d.is_error)
        for operator in self._scope.own.values():
            if self._effort > MOST_EFFORT:
                break
            if isinstance(operator, syntax.OpDecl) and operator.name not in instantiated:
                self._effort += check_alone(operator, self._scope, self._site_names, self._found)
        if not self._found.has_errors:
            self._found.extend(unused)
        return self.diagnostics

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
        )

    # Inside --------------------------------------------------------------------------------------

    @cached_property
    def _scope(self) -> ModuleScope:
        library = [parse(Source(name, text), self._found) for name, text in library_sources()]
        return ModuleScope.build(self._module, library, self._found)

    @cached_property
    def _site_names(self) -> dict[Site, str]:
        return name_sites(iter(self._scope.own.values()), self._scope.signature)

    def _own_pipelines(self) -> Iterator[syntax.PipelineDecl]:
        return (d for d in self._scope.own.values() if isinstance(d, syntax.PipelineDecl))

    def _pipeline(self, name: str | None) -> syntax.PipelineDecl:
        declared = {d.name: d for d in self._own_pipelines()}
        if name is None and len(declared) == 1:
            return next(iter(declared.values()))
        if name is not None and name in declared:
            return declared[name]
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

    def _elaborate(
        self,
        declaration: syntax.PipelineDecl,
        closed: Mapping[str, int],
        found: Diagnostics,
        instantiated: set[str] | None = None,
    ) -> tuple[Assignment, Graph | None]:
        assignment = Assignment(self._site_names, closed)
        if len(declaration.params) != 1:
            found.report(
                "E210" if declaration.params else "E204",
                f"a pipeline has one parameter, the question; `{declaration.name}` has {len(declaration.params)}",
                declaration.name_span,
                help=f"write `pipeline {declaration.name}(query)`; other values are `let` or `tune`",
            )
            return assignment, None
        elaborator = Elaborator(self._scope, assignment, found)
        query = node(Input(), (), CHAT, label="query", span=declaration.params[0].span)
        environment = Environment(values={declaration.params[0].name: GraphValue(query, query)})
        try:
            value = elaborator.body(declaration.body, environment)
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
        if value is ERROR:
            return assignment, None
        if not isinstance(value, GraphValue) or not isinstance(value.node.type, Pool):
            last = declaration.body.statements[-1].span if declaration.body.statements else declaration.body.span
            found.report(
                "E301",
                f"a pipeline ends with candidates, and `{declaration.name}` ends with {describe(value)}",
                last,
                secondary=[Label(declaration.name_span, "this pipeline")],
                help="end it with a pool: `query |> generate(model)`",
            )
            return assignment, None
        return assignment, Graph(query, value.node)

    def _models(self, graph: Graph) -> list[PlanModel]:
        from pnyx.compiler.plan import PlanModel

        names = dict.fromkeys(n.operator.model for n in graph.nodes() if isinstance(n.operator, Sample | Ask))
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


def _near_file(path: Path) -> str:
    folder = path.parent
    try:
        likely = nearest(path.name, [p.name for p in folder.iterdir() if p.is_file()])
    except (OSError, ValueError):
        return f"there is no folder `{folder}`"
    return f"did you mean `{folder / likely}`?" if likely else "check the path"
