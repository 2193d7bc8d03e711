"""Before and after, pass by pass, and where each does not fire. Graphs are written one node a line by `text`."""

from __future__ import annotations

import pytest

from pnyx.compiler.graph import Graph, Node
from pnyx.compiler.operators import (
    Action,
    AnswerKind,
    Ask,
    Concat,
    Constant,
    Dedupe,
    Extract,
    Filter,
    IfNone,
    Input,
    OnFail,
    Over,
    PromptText,
    Reads,
    Sample,
    Single,
    Sort,
    Take,
    Vote,
)
from pnyx.compiler.passes import PassContext, optimise
from pnyx.compiler.passes.coalesce_samples import coalesce_samples
from pnyx.compiler.passes.context import typed
from pnyx.compiler.passes.drop_dead_nodes import drop_dead_nodes
from pnyx.compiler.passes.merge_identical_calls import merge_identical_calls
from pnyx.compiler.passes.short_circuit_single import short_circuit_single
from pnyx.compiler.prompt_reads import prompt_reads
from pnyx.compiler.verify import verify
from tests.passes.pipelines import CRITIQUE, FUSE, RANK, archon, critique, fuse, layered

CONTEXT = PassContext()
QUERY = typed(Input(), [], label="query")
TEXTS = PromptText(name="texts", params=("candidates",), user="{% for c in candidates %}{{ c.text }}{% endfor %}")


def generate(n: int, stream: int = 0) -> Node:
    return typed(Sample(model="small", n=n, stream=stream), [QUERY], label="generate")


def ask(pool: Node, *more: Node, label: str = "ask", prompt: PromptText = TEXTS, **attributes: object) -> Node:
    operator = Ask(model="judge", prompt=prompt, **{"over": Over.ALL, **attributes})  # type: ignore[arg-type]
    return typed(operator, [QUERY, pool, *more], label=label)


def plus(*pools: Node) -> Node:
    return typed(Concat(), pools, label="+")


ONE, SEVERAL = generate(1), generate(3)


def graph(output: Node) -> Graph:
    return Graph((QUERY,), (output,))


def text(graph: Graph) -> list[str]:
    names = {node.digest: f"{i}" for i, node in enumerate(graph)}
    lines = []
    for node in graph:
        n = getattr(node.operator, "n", 1)
        draws = f" n={n}{' joined' if node.operator.joined else ''}" if isinstance(node.operator, Sample | Ask) else ""
        size = getattr(node.type, "size", "chat")
        lines.append(f"{node.label}({','.join(names[i.digest] for i in node.inputs)}){draws} : {size}")
    verify(graph, "the test")
    return lines


# drop_dead_nodes


def test_drops_a_critique_that_no_prompt_reads() -> None:
    before = graph(ask(critique(QUERY, generate(2)), label="fuse"))
    assert text(drop_dead_nodes(before, CONTEXT)) == [
        "query() : chat",
        "generate(0) n=2 : 2",
        "fuse(0,1) n=1 : 1",
    ]


def test_drops_through_operators_that_pass_candidates_on_and_with_what_it_alone_needs() -> None:
    tests = typed(
        Ask(model="judge", prompt=CRITIQUE, over=Over.QUERY, reads=Reads.LIST, count=3), [QUERY], label="tests"
    )
    prompt = PromptText(name="try", params=("tests",), user="{% for t in tests %}{{ t.text }}{% endfor %}")
    tried = ask(
        generate(3), tests, label="try", prompt=prompt, over=Over.EACH, into="passes", reads=Reads.PASSES,
        variables=("tests",),
    )  # fmt: skip
    pool = typed(Take(k=2), [typed(Dedupe(), [tried], label="dedupe")], label="take")
    after = drop_dead_nodes(graph(ask(pool, label="fuse")), CONTEXT)
    assert [node.label for node in after] == ["query", "generate", "dedupe", "take", "fuse"]


@pytest.mark.parametrize(
    "output",
    [
        pytest.param(critique(QUERY, generate(2)), id="in the output"),
        pytest.param(ask(critique(QUERY, generate(2)), prompt=FUSE), id="read by a prompt"),
        pytest.param(ask(ask(critique(QUERY, generate(2)), reads=Reads.ORDER), prompt=FUSE), id="read after an order"),
        pytest.param(
            ask(ask(generate(2), over=Over.EACH, into="v", reads=Reads.VERDICT, on_fail=OnFail(then=Action.DROP))),
            id="drops candidates",
        ),
        pytest.param(
            ask(ask(generate(2), over=Over.EACH, into="v", reads=Reads.VERDICT, on_fail=OnFail(then=Action.FAIL))),
            id="may fail",
        ),
        pytest.param(
            typed(Vote(), [typed(Extract(answer=AnswerKind.NUMBER), [generate(3)], label="extract")], label="vote"),
            id="voted on",
        ),
        pytest.param(
            ask(
                typed(
                    Take(k=1),
                    [typed(Sort(), [ask(generate(2), over=Over.EACH, into="score", reads=Reads.GRADE)], label="sort")],
                    label="take",
                )
            ),
            id="sorted by",
        ),
        pytest.param(
            ask(
                typed(
                    Vote(by="text", weight="score"),
                    [ask(generate(2), over=Over.EACH, into="score", reads=Reads.GRADE)],
                    label="vote",
                ),
                generate(1, stream=1),
                variables=("others",),
            ),
            id="weighs a vote",
        ),
        pytest.param(plus(critique(QUERY, generate(2)), generate(1)), id="hidden by the type of a join"),
        pytest.param(
            ask(typed(Dedupe(), [critique(QUERY, generate(2))], label="dedupe"), single=Single.KEEP),
            id="kept where one is left",
        ),
    ],
)
def test_keeps_what_may_be_seen(output: Node) -> None:
    before = graph(output)
    assert drop_dead_nodes(before, CONTEXT) is before


def test_keeps_a_dead_question_that_brings_a_failure_with_it() -> None:
    tests = typed(
        Ask(
            model="judge", prompt=CRITIQUE, over=Over.QUERY, reads=Reads.LIST, count=3, on_fail=OnFail(then=Action.FAIL)
        ),
        [QUERY],
        label="tests",
    )
    tried = ask(
        generate(3), tests, over=Over.EACH, into="passes", reads=Reads.PASSES, prompt=CRITIQUE, variables=("tests",)
    )
    before = graph(ask(tried))
    assert drop_dead_nodes(before, CONTEXT) is before


@pytest.mark.parametrize(
    ("user", "fields"),
    [
        ("{{ query }}", set()),
        ("{% for c in pool %}{{ c.text }}{{ c['score'] }}{% endfor %}", {"text", "score"}),
        ("{% for c in pool | reverse if c.verdict %}{{ loop.index }}{% else %}{{ query }}{% endfor %}", {"verdict"}),
        ("{{ pool | length }}{% if pool %}some{% endif %}", set()),
        ("{% for c in pool %}{% for d in pool %}{{ d.critique }}{% endfor %}{% endfor %}", {"critique"}),
        ("{{ pool | length }}{% for c in query %}{{ c.text }}{% endfor %}", set()),
        ("{{ pool | tojson }}", None),
        ("{% set p = pool %}{{ p[0].text }}", None),
        ("{{ pool[0].text }}", None),
        ("{% for c in pool %}{{ c }}{% endfor %}", None),
        ("{% for c in pool %}{{ c[query] }}{% endfor %}", None),
        ("{% for c in pool %}{% for k, v in c.items() %}{{ v }}{% endfor %}{% endfor %}", None),
        ("{% for c in pool %}{{ loop.previtem.critique }}{% endfor %}", None),
        ("{% for c in pool | sort(attribute='score') %}{{ c.text }}{% endfor %}", None),
    ],
)
def test_what_a_prompt_reads(user: str, fields: set[str] | None) -> None:
    assert prompt_reads(PromptText(name="p", params=("pool", "query"), user=user), "pool") == fields
    in_system = PromptText(name="p", params=("pool", "query"), user="x", system=user)
    assert prompt_reads(in_system, "pool") == fields


def test_drops_a_dead_question_where_what_may_fail_stays() -> None:
    pool = ask(SEVERAL, reads=Reads.ORDER, on_fail=OnFail(then=Action.FAIL))
    tried = ask(pool, pool, over=Over.EACH, into="critique", prompt=CRITIQUE, variables=("others",))
    after = drop_dead_nodes(graph(ask(tried)), CONTEXT)
    assert after.output.inputs[1] is pool


def test_keeps_a_dead_question_where_only_some_of_what_may_fail_stays() -> None:
    maybe = typed(Filter(by="logprob", at_least=1), [SEVERAL], label="filter")
    for other in (ask(maybe), ask(SEVERAL, reads=Reads.ORDER, on_fail=OnFail(then=Action.FAIL), prompt=FUSE)):
        pool = ask(SEVERAL, reads=Reads.ORDER, on_fail=OnFail(then=Action.FAIL))
        first = typed(Take(k=1), [pool], label="take")
        tried = ask(pool, first, other, over=Over.EACH, into="critique", prompt=CRITIQUE, variables=("some", "more"))
        before = graph(ask(tried))
        assert drop_dead_nodes(before, CONTEXT) is before


# merge_identical_calls


def test_merges_what_was_written_twice() -> None:
    twice = graph(plus(critique(QUERY, generate(2)), critique(QUERY, generate(2))))
    merged = merge_identical_calls(twice, CONTEXT)
    assert merged.output.inputs[0] is merged.output.inputs[1]
    assert merge_identical_calls(merged, CONTEXT) is merged


def test_merges_free_nodes_whatever_their_streams() -> None:
    drafts = generate(3)
    sorts = [typed(Sort(by="logprob"), [drafts], label="sort", stream=stream) for stream in "ab"]
    after = merge_identical_calls(graph(plus(*sorts)), CONTEXT)
    assert [node.label for node in after] == ["query", "generate", "sort", "+"]


def test_does_not_merge_what_is_equal_to_python_alone() -> None:
    one, true = (typed(Constant(value=value), [], label="constant") for value in (1, True))
    before = Graph((QUERY,), (QUERY, one, true))
    assert merge_identical_calls(before, CONTEXT) is before


def test_does_not_merge_streams_of_samples() -> None:
    before = graph(plus(generate(2), generate(2, stream=1)))
    assert merge_identical_calls(before, CONTEXT) is before


def test_does_not_merge_draws_that_only_came_to_read_the_same() -> None:
    """Passes made their inputs one; what they draw stays what it was before."""
    drafts = generate(3)
    asked = [
        typed(Ask(model="judge", prompt=TEXTS, over=Over.ALL), [QUERY, drafts], label="ask", stream=stream)
        for stream in "ab"
    ]
    drawn = [typed(Sample(model="small"), [QUERY], label="generate", stream=stream) for stream in "ab"]
    for pair in (asked, drawn):
        before = graph(plus(*pair))
        assert merge_identical_calls(before, CONTEXT) is before


# coalesce_samples


def test_draws_once_and_takes() -> None:
    after = coalesce_samples(graph(plus(generate(2), generate(8), generate(1))), CONTEXT)
    assert text(after) == [
        "query() : chat",
        "generate(0) n=8 joined : 8",
        "generate(1) : 2",
        "generate(1) : 1",
        "+(2,1,3) : 11",
    ]
    assert after.output.inputs[1].stream == generate(1).stream
    assert coalesce_samples(after, CONTEXT) is after


def test_joins_draws_about_each_candidate_but_keeps_their_number() -> None:
    pool = generate(2)
    few, many = (ask(pool, over=Over.EACH, prompt=CRITIQUE, n=n) for n in (2, 3))
    after = coalesce_samples(graph(plus(few, many)), CONTEXT)
    assert [node.operator.n for node in after if isinstance(node.operator, Ask)] == [2, 3]
    assert all(node.operator.joined for node in after if isinstance(node.operator, Ask))


def test_coalesces_questions_about_all() -> None:
    pool = generate(3)
    after = coalesce_samples(graph(plus(fuse(QUERY, pool, 1), fuse(QUERY, pool, 3))), CONTEXT)
    assert [line.split(" :")[0] for line in text(after)[2:]] == ["fuse(0,1) n=3 joined", "fuse(2)", "+(3,2)"]


def test_does_not_coalesce_questions_about_different_pools() -> None:
    """Three of eight and two of the first two of them: one stream, since the numbers are not in it, but two prompts."""
    few, many = fuse(QUERY, generate(2), 2), fuse(QUERY, generate(8), 3)
    assert few.stream == many.stream
    after = coalesce_samples(graph(plus(few, many)), CONTEXT)
    assert [node.operator.n for node in after if isinstance(node.operator, Ask)] == [2, 3]


def test_leaves_single_draws_of_several_streams() -> None:
    before = graph(plus(ONE, generate(1, stream=1), ask(ONE, reads=Reads.LIST, count=3)))
    assert coalesce_samples(before, CONTEXT) is before


# short_circuit_single


MAYBE = typed(Vote(by="text"), [SEVERAL], label="vote")


@pytest.mark.parametrize(
    ("output", "left"),
    [
        (ask(ONE, reads=Reads.ORDER), ONE),
        (ask(MAYBE, reads=Reads.ORDER), MAYBE),
        (ask(ONE, single=Single.KEEP, n=4), ONE),
        (typed(Sort(by="logprob"), [MAYBE], label="sort"), MAYBE),
        (typed(Dedupe(), [ONE], label="dedupe"), ONE),
        (typed(Filter(by="logprob", at_least=1, if_none=IfNone.KEEP), [ONE], label="filter"), ONE),
        (typed(Take(k=3), [SEVERAL], label="take"), SEVERAL),
        (plus(SEVERAL), SEVERAL),
    ],
)
def test_hands_the_pool_on(output: Node, left: Node) -> None:
    after = short_circuit_single(graph(output), CONTEXT)
    assert after.output is left
    assert after.output.type == output.type


@pytest.mark.parametrize(
    "output",
    [
        ask(SEVERAL, reads=Reads.ORDER),
        ask(ONE),
        ask(MAYBE, single=Single.KEEP),
        ask(
            ONE,
            typed(
                Ask(
                    model="m", prompt=RANK, over=Over.QUERY, reads=Reads.LIST, count=1, on_fail=OnFail(then=Action.FAIL)
                ),
                [QUERY],
                label="tests",
            ),
            single=Single.KEEP,
            variables=("tests",),
        ),
        typed(Filter(by="logprob", at_least=1), [ONE], label="filter"),
        typed(Sort(by="logprob"), [SEVERAL], label="sort"),
        typed(Take(k=2), [SEVERAL], label="take"),
        typed(Vote(by="text"), [ONE], label="vote"),
    ],
)
def test_leaves_what_has_an_effect(output: Node) -> None:
    before = graph(output)
    assert short_circuit_single(before, CONTEXT) is before


# All together


def test_passes_feed_each_other() -> None:
    """The rank of one goes, so its critique is dead; the join of one goes, so two sorts are one."""
    ranked = ask(critique(QUERY, generate(1, stream=1)), prompt=RANK, reads=Reads.ORDER)
    left, right = (typed(Sort(by="logprob"), [pool], label="sort") for pool in (plus(SEVERAL), SEVERAL))
    output = ask(plus(ranked, left, right))
    assert text(optimise(graph(output), check=True)) == [
        "query() : chat",
        "generate(0) n=1 : 1",
        "generate(0) n=3 joined : 3",
        "sort(2) : 3",
        "+(1,3,3) : 7",
        "ask(0,4) n=1 : 1",
    ]


def test_archon_keeps_all_its_calls() -> None:
    after = optimise(archon(), check=True)
    assert [node.label for node in after] == [
        "query", "generate", "generate", "+", "critique", "rank", "take", "fuse", "verify",
    ]  # fmt: skip
    assert optimise(after) is after
    assert optimise(layered(), check=True).output.type == layered().output.type
