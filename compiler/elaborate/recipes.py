"""What a call makes of its arguments, kept as a recipe: the same call makes the same nodes over other inputs.

The alternatives of a choice, and the points of a search, differ in few places, but whatever comes behind a change is
made of other nodes. What an operator makes of a run-time value depends on its type alone, so a call that was elaborated
once is carried out again without looking at the operator's body.

Invariants
- A recipe is used only for arguments of equal compile-time values, equal types, and that are one and the same where
  those of the recipe were.
- The nodes it makes are those that elaborating would make: equal digests, labels and places.
- What has bodies has no recipe, since they capture what is around them: it is used again only for the very same inputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from pnyx.compiler.elaborate.values import GraphValue, OpValue, PromptValue, Value
from pnyx.compiler.graph import Node
from pnyx.compiler.source import Span

if TYPE_CHECKING:
    from pnyx.compiler.elaborate.evaluate import Elaborator

__all__ = ["Key", "Recipe", "key_of", "recipe_of", "remade", "run_time"]

Key: TypeAlias = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Nodes by their places: first those that are given, then those of `made`, each with the places of its inputs. The
    result is at `node`, and answers the question at `query`."""

    made: tuple[tuple[Node, tuple[int, ...]], ...]
    node: int
    query: int


def run_time(arguments: Iterable[Value]) -> list[Node]:
    """The nodes that a call is given: of each run-time value itself and its question."""
    return [node for a in arguments if isinstance(a, GraphValue) for node in (a.node, a.query)]


def key_of(arguments: Mapping[str, Value], given: Sequence[Node]) -> Key | None:
    """Equal for arguments that one recipe serves; None where that is not known cheaply. `given` are their nodes."""
    key: list[object] = []
    for name, value in arguments.items():
        match value:
            case GraphValue():
                key.append((name, value.node.type))
            case PromptValue():
                key.append((name, id(value.declaration)))
            case OpValue() | tuple():
                return None
            case _:
                key.append((name, type(value), value))
    places: dict[int, int] = {}
    return (*key, *(places.setdefault(id(node), place) for place, node in enumerate(given)))


def recipe_of(value: Value, given: Sequence[Node]) -> Recipe | None:
    """How a run-time value was made of the nodes `given`; None where a body is involved, or nothing of run time."""
    if not isinstance(value, GraphValue):
        return None
    places: dict[int, int] = {}
    for place, node in enumerate(given):
        places.setdefault(id(node), place)
    made: list[tuple[Node, tuple[int, ...]]] = []
    stack = [(value.query, False), (value.node, False)]
    while stack:
        node, ready = stack.pop()
        if id(node) in places:
            continue
        if node.bodies:
            return None
        if ready:
            places[id(node)] = len(given) + len(made)
            made.append((node, tuple(places[id(i)] for i in node.inputs)))
        else:
            stack.append((node, True))
            stack.extend((i, False) for i in node.inputs)
    return Recipe(tuple(made), places[id(value.node)], places[id(value.query)])


def remade(elaborator: Elaborator, recipe: Recipe, given: Sequence[Node], call: Span) -> GraphValue:
    nodes = list(given)
    for node, inputs in recipe.made:
        nodes.append(elaborator.remake(node, [nodes[place] for place in inputs], call))
    return GraphValue(nodes[recipe.node], nodes[recipe.query])
