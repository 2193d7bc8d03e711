"""A pipeline as a graph: its question and the program's states go in, its result and the new states come out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Diagnostics, Label
from pnyx.compiler.elaborate.convert import Place, convert, fits
from pnyx.compiler.elaborate.evaluate import Elaborator
from pnyx.compiler.elaborate.kinds import Base, Kind, kind_of
from pnyx.compiler.elaborate.loops import assigned_by
from pnyx.compiler.elaborate.scalars import lift
from pnyx.compiler.elaborate.scope import Environment
from pnyx.compiler.elaborate.states import chunk_of
from pnyx.compiler.elaborate.values import ERROR, GraphValue, Value, describe
from pnyx.compiler.graph import Graph, Node, node
from pnyx.compiler.operators import ConstantValue, Empty, Input, Param
from pnyx.compiler.source import Span
from pnyx.compiler.types import CHAT, Pool, Scalar, ScalarBase, Size, Type

__all__ = ["StateStart", "elaborate_pipeline", "state_start"]

_SCALARS: dict[Base, ScalarBase] = {Base.INT: "int", Base.FLOAT: "float", Base.BOOL: "bool", Base.TEXT: "text"}

StateStart = tuple[ConstantValue | None, int]
"""The initial value of a state, None for an empty pool, and how many examples share it."""


def elaborate_pipeline(elaborator: Elaborator, declaration: syntax.PipelineDecl) -> Graph | None:
    """None where something is wrong; it has been reported. Raises what `Elaborator.body` raises."""
    if len(declaration.params) != 1:
        elaborator.report(
            "E210" if declaration.params else "E204",
            f"a pipeline has one parameter, the question; `{declaration.name}` has {len(declaration.params)}",
            declaration.name_span,
            help=f"write `pipeline {declaration.name}(query)`; other values are `let` or `tune`",
        )
        return None
    query = node(Input(), (), CHAT, label="query", span=declaration.params[0].span)
    states = _states(elaborator, declaration)
    environment = Environment()
    params: list[Node] = [query]
    for index, state in enumerate(states, 1):
        parameter = _parameter(state, index)
        if parameter is None:
            return None
        params.append(parameter)
        environment.values[state.name] = GraphValue(parameter, query)
    environment.values[declaration.params[0].name] = GraphValue(query, query)
    value = elaborator.body(declaration.body, environment)
    result = _result(elaborator, declaration, value)
    updates = [_update(elaborator, state, environment.values[state.name]) for state in states]
    outputs = [result, *updates]
    known = tuple(output for output in outputs if output is not None)
    return Graph(tuple(params), known) if len(known) == len(outputs) else None


def state_start(elaborator: Elaborator, declaration: syntax.StateDecl) -> StateStart | None:
    """What a state is before the first example. None where that is faulty; it has been reported."""
    kind = kind_of(declaration.type)
    sized = kind is not None and kind.size is not None and kind.size[1] is not None
    if kind is None or kind.optional or not (kind.base in _SCALARS or (kind.base is Base.POOL and sized)):
        return None  # reported with the declaration
    value = elaborator.evaluate(declaration.value, Environment())
    if value is ERROR:
        return None
    chunk = chunk_of(declaration)
    if isinstance(value, GraphValue) and isinstance(value.node.operator, Empty):
        if kind.base is Base.POOL:
            return None, chunk
    elif kind.base in _SCALARS:
        place = Place(declaration.name, "the initial value", declaration.value.span, declaration.value.span)
        value = elaborator.convert(value, Kind(kind.base), place)
        return (value, chunk) if isinstance(value, bool | int | float | str) else None
    elaborator.report(
        "E515",
        f"the state `{declaration.name}` cannot begin as {describe(value)}",
        declaration.value.span,
        help="a pool begins `empty`; give it candidates in the pipeline",
    )
    return None


def _states(elaborator: Elaborator, declaration: syntax.PipelineDecl) -> list[syntax.StateDecl]:
    """The states that the pipeline reads or assigns, in the order of the program."""
    states = [state for state in elaborator.scope.own.values() if isinstance(state, syntax.StateDecl)]
    if not states:
        return []
    used = {*assigned_by(declaration.body), *_names(declaration.body)}
    return [state for state in states if state.name in used]


def _names(part: object) -> Iterator[str]:
    """The names that a piece of a program reads."""
    if isinstance(part, syntax.Name):
        yield part.name
    elif isinstance(part, tuple):
        for item in part:
            yield from _names(item)
    elif is_dataclass(part) and not isinstance(part, Span):
        for item in fields(part):
            yield from _names(getattr(part, item.name))


def _parameter(state: syntax.StateDecl, index: int) -> Node | None:
    kind = kind_of(state.type)
    if kind is None:
        return None
    type_: Type
    if kind.base in _SCALARS:
        type_ = Scalar(_SCALARS[kind.base])
    elif kind.base is Base.POOL and kind.size is not None and kind.size[1] is not None:
        # It begins empty, whatever its least size later.
        type_ = Pool(Size(0, kind.size[1]), frozenset(kind.fields))
    else:
        return None
    return node(Param(index=index, state=state.name), (), type_, label=state.name, span=state.name_span)


def _update(elaborator: Elaborator, state: syntax.StateDecl, value: Value) -> Node | None:
    """What the pipeline makes of a state, held against its type."""
    kind = kind_of(state.type)
    if value is ERROR or kind is None:
        return None
    lifted = lift(elaborator, value, elaborator.query, state.name_span)
    if lifted is not None and _holds(kind, lifted, state):
        return lifted.node
    shown = lifted.node.type if lifted is not None else describe(value)
    elaborator.report(
        "E316",
        f"the state `{state.name}` holds {kind}, and becomes {shown}",
        state.name_span,
        secondary=[Label(lifted.node.span, "made here")] if lifted is not None and lifted.node.span else (),
        help="`take(…)` bounds a pool" if kind.base is Base.POOL else "change its type, or what is assigned to it",
    )
    return None


def _holds(kind: Kind, value: GraphValue, state: syntax.StateDecl) -> bool:
    type_ = value.node.type
    if isinstance(type_, Pool):
        high = None if kind.size is None else kind.size[1]
        sized = fits(Size(0, type_.size.high), (0, high))
        return kind.base is Base.POOL and sized and (not type_.size.high or set(kind.fields) <= type_.fields)
    place = Place(state.name, "the new value", state.name_span, state.name_span)
    return convert(value, Kind(kind.base, late=True), place, Diagnostics()) is not ERROR


def _result(elaborator: Elaborator, declaration: syntax.PipelineDecl, value: Value) -> Node | None:
    if value is ERROR:
        return None
    if isinstance(value, GraphValue) and isinstance(value.node.type, Pool):
        return value.node
    last = declaration.body.statements[-1].span if declaration.body.statements else declaration.body.span
    elaborator.report(
        "E301",
        f"a pipeline ends with candidates, and `{declaration.name}` ends with {describe(value)}",
        last,
        secondary=[Label(declaration.name_span, "this pipeline")],
        help="end it with a pool: `query |> generate(model)`",
    )
    return None
