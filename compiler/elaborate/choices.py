"""Open choices: where a program says `tune`, what it is called, and which option is taken.

A choice belongs to its place in the source: one place is one choice, however often it is unrolled or inlined. A tuned
`let` is called by its name; the others by where they stand (`archon.generate.n`, `layered.repeat`, `layered.tried`),
with `.2`, `.3` … where that is not enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass

from pnyx.compiler import syntax
from pnyx.compiler.elaborate.kinds import Signature
from pnyx.compiler.elaborate.scope import Named
from pnyx.compiler.source import Span

__all__ = ["Assignment", "Choice", "Site", "name_sites", "site_of"]

Site = tuple[str, int]
Path = tuple[str, ...]
Signatures = Callable[[str], Signature | None]


@dataclass(frozen=True, slots=True)
class Choice:
    """`options` as written; `chosen` and `default` index them; `values` are what each is, where it is a literal."""

    name: str
    options: tuple[str, ...]
    default: int
    chosen: int
    span: Span
    values: tuple[object, ...] = ()

    @property
    def value(self) -> object:
        """The chosen option: its value where it is a literal, else its text."""
        literal = self.values[self.chosen] if self.values else None
        return self.options[self.chosen] if literal is None else literal


def site_of(tune: syntax.Tune) -> Site:
    return (tune.span.source.name, tune.span.start)


@dataclass(slots=True)
class Assignment:
    """Which option each choice takes. `closed` maps names to option indices; the rest take their default.

    Collects in `met` every choice that the elaborated program really contains, in order.
    """

    names: Mapping[Site, str]
    closed: Mapping[str, int] = field(default_factory=dict)
    met: dict[str, Choice] = field(default_factory=dict)

    def pick(self, tune: syntax.Tune, options: tuple[str, ...], values: tuple[object, ...], default: int) -> int:
        """The index of the option to take. `closed` indices are within range: they were checked against `met`."""
        name = self.names.get(site_of(tune), "choice")
        chosen = min(self.closed.get(name, default), len(options) - 1)
        if name not in self.met:
            self.met[name] = Choice(name, options, default, chosen, tune.span, values)
        return chosen


def name_sites(declarations: Iterator[Named], signatures: Signatures) -> dict[Site, str]:
    """A name for every choice of a program. `signatures` knows the operators that a name may mean."""
    names: dict[Site, str] = {}
    taken: set[str] = set()
    for declaration in declarations:
        for path, tune in _tunes(declaration, (declaration.name,), signatures):
            base = ".".join(path)
            name, number = base, 2
            while name in taken:
                name, number = f"{base}.{number}", number + 1
            taken.add(name)
            names[site_of(tune)] = name
    return names


def _tunes(item: object, path: Path, signatures: Signatures) -> Iterator[tuple[Path, syntax.Tune]]:
    """Every `tune` below a syntax node with the words that say where it stands."""
    match item:
        case syntax.Tune():
            yield path, item
            for option in item.options:
                yield from _tunes(option, path, signatures)
        case syntax.LetDecl():
            yield from _tunes(item.value, path, signatures)
        case syntax.OpDecl() | syntax.PipelineDecl():
            for parameter in item.params:
                yield from _tunes(parameter.default, (*path, parameter.name), signatures)
            yield from _tunes(item.body, path, signatures)
        case syntax.Call(callee=syntax.Name()):
            yield from _tunes_in_call(item, path, signatures, 0)
        case syntax.Assign():
            yield from _tunes(item.value, (*path[:1], item.name), signatures)
        case syntax.Repeat():
            yield from _tunes(item.count, (*path[:1], "repeat"), signatures)
            yield from _tunes(item.body, path[:1], signatures)
        case syntax.Pipe(stage=syntax.Call(callee=syntax.Name()) as call):
            yield from _tunes(item.source, path, signatures)
            hole = any(isinstance(a.value, syntax.Placeholder) for a in call.arguments)
            yield from _tunes_in_call(call, path, signatures, 0 if hole else 1)
        case syntax.Pipe():
            yield from _tunes(item.source, path, signatures)
            yield from _tunes(item.stage, path if len(path) > 1 else (*path, "stage"), signatures)
        case _:
            for child in _children(item):
                yield from _tunes(child, path, signatures)


def _tunes_in_call(
    call: syntax.Call, path: Path, signatures: Signatures, piped: int
) -> Iterator[tuple[Path, syntax.Tune]]:
    """Those in the arguments are called by the operator and the parameter. `piped` arguments stand before the call."""
    assert isinstance(call.callee, syntax.Name)
    operator = call.callee.name
    signature = signatures(operator)
    names = [p.name for p in signature.parameters[piped:]] if signature else []
    positional = iter(names)
    for argument in call.arguments:
        name = argument.name or next(positional, None)
        below = (*path[:1], operator, name) if name else (*path[:1], operator)
        yield from _tunes(argument.value, below, signatures)


def _children(item: object) -> Iterator[object]:
    if isinstance(item, tuple):
        yield from item
    elif is_dataclass(item):
        for part in fields(item):
            value = getattr(item, part.name)
            if not isinstance(value, Span | str):
                yield value
