"""Checking an operator that nothing calls: it is elaborated once with values that its parameters' types allow.

Only what holds for every call is reported, so faults that depend on a number (ranges, sizes) are not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Diagnostics
from pnyx.compiler.elaborate.choices import Assignment, Site
from pnyx.compiler.elaborate.evaluate import Elaborator
from pnyx.compiler.elaborate.frames import TooLarge
from pnyx.compiler.elaborate.kinds import REQUIRED, Base, Kind, Parameter
from pnyx.compiler.elaborate.scope import ModuleScope, signature_of
from pnyx.compiler.elaborate.values import GraphValue, ModelValue, PolicyValue, Symbol, Value
from pnyx.compiler.graph import Node, node
from pnyx.compiler.operators import Input, OnFail, Param
from pnyx.compiler.types import CHAT, Pool, Size

__all__ = ["check_alone"]

_ALWAYS = {"E206", "E301", "E302", "E306", "E307", "E310", "E311", "E312", "E313", "E315", "E405"}


def check_alone(
    declaration: syntax.OpDecl,
    scope: ModuleScope,
    sites: Mapping[Site, str],
    diagnostics: Diagnostics,
    begin: Callable[[Assignment, Diagnostics], Elaborator] | None = None,
) -> int:
    """Reports the faults of an operator's body that every call of it would have; returns the effort that took.

    `begin` makes the elaborator, where not a plain one is wanted.
    """
    query = node(Input(), (), CHAT, label="query", span=declaration.name_span)
    values: dict[str, Value] = {}
    words = _words(declaration)
    for parameter in signature_of(declaration).parameters:
        if parameter.default is not REQUIRED:
            continue
        if parameter.kind.base in (Base.ANY, Base.OP, Base.PROMPT, Base.LIST, Base.SUBJECT):
            return 0
        values[parameter.name] = _stand_in(parameter, query, len(values), words)
    found = Diagnostics()
    elaborator = (begin or partial(Elaborator, scope))(Assignment(sites), found)
    with suppress(TooLarge, RecursionError):
        elaborator.alone(declaration, values)
    diagnostics.extend(d for d in found if d.code in _ALWAYS)
    return elaborator.effort


def _words(declaration: syntax.OpDecl) -> dict[str, str]:
    """The fields that its parameters stand for: their defaults, or `text`."""
    words = {}
    for parameter in signature_of(declaration).parameters:
        if parameter.kind.base is Base.FIELD:
            default = parameter.default
            words[parameter.name] = default.name if isinstance(default, syntax.Name) else "text"
    return words


def _stand_in(parameter: Parameter, query: Node, index: int, words: Mapping[str, str]) -> Value:
    kind = parameter.kind
    match kind.base:
        case Base.CHAT:
            return GraphValue(query, query)
        case Base.POOL:
            return GraphValue(node(Param(index=index), (), _pool(kind, words), label=parameter.name), query)
        case Base.MODEL:
            return ModelValue(parameter.name)
        case Base.FIELD:
            return Symbol("text")
        case Base.POLICY:
            return PolicyValue(OnFail())
        case Base.TEXT:
            return "text"
        case Base.BOOL:
            return True
        case Base.FLOAT:
            return 0.5
        case _:
            return 2


def _pool(kind: Kind, words: Mapping[str, str]) -> Pool:
    low, high = kind.size or (2, 8)
    fields = {"text", *(words.get(field, field) for field in kind.fields)}
    return Pool(Size(low, 1000 if high is None else max(low, high)), frozenset(fields))
