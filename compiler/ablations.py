"""Ablations: what a pipeline is without one of its parts, or with less of it.

- a stage of a pipe left out, with the one behind it where that needs it; one side of `pool + pool` left out
- fewer samples: each `n` halved, and 1
- fewer rounds: each `repeat` and `loop` halved, 1, and none
- one model of several left out; a judge's model replaced by the first model that answers

Invariants
- A variant is the program with one change to its text, compiled; choices are closed as in the whole pipeline.
- No two variants are the same plan, and none is the whole one: what makes no difference is told apart.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePath
from typing import Final, Literal, TypeGuard, cast

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import CompileError, Diagnostic
from pnyx.compiler.elaborate.scope import Named
from pnyx.compiler.format import format_module
from pnyx.compiler.plan import Plan
from pnyx.compiler.program import Program
from pnyx.compiler.source import Source, Span
from pnyx.compiler.trees import nodes_in, replaced

__all__ = ["Ablated", "Ablations", "Kind", "Variant", "ablations"]

Kind = Literal["without", "fewer", "replaced"]

_SHOWN: Final = 40


@dataclass(frozen=True, slots=True)
class Variant:
    """`name` says what was done, `span` where."""

    name: str
    kind: Kind
    span: Span
    plan: Plan


@dataclass(frozen=True, slots=True)
class Ablated:
    """A change that gives nothing to measure, and why."""

    name: str
    span: Span
    reason: str


@dataclass(frozen=True, slots=True)
class Ablations:
    """`whole` is the pipeline as it is, `variants` are in the order of the text."""

    whole: Plan
    variants: tuple[Variant, ...]
    unmeasured: tuple[Ablated, ...]


def ablations(
    program: Program,
    pipeline: str | None = None,
    choices: Mapping[str, object] | None = None,
    *,
    kinds: Collection[Kind] | None = None,
    optimise: bool = True,
) -> Ablations:
    """`kinds` None: all of them. Raises CompileError: also E671, where there is nothing to ablate."""
    closed = program.close_by_name(pipeline, choices or {})
    declared = program.closed_declarations(closed)
    parts = [d for d in declared if isinstance(d, syntax.OpDecl) or d.name == closed.pipeline]
    whole = program.freeze(closed, optimise=optimise)
    known = {_compiled(program, declared, closed.pipeline, optimise).digest: "it changes nothing"}
    variants: list[Variant] = []
    unmeasured: list[Ablated] = []
    unfit: list[syntax.Pipe | None] = []
    models = {d.name: d.id.value for d in declared if isinstance(d, syntax.ModelDecl)}
    lets = {d.name: cast(int, d.value.value) for d in declared if isinstance(d, syntax.LetDecl) and _is_whole(d.value)}
    reader = _Reader(program, models, _first_model(parts, closed.pipeline, models), lets)
    wanted = (change for change in _changes(parts, reader) if kinds is None or change.kind in kinds)
    for change in _named_apart(wanted):
        if change.needed is not None and not any(change.needed is pipe for pipe in unfit):
            continue
        try:
            plan = _compiled(program, _changed(declared, change), closed.pipeline, optimise)
        except CompileError as error:
            if change.needed is None:
                unfit.append(change.stage)
                message = next(d.message for d in error.diagnostics if d.is_error)
                unmeasured.append(Ablated(change.name, change.span, message))
            continue
        if plan.digest in known:
            unmeasured.append(Ablated(change.name, change.span, known[plan.digest]))
            continue
        known[plan.digest] = f"it is the same as: {change.name}"
        named = plan.model_copy(update={"pipeline": change.name})
        variants.append(Variant(change.name, change.kind, change.span, named))
    if not variants:
        raise CompileError([_nothing(closed.pipeline, unmeasured)])
    return Ablations(whole, tuple(variants), tuple(unmeasured))


def _nothing(pipeline: str, unmeasured: Sequence[Ablated]) -> Diagnostic:
    why = f": {unmeasured[0].name}: {unmeasured[0].reason}" if unmeasured else ""
    help = "an architecture has stages, several samples, rounds or models; compare pipelines with `pnyx bench`"
    return Diagnostic("E671", f"`{pipeline}` has no part that can be left out{why}", help=help)


def _compiled(program: Program, declared: Sequence[Named], pipeline: str, optimise: bool) -> Plan:
    """In a file of its own beside the program's, since paths and functions are looked for there."""
    path = PurePath(program.source.name).with_name("<ablation>")
    source = Source(str(path), "")
    text = format_module(syntax.Module(declarations=tuple(declared), span=Span(source, 0, 0)))
    return Program.parse(text, str(path)).compile(pipeline, optimise=optimise)


# Changes -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Change:
    """`new` in the place of the node `old`, which is known by identity. `stage` is the pipe whose last stage is left
    out; a change with `needed` counts only where that pipe cannot be without its own."""

    name: str
    kind: Kind
    span: Span
    old: object
    new: object
    stage: syntax.Pipe | None = None
    needed: syntax.Pipe | None = None


@dataclass(frozen=True, slots=True)
class _Reader:
    """What the names of a program mean. `models` are ids by name, `first` is the one that answers first; `numbers` are
    the values of `let` that are whole."""

    program: Program
    models: Mapping[str, str]
    first: str | None
    numbers: Mapping[str, int]

    def whole(self, written: syntax.Expr) -> int | None:
        """A whole number, written or named."""
        match written:
            case syntax.Number(value=int(number)):
                return number
            case syntax.Name(name=name):
                return self.numbers.get(name)
            case _:
                return None


def _changed(declared: Sequence[Named], change: _Change) -> tuple[Named, ...]:
    return tuple(replaced(d, lambda node: change.new if node is change.old else None) for d in declared)


def _changes(parts: Sequence[Named], reader: _Reader) -> Iterator[_Change]:
    fed: list[syntax.Pipe] = []
    for node in nodes_in(tuple(parts)):
        match node:
            case syntax.Otherwise(value=value):
                fed.append(value)
                yield from _stages(value, node, partial(_otherwise, node))
            case syntax.Pipe():
                if not any(node is value for value in fed):
                    yield from _stages(node, node, lambda left: left)
                if isinstance(node.stage, syntax.Call):
                    yield from _fewer_samples(node.stage, reader, piped=1)
            case syntax.Binary(operator="+") if _makes_candidates(node):
                yield _Change(f"without {_short(node.left)}", "without", node.left.span, node, node.right)
                yield _Change(f"without {_short(node.right)}", "without", node.right.span, node, node.left)
            case syntax.Repeat(count=written) if (most := reader.whole(written)) is not None:
                for count in sorted({0, 1, most // 2}):
                    repeated = replace(node, count=syntax.Number(value=count, span=written.span))
                    yield from _rounds("repeat", count, most, written, node, repeated)
            case syntax.Loop(most=written) if (most := reader.whole(written)) is not None:
                for count in sorted({1, most // 2} - {0}):
                    looped = replace(node, most=syntax.Number(value=count, span=written.span))
                    yield from _rounds("loop max", count, most, written, node, looped)
            case syntax.Call():
                yield from _other_models(node, reader)
            case _:
                continue


def _stages(pipe: syntax.Pipe, old: syntax.Expr, without: Callable[[syntax.Expr], syntax.Expr]) -> Iterator[_Change]:
    """Without the last stage of the pipe; without the one before too, where the last one needs what that makes.
    `without` gives what takes the place of `old` where only so much of the pipe is left."""
    stage = pipe.stage
    yield _Change(f"without {_short(stage)}", "without", stage.span, old, without(pipe.source), stage=pipe)
    first = pipe.source
    if isinstance(first, syntax.Pipe):
        span = Span(first.stage.span.source, first.stage.span.start, stage.span.end)
        name = f"without {_short(first.stage)} |> {_short(stage)}"
        yield _Change(name, "without", span, old, without(first.source), needed=first)


def _otherwise(node: syntax.Otherwise, left: syntax.Expr) -> syntax.Expr:
    """The fallback belongs to a stage: behind none it goes too."""
    return replace(node, value=left) if isinstance(left, syntax.Pipe) else left


def _rounds(word: str, count: int, most: int, written: syntax.Expr, old: object, new: object) -> Iterator[_Change]:
    if count < most:
        yield _Change(f"{word} {count} (of {most})", "fewer", written.span, old, new)


def _makes_candidates(node: syntax.Binary) -> bool:
    """Of numbers and texts, `+` is no part of an architecture."""
    return all(isinstance(side, syntax.Pipe | syntax.Name | syntax.Binary) for side in (node.left, node.right)) and any(
        isinstance(inner, syntax.Pipe) for inner in nodes_in(node)
    )


def _fewer_samples(call: syntax.Call, reader: _Reader, piped: int) -> Iterator[_Change]:
    """`n` by its name or its place. `piped` arguments stand before the call."""
    signature = reader.program.signature(call.callee.name) if isinstance(call.callee, syntax.Name) else None
    if any(isinstance(argument.value, syntax.Placeholder) for argument in call.arguments):
        piped = 0
    positional = iter([] if signature is None else [p.name for p in signature.parameters[piped:]])
    for argument in call.arguments:
        name = argument.name or next(positional, None)
        n = reader.whole(argument.value) or 0
        if name == "n" and n > 1:
            for count in sorted({1, n // 2}):
                new = replace(argument, value=syntax.Number(value=count, span=argument.value.span))
                said = f"{_short(call)} with n = {count} (of {n})"
                yield _Change(said, "fewer", argument.span, argument, new)


def _other_models(call: syntax.Call, reader: _Reader) -> Iterator[_Change]:
    for argument in call.arguments:
        match argument.value:
            case syntax.ListExpr(items=items) if len(items) > 1 and all(_is_model(i, reader) for i in items):
                for item in items:
                    rest = tuple(other for other in items if other is not item)
                    new = replace(argument.value, items=rest)
                    yield _Change(f"{_short(call)} without {item.span.text}", "without", item.span, argument.value, new)
            case syntax.Name(name=name) as written if reader.first is not None and name in reader.models:
                if reader.models[name] != reader.models[reader.first]:
                    said = f"{_short(call)} by {reader.first} (not {name})"
                    yield _Change(said, "replaced", written.span, written, replace(written, name=reader.first))


def _is_whole(value: syntax.Expr) -> TypeGuard[syntax.Number]:
    return isinstance(value, syntax.Number) and isinstance(value.value, int)


def _is_model(item: syntax.Expr, reader: _Reader) -> bool:
    return isinstance(item, syntax.Name) and item.name in reader.models


def _first_model(parts: Sequence[Named], pipeline: str, models: Mapping[str, str]) -> str | None:
    """The model that the pipeline names first: it answers, and those that judge come after."""
    declaration = next(part for part in parts if part.name == pipeline)
    return next((n.name for n in nodes_in(declaration) if isinstance(n, syntax.Name) and n.name in models), None)


# Names -------------------------------------------------------------------------------------------


def _short(part: syntax.Expr) -> str:
    """How a person would call a stage or a value."""
    match part:
        case syntax.Call(callee=callee):
            return _short(callee)
        case syntax.Each():
            return f"each {part.name}"
        case syntax.Pipe():
            return f"… |> {_short(part.stage)}"
        case syntax.Binary():
            return f"{_short(part.left)} {part.operator} {_short(part.right)}"
        case _:
            text = " ".join(part.span.text.split())
            return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _named_apart(changes: Iterator[_Change]) -> list[_Change]:
    """In the order of the text; those of one name say their line, and, on one line, their column."""
    found = sorted(changes, key=lambda change: (change.span.source.name, change.span.start, change.span.end))
    for where in (_line, _column):
        times: dict[str, int] = {}
        for change in found:
            times[change.name] = times.get(change.name, 0) + 1
        found = [replace(c, name=f"{c.name}, {where(c)}") if times[c.name] > 1 else c for c in found]
    return found


def _line(change: _Change) -> str:
    return f"line {change.span.first.line}"


def _column(change: _Change) -> str:
    return f"column {change.span.first.column}"
