"""A program with its choices closed, as source: one file that says what was chosen, and nothing that is not needed.

- Every `tune` that the pipeline meets is the option that was taken; what only other options would meet is gone.
- Kept are the pipeline, the benchmarks, and what these lead to, also of imported files: the text imports nothing.
- Comments stay with what they belong to; those at the head say what was chosen, and from which options.

Invariant: the text compiles to a plan of the same digest as the program with these choices.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Diagnostic, Label
from pnyx.compiler.elaborate.choices import Choice, Site, site_of
from pnyx.compiler.elaborate.scope import ModuleScope, Named
from pnyx.compiler.fingerprint import names_reached, reached
from pnyx.compiler.format import format_module
from pnyx.compiler.modules import YAML_SUFFIXES, locate
from pnyx.compiler.source import Source, Span
from pnyx.compiler.trees import replaced

__all__ = ["ClosedText", "closed_declarations", "not_one_value", "write_closed"]

_FILES: Final = frozenset({"csv", "jsonl", "parquet", "retrieve"})
"""What is called with the path of a file."""


@dataclass(frozen=True, slots=True)
class ClosedText:
    """What is to be written: `choices` as they were met by `pipeline`, and `modules`, those that are imported first.

    `tidy`: what is left of choices of structure is tidied away, such as `if false { … }`. `folder`: paths of files are
    written from there; None: as they are. `splits`: of benchmarks, in place of the `split` that they say.
    """

    scope: ModuleScope
    modules: Sequence[syntax.Module]
    names: Mapping[Site, str]
    pipeline: str
    choices: Sequence[Choice]
    head: Sequence[str] = ()
    tidy: bool = True
    folder: Path | None = None
    splits: Mapping[str, float] = field(default_factory=dict)


def write_closed(text: ClosedText) -> str:
    modules = list(_closed(text))
    parts = [_commented(text, [d for _, _, closed, _ in modules for d in closed])]
    for module, written, closed, gone in modules:
        comments = tuple(_comments_of(module, written, gone))
        parts.append(format_module(syntax.Module(declarations=closed, comments=comments, span=module.span)))
    return "\n".join(part for part in parts if part)


def not_one_value(text: ClosedText) -> Diagnostic:
    """Why what was written would be another plan: in another round a choice has fewer options than were counted on."""
    open_ended = (c for c in text.choices if ".." in c.span.text)
    label = next((Label(choice.span, "this choice") for choice in open_ended), None)
    message = f"`{text.pipeline}` cannot be written with its choices closed: one is another value in another round"
    return Diagnostic("E672", message, label, help="give it the same options in every round")


def closed_declarations(text: ClosedText) -> tuple[Named, ...]:
    """The same as trees, whose nodes have the places where they are written."""
    return tuple(declaration for _, _, closed, _ in _closed(text) for declaration in closed)


def _closed(text: ClosedText) -> Iterator[tuple[syntax.Module, list[Named], tuple[Named, ...], list[Span]]]:
    """Of every module what is kept of it, as written and closed, and the places of what is left out of that."""
    own = text.modules[-1].declarations
    benchmarks = [d for d in own if isinstance(d, syntax.SettingsDecl) and d.kind == "benchmark"]
    roots = [text.pipeline, *(d.name for d in benchmarks)]
    maybe = reached(text.scope, roots)
    met = {choice.name: choice for choice in text.choices}
    closed: dict[str, Named] = {}
    closers = [_Closer(text.names, met, text.tidy, _mover(text, module.span.source)) for module in text.modules]
    for module, closer in zip(text.modules, closers, strict=True):
        for declaration in module.declarations:
            if not isinstance(declaration, syntax.Import) and maybe.get(declaration.name) is declaration:
                closed[declaration.name] = closer.closed(_split(declaration, text.splits.get(declaration.name)))
    kept = names_reached(closed, roots)  # without what only options led to that were not taken
    for module, closer in zip(text.modules, closers, strict=True):
        written = [
            d
            for d in module.declarations
            if not isinstance(d, syntax.Import) and maybe.get(d.name) is d and d.name in kept
        ]
        if written:
            yield module, written, tuple(closed[d.name] for d in written), closer.gone


def _split(declaration: Named, share: float | None) -> Named:
    """A benchmark that holds this share out."""
    if share is None or not isinstance(declaration, syntax.SettingsDecl):
        return declaration
    number = syntax.Number(value=int(share) if share == int(share) else share, span=declaration.span)
    said = syntax.Argument(name="split", value=number, span=declaration.span)
    others = tuple(setting for setting in declaration.settings if setting.name != "split")
    return replace(declaration, settings=(*others, said))


def _commented(text: ClosedText, declared: Sequence[Named]) -> str:
    lines = [*text.head]
    functions = [d.target.value.partition(":")[0] for d in declared if isinstance(d, syntax.ExternDecl)]
    if functions and text.folder is not None:
        lines.append(f"functions of Python are looked for beside this file: {', '.join(dict.fromkeys(functions))}")
    for choice in text.choices:
        among = ", ".join(choice.options)
        lines.append(f"{choice.name} = {choice.options[choice.chosen]}, of {among}")
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)


# Closing -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Closer:
    """Of one module. `gone` collects the places of what was left out."""

    names: Mapping[Site, str]
    met: Mapping[str, Choice]
    tidy: bool
    move: Callable[[str], str]
    gone: list[Span] = field(default_factory=list)

    def closed(self, declaration: Named) -> Named:
        return replaced(declaration, self._change)

    def _change(self, node: Any) -> object | None:
        match node:
            case syntax.Tune():
                self.gone.append(node.span)
                return replaced(self._taken(node), self._change)
            case syntax.Call(callee=syntax.Name(name=name)) if name in _FILES:
                return self._moved(node)
            case syntax.Pipe(stage=syntax.Tune() as stage) if self.tidy and self._is_skip(stage):
                self.gone.append(stage.span)
                return replaced(node.source, self._change)
            case syntax.If() if self.tidy:
                return self._branch(node)
            case syntax.Block() if self.tidy:
                return self._block(node)
            case _:
                return None

    def _taken(self, tune: syntax.Tune) -> syntax.Expr:
        """The option that was taken; the default where the pipeline does not meet the choice."""
        choice = self.met.get(self.names.get(site_of(tune), ""))
        if choice is None:
            first = tune.options[0]
            return tune.default or (first.low if isinstance(first, syntax.Range) else first)
        match tune.options:
            case (syntax.Range(low=low),) if not isinstance(low, syntax.Number):
                # It may begin elsewhere in another round.
                index = syntax.Number(value=choice.chosen, span=tune.span)
                return syntax.Binary(operator="+", left=low, right=index, span=tune.span)
            case options if not any(isinstance(option, syntax.Range) for option in options):
                return options[choice.chosen]
            case options:
                taken = choice.options[choice.chosen]
                written = {" ".join(option.span.text.split()): option for option in options}
                return written.get(taken) or syntax.Number(value=int(taken), span=tune.span)

    def _is_skip(self, tune: syntax.Tune) -> bool:
        taken = self._taken(tune)
        return isinstance(taken, syntax.Name) and taken.name == "skip"

    def _branch(self, node: syntax.If) -> object | None:
        """Of an `if` that is a value, what it comes to; None where that is not known, or not one expression."""
        block = self._chosen_block(node)
        if isinstance(block, syntax.If):
            return replaced(block, self._change)
        if isinstance(block, syntax.Block) and len(block.statements) == 1:
            (only,) = block.statements
            if isinstance(only, syntax.Discard):
                self.gone.extend(_around(node.span, only.span))
                return replaced(only.value, self._change)
        return None

    def _chosen_block(self, node: syntax.If) -> syntax.Block | syntax.If | bool | None:
        """False: there is nothing to run; None: not known."""
        truth = self._truth(node.condition)
        if truth is None:
            return None
        return node.then if truth else node.orelse or False

    def _block(self, block: syntax.Block) -> syntax.Block:
        """Each statement takes the room of those before it that are gone, so that no empty lines are left."""
        statements: list[syntax.Statement] = []
        start: int | None = None
        for written in block.statements:
            made = self._statements(written)
            first = written.span.start if start is None else start
            if made:
                made[0] = _reaching(made[0], start=first)
                made[-1] = _reaching(made[-1], end=written.span.end)
            statements += made
            start = None if made else first
        return replace(block, statements=tuple(statements))

    def _statements(self, statement: syntax.Statement) -> list[syntax.Statement]:
        """What stands in for one: a branch for the `if` that is decided, nothing for what is not repeated."""
        match statement:
            case syntax.Discard(value=syntax.If() as node):
                block = self._chosen_block(node)
                if isinstance(block, syntax.Block):
                    self.gone.extend(_around(node.span, block.span))
                    return list(self._block(block).statements)
                if isinstance(block, syntax.If):
                    return self._statements(replace(statement, value=block))
                if block is None:
                    return [replaced(statement, self._change)]
                self.gone.append(node.span)
                return []
            case syntax.Repeat() if self._number(statement.count) == 0:
                self.gone.append(statement.span)
                return []
            case _:
                return [replaced(statement, self._change)]

    def _truth(self, condition: syntax.Expr) -> bool | None:
        value = self._literal(condition)
        return value if isinstance(value, bool) else None

    def _number(self, expression: syntax.Expr) -> object:
        value = self._literal(expression)
        return None if isinstance(value, bool) else value

    def _literal(self, expression: syntax.Expr) -> object:
        """The value of what is written there once choices are closed, where that is plain."""
        match expression:
            case syntax.Tune():
                return self._literal(self._taken(expression))
            case syntax.Bool(value=value) | syntax.Text(value=value) | syntax.Number(value=value, unit=None):
                return value
            case syntax.Unary(operator="not", operand=operand):
                truth = self._truth(operand)
                return None if truth is None else not truth
            case syntax.Binary(operator="==" | "!=" as operator):
                left, right = self._literal(expression.left), self._literal(expression.right)
                if left is None or type(left) is not type(right):
                    return None
                return (left == right) == (operator == "==")
            case _:
                return None

    def _moved(self, call: syntax.Call) -> object | None:
        """With the path of its file written from where the text will be."""
        place = next((i for i, a in enumerate(call.arguments) if isinstance(a.value, syntax.Text)), None)
        if place is None:
            return None
        written = call.arguments[place]
        assert isinstance(written.value, syntax.Text)
        moved = self.move(written.value.value)
        if moved == written.value.value:
            return None
        argument = replace(written, value=syntax.Text(value=moved, span=written.span))
        rest = [replaced(a, self._change) for a in call.arguments]
        rest[place] = argument
        return replace(call, arguments=tuple(rest))


def _reaching(statement: syntax.Statement, start: int | None = None, end: int | None = None) -> syntax.Statement:
    span = statement.span
    reach = Span(span.source, span.start if start is None else start, span.end if end is None else end)
    return replace(statement, span=reach)


def _mover(text: ClosedText, source: Source) -> Callable[[str], str]:
    folder = text.folder

    def moved(path: str) -> str:
        if folder is None or Path(path).is_absolute():
            return path
        there = Path(os.path.relpath(locate(source, path), folder)).as_posix()
        return path if os.path.normpath(path) == os.path.normpath(there) else there

    return moved


# Comments ----------------------------------------------------------------------------------------


def _around(whole: Span, kept: Span) -> Iterator[Span]:
    yield Span(whole.source, whole.start, kept.start)
    yield Span(whole.source, kept.end, whole.end)


def _comments_of(module: syntax.Module, kept: Sequence[Named], gone: Sequence[Span]) -> Iterator[Span]:
    """The comments at the head of the file, those in, above and beside what is kept."""
    if module.span.source.name.endswith(YAML_SUFFIXES):
        return
    text = module.span.source.text
    starts = sorted(declaration.span.start for declaration in module.declarations)
    areas = [(_top(text, module, d.span.start), _line_end(text, d.span.end)) for d in kept]
    head = _top(text, module, starts[0]) if starts else 0
    for comment in module.comments:
        if any(place.start <= comment.start < place.end for place in gone):
            continue
        if comment.start < head or any(start <= comment.start < end for start, end in areas):
            yield comment


def _top(text: str, module: syntax.Module, start: int) -> int:
    """Where the comments begin that stand right above an offset."""
    for comment in reversed(module.comments):
        if comment.end <= start and not text[comment.end : start].strip() and text.count("\n", comment.end, start) == 1:
            own_line = not text[text.rfind("\n", 0, comment.start) + 1 : comment.start].strip()
            if own_line:
                start = comment.start
    return start


def _line_end(text: str, offset: int) -> int:
    end = text.find("\n", offset)
    return len(text) if end < 0 else end
