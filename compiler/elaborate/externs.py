"""What an `extern op` may declare: a function of Python, and types of values that can be handed to it and back.

Nothing is imported here: a program is checked without running anything of its author's.
"""

from __future__ import annotations

from typing import Final

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Diagnostics
from pnyx.compiler.elaborate.kinds import TYPE_NAMES
from pnyx.compiler.elaborate.scope import check_types
from pnyx.compiler.source import Span

__all__ = ["check_extern"]

_TAKES: Final = ("Chat", "Pool", "Text", "Int", "Float", "Bool")
_GIVES: Final = ("Pool", "Text", "Int", "Float", "Bool")


def check_extern(declaration: syntax.ExternDecl, diagnostics: Diagnostics) -> None:
    check_types(declaration, diagnostics)
    target = declaration.target
    module, colon, function = target.value.partition(":")
    if not (colon and all(part.isidentifier() for part in (*module.split("."), *function.split(".")))):
        help = 'write module and function: `"package.module:function"`'
        diagnostics.report(
            "E510", "an `extern op` names a function of Python, and this does not", target.span, help=help
        )
    for parameter in declaration.params:
        name = parameter.name
        if parameter.type is None:
            help = f"say what it takes: `{name}: Int`; the types are {_listed(_TAKES)}"
            diagnostics.report("E511", f"`{name}` of an `extern op` has no type", parameter.name_span, help=help)
        else:
            _check_crossing(parameter.type, _TAKES, "handed to", diagnostics)
    if declaration.returns is None:
        help = f"say it: `-> Pool{{score}}`; the types are {_listed(_GIVES)}"
        message = f"`{declaration.name}` does not say what it gives"
        diagnostics.report("E511", message, declaration.name_span, help=help)
    else:
        _check_crossing(declaration.returns, _GIVES, "taken from", diagnostics)


def _check_crossing(written: syntax.TypeExpr, allowed: tuple[str, ...], way: str, diagnostics: Diagnostics) -> None:
    if written.name in TYPE_NAMES and written.name not in allowed:
        span = Span(written.span.source, written.span.start, written.span.start + len(written.name))
        help = f"the types are {_listed(allowed)}"
        diagnostics.report("E511", f"`{written.name}` cannot be {way} Python", span, help=help)


def _listed(types: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in types)
