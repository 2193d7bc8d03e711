"""Open choices: where a program says `tune`, what it is called, and which option is taken.

A choice belongs to its place in the source: one place is one choice, however often it is unrolled or inlined. A tuned
`let` is called by its name; the others by where they stand (`archon.generate.n`, `layered.repeat`, `layered.tried`),
with `.2`, `.3` … where that is not enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass

from pnyx.compiler import syntax
from pnyx.compiler.elaborate.scope import Named
from pnyx.compiler.source import Span

__all__ = ["Assignment", "Choice", "Site", "name_sites"]

Site = tuple[str, int]


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
        self.met.setdefault(name, Choice(name, options, default, chosen, tune.span, values))
        return chosen


def name_sites(declarations: Iterator[Named]) -> dict[Site, str]:
    """A name for every choice of a program."""
    names: dict[Site, str] = {}
    taken: set[str] = set()
    for declaration in declarations:
        for path, tune in _tunes(declaration, (declaration.name,)):
            base = ".".join(path)
            name, number = base, 2
            while name in taken:
                name, number = f"{base}.{number}", number + 1
            taken.add(name)
            names[site_of(tune)] = name
    return names


def _tunes(item: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], syntax.Tune]]:
    """Every `tune` below a syntax node with the words that say where it stands."""
    match item:
        case syntax.Tune():
            yield path, item
            for option in item.options:
                yield from _tunes(option, path)
        case syntax.LetDecl():
            yield from _tunes(item.value, path)
        case syntax.OpDecl() | syntax.PipelineDecl():
            for parameter in item.params:
                yield from _tunes(parameter.default, (*path, parameter.name))
            yield from _tunes(item.body, path)
        case syntax.Call(callee=syntax.Name(name=name)):
            for argument in item.arguments:
                below = (*path[:1], name, argument.name) if argument.name else (*path[:1], name)
                yield from _tunes(argument.value, below)
        case syntax.Assign():
            yield from _tunes(item.value, (*path[:1], item.name))
        case syntax.Repeat():
            yield from _tunes(item.count, (*path[:1], "repeat"))
            yield from _tunes(item.body, path[:1])
        case syntax.Pipe():
            yield from _tunes(item.source, path)
            yield from _tunes(item.stage, path if len(path) > 1 else (*path, "stage"))
        case _:
            for child in _children(item):
                yield from _tunes(child, path)


def _children(item: object) -> Iterator[object]:
    if isinstance(item, tuple):
        yield from item
    elif is_dataclass(item):
        for part in fields(item):
            value = getattr(item, part.name)
            if not isinstance(value, Span | str):
                yield value
