"""`if`, `match` and `else` over values known only at run time: one of several blocks, chosen for each question.

A name from outside that a block assigns is, after the branch, what the chosen block made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Label
from pnyx.compiler.elaborate.arithmetic import equal
from pnyx.compiler.elaborate.bodies import BodyFrame, close_bodies
from pnyx.compiler.elaborate.loops import assigned_by, blocks_of
from pnyx.compiler.elaborate.scalars import is_late, lift
from pnyx.compiler.elaborate.scope import Environment
from pnyx.compiler.elaborate.values import ERROR, GraphValue, Value, describe
from pnyx.compiler.graph import Node
from pnyx.compiler.inference import TypeFault
from pnyx.compiler.operators import Branch, Compute, Constant, Measure, MeasureKind, Part
from pnyx.compiler.source import Span
from pnyx.compiler.types import Chat, Pool, Scalar

if TYPE_CHECKING:
    from pnyx.compiler.elaborate.evaluate import Elaborator

__all__ = ["branch_if", "evaluate_match", "evaluate_otherwise"]

Run: TypeAlias = Callable[[Environment], Value]
"""Evaluates an arm in an environment of its own."""


@dataclass(slots=True)
class _Arm:
    """An elaborated arm: its value, and what the names that some arm assigns are after it."""

    frame: BodyFrame
    value: Value
    names: dict[str, Value]


def branch_if(elaborator: Elaborator, expression: syntax.If, condition: GraphValue, environment: Environment) -> Value:
    """`if` over a condition known only at run time."""
    if not (isinstance(condition.node.type, Scalar) and condition.node.type.base in ("bool", "any")):
        pool = isinstance(condition.node.type, Pool)
        elaborator.report(
            "E301",
            f"a condition is true or false, and this is {describe(condition)}",
            expression.condition.span,
            help="measure it: `size(pool) > 0`" if pool else "compare it: `mean(pool, by = score) > 0.5`",
        )
        return ERROR
    orelse = expression.orelse

    def otherwise(inner: Environment) -> Value:
        if isinstance(orelse, syntax.If):
            return elaborator.evaluate(orelse, inner)
        return None if orelse is None else elaborator.block(orelse, inner)

    runs: list[Run] = [lambda inner: elaborator.block(expression.then, inner), otherwise]
    return _branch(elaborator, condition, (True,), runs, _names(expression), environment, expression.span, "if")


def evaluate_match(elaborator: Elaborator, expression: syntax.Match, environment: Environment) -> Value:
    """`match`: chosen when compiling where its value is known then."""
    value = elaborator.evaluate(expression.value, environment)
    patterns = _patterns(elaborator, expression, environment)
    if value is ERROR or patterns is None:
        return ERROR
    if not isinstance(value, GraphValue):
        return _match_early(elaborator, expression, value, patterns, environment)
    if not is_late(value):
        elaborator.report(
            "E301",
            f"`match` chooses by a single value, and this is {describe(value)}",
            expression.value.span,
            help="take a field of one candidate: `(pool |> best).answer`, or a measure: `size(pool)`",
        )
        return ERROR
    if not _comparable(elaborator, expression, value, patterns):
        return ERROR
    known = tuple(p for p in patterns if p is not _ANYTHING)
    runs = [_arm_run(elaborator, arm) for arm in expression.arms]
    return _branch(elaborator, value, known, runs, _names(expression), environment, expression.span, "match")


def _names(branch: syntax.If | syntax.Match) -> list[str]:
    """What some arm assigns."""
    return list(dict.fromkeys(name for block in blocks_of(branch) for name in assigned_by(block)))


class _Anything:
    """The pattern `_`."""


_ANYTHING = _Anything()


def _patterns(
    elaborator: Elaborator, expression: syntax.Match, environment: Environment
) -> list[Value | _Anything] | None:
    if not expression.arms:
        elaborator.report("E404", "`match` without arms", expression.span, help='write `"easy" => …` for each case')
        return None
    patterns: list[Value | _Anything] = []
    for index, arm in enumerate(expression.arms):
        if isinstance(arm.pattern, syntax.Placeholder):
            if index < len(expression.arms) - 1:
                help = "put `_` last: it takes what no other arm takes"
                elaborator.report("E313", "nothing reaches the arms behind `_`", arm.pattern.span, help=help)
                return None
            patterns.append(_ANYTHING)
            continue
        value = elaborator.evaluate(arm.pattern, environment)
        if value is ERROR:
            return None
        if isinstance(value, GraphValue):
            message = f"a pattern is known when compiling, and this is {describe(value)}"
            elaborator.report("E304", message, arm.pattern.span, help="compare with `if … { } else { }` instead")
            return None
        earlier = next((i for i, p in enumerate(patterns) if type(p) is type(value) and p == value), None)
        if earlier is not None:
            first = Label(expression.arms[earlier].pattern.span, "first here")
            help = "remove one of the two"
            elaborator.report("E313", "two arms have one pattern", arm.pattern.span, secondary=[first], help=help)
            return None
        patterns.append(value)
    return patterns


def _match_early(
    elaborator: Elaborator,
    expression: syntax.Match,
    value: Value,
    patterns: Sequence[Value | _Anything],
    environment: Environment,
) -> Value:
    for arm, pattern in zip(expression.arms, patterns, strict=True):
        if isinstance(pattern, _Anything) or equal(value, pattern):
            if isinstance(arm.value, syntax.Block):
                return elaborator.block(arm.value, environment.child())
            return elaborator.evaluate(arm.value, environment)
    elaborator.report(
        "E314",
        f"no arm takes {describe(value)}",
        expression.value.span,
        help="add an arm for it, or one for everything else: `_ => …`",
    )
    return ERROR


def _comparable(
    elaborator: Elaborator, expression: syntax.Match, value: GraphValue, patterns: Sequence[Value | _Anything]
) -> bool:
    """Whether each pattern is a constant that the value could equal."""
    for arm, pattern in zip(expression.arms, patterns, strict=True):
        if isinstance(pattern, _Anything):
            continue
        if isinstance(pattern, bool | int | float | str):
            constant = elaborator.make(Constant(value=pattern), [], value.query, arm.pattern.span, "constant")
            try:
                both = [value.node, constant.node]
                elaborator.make(Compute(symbol="=="), both, value.query, arm.pattern.span, "==")
                continue
            except TypeFault:
                pass
        elaborator.report(
            "E301",
            f"{describe(value)} never equals {describe(pattern)}",
            arm.pattern.span,
            secondary=[Label(expression.value.span, describe(value))],
            help="patterns are texts, numbers, `true` and `false`",
        )
        return False
    return True


def _arm_run(elaborator: Elaborator, arm: syntax.MatchArm) -> Run:
    def run(inner: Environment) -> Value:
        if isinstance(arm.value, syntax.Block):
            return elaborator.block(arm.value, inner)
        return elaborator.evaluate(arm.value, inner)

    return run


def evaluate_otherwise(elaborator: Elaborator, expression: syntax.Otherwise, environment: Environment) -> Value:
    """`pool else fallback`."""
    pool = elaborator.evaluate(expression.value, environment)
    if pool is ERROR:
        return ERROR
    if not isinstance(pool, GraphValue) or not isinstance(pool.node.type, Pool):
        elaborator.report(
            "E301",
            f"`else` stands in for an empty pool, and this is {describe(pool)}",
            expression.value.span,
            help="put it behind a pipe of candidates: `pool |> filter(verdict) else pool`",
        )
        return ERROR
    where = expression.span
    size = elaborator.make(Measure(what=MeasureKind.SIZE), [pool.node], pool.query, where, "size")
    none = elaborator.make(Constant(value=0), [], pool.query, where, "constant")
    some = elaborator.make(Compute(symbol=">"), [size.node, none.node], pool.query, where, ">")
    fallback = expression.fallback

    def otherwise(inner: Environment) -> Value:
        if isinstance(fallback, syntax.Block):
            return elaborator.block(fallback, inner)
        return elaborator.evaluate(fallback, inner)

    return _branch(elaborator, some, (True,), [lambda _: pool, otherwise], [], environment, where, "else")


def _branch(
    elaborator: Elaborator,
    chosen_by: GraphValue,
    patterns: Sequence[Value | _Anything],
    runs: Sequence[Run],
    names: Sequence[str],
    environment: Environment,
    where: Span,
    label: str,
) -> Value:
    """A branch of these arms; leaves what they assign in the environment."""
    outer = [name for name in names if environment.holder(name) is not None]
    arms = [_elaborated(elaborator, run, outer, environment) for run in runs]
    if any(arm.value is ERROR or ERROR in arm.names.values() for arm in arms):
        for name in outer:
            environment.assign(name, ERROR)
        return ERROR
    changed = [n for n in outer if not _all_same([*(arm.names[n] for arm in arms), environment.get(n)])]
    valued = all(arm.value is not None for arm in arms)
    if valued and _all_same([arm.value for arm in arms]) and not changed and not isinstance(arms[0].value, GraphValue):
        return arms[0].value
    columns = [*([[arm.value for arm in arms]] if valued else []), *([arm.names[n] for arm in arms] for n in changed)]
    if not columns:
        return None
    made = _joined(elaborator, chosen_by, patterns, arms, columns, where, label)
    if made is None:
        for name in outer:
            environment.assign(name, ERROR)
        return ERROR
    for name, value in zip(changed, made[1:] if valued else made, strict=True):
        environment.assign(name, value)
    return made[0] if valued else None


def _elaborated(elaborator: Elaborator, run: Run, names: Sequence[str], environment: Environment) -> _Arm:
    with elaborator.inside(BodyFrame(elaborator.salt)) as frame:
        inner = environment.child(closed=True)
        inner.values.update({name: environment.get(name) for name in names})
        value = run(inner.child())
        return _Arm(frame, value, {name: inner.values[name] for name in names})


def _all_same(values: Sequence[Value]) -> bool:
    first = values[0]
    if isinstance(first, GraphValue):
        return all(isinstance(v, GraphValue) and v.node.digest == first.node.digest for v in values)
    return all(type(v) is type(first) and v == first for v in values)


def _joined(
    elaborator: Elaborator,
    chosen_by: GraphValue,
    patterns: Sequence[Value | _Anything],
    arms: Sequence[_Arm],
    columns: Sequence[Sequence[Value]],
    where: Span,
    label: str,
) -> list[GraphValue] | None:
    """The node that chooses, and its results: one for each column, which has a value of each arm."""
    query = elaborator.query
    outputs: list[list[Node]] = []
    for index, arm in enumerate(arms):
        with elaborator.inside(arm.frame):
            lifted = [lift(elaborator, column[index], query, where) for column in columns]
        wrong = next((i for i, value in enumerate(lifted) if value is None), None)
        if wrong is not None:
            message = f"{describe(columns[wrong][index])} cannot depend on what is known only at run time"
            help = "let the blocks give candidates, numbers or texts"
            elaborator.report("E304", message, where, help=help)
            return None
        outputs.append([value.node for value in lifted if value is not None])
    bodies, captured = close_bodies([(arm.frame, [], nodes) for arm, nodes in zip(arms, outputs, strict=True)])
    constants = tuple(p for p in patterns if isinstance(p, bool | int | float | str))
    operator = Branch(patterns=constants, otherwise=len(arms) > len(constants))
    try:
        whole = elaborator.make(operator, [chosen_by.node, *captured], query, where, label, bodies=bodies)
    except TypeFault:
        shown = " or ".join(dict.fromkeys(describe(column[i]) for column in columns for i in range(len(arms))))
        help = "let every block give the same kind of value"
        elaborator.report("E315", f"the blocks give {shown}", where, help=help)
        return None
    made = []
    for index, column in enumerate(columns):
        part = elaborator.make(Part(index=index), [whole.node], query, where, label)
        origin = next((v for v in column if isinstance(v, GraphValue)), None)
        made.append(GraphValue(part.node, _question(part.node, origin, arms, query)))
    return made


def _question(part: Node, origin: GraphValue | None, arms: Sequence[_Arm], query: Node) -> Node:
    """The question that the result answers: that of where it comes from, unless an arm made up one of its own."""
    if origin is None or any(origin.query.digest in arm.frame.made for arm in arms):
        return part if isinstance(part.type, Chat) else query
    return part if origin.query is origin.node else origin.query
