"""Hypothesis strategies: one section for each kind of thing."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from pnyx.compiler import syntax as s
from pnyx.compiler.graph import Graph, Node
from pnyx.compiler.operators import (
    Action,
    AnswerKind,
    Ask,
    Choose,
    Concat,
    Dedupe,
    Extract,
    Filter,
    Group,
    Grow,
    IfNone,
    Input,
    Loglik,
    OnFail,
    Operator,
    Over,
    PromptText,
    Reads,
    Sample,
    Sampling,
    Single,
    Sort,
    Take,
    TreePolicy,
    Vote,
)
from pnyx.compiler.passes.context import typed
from pnyx.compiler.source import Source, Span
from pnyx.compiler.types import Pool

__all__ = ["graphs", "modules"]

# Graphs ------------------------------------------------------------------------------------------

_SHOW_EACH = "{{ query }}\n{{ candidate.text }}"
_SHOW_ALL = "{{ query }}\n{% for c in candidates %}[{{ loop.index }}] {{ c.text }}\n{% endfor %}"
_EACH_PROMPTS = (
    PromptText(name="judge", params=("query", "candidate"), user=_SHOW_EACH),
    PromptText(
        name="judge_critique",
        params=("query", "candidate"),
        system="You judge.",
        user=_SHOW_EACH + "{% if candidate.critique %}\nCritique: {{ candidate.critique }}{% endif %}",
    ),
)
_ALL_PROMPTS = (
    PromptText(name="all", params=("query", "candidates"), user=_SHOW_ALL),
    PromptText(
        name="all_critiques",
        params=("query", "candidates"),
        user=_SHOW_ALL + "{% for c in candidates %}{{ c.critique | default('-') }} {{ c.answer }}\n{% endfor %}",
    ),
    PromptText(name="dump", params=("candidates",), user="{{ candidates | tojson }}"),
)
_TESTS_PROMPT = PromptText(
    name="try",
    params=("query", "candidate", "tests"),
    user=_SHOW_EACH + "{% for t in tests %}\n- {{ t.text }}{% endfor %}",
)
_OTHERS_PROMPT = PromptText(
    name="others",
    params=("query", "candidates", "others"),
    user=_SHOW_ALL + "{% for o in others %}\n- {{ o.text }} {{ o.score }}{% endfor %}",
)
_TWO_PROMPT = PromptText(
    name="two", params=("query", "a", "b"), user="{{ query }}\n{{ a.text }} {{ a.critique }}\n{{ b.text }}"
)
_QUERY_PROMPT = PromptText(name="list", params=("query",), user="{{ query }}\nList tests.")

_models = st.sampled_from(("small", "judge"))
_samplings = st.sampled_from((Sampling(max_tokens=64), Sampling(temperature=0.0, max_tokens=16)))
_policies = st.builds(OnFail, retries=st.integers(0, 2), then=st.sampled_from(Action))
_kept = st.builds(OnFail, retries=st.integers(0, 1))
_counts = st.integers(1, 4)


def _each_operators(over: Pool) -> st.SearchStrategy[Operator]:
    into = st.sampled_from(
        (
            ("critique", Reads.TEXT),
            ("critique", Reads.TEXT),
            ("verdict", Reads.VERDICT),
            ("score", Reads.GRADE),
            ("score", Reads.YES),
        )
    )
    fields = st.builds(
        lambda pair, model, prompt, sampling, policy: Ask(
            model=model, prompt=prompt, over=Over.EACH, into=pair[0], reads=pair[1], sampling=sampling, on_fail=policy
        ),
        into, _models, st.sampled_from(_EACH_PROMPTS), _samplings, st.one_of(_kept, _policies),
    )  # fmt: skip
    if over.size.high > 8:
        return fields
    fresh = st.builds(
        Ask,
        model=_models, prompt=st.sampled_from(_EACH_PROMPTS), over=st.just(Over.EACH), sampling=_samplings,
        n=st.integers(1, 2),
    )  # fmt: skip
    return st.one_of(fields, fields, fresh)


def _all_operators() -> st.SearchStrategy[Operator]:
    common = {"model": _models, "prompt": st.sampled_from(_ALL_PROMPTS), "over": st.just(Over.ALL)}
    fuse = st.builds(Ask, **common, sampling=_samplings, n=_counts, single=st.sampled_from(Single))
    order = st.builds(Ask, **common, reads=st.just(Reads.ORDER), on_fail=_policies)
    listing = st.builds(Ask, **common, reads=st.just(Reads.LIST), count=_counts, on_fail=_policies)
    return st.one_of(fuse, order, fuse, listing, _two_operators())


def _two_operators() -> st.SearchStrategy[Operator]:
    common = {"model": _models, "prompt": st.just(_TWO_PROMPT), "reads": st.just(Reads.WINNER), "on_fail": _policies}
    neighbours = st.builds(Ask, **common, over=st.just(Over.NEIGHBOURS))
    pairs = st.builds(Ask, **common, over=st.just(Over.PAIRS), into=st.just("score"))
    return st.one_of(neighbours, pairs, st.builds(Loglik, model=_models, into=st.just("score")))


def _pure_operators(over: Pool) -> st.SearchStrategy[Operator]:
    options: list[st.SearchStrategy[Operator]] = [
        st.builds(Take, k=_counts),
        st.builds(Dedupe),
        st.builds(Extract, answer=st.sampled_from((AnswerKind.NUMBER, AnswerKind.LINE))),
    ]
    if "logprob" in over.fields:
        options.append(st.builds(Sort, by=st.just("logprob"), ascending=st.booleans()))
    if "answer" in over.fields:
        weights = (None, *({"logprob", "score"} & over.fields))
        options.append(st.builds(Group, weight=st.sampled_from(sorted(weights, key=str))))
        options.append(st.builds(Vote, weight=st.sampled_from(sorted(weights, key=str))))
    if "score" in over.fields:
        options.append(st.builds(Sort))
        options.append(st.builds(Choose, policy=st.sampled_from(TreePolicy)))
        options.append(st.builds(Filter, by=st.just("score"), at_least=st.just(5.0), if_none=st.sampled_from(IfNone)))
    if "verdict" in over.fields:
        options.append(st.builds(Filter, if_none=st.sampled_from(IfNone)))
    return st.one_of(options)


@st.composite
def graphs(draw: st.DrawFn, *, most_nodes: int = 10) -> Graph:
    """Valid graphs as the elaborator could make them, with shared streams, repeated work and work on one candidate.

    The models are `small` and `judge`; pools stay under 64 candidates.
    """
    query = typed(Input(), [], label="query")

    def sampled(n: int) -> Node:
        return typed(Sample(model=draw(_models), n=n, stream=draw(st.integers(0, 1))), [query], label="generate")

    pools = [sampled(draw(_counts))]
    for step in range(draw(st.integers(1, most_nodes))):
        made = _grow(draw, query, pools, sampled, f"step{step}")
        if isinstance(made.type, Pool) and made.type.size.high <= 64:
            pools.append(made)
    return Graph((query,), (pools[-1],))


def _grow(draw: st.DrawFn, query: Node, pools: list[Node], sampled: Callable[[int], Node], label: str) -> Node:
    pool = draw(st.sampled_from(pools[-3:]))
    assert isinstance(pool.type, Pool)
    kinds = ("each", "each", "all", "pure", "pure", "concat", "sample", "tests", "others", "tree")
    match draw(st.sampled_from(kinds)):
        case "each":
            return typed(draw(_each_operators(pool.type)), [query, pool], label=label)
        case "all":
            return typed(draw(_all_operators()), [query, pool], label=label)
        case "pure":
            return typed(draw(_pure_operators(pool.type)), [pool], label=label)
        case "concat":
            others = draw(st.lists(st.sampled_from(pools), max_size=2))
            return typed(Concat(), [pool, *others], label=label)
        case "sample":
            return typed(Concat(), [pool, sampled(draw(_counts))], label=label)
        case "tree":
            parent = typed(Take(k=1), [pool], label=f"{label}.node")
            return typed(Grow(), [pool, draw(st.sampled_from(pools)), parent], label=label)
        case "others":
            order, single = draw(st.booleans()), draw(st.sampled_from(Single))
            asked = Ask(
                model="judge", prompt=_OTHERS_PROMPT, over=Over.ALL, reads=Reads.ORDER if order else Reads.TEXT,
                variables=("others",), single=single, on_fail=draw(_kept),
            )  # fmt: skip
            return typed(asked, [query, pool, draw(st.sampled_from(pools))], label=label)
        case _:
            listing = Ask(
                model="judge", prompt=_QUERY_PROMPT, over=Over.QUERY, reads=Reads.LIST, count=3, on_fail=draw(_policies)
            )
            tests = typed(listing, [query], label="tests")
            tried = Ask(
                model="judge", prompt=_TESTS_PROMPT, over=Over.EACH, into="passes", reads=Reads.PASSES,
                variables=("tests",), on_fail=draw(st.one_of(_kept, _policies)),
            )  # fmt: skip
            return typed(tried, [query, pool, tests], label=label)


# Syntax trees ------------------------------------------------------------------------------------

_NOWHERE = Span(Source("<generated>", ""), 0, 0)
_WORDS = ("a", "bc", "query", "model", "prompt", "search", "max", "default", "_x", "Chat", "op2", "keep", "all")
_TYPES = ("Chat", "Pool", "Int", "List", "Op")
_BINARY = ("+", "-", "*", "/", "//", "%", "==", "!=", "<", "<=", ">", ">=", "and", "or")
_LETTERS = st.characters(codec="utf-8")
_NUMBERS = st.one_of(
    st.integers(0, 2**63 - 1),
    st.sampled_from([0, 1, 2_000, 3_000_000, 5_000_000_000]),
    st.floats(min_value=0, allow_nan=False, allow_infinity=False),
)


def _node(node: Callable[..., object], /, **parts: st.SearchStrategy[object]) -> st.SearchStrategy:
    return st.builds(node, span=st.just(_NOWHERE), **parts)


def _tuples(items: st.SearchStrategy, least: int = 0, most: int = 3) -> st.SearchStrategy:
    return st.lists(items, min_size=least, max_size=most).map(tuple)


def _named(**parts: st.SearchStrategy) -> dict[str, st.SearchStrategy]:
    return {"name": _names, "name_span": st.just(_NOWHERE), **parts}


_names = st.sampled_from(_WORDS)
_texts = _node(
    s.Text,
    value=st.one_of(
        st.text(_LETTERS, max_size=20),
        st.lists(st.sampled_from(["", "a", "  b", '"', '""', "\\boxed{1}", "{{ c }}", "\t"]), max_size=5).map(
            "\n".join
        ),
    ),
    triple=st.booleans(),
)
_atoms = st.one_of(
    _node(s.Name, name=_names),
    _node(s.Number, value=_NUMBERS, unit=st.sampled_from([None, None, "s", "m", "h", "$"])),
    _texts,
    _node(s.Bool, value=st.booleans()),
    _node(s.NoneValue),
    _node(s.Placeholder),
)


_quantities = _node(s.Number, value=_NUMBERS, unit=st.sampled_from(["tokens", "calls"]))
_limits = _node(s.Number, value=_NUMBERS, unit=st.sampled_from([None, "tokens", "calls", "s", "m", "h", "$"]))


def _arguments(value: st.SearchStrategy) -> st.SearchStrategy:
    return _node(s.Argument, name=st.one_of(st.none(), _names), value=value)


def _blocks(value: st.SearchStrategy) -> st.SearchStrategy:
    block = st.deferred(lambda: _node(s.Block, statements=_tuples(statement, most=2)))
    statement = st.one_of(
        _node(s.Assign, **_named(value=value)),
        _node(s.Discard, value=value),
        _node(s.Repeat, count=value, body=block),
        _node(s.For, **_named(items=value, body=block)),
        _node(s.Loop, most=value, until=st.one_of(st.none(), value), body=block),
    )
    return block


def _larger(value: st.SearchStrategy) -> st.SearchStrategy:
    block = _blocks(value)
    orelse = st.one_of(st.none(), block, _node(s.If, condition=value, then=block, orelse=st.one_of(st.none(), block)))
    return st.one_of(
        _node(s.ListExpr, items=_tuples(st.one_of(value, _quantities))),
        _node(s.Range, low=value, high=value),
        _node(s.Call, callee=value, arguments=_tuples(_arguments(value), most=4)),
        _node(s.Tune, options=_tuples(value), default=st.one_of(st.none(), value)),
        _node(s.Policy, retries=value, action=_names, action_span=st.just(_NOWHERE)),
        _node(s.Pipe, source=value, stage=value),
        _node(s.Binary, operator=st.sampled_from(_BINARY), left=value, right=value),
        _node(s.Unary, operator=st.sampled_from(("-", "not")), operand=value),
        _node(s.Field, **_named(value=value)),
        _node(s.If, condition=value, then=block, orelse=orelse),
        _node(s.Match, value=value, arms=_tuples(_node(s.MatchArm, pattern=value, value=st.one_of(value, block)))),
        _node(s.Each, **_named(body=block)),
        _node(s.Otherwise, value=_node(s.Pipe, source=value, stage=value), fallback=st.one_of(value, block)),
    )


_expressions = st.recursive(_atoms, _larger, max_leaves=12)
_sizes = st.one_of(
    st.none(),
    st.tuples(st.integers(0, 9), st.none()),
    st.tuples(st.integers(0, 9), st.integers(0, 9)).map(lambda pair: (min(pair), max(pair))),
)
_simple_types = _node(
    s.TypeExpr,
    name=st.sampled_from(_TYPES),
    size=_sizes,
    fields=st.one_of(st.none(), _tuples(_names)),
    optional=st.booleans(),
)
_types = st.recursive(
    _simple_types,
    lambda inner: _node(
        s.TypeExpr, name=st.sampled_from(_TYPES), arguments=_tuples(inner, 1, 2), optional=st.booleans()
    ),
    max_leaves=4,
)
_params = _tuples(
    _node(s.Param, **_named(type=st.one_of(st.none(), _types), default=st.one_of(st.none(), _atoms, _expressions)))
)
_returns = st.one_of(st.none(), _types)
_bodies = _blocks(_expressions)
_keys = st.sampled_from(["data", "pipeline", "per query", "budget"])
_settings = _tuples(_node(s.Argument, name=_keys, value=st.one_of(_expressions, _quantities)))
_declarations = st.one_of(
    _node(s.ModelDecl, **_named(id=_texts, options=_tuples(_node(s.Argument, name=_names, value=_expressions)))),
    _node(s.PromptDecl, **_named(params=_params, user=_texts, system=st.one_of(st.none(), _texts))),
    _node(s.OpDecl, **_named(params=_params, returns=_returns, body=_bodies)),
    _node(s.PipelineDecl, **_named(params=_params, limits=_tuples(_limits), body=_bodies)),
    _node(s.LetDecl, **_named(value=_expressions)),
    _node(
        s.StateDecl,
        **_named(
            type=st.one_of(st.none(), _types),
            value=_expressions,
            options=_tuples(_node(s.Argument, name=_names, value=_expressions)),
        ),
    ),
    _node(s.Import, path=st.sampled_from(["voting", "std.voting", "moa.pnyx", "moa.yaml", "../a b.pnyx", ""])),
    _node(s.ExternDecl, **_named(params=_params, returns=_returns, target=_texts)),
    _node(s.SettingsDecl, **_named(kind=st.sampled_from(["benchmark", "search"]), settings=_settings)),
)
modules = _node(s.Module, declarations=_tuples(_declarations))
"""Modules with every form of the language. What a name means, or whether it has a meaning, is not looked at."""
