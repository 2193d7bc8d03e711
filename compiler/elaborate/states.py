"""What a `state` may declare: a value of a plain type or a pool of bounded size, shared by the examples of a run.

`chunk` examples read the same state before their updates are applied, in the order of the examples; 1 is strictly one
after the other.
"""

from __future__ import annotations

from typing import Final

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Diagnostics, Label, rename
from pnyx.compiler.elaborate.kinds import TYPE_NAMES
from pnyx.compiler.elaborate.scope import check_annotation
from pnyx.compiler.nearest import nearest
from pnyx.compiler.source import Span

__all__ = ["check_state", "chunk_of"]

_TYPES: Final = ("Text", "Int", "Float", "Bool", "Pool")
_OPTIONS: Final = ("chunk",)
_TYPES_HELP: Final = "the types are `Text`, `Int`, `Float`, `Bool` and a pool such as `Pool[0..8]{text}`"


def chunk_of(declaration: syntax.StateDecl) -> int:
    """How many examples share one state, at least 1."""
    for option in declaration.options:
        if option.name == "chunk" and isinstance(option.value, syntax.Number):
            return int(option.value.value)
    return 1


def check_state(declaration: syntax.StateDecl, diagnostics: Diagnostics) -> None:
    written = declaration.type
    if written is None:
        message = f"the state `{declaration.name}` has no type"
        help = f"say what it holds: `state {declaration.name}: Int = 0`; {_TYPES_HELP}"
        diagnostics.report("E515", message, declaration.name_span, help=help)
    else:
        _check_type(written, diagnostics)
    first: dict[str, Span] = {}
    for option in declaration.options:
        _check_option(option, first, diagnostics)


def _check_type(written: syntax.TypeExpr, diagnostics: Diagnostics) -> None:
    check_annotation(written, diagnostics)
    if written.name not in TYPE_NAMES:
        return
    if written.name not in _TYPES or written.optional:
        diagnostics.report("E515", f"a state cannot hold `{written.span.text}`", written.span, help=_TYPES_HELP)
    elif written.name == "Pool" and (written.size is None or written.size[1] is None):
        help = "say how many candidates it holds at most: `Pool[0..8]{text}`"
        diagnostics.report("E515", "the pool of a state has a largest size", written.span, help=help)


def _check_option(option: syntax.Argument, first: dict[str, Span], diagnostics: Diagnostics) -> None:
    name, place, value = option.name or "", option.name_span or option.span, option.value
    if name not in _OPTIONS:
        likely = nearest(name, _OPTIONS)
        help = f"did you mean `{likely}`?" if likely else "the option is `chunk`"
        diagnostics.report(
            "E209", f"a state has no option `{name}`", place, help=help, fixes=rename(place, name, likely)
        )
    elif name in first:
        earlier = [Label(first[name], "first here")]
        diagnostics.report("E205", f"`{name}` is given twice", place, secondary=earlier, help="remove one of the two")
    elif not isinstance(value, syntax.Number) or value.unit is not None:
        help = "for example `chunk = 8`"
        diagnostics.report("E301", "`chunk` of a state is a number of examples", value.span, help=help)
    elif value.value < 1 or value.value != int(value.value):
        message = f"`chunk` of a state cannot be {value.span.text}"
        diagnostics.report("E401", message, value.span, help="it is a whole number, at least 1")
    first.setdefault(name, place)
