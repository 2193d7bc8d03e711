"""Trees: what each policy chooses, held against values worked out by hand, and how they grow."""

from __future__ import annotations

from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pnyx.compiler.operators import Choose, Grow, TreePolicy
from pnyx.runtime.candidates import Candidate, FieldValue, Pool
from pnyx.runtime.operators import IMPLEMENTATIONS, Example, Scope, Step
from pnyx.runtime.question import checked


def node(name: int | str, score: float | None, parent: int | None = None, **more: FieldValue) -> Candidate:
    fields = {"text": str(name), "score": score, "parent": parent, **more}
    return Candidate(f"c{name}", MappingProxyType({k: v for k, v in fields.items() if v is not None}))


def scope(path: str = "", seed: int = 0) -> Scope:
    return Scope(Example(checked("Q?"), seed), path, ())


def chosen(tree: Pool, policy: TreePolicy, where: Scope | None = None, **more: object) -> str | None:
    """The text of the node that goes on; None where a new root is due."""
    step = Step(1, Choose(policy=policy, **more), (), "s", "choose", None)  # type: ignore[arg-type]
    found = IMPLEMENTATIONS[Choose](step)(where or scope(), (tree,))
    assert isinstance(found, tuple)
    assert len(found) <= 1
    assert all(any(candidate is c for c in tree) for candidate in found)
    return found[0].text if found else None  # type: ignore[union-attr]


def grown(tree: Pool, children: Pool, parent: Pool) -> Pool:
    return IMPLEMENTATIONS[Grow](Step(1, Grow(), (), "s", "grow", None))(scope(), (tree, children, parent))  # type: ignore[return-value]


TREE = (node(0, 0.5), node(1, 0.8), node(2, 0.2, 1), node(3, 0.9, 1))
"""Two roots. The second has a subtree of three, of the mean 1.9 / 3."""


@pytest.mark.parametrize(("c", "expected"), [(0.0, "3"), (0.267, "3"), (0.269, "0"), (1.0, "0")])
def test_uct_is_the_mean_of_the_subtree_and_the_bonus_of_the_little_visited(c: float, expected: str) -> None:
    """1/2 + c √(ln 4 / 1) passes 1.9/3 + c √(ln 4 / 3) where c is 0.26794."""
    assert chosen(TREE, TreePolicy.UCT, c=c) == expected


@pytest.mark.parametrize(("c", "expected"), [(0.0, "3"), (0.2663, "3"), (0.2665, "0")])
def test_puct_is_that_of_alphazero(c: float, expected: str) -> None:
    """With every prior 1, 1/2 + r 2/2 passes 1.9/3 + r 2/4 where r = c + ln(19657 / 19652) is 4/15: c is 0.26641."""
    assert chosen(TREE, TreePolicy.PUCT, c=c) == expected


@pytest.mark.parametrize(("priors", "expected"), [((0.1, 1.0), "3"), ((1.0, 0.1), "0"), ((None, 0.1), "3")])
def test_puct_weighs_its_bonus_with_the_prior(priors: tuple[float | None, float], expected: str) -> None:
    tree = (node(0, 0.5, prior=priors[0]), node(1, 0.8, prior=priors[1]), *TREE[2:])  # type: ignore[arg-type]
    assert chosen(tree, TreePolicy.PUCT, prior="prior") == expected


def test_best_first_is_the_best_leaf_anywhere() -> None:
    assert chosen(TREE, TreePolicy.BEST_FIRST) == "3"
    assert chosen(TREE[:3], TreePolicy.BEST_FIRST) == "0"


@pytest.mark.parametrize(("score", "expected"), [(0.5, "0"), (0.37, "0"), (0.35, "3"), (0.0, "3")])
def test_levin_is_the_least_depth_over_the_product_of_the_scores(score: float, expected: str) -> None:
    """1 / score passes 2 / (0.8 · 0.9) = 2.78 at a score of 0.36."""
    assert chosen((node(0, score), *TREE[1:]), TreePolicy.LEVIN) == expected


def test_levin_does_not_underflow() -> None:
    low = tuple(node(f"low{i}", 1e-5, None if i == 0 else i - 1) for i in range(301))
    high = tuple(node(f"high{i}", 2e-5, None if i == 0 else i + 300) for i in range(301))
    assert chosen((*low, *high), TreePolicy.LEVIN) == high[-1].text


EXACT = [p for p in TreePolicy if p is not TreePolicy.THOMPSON]


@pytest.mark.parametrize("policy", TreePolicy)
def test_of_no_nodes_a_new_root_is_due(policy: TreePolicy) -> None:
    assert chosen((), policy) is None


@pytest.mark.parametrize("policy", EXACT)
def test_equals_are_told_apart_by_their_places(policy: TreePolicy) -> None:
    assert chosen((node(0, 0.5), node(1, 0.5), node(2, 0.5)), policy) == "0"


@pytest.mark.parametrize("policy", EXACT)
def test_a_node_without_a_score_comes_last(policy: TreePolicy) -> None:
    assert chosen((node(0, None), node(1, -3.0)), policy) == "1" if policy is not TreePolicy.LEVIN else "0"
    assert chosen((node(0, None),), policy) == "0"


@pytest.mark.parametrize("policy", EXACT)
def test_what_is_done_does_not_go_on(policy: TreePolicy) -> None:
    """The best leaf is done, and so is the whole subtree where both leaves are."""
    tree = (node(0, 0.1), node(1, 0.9), node(2, 0.2, 1, done=False), node(3, 0.9, 1, done=True))
    assert chosen(tree, policy, done="done", c=0.0) in ("0", "2")
    assert chosen((*tree[:2], node(2, 0.9, 1, done=True), tree[3]), policy, done="done") == "0"
    assert chosen((node(0, 0.9, done=True),), policy, done="done") is None


def test_thompson_does_not_go_down_to_what_is_done() -> None:
    tree = (node(0, 0.9, done=True), node(1, 0.8))
    found = {chosen(tree, TreePolicy.THOMPSON, scope(seed=seed), done="done") for seed in range(40)}
    assert found == {None, "1"}
    assert chosen(tree[:1], TreePolicy.THOMPSON, done="done") is None


def test_a_parent_that_is_none_makes_a_root() -> None:
    for parent in (1, 5, -1, True, "0"):
        tree = (node(0, 0.5), node(1, 0.6, parent))  # type: ignore[arg-type]
        assert chosen(tree, TreePolicy.UCT, c=0.0) == "1"
        assert chosen((tree[1], node(2, 0.1, 0)), TreePolicy.UCT, c=0.0) == "2"


def test_thompson_draws_by_the_seed_and_the_round() -> None:
    drawn = [chosen(TREE, TreePolicy.THOMPSON, scope(str(r), seed)) for r in range(20) for seed in range(5)]
    again = [chosen(TREE, TreePolicy.THOMPSON, scope(str(r), seed)) for r in range(20) for seed in range(5)]
    assert drawn == again
    assert {None, "0", "2", "3"} <= set(drawn)


def ab_mcts(child_of: dict[float | None, float], size: int = 64) -> tuple[float, float]:
    """Roots, and the greatest depth, of trees of so many nodes; means over 20 seeds. A node's score comes from that of
    its parent."""
    roots = depths = 0
    for seed in range(20):
        tree: Pool = ()
        for i in range(size):
            at = chosen(tree, TreePolicy.THOMPSON, scope(f"r{i}", seed))
            parent = () if at is None else (tree[int(at)],)
            score = child_of[parent[0]["score"] if parent else None]  # type: ignore[index]
            tree = grown(tree, (node(i, score),), parent)
        depth: list[int] = []
        for candidate in tree:
            above = candidate.fields.get("parent")
            depth.append(1 if above is None else depth[above] + 1)  # type: ignore[index]
        roots += sum("parent" not in c.fields for c in tree)
        depths += max(depth)
    return roots / 20, depths / 20


def test_thompson_makes_the_trees_of_the_authors_code() -> None:
    """The published implementation gives, over 20 seeds of 64 nodes, 41 roots and a depth of 2.7 where every score is
    1/2, and 60.6 and 2.0 where a child is 0.3 worse than its parent."""
    roots, depth = ab_mcts({None: 0.5, 0.5: 0.5})
    assert roots == pytest.approx(41, abs=6)
    assert depth == pytest.approx(2.7, abs=0.5)
    roots, depth = ab_mcts({None: 0.5, 0.5: 0.2, 0.2: 0.0, 0.0: 0.0})
    assert roots == pytest.approx(60.6, abs=3)
    assert depth == pytest.approx(2.0, abs=0.3)


def test_thompson_goes_deeper_where_children_are_better() -> None:
    steps = [0.3, 0.5, 0.7, 0.9, 1.0]
    better = {None: 0.3, **dict(zip(steps, [*steps[1:], 1.0], strict=True))}
    roots, depth = ab_mcts(better)
    assert roots < 12
    assert depth > 4


def test_children_stand_behind_the_tree_and_know_their_parent() -> None:
    tree = grown(TREE, (node("x", 0.1, 7), node("y", 0.2)), (TREE[3],))
    assert [c.text for c in tree] == ["0", "1", "2", "3", "x", "y"]
    assert [c.fields.get("parent") for c in tree] == [None, None, 1, 1, 3, 3]


def test_children_of_nobody_are_roots() -> None:
    for parent in ((), (node("stranger", 0.5),)):
        tree = grown(TREE[:2], (node("x", 0.1, 1),), parent)
        assert "parent" not in tree[2].fields
    assert grown(TREE, (), (TREE[0],)) == TREE


def test_a_node_is_known_by_who_it_is_not_by_what_it_says() -> None:
    tree = (node(0, 0.5), Candidate("other", node(0, 0.5).fields))
    annotated = tree[1].having("critique", "long")
    assert grown(tree, (node("x", 0.1),), (annotated,))[2]["parent"] == 1


_scores = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63)


@given(
    st.lists(st.tuples(_scores, st.integers(-1, 8), st.booleans()), max_size=9),
    st.sampled_from(TreePolicy),
    st.floats(0, 1000),
    st.integers(0, 99),
)
def test_whatever_the_tree_one_node_that_can_go_on_is_chosen(
    nodes: list[tuple[float | None, int, bool]], policy: TreePolicy, c: float, seed: int
) -> None:
    tree = tuple(node(i, score, parent, done=done) for i, (score, parent, done) in enumerate(nodes))
    name = chosen(tree, policy, scope(seed=seed), c=c, done="done")
    if name is not None:
        assert tree[int(name)]["done"] is False
    elif policy is not TreePolicy.THOMPSON:
        assert not any(_open(tree, i) for i in range(len(tree)))


def _open(tree: Pool, place: int) -> bool:
    """Whether a leaf can go on, as can all above it."""
    if any(c.fields.get("parent") == place and i > place for i, c in enumerate(tree)):
        return False
    at: int | None = place
    while at is not None:
        if tree[at]["done"]:
            return False
        parent = tree[at].fields.get("parent")
        at = parent if isinstance(parent, int) and 0 <= parent < at else None
    return True
