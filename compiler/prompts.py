"""Prompt templates: sandboxed Jinja, checked when compiling, rendered when running.

What a template can do is bounded: it sees only the values handed to it, calls only the filters listed here, and each
rendering has a `_Budget` of rounds and characters. Parsing and rendering raise nothing but Jinja's own errors.
An absent variable or field renders as nothing and is false.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import dataclass
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any, cast

import jinja2
from jinja2 import filters, nodes
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from pnyx.compiler.operators import PromptText

__all__ = ["Candidates", "FieldUse", "Rendered", "TemplateFault", "TemplateUse", "check_template", "render"]

_FILTERS = (
    "capitalize", "count", "d", "default", "first", "float", "int", "join", "last", "length", "lower", "replace",
    "reverse", "round", "sort", "string", "title", "tojson", "trim", "truncate", "upper", "wordcount",
)  # fmt: skip


_MOST_CODE = 50_000
_OPENING = re.compile(r"\{[{%]")
_CLOSING = re.compile(r"[%}]\}")


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


class Candidates(list[Mapping[str, object]]):
    """Candidates as a prompt sees them under a name: a list, of which `name.field` reads the first.

    >>> drafts = Candidates([{"text": "one"}, {"text": "two"}])
    >>> drafts["text"], len(drafts)
    ('one', 2)
    """

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return super().__getitem__(0)[key]
        return super().__getitem__(key)


@dataclass(frozen=True, slots=True)
class Rendered:
    system: str | None
    user: str


# What a template may not say: outside of this list, templates are Jinja.
_BANNED: tuple[tuple[type[nodes.Node] | tuple[type[nodes.Node], ...], str], ...] = (
    ((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends, nodes.Macro, nodes.CallBlock),
     "`include`, `import`, `extends` and `macro` are not available in a prompt"),
    (nodes.Block, "`block` is not available in a prompt"),
    (nodes.Call, "calls are not available in a prompt, only filters: `{{ value | upper }}`"),
    ((nodes.AssignBlock, nodes.FilterBlock, nodes.NSRef),
     "only `{% set name = value %}` is available in a prompt, not blocks or fields that are set"),
)  # fmt: skip
_LOOP, _JOIN, _BUDGET = " loop", " join", " budget"
"""Names of ours: no template can say them."""
_MAPPINGS = (dict, MappingProxyType)
"""What holds the fields of a candidate."""


class _Budget:
    """What one rendering may still do: rounds of its loops, characters that it makes."""

    def __init__(self) -> None:
        self.rounds = 1_000_000
        self.characters = 20_000_000

    def loop(self, rounds: int) -> None:
        self.rounds -= rounds
        if self.rounds < 0:
            raise jinja2.TemplateRuntimeError("its loops go on for too long")

    def make(self, characters: int) -> None:
        self.characters -= characters
        if self.characters < 0:
            raise jinja2.TemplateRuntimeError("its text becomes too long")


def _budget(context: Context) -> _Budget:
    return cast("_Budget", context.resolve(_BUDGET))


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Fields of candidates; not the methods of the mappings and lists that hold them."""
        if isinstance(obj, Candidates):
            obj = obj[0] if obj else {}
        if isinstance(obj, _MAPPINGS):
            return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(argument, str) and isinstance(obj, (Candidates, *_MAPPINGS)):
            return self.getattr(obj, argument)
        return super().getitem(obj, argument)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> object:
        if isinstance(left, int | float) and isinstance(right, int | float) and operator != "**":
            return left + right if operator == "+" else left * right if operator == "*" else left % right
        if operator != "+":
            raise jinja2.exceptions.SecurityError(f"`{operator}` on texts is not available in a prompt")
        _budget(context).make(sum(len(side) for side in (left, right) if isinstance(side, Sized)))
        return left + right

    def _generate(self, source: nodes.Template, *arguments: Any, **options: Any) -> str:
        """Puts the budget's filters into the code of a template; the tree that is checked is without them."""
        for loop in source.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, _LOOP, [], [], None, None, lineno=loop.lineno, environment=self)
        joined = _Joining().visit(source)
        return super()._generate(joined, *arguments, **options)


class _Joining(NodeTransformer):
    """Replaces every `a ~ b` by a filter that counts what it makes."""

    def visit_Concat(self, concat: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(concat)
        parts = nodes.List(concat.nodes, lineno=concat.lineno, environment=concat.environment)
        return nodes.Filter(parts, _JOIN, [], [], None, None, lineno=concat.lineno, environment=concat.environment)


@jinja2.pass_context
def _counted(context: Context, items: Iterable[object]) -> Iterable[object]:
    items = items if isinstance(items, Sized) else list(items)
    _budget(context).loop(len(items))
    return items


@jinja2.pass_context
def _join(context: Context, value: Iterable[object], d: object = "", attribute: str | int | None = None) -> str:
    if attribute is not None:
        value = map(filters.make_attrgetter(context.environment, attribute), value)
    texts, between = [str(item) for item in value], str(d)
    _budget(context).make(sum(map(len, texts)) + len(between) * len(texts))
    return between.join(texts)


@jinja2.pass_context
def _replace(context: Context, s: object, old: object, new: object, count: int = -1) -> str:
    text, before, after = str(s), str(old), str(new)
    _budget(context).make(len(text) + text.count(before) * len(after))
    return text.replace(before, after, count)


def _round(value: float, precision: int = 0, method: str = "common") -> float:
    if abs(precision) > 100:
        raise jinja2.exceptions.FilterArgumentError(f"`round` to {precision} places")
    return cast("Callable[..., float]", filters.do_round)(value, precision, method)


@jinja2.pass_eval_context
def _tojson(context: nodes.EvalContext, value: object, indent: int | None = None) -> str:
    if indent is not None and indent > 16:
        raise jinja2.exceptions.FilterArgumentError(f"`tojson` indented by {indent}")
    return cast("Callable[..., str]", filters.do_tojson)(context, value, indent)


@cache
def _environment() -> _Environment:
    environment = _Environment(undefined=jinja2.ChainableUndefined, keep_trailing_newline=False, autoescape=False)
    environment.globals.clear()
    environment.filters = {name: environment.filters[name] for name in _FILTERS} | {
        "join": _join, "replace": _replace, "round": _round, "tojson": _tojson, _LOOP: _counted, _JOIN: _join,
    }  # fmt: skip
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
    """The messages of a checked prompt. Candidates are mappings of their fields; pools are lists of them.

    Raises jinja2.TemplateError where these values do not fit the template, or it makes too much of them.
    """
    budget = _Budget()
    system = _rendered(prompt.system, variables, budget) if prompt.system is not None else None
    return Rendered(system, _rendered(prompt.user, variables, budget))


def _rendered(text: str, variables: Mapping[str, object], budget: _Budget) -> str:
    parts = []
    try:
        template = _template(text)
        # What `Template.generate` does, without its rewriting of tracebacks, which costs time and nobody sees.
        for part in template.root_render_func(template.new_context({**variables, _BUDGET: budget})):
            budget.make(len(part))
            parts.append(part)
    except RecursionError:
        raise jinja2.TemplateRuntimeError("it is nested too deeply") from None
    except jinja2.TemplateError:
        raise
    except Exception as error:  # a template may fail in as many ways as there are filters
        raise jinja2.TemplateRuntimeError(str(error) or type(error).__name__) from error
    return "".join(parts).strip()


def check_template(text: str) -> TemplateUse | TemplateFault:
    """What the template reads, or why it cannot be used."""
    if _code_length(text) > _MOST_CODE:
        return TemplateFault(f"there are more than {_MOST_CODE} characters in its tags", 1)
    try:
        tree = _environment().parse(text)
        fault = _ban(tree)
        if fault is not None:
            return fault
        _template(text)
    except jinja2.TemplateSyntaxError as error:
        return TemplateFault(error.message or "cannot be parsed", error.lineno)
    except (RecursionError, MemoryError, SyntaxError):  # blocks within blocks: Python's own limits
        return TemplateFault("nested too deeply", 1)
    except ValueError:
        return TemplateFault("it has a number that is too long", 1)
    return TemplateUse(_free_variables(tree), _field_uses(tree))


def _code_length(text: str) -> int:
    """Characters between the marks of tags. Reading them is what takes long; the text around them is only copied."""
    total = 0
    for piece in _OPENING.split(text)[1:]:
        closing = _CLOSING.search(piece)
        total += closing.start() if closing else len(piece)
    return total


def _ban(tree: nodes.Template) -> TemplateFault | None:
    """The first thing in a template that is not available."""
    for kinds, message in _BANNED:
        for banned in tree.find_all(kinds):
            return TemplateFault(message, banned.lineno)
    for loop in tree.find_all(nodes.For):
        if loop.recursive:
            return TemplateFault("`recursive` is not available in a prompt", loop.lineno)
    # Lists of lists grow beyond every bound in a few lines, and nothing counts them.
    for items in tree.find_all((nodes.List, nodes.Tuple, nodes.Dict)):
        if getattr(items, "ctx", "load") == "load" and items.find(nodes.Name) is not None:
            return TemplateFault("lists in a prompt hold texts and numbers, not variables", items.lineno)
    return None


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
