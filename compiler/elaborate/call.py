"""Calls: arguments evaluated and bound, operators inlined, built-in ones lowered, results held against their types."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Diagnostics, Label
from pnyx.compiler.elaborate.bind import Bound, Given, bind
from pnyx.compiler.elaborate.builtin_call import BuiltinCall
from pnyx.compiler.elaborate.close import chosen_place
from pnyx.compiler.elaborate.convert import Place, convert, fits
from pnyx.compiler.elaborate.frames import Frame, TooLarge
from pnyx.compiler.elaborate.kinds import WORDS, Base, Kind, Parameter, Signature
from pnyx.compiler.elaborate.loops import evaluate_each
from pnyx.compiler.elaborate.lower import lower
from pnyx.compiler.elaborate.lower_extern import lower_extern
from pnyx.compiler.elaborate.recipes import Recipe, key_of, recipe_of, remade, run_time
from pnyx.compiler.elaborate.scope import Environment, in_library
from pnyx.compiler.elaborate.values import (
    ERROR,
    FilledArgument,
    GraphValue,
    OpValue,
    Symbol,
    Value,
    describe,
)
from pnyx.compiler.source import Span
from pnyx.compiler.types import Pool

if TYPE_CHECKING:
    from pnyx.compiler.elaborate.evaluate import Elaborator

__all__ = ["check_result", "evaluate_call", "evaluate_default", "evaluate_pipe"]

MOST_FRAMES = 40


def evaluate_pipe(elaborator: Elaborator, expression: syntax.Pipe, environment: Environment) -> Value:
    source = elaborator.evaluate(expression.source, environment)
    stage = expression.stage
    if isinstance(stage, syntax.Each):
        return evaluate_each(elaborator, source, stage, environment, expression.source)
    piped = Given(None, FilledArgument(None, source, _argument(expression.source)), expression.source.span)
    if isinstance(stage, syntax.Call) and not _has_hole(stage):
        callee = elaborator.evaluate(stage.callee, environment)
        if not isinstance(callee, OpValue):
            return _not_callable(elaborator, callee, stage.callee)
        arguments = [piped, *_given(elaborator, callee.operation.signature, stage.arguments, environment, skip=1)]
        return _apply(elaborator, callee, arguments, stage.span)
    value = elaborator.evaluate(stage, environment)
    if not isinstance(value, OpValue):
        return _not_callable(elaborator, value, stage)
    return _apply(elaborator, value, [piped], stage.span)


_QUOTED = "what stands in quotes is a text; write the operator without them, in YAML behind `!expr` where it has commas"


def _not_callable(elaborator: Elaborator, value: Value, where: syntax.Expr) -> Value:
    if value is not ERROR:
        elaborator.report(
            "E301",
            f"{describe(value)} is not an operator",
            chosen_place(elaborator, where),
            help=_hole_hint(where)
            or _hidden_hint(elaborator, where)
            or (_QUOTED if isinstance(value, str) else "only operators stand after `|>` or before `(`"),
        )
    return ERROR


def evaluate_call(elaborator: Elaborator, expression: syntax.Call, environment: Environment) -> Value:
    written = expression.callee
    if isinstance(written, syntax.Field) and elaborator.scope.signature(written.name) is not None:
        message = f"`{written.name}` is an operator, not a field"
        elaborator.report("E301", message, written.name_span, help=f"it stands behind a pipe: `… |> {written.name}(…)`")
        return ERROR
    callee = elaborator.evaluate(expression.callee, environment)
    if not isinstance(callee, OpValue):
        return _not_callable(elaborator, callee, expression.callee)
    holes = [a for a in expression.arguments if isinstance(a.value, syntax.Placeholder)]
    arguments = _given(elaborator, callee.operation.signature, expression.arguments, environment)
    if not holes:
        return _apply(elaborator, callee, arguments, expression.span)
    if len(holes) > 1:
        elaborator.report("E301", "an operator value has one `_`", holes[1].span, help="fill in the other argument")
        return ERROR
    if callee.arguments is not None:
        help = "pipe into it what belongs there: `pool |> step`"
        elaborator.report("E301", "this operator value already has its `_`", holes[0].span, help=help)
        return ERROR
    return OpValue(callee.operation, tuple(g.payload for g in arguments))


def _given(
    elaborator: Elaborator,
    signature: Signature,
    arguments: Iterable[syntax.Argument],
    environment: Environment,
    *,
    skip: int = 0,
) -> list[Given[FilledArgument]]:
    """The arguments evaluated, each in the way its parameter reads bare words; `skip` parameters are piped in."""
    given = []
    position = skip
    for argument in arguments:
        parameter = signature.parameter(argument.name) if argument.name else None
        if argument.name is None:
            parameter = signature.parameters[position] if position < len(signature.parameters) else None
            position += 1
        words = parameter.kind.base in WORDS if parameter is not None else not signature.variables
        hole = isinstance(argument.value, syntax.Placeholder)
        value = None if hole else elaborator.evaluate(argument.value, environment, words=words)
        filled = FilledArgument(argument.name, value, argument, hole)
        given.append(Given(argument.name, filled, chosen_place(elaborator, argument.value), argument.name_span))
    return given


def _apply(elaborator: Elaborator, callee: OpValue, given: list[Given[FilledArgument]], call: Span) -> Value:
    signature = callee.operation.signature
    if callee.arguments is not None:
        if not any(g.name is None for g in given):
            message = f"nothing stands in for the `_` of this `{signature.name}`"
            elaborator.report("E204", message, call, help="pipe into it what belongs there: `pool |> step`")
            return ERROR
        given = _fill(callee.arguments, given)
    bound = bind(signature, given, call, elaborator)
    if bound is None:
        return ERROR
    if any(g.payload.value is ERROR for g in (*bound.values.values(), *bound.extra.values())):
        return ERROR
    declaration = callee.operation.declaration
    if elaborator.frames or elaborator.in_body or (declaration is not None and not in_library(declaration)):
        return _result(elaborator, callee, bound, call)
    return _remembered(elaborator, callee, bound, call)


def _remembered(elaborator: Elaborator, callee: OpValue, bound: Bound[FilledArgument], call: Span) -> Value:
    """The result of a call in the program's own text to an operator that only sees its arguments."""
    arguments = {name: g.payload.value for part in (bound.values, bound.extra) for name, g in part.items()}
    given = run_time(arguments.values())
    kinds = key_of(arguments, given)
    if kinds is None:
        return _result(elaborator, callee, bound, call)
    memo = elaborator.scope.results
    key = (callee.operation.signature.name, call.source.name, call.start, call.end, kinds)
    known = memo.get(key)
    if isinstance(known, Recipe):
        return remade(elaborator, known, given, call)
    same = (key, *(node.digest for node in given))
    if same in memo:
        return cast("Value", memo[same])
    reports = elaborator.reports
    value = _result(elaborator, callee, bound, call)
    if elaborator.reports == reports:
        recipe = recipe_of(value, given)
        memo[same if recipe is None else key] = value if recipe is None else recipe
    return value


def _result(elaborator: Elaborator, callee: OpValue, bound: Bound[FilledArgument], call: Span) -> Value:
    declaration, signature = callee.operation.declaration, callee.operation.signature
    if isinstance(declaration, syntax.OpDecl):
        return _inline(elaborator, declaration, signature, bound.values, call)
    values = _converted(elaborator, signature, bound.values, call, Environment())
    if values is None:
        return ERROR
    spans = {name: g.span for name, g in (*bound.values.items(), *bound.extra.items())}
    if declaration is not None:
        return lower_extern(elaborator, declaration, values, call)
    extra = {name: g.payload.value for name, g in bound.extra.items()}
    names = {name: g.name_span or g.span for name, g in bound.extra.items()}
    return lower(BuiltinCall(signature.name, values, extra, spans, names, call, elaborator))


def _converted(
    elaborator: Elaborator,
    signature: Signature,
    given: dict[str, Given[FilledArgument]],
    call: Span,
    defaults: Environment,
) -> dict[str, Value] | None:
    """The value of every parameter; fields first, since pools may be declared to have `{by}`."""
    values: dict[str, Value] = {}
    for parameter in signature.words_first:
        argument = given.get(parameter.name)
        if argument is not None:
            value, span = argument.payload.value, argument.span
        elif not isinstance(parameter.default, syntax.Expr):
            # A built-in operator's default is what its parameter takes.
            values[parameter.name] = cast("Value", parameter.default)
            continue
        elif defaults.from_library:
            values[parameter.name] = _library_default(elaborator, signature, parameter, call)
            continue
        else:
            value, span = evaluate_default(elaborator, parameter.default, parameter.kind, defaults), call
        place = Place(signature.name, parameter.name, span, call)
        values[parameter.name] = elaborator.convert(value, parameter.kind, place, values)
    if ERROR in values.values():
        return None
    return {p.name: values[p.name] for p in signature.parameters}


def _library_default(elaborator: Elaborator, signature: Signature, parameter: Parameter, call: Span) -> Value:
    """The library's defaults are the same for every program."""
    known = elaborator.scope.defaults
    key = signature.name, parameter.name
    if key not in known:
        value = evaluate_default(
            elaborator, cast("syntax.Expr", parameter.default), parameter.kind, Environment(from_library=True)
        )
        known[key] = elaborator.convert(value, parameter.kind, Place(signature.name, parameter.name, call, call))
    return known[key]


def evaluate_default(elaborator: Elaborator, default: syntax.Expr, kind: Kind, environment: Environment) -> Value:
    return elaborator.evaluate(default, environment, words=kind.base in WORDS)


def _inline(
    elaborator: Elaborator,
    declaration: syntax.OpDecl,
    signature: Signature,
    given: dict[str, Given[FilledArgument]],
    call: Span,
) -> Value:
    if len(elaborator.frames) >= MOST_FRAMES:
        _report_endless(elaborator, call)
        raise TooLarge
    environment = Environment(from_library=in_library(declaration))
    values = _converted(elaborator, signature, given, call, environment)
    if values is None:
        return ERROR
    environment.values.update(values)
    elaborator.instantiated.add(declaration.name)
    elaborator.frames.append(Frame(declaration, call))
    try:
        value = elaborator.body(declaration.body, environment)
    finally:
        elaborator.frames.pop()
    return check_result(elaborator, value, declaration, signature, values, call)


def _report_endless(elaborator: Elaborator, call: Span) -> None:
    """At the operator that contains itself, which need not be the one that was one too many."""
    frames, elaborator.frames = elaborator.frames, []
    own = [frame for frame in frames if not in_library(frame.declaration)]
    names = [frame.declaration.name for frame in own]
    again = next((frame for frame in own if names.count(frame.declaration.name) > 1), None)
    if again is None:
        elaborator.frames = frames
        message = f"more than {MOST_FRAMES} operators are called inside each other"
        elaborator.report("E405", message, call, help="do more in each of them")
        return
    calls = [frame.call for frame in own if frame.declaration is again.declaration]
    elaborator.report(
        "E206",
        f"`{again.declaration.name}` contains itself without an end",
        calls[1],
        secondary=[Label(again.declaration.name_span, "declared here"), Label(calls[0], "called here")],
        help="let a compile-time number count down to a case that does not call it again",
    )
    elaborator.frames = frames


def check_result(
    elaborator: Elaborator,
    value: Value,
    declaration: syntax.OpDecl,
    signature: Signature,
    values: dict[str, Value],
    call: Span,
) -> Value:
    """The value, held against the declared type. A pool that may turn out empty fits: emptiness fails the example."""
    kind = signature.returns
    if kind is None or declaration.returns is None or value is ERROR:
        return value
    last = declaration.body.statements[-1].span if declaration.body.statements else declaration.body.span
    if kind.base is Base.POOL and isinstance(value, GraphValue) and isinstance(value.node.type, Pool):
        fields = {v.name if isinstance(v := values.get(f), Symbol) else f for f in kind.fields}
        if fields <= value.node.type.fields and fits(value.node.type.size, kind.size):
            return value
    else:
        checked = convert(value, kind, Place(declaration.name, "the result", last, call), Diagnostics(), values)
        if checked is not ERROR:
            return checked
    shown = value.node.type if isinstance(value, GraphValue) else describe(value)
    elaborator.report(
        "E305",
        f"`{declaration.name}` gives {shown}",
        last,
        secondary=[Label(declaration.returns.span, "declared here")],
        help="change the declared type, or what the body ends with",
    )
    return ERROR


def _fill(arguments: tuple[FilledArgument, ...], given: list[Given[FilledArgument]]) -> list[Given[FilledArgument]]:
    """The arguments of an operator value, the first argument without a name in its hole; the others come behind."""
    filled = []
    piped = next(g for g in given if g.name is None)
    for argument in arguments:
        if argument.hole:
            filled.append(Given(argument.name, piped.payload, piped.span, argument.syntax.name_span))
        else:
            filled.append(Given(argument.name, argument, argument.syntax.value.span, argument.syntax.name_span))
    return [*filled, *(g for g in given if g is not piped)]


def _argument(expression: syntax.Expr) -> syntax.Argument:
    return syntax.Argument(name=None, value=expression, span=expression.span)


def _has_hole(call: syntax.Call) -> bool:
    return any(isinstance(a.value, syntax.Placeholder) for a in call.arguments)


def _hidden_hint(elaborator: Elaborator, where: syntax.Expr) -> str | None:
    if isinstance(where, syntax.Name) and isinstance(elaborator.scope.library.get(where.name), syntax.OpDecl):
        return f"the operator `{where.name}` of the library is hidden by your own declaration: rename that"
    return None


def _hole_hint(where: syntax.Expr) -> str | None:
    if isinstance(where, syntax.Tune) and any(isinstance(o, syntax.Call) and not _has_hole(o) for o in where.options):
        return "in `tune`, write operator values with a hole: `critique(_, judge)`"
    return None
