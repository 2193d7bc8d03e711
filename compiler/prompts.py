"""Prompt templates: sandboxed Jinja, checked when compiling, rendered when running.

What a template can do is bounded: it sees only the values handed to it, calls only the filters listed here, and has no
arithmetic that builds large texts. An absent variable or field renders as nothing and is false.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pnyx.compiler.operators import PromptText

__all__ = ["FieldUse", "Rendered", "TemplateFault", "TemplateUse", "check_template", "render"]

_FILTERS = (
    "capitalize", "count", "d", "default", "first", "float", "int", "join", "last", "length", "lower", "replace",
    "reverse", "round", "sort", "string", "title", "tojson", "trim", "truncate", "upper", "wordcount",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TemplateFault:
    """Why a template cannot be used; `line` counts from 1 in the template's text."""

    message: str
    line: int


@dataclass(frozen=True, slots=True)
class FieldUse:
    """A field of a candidate that a template reads: `variable` is the parameter it comes from (`candidates` for the
    items of a loop over it); `guarded` when the template also tests for it."""

    variable: str
    field: str
    guarded: bool
    line: int


@dataclass(frozen=True, slots=True)
class TemplateUse:
    """What a template reads: its free variables, and fields of candidates."""

    variables: Mapping[str, int]
    fields: tuple[FieldUse, ...]


@dataclass(frozen=True, slots=True)
class Rendered:
    system: str | None
    user: str


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: object, operator: str, left: object, right: object) -> object:  # noqa: ARG002
        if isinstance(left, int | float) and isinstance(right, int | float) and operator != "**":
            return left * right if operator == "*" else left % right
        raise jinja2.exceptions.SecurityError(f"`{operator}` on texts is not available in a prompt")


@cache
def _environment() -> _Environment:
    environment = _Environment(undefined=jinja2.ChainableUndefined, keep_trailing_newline=False, autoescape=False)
    environment.globals.clear()
    environment.filters = {name: environment.filters[name] for name in _FILTERS}
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.policies["json.dumps_function"] = _dumps
    return environment


def _dumps(value: object, **options: Any) -> str:
    """JSON of what a template sees: candidates are mappings of any kind."""
    return json.dumps(value, default=dict, **options)


@lru_cache(maxsize=1024)
def _template(text: str) -> jinja2.Template:
    return _environment().from_string(text)


def render(prompt: PromptText, variables: Mapping[str, object]) -> Rendered:
    """The messages of a checked prompt. Candidates are mappings of their fields; pools are lists of them."""
    system = _template(prompt.system).render(variables).strip() if prompt.system is not None else None
    return Rendered(system, _template(prompt.user).render(variables).strip())


def check_template(text: str) -> TemplateUse | TemplateFault:
    """What the template reads, or why it cannot be used."""
    try:
        tree = _environment().parse(text)
        _environment().from_string(text)
    except jinja2.TemplateSyntaxError as error:
        return TemplateFault(error.message or "cannot be parsed", error.lineno)
    except RecursionError:
        return TemplateFault("nested too deeply", 1)
    for banned in tree.find_all(
        (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends, nodes.Macro, nodes.CallBlock)
    ):
        return TemplateFault("`include`, `import`, `extends` and `macro` are not available in a prompt", banned.lineno)
    return TemplateUse(_free_variables(tree), _field_uses(tree))


def _free_variables(tree: nodes.Template) -> dict[str, int]:
    from jinja2.meta import find_undeclared_variables

    free = find_undeclared_variables(tree)
    lines: dict[str, int] = {}
    for name in tree.find_all(nodes.Name):
        if name.name in free:
            lines.setdefault(name.name, name.lineno)
    return lines


def _field_uses(tree: nodes.Template) -> tuple[FieldUse, ...]:
    loops = {
        loop.target.name: loop.iter.name
        for loop in tree.find_all(nodes.For)
        if isinstance(loop.target, nodes.Name) and isinstance(loop.iter, nodes.Name)
    }
    tested: set[tuple[str, str]] = set()
    tests: list[nodes.Node] = [test.test for test in tree.find_all(nodes.If)]
    tests += [test.test for test in tree.find_all(nodes.CondExpr)]
    tests += [f.node for f in tree.find_all(nodes.Filter) if f.name in ("default", "d") and f.node is not None]
    for test in tests:
        tested.update(_fields_in(test))
    return tuple(
        FieldUse(loops.get(variable, variable), name, (variable, name) in tested, line)
        for (variable, name), line in _fields_in(tree).items()
    )


def _fields_in(tree: nodes.Node) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    reads = [tree] if isinstance(tree, nodes.Getattr) else []
    for read in [*reads, *tree.find_all(nodes.Getattr)]:
        if isinstance(read.node, nodes.Name) and read.node.name != "loop":
            found.setdefault((read.node.name, read.attr), read.lineno)
    return found
