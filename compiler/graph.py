"""The graph: what a program means, as immutable nodes.

Invariants
- A node is built only by `node()`, which computes its two digests.
- `digest` is structural: equal digest, equal subgraph (spans and labels apart). Nodes are equal when it is.
- `stream` names the meaning: operator, attributes but not how many samples, logical model, prompt text, and the streams
  of the inputs. Seeds come from it. It is fixed when the program is lowered; a pass that replaces a node by an equal
  one hands its stream on, so optimising never changes a sample.
- A graph is acyclic by construction (inputs exist before the node).
- A body reads nothing from outside but its parameters.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache

from pnyx.compiler.operators import (
    Ask,
    Branch,
    Constant,
    DrawingOperator,
    Extern,
    Loop,
    Operator,
    ShuffleOptions,
)
from pnyx.compiler.source import Span
from pnyx.compiler.types import Type

__all__ = ["Graph", "Node", "constant_types", "node"]


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One operator applied to inputs. A person knows it by `label` (`critique`); `span` is where it is written.

    `bodies` are what a `Loop`, an `Each` or a `Branch` runs.
    """

    operator: Operator
    inputs: tuple[Node, ...]
    type: Type
    stream: str
    label: str
    span: Span | None = field(repr=False)
    digest: str
    bodies: tuple[Graph, ...] = field(default=(), repr=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


def node(
    operator: Operator,
    inputs: Sequence[Node],
    type: Type,
    *,
    label: str,
    span: Span | None = None,
    stream: str | None = None,
    salt: str = "",
    bodies: Sequence[Graph] = (),
) -> Node:
    """A node with its digests. Without `stream` the node's own meaning names it, and `salt`: that of the body it is
    written in, since what is drawn there is drawn anew each time."""
    inputs, bodies = tuple(inputs), tuple(bodies)
    meaning, everything = _texts(operator, constant_types(operator))
    inside = [_body_texts(body) for body in bodies]
    if stream is None:
        stream = _hash(meaning, *([salt] if salt else []), *(i.stream for i in inputs), *(text for text, _ in inside))
    digest = _hash(stream, everything, *(i.digest for i in inputs), *(text for _, text in inside))
    return Node(operator, inputs, type, stream, label, span, digest, bodies)


def _body_texts(body: Graph) -> tuple[str, str]:
    """A body's meaning, and its structure."""
    outputs = body.outputs
    return _hash("body", *(o.stream for o in outputs)), _hash("body", *(o.digest for o in outputs))


def constant_types(operator: Operator) -> tuple[type, ...]:
    """What its constants are of. Operators with 1, 1.0 and true are equal to Python, and not the same."""
    match operator:
        case Constant(value=value):
            return (type(value),)
        case Branch(patterns=values):
            return tuple(type(value) for value in values)
        case Ask(constants=named) | Extern(constants=named):
            return tuple(type(value) for _, value in named)
    return ()


@lru_cache(maxsize=4096)
def _texts(operator: Operator, kinds: tuple[type, ...]) -> tuple[str, str]:  # noqa: ARG001 - a part of the key
    """The attributes as canonical text: those that make the meaning, and all of them. How many samples, and how many
    rounds at most, do not: with more of them, the first stay what they are."""
    attributes = asdict(operator)
    if not attributes.get("options", True):  # most questions have none
        del attributes["options"]
    if isinstance(operator, DrawingOperator):
        attributes["sampling"] = operator.sampling.told()
    everything = _canonical(attributes)
    attributes.pop("joined", None)
    if isinstance(operator, DrawingOperator | ShuffleOptions):
        del attributes["n"]
    elif isinstance(operator, Loop):
        del attributes["most"]
    return _canonical(attributes), everything


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _hash(*parts: str) -> str:
    text = "\n".join(parts)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


@dataclass(frozen=True, slots=True)
class Graph:
    """Everything that `outputs` need, from `params` on: a pipeline, or the body of a node.

    A pipeline's first parameter is the one `Input` node, its first output the result; the others are the values that
    outlive an example, before and after it. The parameters of a body are `Param` nodes, in the order of their indices.
    All parameters exist even where nothing reads them.
    """

    params: tuple[Node, ...]
    outputs: tuple[Node, ...]
    _order: tuple[Node, ...] = field(default=(), init=False, repr=False, compare=False)

    @property
    def output(self) -> Node:
        return self.outputs[0]

    def nodes(self) -> tuple[Node, ...]:
        """Every node once, inputs before their users, in a fixed order; not those inside of bodies."""
        if not self._order:
            object.__setattr__(self, "_order", self._sorted())
        return self._order

    def _sorted(self) -> tuple[Node, ...]:
        order: dict[str, Node] = {parameter.digest: parameter for parameter in self.params}
        stack: list[tuple[Node, bool]] = [(output, False) for output in reversed(self.outputs)]
        while stack:
            current, ready = stack.pop()
            if current.digest in order:
                continue
            if ready:
                order[current.digest] = current
            else:
                stack.append((current, True))
                stack.extend((i, False) for i in reversed(current.inputs))
        return tuple(order.values())

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes())

    def everywhere(self) -> Iterator[Node]:
        """Every node, those of bodies behind the node that has them."""
        for current in self.nodes():
            yield current
            for body in current.bodies:
                yield from body.everywhere()
