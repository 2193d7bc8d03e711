"""What the expressions of a program are worth: the compile-time values and the types of pools, place by place."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Diagnostics
from pnyx.compiler.elaborate.choices import Assignment
from pnyx.compiler.elaborate.evaluate import Elaborator
from pnyx.compiler.elaborate.generic import check_alone
from pnyx.compiler.elaborate.scope import Environment, ModuleScope, in_library
from pnyx.compiler.elaborate.values import ERROR, GraphValue, Value
from pnyx.compiler.graph import Graph
from pnyx.compiler.program import Program
from pnyx.compiler.source import Source, Span

if TYPE_CHECKING:
    from pnyx.compiler.plan import Plan

__all__ = ["Observer", "Worth"]

_Place: TypeAlias = tuple[int, int, int]


@dataclass(slots=True)
class Worth:
    """`values`: what the expression at a place was worth, time after time. `calls`: the call in the entry point's own
    text that each node, known by its stream, comes from."""

    values: dict[_Place, list[Value]] = field(default_factory=lambda: defaultdict(list))
    calls: dict[str, Span] = field(default_factory=dict)

    def at(self, span: Span) -> list[Value]:
        return self.values.get(_place(span), [])

    def reaches(self, span: Span) -> bool:
        """Whether something inside of a span was evaluated."""
        return any(at == id(span.source) and span.start <= start <= span.end for at, start, _ in self.values)


class Observer(Program):
    """A program of declarations that were read already. Elaborating one of its entry points fills `worth`."""

    def __init__(self, source: Source, module: syntax.Module) -> None:
        self._given = module
        self.worth = Worth()
        super().__init__(source)

    def observe(self, declaration: syntax.PipelineDecl) -> Graph | None:
        """The graph of a pipeline under its defaults; None where it is faulty."""
        return self._elaborate(declaration, {}, Diagnostics())[1]

    def plan(self, declaration: syntax.PipelineDecl) -> Plan | None:
        """The plan of a pipeline under its defaults; None where it is faulty."""
        from pnyx.compiler.freeze import freeze
        from pnyx.compiler.passes import optimise

        graph = self.observe(declaration)
        if graph is None:
            return None
        return freeze(
            optimise(graph),
            pipeline=declaration.name,
            source_name=self.source.name,
            models=self._models(graph),
            choices={},
            optimised=True,
            states=self._state_starts(),
        )

    def observe_operator(self, declaration: syntax.OpDecl) -> None:
        """The body of an operator as a pipeline uses it, else with stand-ins for its parameters."""
        for pipeline in self._own_pipelines():
            self.observe(pipeline)
            if self.worth.at(declaration.body.span):
                return
        check_alone(declaration, self._scope, self._site_names, Diagnostics(), self._standing_in)

    def observe_uses(self, declaration: syntax.Declaration) -> None:
        """A declaration that runs only where others use it, as the first pipeline does that reaches it."""
        for pipeline in self._own_pipelines():
            self.observe(pipeline)
            if self.worth.reaches(declaration.span):
                return

    def _parsed(self) -> syntax.Module:
        return self._given

    def _elaborator(self, assignment: Assignment, found: Diagnostics) -> Elaborator:
        return _Recorder(self._scope, assignment, found, self.worth)

    def _standing_in(self, assignment: Assignment, found: Diagnostics) -> Elaborator:
        return _Recorder(self._scope, assignment, found, self.worth, only_types=True)


class _Recorder(Elaborator):
    """Notes what it finds outside of the standard library. `only_types`: numbers, words and the like are made up."""

    def __init__(
        self, scope: ModuleScope, assignment: Assignment, found: Diagnostics, worth: Worth, *, only_types: bool = False
    ) -> None:
        super().__init__(scope, assignment, found)
        self._worth = worth
        self._only_types = only_types

    def evaluate(self, expression: syntax.Expr, environment: Environment, *, words: bool = False) -> Value:
        value = super().evaluate(expression, environment, words=words)
        self._note(expression.span, value)
        return value

    def body(self, block: syntax.Block, environment: Environment) -> Value:
        value = super().body(block, environment)
        self._note(block.span, value)
        return value

    def make(self, *arguments: Any, **options: Any) -> GraphValue:
        made = super().make(*arguments, **options)
        span = self.frames[0].call if self.frames else made.node.span
        assert span is not None, "what the elaborator makes has a place in the program"
        self._worth.calls.setdefault(made.node.stream, span)
        return made

    def _note(self, span: Span, value: Value) -> None:
        made_up = self._only_types and not isinstance(value, GraphValue)
        if value is not ERROR and not made_up and not (self.frames and in_library(self.frames[-1].declaration)):
            self._worth.values[_place(span)].append(value)


def _place(span: Span) -> _Place:
    return id(span.source), span.start, span.end
