"""The elaborator: runs a program's compile-time part and leaves a graph.

Everything whose inputs are known is computed: `repeat`, `for` and `if` unroll, operators inline, choices close. What
remains are nodes. Types are checked where a program is instantiated, so a pool's size and fields are exact everywhere.

Invariants: never raises for a user's mistake; a mistake is reported once, and ERROR stands for its value. Work is
bounded by `MOST_STEPS` and `MOST_NODES`, and inlining in depth.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Diagnostics, Fix, Label
from pnyx.compiler.elaborate.arithmetic import bounded, compute
from pnyx.compiler.elaborate.bodies import BodyFrame
from pnyx.compiler.elaborate.branches import branch_if, evaluate_match, evaluate_otherwise
from pnyx.compiler.elaborate.builtin import BUILTINS, VALUES
from pnyx.compiler.elaborate.call import check_result, evaluate_call, evaluate_default, evaluate_pipe
from pnyx.compiler.elaborate.choices import Assignment
from pnyx.compiler.elaborate.close import close_choice
from pnyx.compiler.elaborate.convert import Place, convert
from pnyx.compiler.elaborate.endings import no_value_help, value_at_end
from pnyx.compiler.elaborate.frames import Frame, TooLarge
from pnyx.compiler.elaborate.kinds import Base, Kind
from pnyx.compiler.elaborate.loops import assigned_by, evaluate_loop
from pnyx.compiler.elaborate.scalars import field_of
from pnyx.compiler.elaborate.scope import Environment, ModuleScope, in_library
from pnyx.compiler.elaborate.unroll import range_values, unroll_for, unroll_repeat
from pnyx.compiler.elaborate.values import (
    ERROR,
    GraphValue,
    ModelValue,
    Operation,
    OpValue,
    PolicyValue,
    Symbol,
    Value,
    describe,
)
from pnyx.compiler.graph import Graph, Node, node
from pnyx.compiler.inference import result_type
from pnyx.compiler.operators import Action, Ask, Empty, Input, OnFail, Operator
from pnyx.compiler.source import Span
from pnyx.compiler.types import CHAT, Chat, Pool

__all__ = ["Elaborator"]

MOST_STEPS = 200_000
MOST_NODES = 20_000
MOST_CANDIDATES = 1_000_000
_NODE = 20
"""A node takes about as long as so many steps."""


class Elaborator:
    """Elaborates one entry point under one assignment of the choices."""

    def __init__(self, scope: ModuleScope, assignment: Assignment, diagnostics: Diagnostics) -> None:
        self.scope = scope
        self.assignment = assignment
        self._diagnostics = diagnostics
        self.frames: list[Frame] = []
        self.query = node(Input(), (), CHAT, label="query")
        self._bodies = [BodyFrame("")]
        self._unknown_places: set[tuple[str, int]] = set()
        self.reports = 0
        self._steps = 0
        self._nodes = 0
        self._lets: dict[str, Value] = {}
        self._in_progress: set[str] = set()
        self.instantiated: set[str] = set()

    # Bodies and blocks ---------------------------------------------------------------------------

    def body(self, block: syntax.Block, environment: Environment) -> Value:
        """The value of an operator's or pipeline's body."""
        value = self.block(block, environment)
        if value is None and not self._ends_with_value(block):
            self.report(
                "E306",
                "this block has no value",
                block.span,
                help=no_value_help(block),
                fixes=value_at_end(block),
            )
            return ERROR
        return value

    def alone(self, declaration: syntax.OpDecl, values: dict[str, Value]) -> None:
        """An operator's body for its faults' sake, with these values for its parameters and defaults for the others."""
        environment = Environment()
        for parameter in self.scope.signature_of(declaration).parameters:
            if parameter.name in values:
                value = values[parameter.name]
            else:
                assert isinstance(parameter.default, syntax.Expr)
                value = evaluate_default(self, parameter.default, parameter.kind, Environment())
            environment.values[parameter.name] = value
        signature = self.scope.signature_of(declaration)
        value = self.body(declaration.body, environment)
        check_result(self, value, declaration, signature, environment.values, declaration.name_span)

    def default_of(self, default: syntax.Expr, declaration: syntax.PromptDecl) -> Value:
        """The default of a prompt's parameter, which sees what the prompt's file declares."""
        return self.evaluate(default, Environment(from_library=in_library(declaration)))

    def _ends_with_value(self, block: syntax.Block) -> bool:
        return bool(block.statements) and isinstance(block.statements[-1], syntax.Discard)

    def block(self, block: syntax.Block, environment: Environment, *, words: bool = False) -> Value:
        value: Value = None
        for statement in block.statements:
            value = self._statement(statement, environment, words=words)
        return value

    def _statement(self, statement: syntax.Statement, environment: Environment, *, words: bool) -> Value:
        match statement:
            case syntax.Assign():
                environment.assign(statement.name, self.evaluate(statement.value, environment))
            case syntax.Discard():
                return self.evaluate(statement.value, environment, words=words)
            case syntax.Repeat():
                unroll_repeat(self, statement, environment)
            case syntax.For():
                unroll_for(self, statement, environment)
            case syntax.Loop():
                evaluate_loop(self, statement, environment)
        return None

    def poison(self, block: syntax.Block, environment: Environment) -> None:
        """What a skipped body would have assigned is unknown, so nothing that uses it reports again."""
        for name in assigned_by(block):
            environment.assign(name, ERROR)

    # Expressions ---------------------------------------------------------------------------------

    def evaluate(self, expression: syntax.Expr, environment: Environment, *, words: bool = False) -> Value:
        """`words`: a bare name that is not a local one is a word (of a field, an option), not a reference."""
        self.step(expression.span)
        match expression:
            case syntax.Name():
                return self._name(expression, environment, words=words)
            case syntax.Number():
                return self._number(expression)
            case syntax.Call():
                return evaluate_call(self, expression, environment)
            case syntax.Pipe():
                return evaluate_pipe(self, expression, environment)
            case syntax.Text() | syntax.Bool():
                return expression.value
            case syntax.NoneValue():
                return None
            case syntax.ListExpr():
                items = tuple(self.evaluate(i, environment, words=words) for i in expression.items)
                return ERROR if ERROR in items else bounded(items, expression.span, self)
            case syntax.Range():
                values = range_values(self, expression, environment)
                return ERROR if values is None else tuple(values)
            case syntax.Policy():
                return self._policy(expression, environment)
            case syntax.Tune():
                return close_choice(self, expression, environment, words=words)
            case syntax.Unary() | syntax.Binary():
                return self._arithmetic(expression, environment)
            case syntax.If():
                return self._if(expression, environment, words=words)
            case syntax.Placeholder():
                self.report(
                    "E301",
                    "`_` stands alone",
                    expression.span,
                    help="it is an argument of a call: `critique(_, judge)`",
                )
                return ERROR
            case syntax.Match():
                return evaluate_match(self, expression, environment)
            case syntax.Otherwise():
                return evaluate_otherwise(self, expression, environment)
            case syntax.Field():
                return field_of(self, expression, environment)
            case syntax.Each():
                self.report("E301", "`each` stands behind a pool", expression.span, help="write `pool |> each x { … }`")
                return ERROR

    def _number(self, expression: syntax.Number) -> Value:
        if expression.unit is not None:
            self.report(
                "E301",
                f"`{expression.span.text}` has a unit, and a plain number is needed",
                expression.span,
                help="units belong to budgets and limits",
            )
            return ERROR
        return expression.value

    def _name(self, expression: syntax.Name, environment: Environment, *, words: bool) -> Value:
        holder = environment.holder(expression.name)
        if holder is not None:
            value = holder.values[expression.name]
            if not words or value is None or isinstance(value, Symbol | PolicyValue | type(ERROR)):
                return value
        if words:
            return Symbol(expression.name)
        return self._global(expression, environment)

    def _global(self, expression: syntax.Name, environment: Environment) -> Value:
        name = expression.name
        if self.scope.is_doubtful(name) and not environment.from_library:
            return ERROR
        declaration = self.scope.find(name, from_library=environment.from_library)
        match declaration:
            case syntax.ModelDecl():
                return ModelValue(name)
            case syntax.PromptDecl():
                return self.scope.prompt(declaration, self) or ERROR
            case syntax.OpDecl() | syntax.ExternDecl():
                return OpValue(Operation(self.scope.signature_of(declaration), declaration))
            case syntax.LetDecl():
                return self._let(declaration, expression.span)
            case syntax.PipelineDecl():
                self.report(
                    "E301",
                    f"`{name}` is a pipeline, and pipelines cannot be used inside others",
                    expression.span,
                    secondary=[Label(declaration.name_span, "declared here")],
                    help="declare the shared part as an `op` and call it from both",
                )
                return ERROR
            case syntax.SettingsDecl():
                hides = isinstance(self.scope.library.get(name), syntax.OpDecl)
                self.report(
                    "E301",
                    f"`{name}` is a {declaration.kind}, not a value",
                    expression.span,
                    secondary=[Label(declaration.name_span, "declared here")],
                    help=f"it hides the operator `{name}` of the library: give it another name"
                    if hides
                    else "name an operator, a pool or a value",
                )
                return ERROR
            case syntax.StateDecl():
                return ERROR  # pipelines have it as a local name; elsewhere its use has been reported
            case None:
                if name in BUILTINS:
                    return OpValue(Operation(BUILTINS[name]))
                if name in VALUES:
                    return self.make(Empty(), [], self.query, expression.span, name)
                self._unknown(expression, environment)
                return ERROR

    def _unknown(self, expression: syntax.Name, environment: Environment) -> None:
        self.reports += 1
        place = (expression.span.source.name, expression.span.start)
        if place in self._unknown_places:  # unrolled: looking for a likely name each time would take the longest
            return
        self._unknown_places.add(place)
        likely = self.scope.suggest(expression.name, environment.names())
        self.report(
            "E201",
            f"there is no `{expression.name}`",
            expression.span,
            help=f"did you mean `{likely}`?" if likely else "declare it before its use, or check the spelling",
        )

    def _let(self, declaration: syntax.LetDecl, use: Span) -> Value:
        name = declaration.name
        if name not in self._lets:
            if name in self._in_progress:
                self.report(
                    "E206",
                    f"`{name}` is defined by itself",
                    use,
                    secondary=[Label(declaration.name_span, "declared here")],
                    help="a `let` may only use values that do not need it",
                )
                return ERROR
            self._in_progress.add(name)
            self._lets[name] = self.evaluate(declaration.value, Environment())
            self._in_progress.discard(name)
        return self._lets[name]

    def _policy(self, expression: syntax.Policy, environment: Environment) -> Value:
        place = Place("retry", "the number of tries", expression.retries.span, expression.span)
        retries = self.convert(self.evaluate(expression.retries, environment), Kind(Base.INT, low=0, high=100), place)
        place = Place("on_fail", "the action", expression.action_span, expression.span)
        action = self.convert(Symbol(expression.action), Kind(Base.CHOICE, words=tuple(Action)), place)
        if not isinstance(retries, int) or not isinstance(action, Symbol):
            return ERROR
        return PolicyValue(OnFail(retries=retries, then=Action(action.name)))

    def _arithmetic(self, expression: syntax.Unary | syntax.Binary, environment: Environment) -> Value:
        if isinstance(expression, syntax.Unary):
            return compute(expression, (self.evaluate(expression.operand, environment),), self)
        left = self.evaluate(expression.left, environment)
        if expression.operator in ("and", "or") and isinstance(left, bool) and left == (expression.operator == "or"):
            return left
        return compute(expression, (left, self.evaluate(expression.right, environment)), self)

    def _if(self, expression: syntax.If, environment: Environment, *, words: bool) -> Value:
        condition = self.evaluate(expression.condition, environment)
        if condition is ERROR:
            return ERROR
        if isinstance(condition, GraphValue):
            return branch_if(self, expression, condition, environment)
        if not isinstance(condition, bool):
            self.report(
                "E301",
                f"a condition is true or false, and this is {describe(condition)}",
                expression.condition.span,
                help="compare it: `n > 0`",
            )
            return ERROR
        branch = expression.then if condition else expression.orelse
        if branch is None:
            return None
        if isinstance(branch, syntax.If):
            return self._if(branch, environment, words=words)
        return self.block(branch, environment.child(), words=words)

    # Nodes and reports ---------------------------------------------------------------------------

    @property
    def salt(self) -> str:
        """Of the body that is being elaborated; empty outside."""
        return self._bodies[-1].salt

    @property
    def in_body(self) -> bool:
        return len(self._bodies) > 1

    @contextmanager
    def inside(self, frame: BodyFrame) -> Iterator[BodyFrame]:
        """While a body is elaborated, the nodes made are its own."""
        self._bodies.append(frame)
        try:
            yield frame
        finally:
            self._bodies.pop()

    @contextmanager
    def reporting_to(self, found: Diagnostics) -> Iterator[None]:
        """For trials: their reports may turn out not to hold."""
        before, self._diagnostics = self._diagnostics, found
        try:
            yield
        finally:
            self._diagnostics = before

    def adopt(self, found: Diagnostics) -> None:
        self._diagnostics.extend(found)

    def make(
        self,
        operator: Operator,
        inputs: Sequence[Node],
        query: Node,
        call: Span,
        name: str,
        *,
        bodies: Sequence[Graph] = (),
    ) -> GraphValue:
        """A node of the graph, under the name and place that a reader of the program knows. Raises TypeFault where
        single values do not go together; what is wrong with the inputs of operators is found before."""
        self._count_node(call)
        label, span = name, call
        for frame in self.frames:
            if in_library(frame.declaration):
                label, span = frame.declaration.name, frame.call
                break
        if isinstance(operator, Ask) and operator.into not in (None, label) and label != name:
            label = f"{label}.{operator.into}"
        type_ = result_type(operator, [i.type for i in inputs], bodies)
        if isinstance(type_, Pool) and type_.size.high > MOST_CANDIDATES:
            self._too_large(call, f"a pool of {type_.size} candidates", "a pool has up to a million")
        made = node(operator, inputs, type_, label=label, span=span, salt=self.salt, bodies=bodies)
        self._own(made)
        return GraphValue(made, made if isinstance(type_, Chat) else query)

    def remake(self, made: Node, inputs: Sequence[Node], call: Span) -> Node:
        """A node that was made before, over other inputs of the same types."""
        self._count_node(call)
        again = node(made.operator, inputs, made.type, label=made.label, span=made.span, salt=self.salt)
        self._own(again)
        return again

    def _count_node(self, call: Span) -> None:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            self._too_large(call, f"the program has more than {MOST_NODES} nodes")

    def _own(self, made: Node) -> None:
        """Notes it for the innermost body, unless it is one of a body around that."""
        if not any(made.digest in outer.made for outer in self._bodies[:-1]):
            self._bodies[-1].made.add(made.digest)

    def convert(self, value: Value, kind: Kind, place: Place, fields: dict[str, Value] | None = None) -> Value:
        return convert(value, kind, place, self, fields)

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
        """A problem inside the standard library is the caller's: it is shown at the program's own call."""
        self.reports += 1
        others = list(secondary)
        for frame in self.frames:
            if in_library(frame.declaration):
                if span.source is frame.declaration.span.source:
                    span, label, fixes = frame.call, label or f"inside `{frame.declaration.name}`", ()
                others = [o for o in others if o.span.source is span.source]
                break
        for frame in reversed(self.frames):
            if not in_library(frame.declaration) and frame.call.source is span.source and frame.call != span:
                others.append(Label(frame.call, "called here"))
                break
        self._diagnostics.report(code, message, span, label, secondary=others, help=help, fixes=fixes)

    def step(self, span: Span, steps: int = 1) -> None:
        self._steps += steps
        if self._steps > MOST_STEPS:
            self._too_large(span, f"the program takes more than {MOST_STEPS} steps to unroll")

    @property
    def effort(self) -> int:
        """What elaborating has taken so far, in steps."""
        return self._steps + _NODE * self._nodes

    def _too_large(self, span: Span, message: str, help: str = "repeat less, or split the pipeline") -> None:
        self.report("E405", message, span, help=help)
        raise TooLarge
