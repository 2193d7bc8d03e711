"""Pipelines built by hand, as the elaborator would build them."""

from __future__ import annotations

from pnyx.compiler.freeze import freeze
from pnyx.compiler.graph import Graph, Node
from pnyx.compiler.operators import (
    Ask,
    Concat,
    Filter,
    IfNone,
    Input,
    Over,
    PromptText,
    Reads,
    Sample,
    Sampling,
    Single,
    Sort,
    Take,
)
from pnyx.compiler.passes.context import typed
from pnyx.compiler.plan import Plan, PlanModel

__all__ = [
    "CRITIQUE",
    "FUSE",
    "JUDGE_TESTS",
    "MODELS",
    "RANK",
    "VERIFY",
    "archon",
    "critique",
    "fuse",
    "layered",
    "plan_of",
]

MODELS = (
    PlanModel(name="small", id="smollm2-135m", parameters=134.5e6, context=8192, price_in=0.1, price_out=0.4),
    PlanModel(
        name="judge", id="Qwen/Qwen2.5-72B-Instruct", parameters=72e9, context=32768, price_in=1.0, price_out=3.0
    ),
)
_LISTED = (
    "Question: {{ query }}\n{% for c in candidates %}\nAnswer {{ loop.index }}: {{ c.text }}\n"
    "{% if c.critique %}Critique: {{ c.critique }}\n{% endif %}{% endfor %}"
)
CRITIQUE = PromptText(
    name="critique",
    params=("query", "candidate"),
    user="Question: {{ query }}\nAnswer: {{ candidate.text }}\nName its strengths and weaknesses.",
)
RANK = PromptText(name="rank", params=("query", "candidates"), user=_LISTED + "Rank the answers, best first.")
FUSE = PromptText(name="fuse", params=("query", "candidates"), user=_LISTED + "Write one better answer.")
VERIFY = PromptText(
    name="verify",
    params=("query", "candidate"),
    system="You check answers.",
    user="Question: {{ query }}\nAnswer: {{ candidate.text }}\nIs it correct? Say yes or no.",
)
TESTS = PromptText(name="tests", params=("query",), user="Question: {{ query }}\nList tests of an answer.")
JUDGE_TESTS = PromptText(
    name="judge_tests",
    params=("query", "candidate", "tests"),
    user="{{ query }}\n{{ candidate.text }}\n{% for t in tests %}{{ loop.index }}. {{ t.text }}\n{% endfor %}Pass?",
)


def plan_of(graph: Graph, name: str = "archon", *, optimised: bool = False) -> Plan:
    return freeze(
        graph, pipeline=name, source_name=f"{name}.pnyx", models=MODELS, choices={"n": 4}, optimised=optimised
    )


def critique(query: Node, pool: Node) -> Node:
    return typed(Ask(model="judge", prompt=CRITIQUE, over=Over.EACH, into="critique"), [query, pool], label="critique")


def fuse(query: Node, pool: Node, n: int = 1, single: Single = Single.ASK) -> Node:
    return typed(Ask(model="judge", prompt=FUSE, over=Over.ALL, n=n, single=single), [query, pool], label="fuse")


def archon(n: int = 4, keep: int = 3) -> Graph:
    """An ensemble, then critique, rank, fuse, verify."""
    query = typed(Input(), [], label="query")
    drafts = typed(
        Concat(),
        [
            typed(Sample(model=model, n=n, sampling=Sampling(max_tokens=256)), [query], label="generate")
            for model in ("small", "judge")
        ],
        label="+",
    )
    ranked = typed(
        Ask(model="judge", prompt=RANK, over=Over.ALL, reads=Reads.ORDER, sampling=Sampling(max_tokens=64)),
        [query, critique(query, drafts)],
        label="rank",
    )
    fused = fuse(query, typed(Take(k=keep), [ranked], label="take"))
    verdict = Ask(
        model="judge", prompt=VERIFY, over=Over.EACH, into="verdict", reads=Reads.VERDICT,
        sampling=Sampling(temperature=0.0, max_tokens=16),
    )  # fmt: skip
    verified = typed(verdict, [query, fused], label="verify")
    return Graph((query,), (typed(Filter(if_none=IfNone.KEEP), [verified], label="filter"),))


def layered(n: int = 4, rounds: int = 2) -> Graph:
    """Unit tests choose drafts; rounds of critique and fuse; a last fuse."""
    query = typed(Input(), [], label="query")
    tests = typed(
        Ask(model="judge", prompt=TESTS, over=Over.QUERY, reads=Reads.LIST, count=5), [query], label="unit_tests"
    )
    drafts = typed(Sample(model="small", n=n), [query], label="generate")
    tried = typed(
        Ask(model="judge", prompt=JUDGE_TESTS, over=Over.EACH, into="passes", reads=Reads.PASSES, variables=("tests",)),
        [query, drafts, tests],
        label="judge_tests",
    )
    pool = typed(Take(k=3), [typed(Sort(by="passes"), [tried], label="sort")], label="take")
    for _ in range(rounds):
        pool = fuse(query, critique(query, pool), n=3)
    return Graph((query,), (fuse(query, pool),))
