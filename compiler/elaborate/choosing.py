"""Choices and options as people name them."""

from __future__ import annotations

from collections.abc import Mapping

from pnyx.compiler.diagnostics import CompileError, Diagnostic, Label
from pnyx.compiler.elaborate.choices import Choice
from pnyx.compiler.nearest import nearest

__all__ = ["find_choice", "option_of", "unknown_choice"]


def find_choice(name: str, met: Mapping[str, Choice]) -> str | None:
    """The choice of that name, or the only one that ends with it (`n` for `archon.generate.n`)."""
    if name in met:
        return name
    ending = [full for full in met if full.endswith(f".{name}")]
    return ending[0] if len(ending) == 1 else None


def unknown_choice(name: str, met: Mapping[str, Choice]) -> Diagnostic:
    listed = ", ".join(f"`{n}`" for n in met)
    ending = [full for full in met if full.endswith(f".{name}")]
    if ending:
        help = f"say which: {', '.join(f'`{full}`' for full in ending)}"
        return Diagnostic("E403", f"{len(ending)} choices are called `{name}`", help=help)
    likely = nearest(name, [*met, *(n.rpartition(".")[2] for n in met)])
    if not met:
        help = "the pipeline has no `tune`"
    elif likely and likely != name:
        help = f"did you mean `{likely}`?"
    else:
        help = f"the choices are {listed}"
    return Diagnostic("E403", f"there is no choice `{name}`", help=help)


def option_of(choice: Choice, wanted: object) -> int:
    """The index of the option that a person means: its text, or its value."""
    text = " ".join(str(wanted).split())
    for index, option in enumerate(choice.options):
        literal = choice.values[index]
        same_value = (
            not isinstance(wanted, str) and literal == wanted and isinstance(literal, bool) == isinstance(wanted, bool)
        )
        if text == option or same_value or (isinstance(literal, str) and text == literal):
            return index
    listed = ", ".join(f"`{o}`" for o in choice.options)
    raise CompileError(
        [
            Diagnostic(
                "E403",
                f"`{choice.name}` cannot be `{text}`",
                Label(choice.span, "declared here"),
                help=f"the options are {listed}",
            )
        ]
    )
