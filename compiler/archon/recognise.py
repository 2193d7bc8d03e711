"""Which of Archon's components a node of the graph is, with the nodes that it is made of.

A component is one operator, or a few: a ranker is an `ask` for an order and what it keeps of it, a verifier two
questions and a filter. Only the library's own prompts make one: with another prompt it is another technique.
"""

from __future__ import annotations

from dataclasses import dataclass

from pnyx.compiler.archon.schema import Kind
from pnyx.compiler.archon.standard_prompts import standard_prompt
from pnyx.compiler.graph import Node
from pnyx.compiler.operators import Action, Ask, Filter, IfNone, OnFail, Over, Reads, Sample, Sampling, Sort, Take
from pnyx.compiler.types import Pool

__all__ = ["Found", "Unlike", "called", "recognise", "tests_of"]


class Unlike(Exception):
    """Why a node is no component; `node` is the one at fault."""

    def __init__(self, node: Node, message: str) -> None:
        super().__init__(message)
        self.node, self.message = node, message


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A component. `source` are the candidates that it reads, `tests` the unit tests that it reads or shows; `tested`
    whether it shows them with the question. `keys` are those of the JSON that its type alone has."""

    kind: Kind
    node: Node
    model: str
    sampling: Sampling
    source: Node | None = None
    tests: Node | None = None
    tested: bool = False
    keys: dict[str, int | bool]
    # What Archon does with a reply that cannot be read, where that is not what the program says.
    unlike_policy: bool = False


_TEXTS = {
    "fuse_prompt": (Kind.FUSER, False),
    "fuse_no_longer_prompt": (Kind.FUSER, False),
    "fuse_with_tests_prompt": (Kind.FUSER, True),
    "question_alone": (Kind.GENERATOR, False),
    "generate_with_tests_prompt": (Kind.GENERATOR, True),
}
_RANKED = {"rank_prompt": False, "rank_with_tests_prompt": True}
_CRITIQUED = {"critique_prompt": False, "critique_with_tests_prompt": True}
_VERIFIED = {
    "verify_verdict_prompt": ("verify_reasoning_prompt", False),
    "verify_verdict_with_tests_prompt": ("verify_reasoning_with_tests_prompt", True),
}

_TRIED = OnFail(retries=9, then=Action.KEEP)


def called(node: Node) -> str:
    """The operator that a node is part of, as it is written in the program."""
    return node.label.partition(".")[0]


def recognise(node: Node) -> Found:
    """The component whose result the node is. Raises Unlike."""
    match node.operator:
        case Sample() as sample:
            return _generator(node, sample)
        case Take(k=k):
            return _taken(node, node.inputs[0], k)
        case Ask(reads=Reads.ORDER) as ask:
            return _ranker(node, ask, None)
        case Sort():
            return _evaluator(node, None)
        case Filter():
            return _verifier(node, None)
        case Ask() as ask:
            return _asking(node, ask)
        case _:
            raise Unlike(node, f"Archon has nothing like `{called(node)}`")


def tests_of(node: Node) -> Found:
    """The unit-test generator that a pool of tests comes from. Raises Unlike."""
    ask = node.operator
    if not isinstance(ask, Ask) or standard_prompt(ask.prompt) != "unit_tests_prompt" or ask.over is not Over.QUERY:
        raise Unlike(node, "in Archon, unit tests come from a unit_test_generator alone")
    keys: dict[str, int | bool] = {"samples": 1}
    if ask.count is not None:
        keys = {"unit_test_cap": ask.count, "samples": 1}
    unlike = ask.on_fail != OnFail(retries=9, then=Action.FAIL)
    return _found(Kind.TEST_GENERATOR, node, ask, keys=keys, unlike_policy=unlike)


def _found(
    kind: Kind,
    node: Node,
    ask: Ask | Sample,
    *,
    keys: dict[str, int | bool],
    source: Node | None = None,
    tests: Node | None = None,
    tested: bool = False,
    unlike_policy: bool = False,
) -> Found:
    usual = Sampling()
    for name in ("stop", "top_p", "top_k", "min_p", "min_tokens"):
        if getattr(ask.sampling, name) != getattr(usual, name):
            raise Unlike(node, f"Archon has no `{name}` for `{called(node)}`")
    return Found(
        kind=kind, node=node, model=ask.model, sampling=ask.sampling, source=source, tests=tests, tested=tested,
        keys=keys, unlike_policy=unlike_policy,
    )  # fmt: skip


def _generator(node: Node, sample: Sample) -> Found:
    if sample.system is not None or sample.stream:
        raise Unlike(node, f"Archon has no `{'stream' if sample.stream else 'system'}` for a generator")
    return _found(Kind.GENERATOR, node, sample, keys={"samples": sample.n})


def _taken(node: Node, inner: Node, k: int) -> Found:
    match inner.operator:
        case Ask(reads=Reads.ORDER) as ask:
            return _ranker(inner, ask, k)
        case Sort():
            return _evaluator(inner, k)
        case Filter():
            return _verifier(inner, k)
        case _:
            raise Unlike(
                node, f"Archon has nothing like `{called(node)}` of candidates that no ranker has put in order"
            )


def _ranker(node: Node, ask: Ask, keep: int | None) -> Found:
    prompt = standard_prompt(ask.prompt)
    if prompt not in _RANKED or not isinstance(node.type, Pool):
        raise _other_prompt(node, ask)
    keys: dict[str, int | bool] = {"top_k": keep or max(node.type.size.high, 1)}
    tested = _RANKED[prompt]
    return _found(
        Kind.RANKER,
        node,
        ask,
        source=node.inputs[1],
        tests=node.inputs[2] if tested else None,
        tested=tested,
        keys=keys,
        unlike_policy=ask.on_fail != OnFail(),
    )


def _evaluator(sort: Node, k: int | None) -> Found:
    judged = sort.inputs[0]
    ask, order = judged.operator, sort.operator
    by_passes = isinstance(order, Sort) and order.by == "passes" and not order.ascending
    if not (by_passes and isinstance(ask, Ask) and ask.into == "passes"):
        raise Unlike(sort, f"Archon has nothing like `{called(sort)}` but by the `passes` of `judge_tests`")
    if standard_prompt(ask.prompt) != "judge_tests_prompt":
        raise _other_prompt(judged, ask)
    keys: dict[str, int | bool] = {"remove_unit_tests_from_prompt": True, "samples": 1}
    if k is not None:
        keys["top_k"] = k
    source, tests = judged.inputs[1:]
    unlike = ask.on_fail != _TRIED
    return _found(Kind.TEST_EVALUATOR, judged, ask, source=source, tests=tests, keys=keys, unlike_policy=unlike)


def _verifier(kept: Node, k: int | None) -> Found:
    verdict = kept.inputs[0]
    filter, ask = kept.operator, verdict.operator
    wanted = ("verdict", None, IfNone.KEEP)
    correct = isinstance(filter, Filter) and (filter.by, filter.at_least, filter.if_none) == wanted
    if not (correct and isinstance(ask, Ask) and ask.into == "verdict" and ask.reads is Reads.VERDICT):
        raise Unlike(kept, f"Archon has nothing like `{called(kept)}` but that of `verify`")
    reasoning = verdict.inputs[1]
    first, tested = _VERIFIED.get(standard_prompt(ask.prompt) or "", (None, False))
    argued = reasoning.operator
    if first is None or not isinstance(argued, Ask) or argued.into != "reasoning":
        raise _other_prompt(verdict, ask)
    if standard_prompt(argued.prompt) != first or argued.model != ask.model:
        raise _other_prompt(reasoning, argued)
    if argued.sampling.temperature != ask.sampling.temperature:
        raise Unlike(verdict, "Archon has one temperature for both questions of a verifier")
    keys: dict[str, int | bool] = {"samples": 1}
    if k is not None:
        keys["first_k"] = k
    return _found(
        Kind.VERIFIER,
        reasoning,
        argued,
        source=reasoning.inputs[1],
        tests=reasoning.inputs[2] if tested else None,
        tested=tested,
        keys=keys,
        unlike_policy=ask.on_fail != _TRIED,
    )


def _asking(node: Node, ask: Ask) -> Found:
    """A question for a text: a critique, or new candidates."""
    prompt = standard_prompt(ask.prompt) or ""
    if ask.into == "critique" and prompt in _CRITIQUED:
        tested = _CRITIQUED[prompt]
        tests = node.inputs[2] if tested else None
        keys: dict[str, int | bool] = {"samples": 1}
        return _found(Kind.CRITIC, node, ask, source=node.inputs[1], tests=tests, tested=tested, keys=keys)
    if prompt == "judge_tests_prompt":
        raise Unlike(node, "an Archon evaluator also puts the candidates in the order of their `passes`")
    if prompt in _VERIFIED:
        raise Unlike(node, "an Archon verifier also drops what it does not find correct")
    if ask.into is not None or ask.reads is not Reads.TEXT or prompt not in _TEXTS:
        raise _other_prompt(node, ask)
    kind, tested = _TEXTS[prompt]
    fuses = kind is Kind.FUSER
    if ask.over is not (Over.ALL if fuses else Over.QUERY):
        raise _other_prompt(node, ask)
    keys = {"samples": ask.n}
    if prompt == "fuse_no_longer_prompt" or dict(ask.constants).get("no_longer"):
        keys["length_control"] = True
    if prompt == "question_alone":
        keys["no_system"] = True
    tests = node.inputs[-1] if tested else None
    return _found(kind, node, ask, source=node.inputs[1] if fuses else None, tests=tests, tested=tested, keys=keys)


def _other_prompt(node: Node, ask: Ask) -> Unlike:
    """What is asked with a prompt of somebody's own, or for something that Archon does not ask for."""
    if standard_prompt(ask.prompt) is None:
        return Unlike(node, f"Archon has prompts of its own: `{called(node)}` shows `{ask.prompt.name}`")
    return Unlike(node, f"Archon has nothing like `{called(node)}`")
