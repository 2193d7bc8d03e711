"""Closing a choice: which option of a `tune` the assignment takes, and its value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pnyx.compiler import syntax
from pnyx.compiler.elaborate.choices import site_of
from pnyx.compiler.elaborate.scope import Environment, Options
from pnyx.compiler.elaborate.unroll import range_values
from pnyx.compiler.elaborate.values import ERROR, Value
from pnyx.compiler.source import Span

if TYPE_CHECKING:
    from pnyx.compiler.elaborate.evaluate import Elaborator

__all__ = ["chosen_place", "close_choice"]


def close_choice(elaborator: Elaborator, expression: syntax.Tune, environment: Environment, *, words: bool) -> Value:
    known = elaborator.scope.options
    options = known.get(id(expression))
    if options is None:
        options = _options(elaborator, expression, environment)
        if options is None:
            return ERROR
        if not any(isinstance(option, syntax.Range) for option in expression.options):
            known[id(expression)] = options
    index = elaborator.assignment.pick(expression, options.texts, options.literals, options.default)
    chosen = options.values[index]
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


def _options(elaborator: Elaborator, expression: syntax.Tune, environment: Environment) -> Options | None:
    """A range stands for its integers. None after a report."""
    options: list[tuple[str, syntax.Expr | int]] = []
    for option in expression.options:
        if isinstance(option, syntax.Range):
            values = range_values(elaborator, option, environment)
            if values is None:
                return None
            options.extend([(str(value), value) for value in values])
        else:
            options.append((_canonical(option), option))
    if not options:
        elaborator.report(
            "E404", "`tune` without options", expression.span, help="list what may be chosen: `tune(1, 2, 4)`"
        )
        return None
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
            return None
        default = texts.index(wanted)
    meant = tuple(option for _, option in options)
    return Options(expression, texts, meant, tuple(map(_literal, meant)), default)


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
