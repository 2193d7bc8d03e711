"""Prompts of a program: checking their templates, and giving them what they ask for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Label, Reporter, rename
from pnyx.compiler.elaborate.convert import provider_of
from pnyx.compiler.nearest import nearest
from pnyx.compiler.operators import PromptText
from pnyx.compiler.prompts import TemplateFault, TemplateUse, check_template
from pnyx.compiler.source import Span
from pnyx.compiler.types import Pool

__all__ = ["check_prompt", "field_faults", "prompt_text", "templates_of", "variables_in"]

_checked = lru_cache(maxsize=512)(check_template)


def prompt_text(declaration: syntax.PromptDecl, reporter: Reporter) -> PromptText | None:
    """The prompt as the graph carries it; None once its faults are reported."""
    if not check_prompt(declaration, reporter):
        return None
    return PromptText(
        name=declaration.name,
        params=tuple(p.name for p in declaration.params),
        user=declaration.user.value,
        system=declaration.system.value if declaration.system else None,
    )


def check_prompt(declaration: syntax.PromptDecl, reporter: Reporter) -> bool:
    """Reports templates that cannot be parsed and variables that are no parameters."""
    params = {p.name for p in declaration.params}
    sound = True
    for template in templates_of(declaration):
        use = _checked(template.value)
        if isinstance(use, TemplateFault):
            reporter.report(
                "E406",
                f"the template of `{declaration.name}` is faulty: {_clause(use.message)}",
                _line_span(template, use.line),
                help="templates are Jinja: `{{ value }}`, `{% for c in candidates %} … {% endfor %}`",
            )
            sound = False
            continue
        for variable, line in use.variables.items():
            if variable in params:
                continue
            likely = nearest(variable, params)
            reporter.report(
                "E207",
                f"`{variable}` is no parameter of the prompt `{declaration.name}`",
                _place(template, line, variable),
                secondary=[Label(declaration.name_span, "declared here")],
                help=f"did you mean `{likely}`?" if likely else f"add it: `prompt {declaration.name}(…, {variable})`",
                fixes=rename(_place(template, line, variable), variable, likely),
            )
            sound = False
    return sound


def field_faults(declaration: syntax.PromptDecl, pools: Mapping[str, Pool], call: Span, reporter: Reporter) -> bool:
    """Reports fields that a template reads, without testing for them, from candidates that do not have them."""
    sound = True
    for template in templates_of(declaration):
        use = _checked(template.value)
        if not isinstance(use, TemplateUse):
            continue
        for read in use.fields:
            pool = pools.get(read.variable)
            if pool is None or pool.size.high == 0 or read.guarded or read.field in pool.fields:
                continue
            likely = nearest(read.field, pool.fields)
            reporter.report(
                "E208",
                f"the prompt `{declaration.name}` reads `{read.field}`, which these candidates do not have",
                call,
                f"these have {', '.join(f'`{f}`' for f in sorted(pool.fields))}",
                secondary=[Label(_place(template, read.line, read.field), "read here")],
                help=f"did you mean `{likely}`?" if likely else provider_of(read.field),
                fixes=rename(_place(template, read.line, read.field), read.field, likely),
            )
            sound = False
    return sound


def variables_in(declaration: syntax.PromptDecl) -> set[str]:
    """What the templates of a sound prompt read."""
    uses = (_checked(template.value) for template in templates_of(declaration))
    return {variable for use in uses if isinstance(use, TemplateUse) for variable in use.variables}


def _clause(sentence: str) -> str:
    """A sentence of Jinja's as ours go: without the capital and the full stop."""
    return sentence[:1].lower() + sentence[1:].rstrip(".")


def templates_of(declaration: syntax.PromptDecl) -> list[syntax.Text]:
    """The system part, where there is one, then the user's."""
    return [declaration.user] if declaration.system is None else [declaration.system, declaration.user]


def _line_span(template: syntax.Text, line: int) -> Span:
    """The span of a line of the template's text in the source. Dedenting drops one leading line break."""
    raw = template.span.text
    lines = raw.split("\n")
    if not template.triple or len(lines) == 1:
        return template.span
    index = line if lines[0].strip('"').strip() == "" else line - 1
    index = min(max(index, 0), len(lines) - 1)
    start = template.span.start + sum(len(part) + 1 for part in lines[:index])
    text = lines[index]
    indent = len(text) - len(text.lstrip())
    return Span(template.span.source, start + indent, start + max(len(text.rstrip()), indent + 1))


def _place(template: syntax.Text, line: int, word: str) -> Span:
    """The word in that line of the template, or the line."""
    span = _line_span(template, line)
    found = span.text.find(word)
    return Span(span.source, span.start + found, span.start + found + len(word)) if found >= 0 else span
