"""Trees of candidates: `Choose` and `Grow`. What the policies compute stands at `TreePolicy`.

Invariants: a tree is read anew each time, from `parent` and the scores alone, so nothing is kept between two choices; a
`parent` that is no earlier place makes its candidate a root, so no tree goes in circles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import fsum, inf, log, sqrt
from random import Random
from typing import assert_never

from pnyx.compiler.operators import Choose, Grow, TreePolicy
from pnyx.runtime.candidates import Candidate, Pool
from pnyx.runtime.operators.numbers import number, real, total
from pnyx.runtime.operators.step import Begin, Scope, Step

__all__ = ["prepare_choose", "prepare_grow"]

_BASE = 19652
"""Of AlphaZero: so many visits make exploration grow."""

# The prior of AB-MCTS-A with Gaussian rewards, a normal-inverse-chi-squared: mean, its weight, degrees, variance.
_MEAN, _KAPPA, _NU, _VARIANCE = 0.0, 1.0, 1.0, 0.1
_LARGEST = 1e100
"""Of a score there, so that squares are finite."""
_TINY = 1e-300


def prepare_grow(_: Step[Grow]) -> Begin:
    def begin(_: Scope, values: tuple[Pool, Pool, Pool]) -> Pool:
        tree, children, node = values
        place = next((i for i, candidate in enumerate(tree) if node and candidate.key == node[0].key), None)
        if place is None:
            return (*tree, *(child.without("parent") for child in children))
        return (*tree, *(child.having("parent", place) for child in children))

    return begin


def prepare_choose(step: Step[Choose]) -> Begin:
    choose = step.operator

    def begin(scope: Scope, values: tuple[Pool]) -> Pool:
        tree = _Tree(choose, values[0])
        if not tree.under(None):
            return ()
        match choose.policy:
            case TreePolicy.UCT:
                place: int | None = tree.descend(tree.uct)
            case TreePolicy.PUCT:
                place = tree.descend(tree.puct)
            case TreePolicy.BEST_FIRST:
                place = tree.best_leaf(tree.score_of)
            case TreePolicy.LEVIN:
                place = tree.best_leaf(tree.levin)
            case TreePolicy.THOMPSON:
                place = _thompson(tree, Random(scope.seed_for(step)))
            case _:
                assert_never(choose.policy)
        return () if place is None else (values[0][place],)

    return begin


class _Tree:
    """`scores` are those of the candidates, None where absent. Of the subtree of each: `visits`, how many candidates it
    has, and `below`, their scores, its own first. `open`: whether anything in it can go on."""

    __slots__ = ("_c", "_priors", "below", "children", "open", "parents", "roots", "scores", "visits")

    def __init__(self, choose: Choose, pool: Pool) -> None:
        self._c, prior, done = choose.c, choose.prior, choose.done
        self.scores = [_real(candidate, choose.by) for candidate in pool]
        self._priors = [1.0 if prior is None else _real(candidate, prior) or 0.0 for candidate in pool]
        self.parents = [_parent(candidate, place) for place, candidate in enumerate(pool)]
        self.roots = [place for place, parent in enumerate(self.parents) if parent is None]
        self.children: list[list[int]] = [[] for _ in pool]
        for place, parent in enumerate(self.parents):
            if parent is not None:
                self.children[parent].append(place)
        self.visits = [1] * len(pool)
        self.below = [[] if score is None else [score] for score in self.scores]
        self.open = [done is None or not candidate.fields.get(done, False) for candidate in pool]
        # Children stand behind their parents, so going backwards every subtree is whole when its root is reached.
        for place in reversed(range(len(pool))):
            children, parent = self.children[place], self.parents[place]
            self.open[place] &= not children or any(self.open[child] for child in children)
            if parent is not None:
                self.visits[parent] += self.visits[place]
                self.below[parent] += self.below[place]

    def under(self, place: int | None) -> list[int]:
        """The children of a node that are open; the roots hang from None."""
        return [child for child in (self.roots if place is None else self.children[place]) if self.open[child]]

    def descend(self, value: Callable[[int, int], float]) -> int:
        """Down to a node without children, each time to the first of the children with the greatest value."""
        place = self._greatest(self.roots, len(self.parents), value)
        while self.children[place]:
            place = self._greatest(self.children[place], self.visits[place], value)
        return place

    def _greatest(self, places: Sequence[int], visits: int, value: Callable[[int, int], float]) -> int:
        return max((place for place in places if self.open[place]), key=lambda place: value(place, visits))

    def uct(self, place: int, above: int) -> float:
        return self._mean(place) + self._c * sqrt(log(above) / self.visits[place])

    def puct(self, place: int, above: int) -> float:
        rate = self._c + log((above + _BASE + 1) / _BASE)
        return self._mean(place) + self._priors[place] * rate * sqrt(above) / (1 + self.visits[place])

    def _mean(self, place: int) -> float:
        scores = self.below[place]
        return total(scores) / len(scores) if scores else -inf

    def best_leaf(self, value: Callable[[int], float]) -> int:
        leaves = (place for place, children in enumerate(self.children) if self.open[place] and not children)
        return max(leaves, key=value)

    def score_of(self, place: int) -> float:
        score = self.scores[place]
        return -inf if score is None else score

    def levin(self, place: int) -> float:
        """-log(depth / π), which is greatest where depth / π is least; in logarithms, since π soon underflows."""
        depth, likely = 0, 0.0
        at: int | None = place
        while at is not None:
            score = self.scores[at]
            likely += log(min(score, 1.0)) if score is not None and score > 0 else -inf
            depth, at = depth + 1, self.parents[at]
        return likely - log(depth)


def _thompson(tree: _Tree, random: Random) -> int | None:
    """Down the tree as long as going down is drawn higher than widening; None to widen at the root of all.

    Widening a node has brought the scores of its children, going down all those below them; a child has brought those
    of its subtree. A node without children is widened.
    """
    place: int | None = None
    children = tree.roots
    while children:
        own = [score for child in children if (score := tree.scores[child]) is not None]
        deeper = [s for child in children for s in tree.below[child][tree.scores[child] is not None :]]
        if _drawn(own, random) >= _drawn(deeper, random):
            break
        draws = {child: _drawn(tree.below[child], random) for child in tree.under(place)}
        place = max(draws, key=draws.__getitem__)
        children = tree.children[place]
    return place


def _drawn(scores: Sequence[float], random: Random) -> float:
    """A mean, drawn from what is believed of it after these scores."""
    n = len(scores)
    known = [min(max(score, -_LARGEST), _LARGEST) for score in scores]
    mean = fsum(known) / n if n else 0.0
    squares = fsum((score - mean) ** 2 for score in known)
    kappa, nu = _KAPPA + n, _NU + n
    center = (_KAPPA * _MEAN + n * mean) / kappa
    scaled = _NU * _VARIANCE + squares + n * _KAPPA * (_MEAN - mean) ** 2 / kappa
    variance = scaled / 2 / max(random.gammavariate(nu / 2, 1.0), _TINY)
    return random.gauss(center, sqrt(variance / kappa))


def _real(candidate: Candidate, name: str) -> float | None:
    value = number(candidate, name)
    return None if value is None else real(value)


def _parent(candidate: Candidate, place: int) -> int | None:
    parent = candidate.fields.get("parent")
    return parent if isinstance(parent, int) and not isinstance(parent, bool) and 0 <= parent < place else None
