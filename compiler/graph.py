"""The graph: what a program means, as immutable nodes.

Invariants
- A node is built only by `node()`, which computes its two digests.
- `digest` is structural: equal digest, equal subgraph (spans and labels apart). Nodes are equal when it is.
- `stream` names the meaning: operator, attributes but not how many samples, logical model, prompt text, and the streams
  of the inputs. Seeds come from it. It is fixed when the program is lowered; a pass that replaces a node by an equal
  one hands its stream on, so optimising never changes a sample.
- A graph is acyclic by construction (inputs exist before the node).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache

from pnyx.compiler.operators import Ask, Operator, Sample
from pnyx.compiler.source import Span
from pnyx.compiler.types import Type

__all__ = ["Graph", "Node", "node"]


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One operator applied to inputs. A person knows it by `label` (`critique`); `span` is where it is written."""

    operator: Operator
    inputs: tuple[Node, ...]
    type: Type
    stream: str
    label: str
    span: Span | None = field(repr=False)
    digest: str

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
) -> Node:
    """A node with its digests. Without `stream` the node's own meaning names it."""
    inputs = tuple(inputs)
    meaning, everything = _texts(operator)
    if stream is None:
        stream = _hash(meaning, *(i.stream for i in inputs))
    digest = _hash(stream, everything, *(i.digest for i in inputs))
    return Node(operator, inputs, type, stream, label, span, digest)


@lru_cache(maxsize=4096)
def _texts(operator: Operator) -> tuple[str, str]:
    """The attributes as canonical text: those that make the meaning, and all of them."""
    attributes = asdict(operator)
    everything = _canonical(attributes)
    attributes.pop("joined", None)
    if isinstance(operator, Sample | Ask):
        del attributes["n"]
    return _canonical(attributes), everything


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _hash(*parts: str) -> str:
    text = "\n".join(parts)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


@dataclass(frozen=True, slots=True)
class Graph:
    """Everything that `output` needs. `query` is the one `Input` node; it exists even where nothing reads it."""

    query: Node
    output: Node

    def nodes(self) -> tuple[Node, ...]:
        """Every node once, inputs before their users, in a fixed order."""
        order: dict[str, Node] = {self.query.digest: self.query}
        stack: list[tuple[Node, bool]] = [(self.output, False)]
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
