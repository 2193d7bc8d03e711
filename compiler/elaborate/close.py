"""Closing a choice: which option of a `tune` the assignment takes, and its value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pnyx.compiler import syntax
from pnyx.compiler.elaborate.choices import site_of
from pnyx.compiler.elaborate.scope import Environment
from pnyx.compiler.elaborate.unroll import range_values
from pnyx.compiler.elaborate.values import ERROR, Value
from pnyx.compiler.source import Span

if TYPE_CHECKING:
    from pnyx.compiler.elaborate.evaluate import Elaborator

__all__ = ["chosen_place", "close_choice"]


def close_choice(elaborator: Elaborator, expression: syntax.Tune, environment: Environment, *, words: bool) -> Value:
    options = _options(elaborator, expression, environment)
    if options is None:
        return ERROR
    texts = tuple(text for text, _ in options)
    default = 0
    if expression.default is not None:
        wanted = _canonical(expression.default)
        if wanted not in texts:
            elaborator.report(
                "E403",
                f"the default `{wanted}` is none of the options",
                expression.default.span,
                help=f"the options are {', '.join(f'`{t}`' for t in texts)}",
            )
            return ERROR
        default = texts.index(wanted)
    literals = tuple(_literal(option) for _, option in options)
    chosen = options[elaborator.assignment.pick(expression, texts, literals, default)][1]
    if isinstance(chosen, int):
        return chosen
    return elaborator.evaluate(chosen, environment, words=words)


def chosen_place(elaborator: Elaborator, expression: syntax.Expr) -> Span:
    """Where a value that has been evaluated is written: of a choice, the option that was taken."""
    if not isinstance(expression, syntax.Tune) or any(isinstance(o, syntax.Range) for o in expression.options):
        return expression.span
    assignment = elaborator.assignment
    choice = assignment.met.get(assignment.names.get(site_of(expression), ""))
    return expression.span if choice is None else expression.options[choice.chosen].span


def _options(
    elaborator: Elaborator, expression: syntax.Tune, environment: Environment
) -> list[tuple[str, syntax.Expr | int]] | None:
    """Text and expression of each option; a range stands for its integers. None after a report."""
    options: list[tuple[str, syntax.Expr | int]] = []
    for option in expression.options:
        if isinstance(option, syntax.Range):
            values = range_values(elaborator, option, environment)
            if values is None:
                return None
            options.extend((str(v), v) for v in values)
        else:
            options.append((_canonical(option), option))
    if not options:
        elaborator.report(
            "E404", "`tune` without options", expression.span, help="list what may be chosen: `tune(1, 2, 4)`"
        )
        return None
    return options


def _canonical(option: syntax.Expr) -> str:
    """An option as a person names it: its text, blanks made one."""
    return " ".join(option.span.text.split())


def _literal(option: syntax.Expr | int) -> object:
    match option:
        case int():
            return option
        case syntax.Number(value=value, unit=None):
            return value
        case syntax.Text(value=text):
            return text
        case syntax.Bool(value=flag):
            return flag
        case syntax.Unary(operator="-", operand=syntax.Number(value=value, unit=None)):
            return -value
        case _:
            return None
