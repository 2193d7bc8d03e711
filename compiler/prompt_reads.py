"""Which fields of candidates a prompt can read: never too few, at times too many.

The checker's list of fields (`check_template`) is made for messages and knows the plain ways of reading one. Whether
work is dead needs certainty: a candidate that is used in any other way than `name.field` or in a loop counts as read
whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import jinja2
from jinja2 import nodes

from pnyx.compiler.operators import PromptText

__all__ = ["ALL_FIELDS", "Fields", "prompt_reads", "union"]

Fields = frozenset[str] | None
"""Names of fields; None is all of them."""

ALL_FIELDS: Fields = None

_LOOP_FACTS = frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "depth0"})
_MAPPING_METHODS = frozenset({"items", "keys", "values", "get", "copy"})
_ORDERINGS = frozenset({"reverse"})
_COUNTS = frozenset({"length", "count"})


def union(left: Fields, right: Fields) -> Fields:
    return None if left is None or right is None else left | right


@lru_cache(maxsize=4096)
def prompt_reads(prompt: PromptText, variable: str) -> Fields:
    """The fields that the prompt can read of the candidates it gets as `variable`.

    >>> text = "{{ query }} {% for c in candidates %}{{ c.text }}{% endfor %}"
    >>> prompt_reads(PromptText(name="p", params=("query", "candidates"), user=text), "candidates")
    frozenset({'text'})
    >>> prompt_reads(PromptText(name="p", params=("candidate",), user="{{ candidate | tojson }}"), "candidate") is None
    True
    """
    fields: Fields = frozenset()
    for text in (prompt.user, prompt.system):
        if text is not None:
            fields = union(fields, _Reads.of(text, variable))
    return fields


@dataclass(slots=True)
class _Reads:
    """A walk over a template. `names`: what candidates are called: the variable and the targets of loops over it."""

    names: set[str]
    fields: set[str]
    whole: bool = False

    @classmethod
    def of(cls, text: str, variable: str) -> Fields:
        tree = jinja2.Environment(autoescape=False).parse(text)
        reads = cls(_aliases(tree, variable), set())
        if any(name.name == variable for name in tree.find_all(nodes.Name)):
            reads.visit(tree)
        return ALL_FIELDS if reads.whole else frozenset(reads.fields)

    def visit(self, current: nodes.Node) -> None:
        match current:
            case nodes.Getattr(node=nodes.Name(name=name), attr=attr) if name in self.names:
                self.fields.add(attr)
                self.whole |= attr in _MAPPING_METHODS
            case nodes.Getitem(node=nodes.Name(name=name), arg=nodes.Const(value=str() as key)) if name in self.names:
                self.fields.add(key)
            case nodes.Getattr(node=nodes.Name(name="loop"), attr=attr):
                self.whole |= attr not in _LOOP_FACTS
            case nodes.Filter(node=nodes.Name(name=name), name=filter) if name in self.names and filter in _COUNTS:
                pass
            case nodes.For():
                self.loop(current)
            case nodes.If(test=nodes.Name(name=name)) if name in self.names:
                self.visit_all(*current.body, *current.elif_, *current.else_)
            case nodes.Name(name=name):
                self.whole |= name in self.names or name == "loop"
            case _:
                self.visit_all(*current.iter_child_nodes())

    def loop(self, loop: nodes.For) -> None:
        if _looped(loop) not in self.names:
            self.visit(loop.iter)
        rest = [loop.test] if loop.test is not None else []
        if not isinstance(loop.target, nodes.Name):
            rest.append(loop.target)
        self.visit_all(*loop.body, *loop.else_, *rest)

    def visit_all(self, *several: nodes.Node) -> None:
        for one in several:
            self.visit(one)


def _aliases(tree: nodes.Template, variable: str) -> set[str]:
    names, size = {variable}, 0
    while len(names) > size:
        size = len(names)
        for loop in tree.find_all(nodes.For):
            if _looped(loop) in names and isinstance(loop.target, nodes.Name):
                names.add(loop.target.name)
    return names


def _looped(loop: nodes.For) -> str | None:
    """The name of what a loop goes over, reversed or not; None for anything else."""
    over = loop.iter
    while isinstance(over, nodes.Filter) and over.name in _ORDERINGS and over.node is not None:
        over = over.node
    return over.name if isinstance(over, nodes.Name) else None
