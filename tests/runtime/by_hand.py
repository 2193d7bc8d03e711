"""Graphs with bodies, built by hand as the elaborator would build them."""

from __future__ import annotations

from collections.abc import Sequence

from scripted import ask

from pnyx.compiler.freeze import freeze
from pnyx.compiler.graph import Graph, Node, node
from pnyx.compiler.operators import (
    Branch,
    ConstantValue,
    Each,
    Input,
    Loop,
    Operator,
    Over,
    Param,
    Part,
    PromptText,
    Reads,
)
from pnyx.compiler.passes.context import typed
from pnyx.compiler.plan import Plan, PlanModel
from pnyx.compiler.types import Pool, Scalar, Size, Type
from pnyx.compiler.verify import verify

__all__ = [
    "ANSWERS", "INT", "each", "given", "judge", "loop", "made", "match", "param", "plan", "pool_type", "question",
    "revise",
]  # fmt: skip

INT = Scalar("int")
ANSWERS = frozenset({"text", "logprob", "model"})
REVISE = PromptText(name="revise", params=("query", "candidate"), user="{{ query }} revise {{ candidate.text }}")


def pool_type(low: int, high: int, fields: frozenset[str] = ANSWERS) -> Pool:
    return Pool(Size(low, high), fields)


def question() -> Node:
    return typed(Input(), [], label="query")


def made(operator: Operator, *inputs: Node, stream: str | None = None) -> Node:
    return typed(operator, inputs, label=operator.kind, stream=stream)


def param(index: int, type: Type, state: str | None = None) -> Node:
    return node(Param(index=index, state=state), [], type, label=f"p{index}")


def loop(
    most: int, carried: Sequence[Node], captured: Sequence[Node], body: Graph, *, until: bool = False
) -> list[Node]:
    """The values that the loop carried, after it."""
    operator = Loop(most=most, carried=len(carried), until=until)
    whole = typed(operator, [*carried, *captured], label="loop", bodies=[body])
    return [typed(Part(index=i), [whole], label="part") for i in range(len(carried))]


def each(pool: Node, captured: Sequence[Node], body: Graph) -> Node:
    whole = typed(Each(), [pool, *captured], label="each", bodies=[body])
    return typed(Part(index=0), [whole], label="part")


def match(
    value: Node, patterns: Sequence[ConstantValue], captured: Sequence[Node], *bodies: Graph, otherwise: bool = True
) -> Node:
    operator = Branch(patterns=tuple(patterns), otherwise=otherwise)
    whole = typed(operator, [value, *captured], label="match", bodies=bodies)
    return typed(Part(index=0), [whole], label="part")


def given(*types: Type) -> tuple[Node, ...]:
    return tuple(param(i, type) for i, type in enumerate(types))


def judge(query: Node, pool: Node) -> Node:
    return made(ask(into="verdict", reads=Reads.VERDICT), query, pool)


def revise(query: Node, pool: Node, n: int = 1) -> Node:
    return made(ask(prompt=REVISE, over=Over.EACH, n=n), query, pool)


def plan(output: Node, query: Node, **more: object) -> Plan:
    graph = Graph((query,), (output,))
    verify(graph, "the test")
    return freeze(
        graph,
        pipeline="p",
        source_name="t.pnyx",
        models=(PlanModel(name="m", id="m"),),
        choices={},
        optimised=False,
        **more,  # type: ignore[arg-type]
    )
