"""What a plan needs of its engines, also through the bodies of loops, of each and of branches."""

from __future__ import annotations

from dataclasses import replace

from pnyx.compiler.operators import (
    Ask,
    Branch,
    Choose,
    Compute,
    Each,
    Extend,
    FieldOf,
    Filter,
    Group,
    Input,
    Loglik,
    Loop,
    Measure,
    MeasureKind,
    Operator,
    Over,
    Param,
    Part,
    Pick,
    PromptText,
    Reads,
    Resample,
    Sample,
    Sampling,
    Sort,
    TreePolicy,
    Vote,
)
from pnyx.compiler.plan import Plan, PlanBody, PlanModel, PlanNode, PlanType
from pnyx.runtime.engines.engine import Capability
from pnyx.runtime.engines.needs import needs_of

PROMPT = PromptText(name="p", params=(), user="?")
MODELS = ("small", "judge", "spare")
FIRST, SECOND = Sample(model="small"), Sample(model="spare")
BY_LOGPROB = Sort(by="logprob")


def node(operator: Operator, *inputs: int, bodies: tuple[PlanBody, ...] = ()) -> PlanNode:
    type = PlanType(fields=())
    return PlanNode(operator=operator, inputs=inputs, type=type, stream="0", label=operator.kind, bodies=bodies)


def body(params: int, *nodes: PlanNode, outputs: tuple[int, ...]) -> PlanBody:
    taken = tuple(node(Param(index=index)) for index in range(params))
    return PlanBody(params=params, nodes=(*taken, *nodes), outputs=outputs)


def needs(*nodes: PlanNode) -> dict[str, set[str]]:
    models = tuple(PlanModel(name=name, id=name) for name in MODELS)
    whole = (node(Input()), *nodes)
    plan = Plan(pipeline="p", source="", models=models, nodes=whole, output=len(whole) - 1)
    return {model: {str(capability) for capability in needed} for model, needed in needs_of(plan).items()}


def ask(reads: Reads, model: str = "judge", over: Over = Over.EACH, into: str | None = "score") -> Ask:
    return Ask(model=model, prompt=PROMPT, over=over, reads=reads, into=into)


def test_only_models_in_use_are_named() -> None:
    assert needs(node(FIRST, 0)) == {"small": set()}


def test_probabilities_and_beginnings_are_needed_of_the_model_that_is_asked() -> None:
    assert needs(node(FIRST, 0), node(ask(Reads.YES), 0, 1)) == {"small": set(), "judge": {"choices"}}
    assert needs(node(FIRST, 0), node(Extend(model="judge"), 0, 1)) == {"small": set(), "judge": {"prefix"}}


def test_settings_that_not_every_engine_knows_are_needed_of_who_draws() -> None:
    unusual = Sampling(top_k=5, min_p=0.1, min_tokens=2)
    every = {"top_k", "min_p", "min_tokens"}
    assert needs(node(Sample(model="small", sampling=unusual), 0)) == {"small": every}
    extended = node(Extend(model="judge", sampling=Sampling(min_p=0.1)), 0, 1)
    assert needs(node(FIRST, 0), extended) == {"small": set(), "judge": {"prefix", "min_p"}}
    graded, yes = (replace(ask(reads), sampling=Sampling(top_k=1)) for reads in (Reads.GRADE, Reads.YES))
    assert needs(node(FIRST, 0), node(graded, 0, 1)) == {"small": set(), "judge": {"top_k"}}
    assert needs(node(FIRST, 0), node(yes, 0, 1)) == {"small": set(), "judge": {"choices"}}  # draws nothing


def test_whatever_reads_a_log_probability_needs_it_of_those_who_wrote() -> None:
    readers = (
        BY_LOGPROB,
        Filter(by="logprob"),
        Vote(weight="logprob"),
        Resample(n=2, by="logprob"),
        Pick(k=1, by="logprob"),
        Group(weight="logprob"),
        Choose(by="logprob"),
        Choose(policy=TreePolicy.PUCT, prior="logprob"),
        FieldOf(name="logprob"),
        Measure(what=MeasureKind.MEAN, by="logprob"),
    )
    for reader in readers:
        found = needs(node(FIRST, 0), node(SECOND, 0), node(ask(Reads.GRADE), 0, 1, 2), node(reader, 3))
        assert found == {"small": {"logprobs"}, "spare": set(), "judge": set()}


def test_new_candidates_are_those_of_who_was_asked() -> None:
    new = needs(node(FIRST, 0), node(ask(Reads.TEXT, over=Over.ALL, into=None), 0, 1), node(BY_LOGPROB, 2))
    assert new == {"small": set(), "judge": {"logprobs"}}
    ordered = needs(node(FIRST, 0), node(ask(Reads.ORDER, over=Over.ALL, into=None), 0, 1), node(BY_LOGPROB, 2))
    assert ordered == {"small": {"logprobs"}, "judge": set()}
    probed = needs(node(FIRST, 0), node(Extend(model="judge", into="guess"), 0, 1), node(BY_LOGPROB, 2))
    assert probed == {"small": {"logprobs"}, "judge": {"prefix"}}


def test_what_is_said_of_texts_is_needed_of_who_says_it() -> None:
    found = needs(node(FIRST, 0), node(Loglik(model="judge"), 0, 1), node(BY_LOGPROB, 2))
    assert found == {"small": {"logprobs"}, "judge": {"continuations"}}
    winner = ask(Reads.WINNER, over=Over.NEIGHBOURS, into=None)
    assert needs(node(FIRST, 0), node(winner, 0, 1), node(BY_LOGPROB, 2)) == {"small": {"logprobs"}, "judge": set()}


def test_a_loop_carries_what_its_rounds_made() -> None:
    """The second result is what the first was a round before; what it was at first is gone after one."""
    rounds = body(3, node(ask(Reads.TEXT, over=Over.ALL, into=None), 2, 0), outputs=(3, 0))
    loop = node(Loop(most=3, carried=2), 1, 2, 0, bodies=(rounds,))
    found = needs(node(FIRST, 0), node(SECOND, 0), loop, node(Part(index=1), 3), node(BY_LOGPROB, 4))
    assert found == {"small": {"logprobs"}, "spare": set(), "judge": {"logprobs"}}
    found = needs(node(FIRST, 0), node(SECOND, 0), loop, node(Part(index=0), 3), node(BY_LOGPROB, 4))
    assert found == {"small": set(), "spare": set(), "judge": {"logprobs"}}


def test_needs_inside_bodies_count() -> None:
    inner = body(2, node(Extend(model="judge"), 1, 0), node(BY_LOGPROB, 2), outputs=(3,))
    found = needs(node(FIRST, 0), node(Each(), 1, 0, bodies=(inner,)))
    assert found == {"small": {"logprobs"}, "judge": {"prefix", "logprobs"}}


def test_a_branch_gives_what_any_of_its_bodies_gives() -> None:
    one = body(2, node(SECOND, 0), outputs=(2,))
    other = body(2, outputs=(1,))
    branch = node(Branch(patterns=(True,)), 2, 0, 1, bodies=(one, other))
    test = node(Compute(symbol="not"), 1)
    found = needs(node(FIRST, 0), test, branch, node(Part(index=0), 3), node(BY_LOGPROB, 4))
    assert found == {"small": {"logprobs"}, "spare": {"logprobs"}}


def test_the_first_node_that_needs_it_is_named() -> None:
    nodes = (node(Input()), node(FIRST, 0), node(ask(Reads.YES), 0, 1), node(ask(Reads.YES), 0, 2))
    models = tuple(PlanModel(name=name, id=name) for name in MODELS)
    plan = Plan(pipeline="p", source="", models=models, nodes=nodes, output=3)
    assert needs_of(plan)["judge"][Capability.CHOICES] is nodes[2]
