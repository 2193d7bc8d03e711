"""`loop` and `each`: bodies that run again and again while the pipeline runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Diagnostics, Label
from pnyx.compiler.elaborate.bodies import BodyFrame, close_bodies, parameter, salted
from pnyx.compiler.elaborate.convert import Place
from pnyx.compiler.elaborate.kinds import Base, Kind
from pnyx.compiler.elaborate.scalars import lift
from pnyx.compiler.elaborate.scope import Environment
from pnyx.compiler.elaborate.values import ERROR, GraphValue, Value, describe
from pnyx.compiler.graph import Graph, Node
from pnyx.compiler.inference import TypeFault, loop_types
from pnyx.compiler.operators import Constant, Each, Loop, Part
from pnyx.compiler.types import Pool, Scalar, Size, Type

if TYPE_CHECKING:
    from pnyx.compiler.elaborate.evaluate import Elaborator

__all__ = ["assigned_by", "blocks_of", "evaluate_each", "evaluate_loop"]

MOST_ROUNDS = 10_000
# What a body assigns depends on types that depend on what it assigns; they shrink, so they settle soon.
MOST_TRIES = 8


def evaluate_loop(elaborator: Elaborator, statement: syntax.Loop, environment: Environment) -> None:
    """Leaves the values that the loop changes in the environment."""
    most = elaborator.evaluate(statement.most, environment)
    place = Place("loop", "max", statement.most.span, statement.most.span)
    most = elaborator.convert(most, Kind(Base.INT, low=0, high=MOST_ROUNDS), place)
    names = [name for name in assigned_by(statement.body) if environment.holder(name) is not None]
    if not isinstance(most, int):
        elaborator.poison(statement.body, environment)
        return
    if not names:
        elaborator.report(
            "E311",
            "this loop changes nothing that is there after it",
            statement.span,
            help="assign to a name from before the loop: `pool = …` above it, `pool = pool + …` in it",
        )
        return
    if most > 0:
        _Loop(elaborator, statement, environment, names, most).run()


@dataclass(slots=True)
class _Loop:
    elaborator: Elaborator
    statement: syntax.Loop
    environment: Environment
    names: list[str]
    most: int
    ends: bool = False

    def run(self) -> None:
        initial = self._initial()
        if initial is None:
            self.elaborator.poison(self.statement.body, self.environment)
            return
        types: tuple[Type, ...] = tuple(value.node.type for value in initial)
        outer = self.elaborator.salt
        frame_salt = salted("loop", outer, (value.node.stream for value in initial))
        for _ in range(MOST_TRIES):
            found = Diagnostics()
            with self.elaborator.reporting_to(found):
                made = self._body(initial, types, frame_salt)
                settled = None if made is None else self._settled(made, initial)
            if made is None or settled is None:
                self.elaborator.adopt(found)
                break
            if settled == types:
                self.elaborator.adopt(found)
                self._leave(made, initial)
                return
            types = settled
        else:
            self._report_unsettled()
        self.elaborator.poison(self.statement.body, self.environment)

    def _initial(self) -> list[GraphValue] | None:
        values = []
        for name in self.names:
            value = self.environment.get(name)
            if value is ERROR:
                return None
            lifted = lift(self.elaborator, value, self.elaborator.query, self.statement.span)
            if lifted is None:
                self.elaborator.report(
                    "E312",
                    f"`{name}` changes in the loop, and {describe(value)} cannot change while the pipeline runs",
                    self.statement.span,
                    help="`repeat` and `for` work on such values: they are unrolled when compiling",
                )
                return None
            values.append(lifted)
        return values

    def _body(
        self, initial: Sequence[GraphValue], types: Sequence[Type], salt: str
    ) -> tuple[Graph, tuple[Node, ...]] | None:
        """The body for values of these types, and what it captures."""
        elaborator, statement = self.elaborator, self.statement
        with elaborator.inside(BodyFrame(salt)) as frame:
            params = [parameter(frame, i, t, n) for i, (t, n) in enumerate(zip(types, self.names, strict=True))]
            inner = self.environment.child(closed=True)
            for name, param, value in zip(self.names, params, initial, strict=True):
                query = param if value.query is value.node else value.query
                inner.values[name] = GraphValue(param, query)
            elaborator.block(statement.body, inner.child())
            outputs = self._outputs(inner)
            if outputs is None:
                return None
            if statement.until is not None:
                until = self._until(statement.until, inner)
                if until is None:
                    return None
                # A condition that is known to be false ends nothing: all rounds run.
                self.ends = not (isinstance(until.node.operator, Constant) and until.node.operator.value is False)
                outputs += [until.node] if self.ends else []
            bodies, captured = close_bodies([(frame, params, outputs)])
        return bodies[0], captured

    def _outputs(self, inner: Environment) -> list[Node] | None:
        outputs = []
        for name in self.names:
            value = inner.values[name]
            if value is ERROR:
                return None
            lifted = lift(self.elaborator, value, self.elaborator.query, self.statement.span)
            if lifted is None:
                message = f"`{name}` becomes {describe(value)} in the loop, which cannot change while the pipeline runs"
                self.elaborator.report("E312", message, self.statement.span, help="give it another name in the loop")
                return None
            outputs.append(lifted.node)
        return outputs

    def _until(self, written: syntax.Expr, inner: Environment) -> GraphValue | None:
        value = self.elaborator.evaluate(written, inner)
        if value is ERROR:
            return None
        lifted = lift(self.elaborator, value, self.elaborator.query, written.span)
        if lifted is None or not (isinstance(lifted.node.type, Scalar) and lifted.node.type.base in ("bool", "any")):
            self.elaborator.report(
                "E301",
                f"`until` takes a condition, and this is {describe(value)}",
                written.span,
                help="compare it: `until size(pool) >= 5`",
            )
            return None
        return lifted

    def _settled(self, made: tuple[Graph, tuple[Node, ...]], initial: Sequence[GraphValue]) -> tuple[Type, ...] | None:
        """What the carried values are at the start of any round, given what the body makes of them."""
        body, captured = made
        self.elaborator.step(self.statement.span, min(self.most, 50) * len(body.nodes()))
        types = [*(value.node.type for value in initial), *(given.type for given in captured)]
        try:
            return loop_types(self._operator(), body, types)[0]
        except TypeFault as fault:
            message = f"what this loop changes has no one type: {fault}"
            help = "a name keeps its kind of value in every round"
            self.elaborator.report("E312", message, self.statement.span, help=help)
            return None

    def _operator(self) -> Loop:
        return Loop(most=self.most, carried=len(self.names), until=self.ends)

    def _report_unsettled(self) -> None:
        self.elaborator.report(
            "E312",
            "the types of what this loop changes do not settle",
            self.statement.span,
            help="let the body give the same fields and sizes in every round",
        )

    def _leave(self, made: tuple[Graph, tuple[Node, ...]], initial: Sequence[GraphValue]) -> None:
        elaborator, span = self.elaborator, self.statement.span
        body, captured = made
        inputs = [*(value.node for value in initial), *captured]
        whole = elaborator.make(self._operator(), inputs, elaborator.query, span, "loop", bodies=[body])
        for index, (name, value) in enumerate(zip(self.names, initial, strict=True)):
            part = elaborator.make(Part(index=index), [whole.node], elaborator.query, span, name)
            query = part.node if value.query is value.node else value.query
            self.environment.assign(name, GraphValue(part.node, query))


def evaluate_each(
    elaborator: Elaborator, pool: Value, expression: syntax.Each, environment: Environment, call: syntax.Expr
) -> Value:
    """`pool |> each x { … }`: the block for every candidate by itself."""
    if pool is ERROR:
        return ERROR
    if not isinstance(pool, GraphValue) or not isinstance(pool.node.type, Pool):
        elaborator.report(
            "E301",
            f"`each` works on candidates, and this is {describe(pool)}",
            call.span,
            help="add `|> generate(model)` before it",
        )
        return ERROR
    with elaborator.inside(BodyFrame(salted("each", elaborator.salt, [pool.node.stream]))) as frame:
        one = parameter(frame, 0, pool.node.type.sized(Size(1, 1)), expression.name)
        inner = environment.child(closed=True)
        inner.values[expression.name] = GraphValue(one, pool.query)
        value = elaborator.body(expression.body, inner)
        if value is ERROR:
            return ERROR
        if not isinstance(value, GraphValue) or not isinstance(value.node.type, Pool):
            elaborator.report(
                "E301",
                f"the block of `each` ends with candidates, and this ends with {describe(value)}",
                expression.body.statements[-1].span if expression.body.statements else expression.span,
                secondary=[Label(expression.name_span, "for each of these")],
                help=f"end it with a pool, for example `{expression.name}`",
            )
            return ERROR
        bodies, captured = close_bodies([(frame, [one], [value.node])])
    whole = elaborator.make(Each(), [pool.node, *captured], pool.query, expression.span, "each", bodies=bodies)
    return elaborator.make(Part(index=0), [whole.node], pool.query, expression.span, "each")


def assigned_by(block: syntax.Block) -> list[str]:
    """The names that a block assigns, each once, in order; also in blocks inside it, but for those of `each`."""
    return list(dict.fromkeys(_assigned(block)))


def _assigned(block: syntax.Block) -> Iterator[str]:
    for statement in block.statements:
        match statement:
            case syntax.Assign():
                yield statement.name
            case syntax.Repeat() | syntax.For() | syntax.Loop():
                yield from _assigned(statement.body)
            case syntax.Discard(value=syntax.If() | syntax.Match() as branch):
                for inner in blocks_of(branch):
                    yield from _assigned(inner)


def blocks_of(branch: syntax.If | syntax.Match) -> Iterator[syntax.Block]:
    """The blocks of a branch, one of which runs."""
    if isinstance(branch, syntax.Match):
        yield from (arm.value for arm in branch.arms if isinstance(arm.value, syntax.Block))
        return
    yield branch.then
    if isinstance(branch.orelse, syntax.If):
        yield from blocks_of(branch.orelse)
    elif branch.orelse is not None:
        yield branch.orelse
