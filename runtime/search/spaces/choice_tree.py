"""The choices of a pipeline as a tree: which one is met next, once those before it are closed.

Invariants
- What a program meets next is a function of the choices that it has met and how they are closed, so one elaboration
  adds a whole path, and a path that is known needs none.
- A path is canonical: it holds the choices that are met, in that order, and the option that each takes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from math import prod
from random import Random

from pnyx.compiler.elaborate.choices import Choice
from pnyx.compiler.program import Closed, Program
from pnyx.runtime.search.space import Point

__all__ = ["ChoiceTree"]

_WALKED = 1000
"""Paths that are walked to find the choices of a pipeline; what has more of them is looked at option by option."""
_MOST_LOOKS = 2000
_DRAWN = 200
_MOST_NODES = 200_000
"""What the tree keeps, about 100 MB; then it begins anew."""
_KEPT_CLOSED = 1024


@dataclass(slots=True)
class _Node:
    """A choice in its context; None: there is no further one."""

    choice: Choice | None
    below: dict[int, _Node] = field(default_factory=dict)


class ChoiceTree:
    """`choices` are all that were found, each with the most options that it has anywhere; `size` is None where there
    are more paths than were walked."""

    def __init__(self, program: Program, pipeline: str) -> None:
        self.pipeline = pipeline
        self.size: int | None = None
        self._program = program
        self._root: _Node | None = None
        self._nodes = 0
        self._found: dict[str, Choice] = {}
        self._closed: dict[Point, Closed] = {}
        self._explore()

    @property
    def choices(self) -> tuple[Choice, ...]:
        return tuple(self._found.values())

    def path(self, wanted: Mapping[str, int]) -> Point:
        """The canonical path of these options. What is not wanted takes its default."""
        taken: list[tuple[str, int]] = []
        node = self._root
        while node is not None and node.choice is not None:
            choice = node.choice
            # As the elaborator does: an index beyond the options here is the last.
            index = min(max(wanted.get(choice.name, choice.default), 0), len(choice.options) - 1)
            taken.append((choice.name, index))
            node = node.below.get(index)
        return tuple(taken) if node is not None else self._look({**wanted, **dict(taken)})

    def close(self, path: Point) -> Closed:
        """The pipeline with its choices closed along a canonical path. One that was found just now is there already,
        and is given once."""
        known = self._closed.pop(path, None)
        return known if known is not None else self._program.close(self.pipeline, dict(path))

    def met(self, path: Point) -> tuple[Choice, ...]:
        """The choices of a canonical path."""
        self.path(dict(path))  # so that the tree has it
        met, node = [], self._root
        for _, index in path:
            assert node is not None
            assert node.choice is not None
            met.append(replace(node.choice, chosen=index))
            node = node.below[index]
        return tuple(met)

    def paths(self) -> Iterator[Point]:
        """Every path once, in the order of the options, lazily."""
        return self._paths(())

    def draw(self, random: Random) -> tuple[Point, float]:
        """A path, each option drawn uniformly where it is met, and one over its probability, whose mean is the number
        of paths (Knuth, 1975)."""
        wanted = {choice.name: random.randrange(len(choice.options)) for choice in self.choices}
        while True:
            path = self.path(wanted)
            met = self.met(path)
            other = next((c for c in met if wanted.get(c.name, len(c.options)) >= len(c.options)), None)
            if other is None:
                return path, float(prod(len(choice.options) for choice in met))
            wanted[other.name] = random.randrange(len(other.options))

    # Inside

    def _paths(self, prefix: Point) -> Iterator[Point]:
        self.path(dict(prefix))
        node = self._root
        for _, index in prefix:
            assert node is not None
            node = node.below[index]
        assert node is not None
        if node.choice is None:
            yield prefix
            return
        for index in range(len(node.choice.options)):
            yield from self._paths((*prefix, (node.choice.name, index)))

    def _look(self, wanted: Mapping[str, int]) -> Point:
        """Elaborates once, and adds the path."""
        closed = self._program.close(self.pipeline, wanted)
        met = closed.choices
        if self._root is None or self._nodes > _MOST_NODES:
            self._root, self._nodes = _Node(met[0] if met else None), 1
        node = self._root
        for position, choice in enumerate(met):
            known = self._found.get(choice.name)
            if known is None or len(choice.options) > len(known.options):
                self._found[choice.name] = choice
            following = met[position + 1] if position + 1 < len(met) else None
            if choice.chosen not in node.below:
                node.below[choice.chosen] = _Node(following)
                self._nodes += 1
            node = node.below[choice.chosen]
        path = tuple((choice.name, choice.chosen) for choice in met)
        self._closed[path] = closed
        if len(self._closed) > _KEPT_CLOSED:
            del self._closed[next(iter(self._closed))]
        return path

    def _explore(self) -> None:
        """Finds the choices: by walking every path, or else every option of every choice, breadth first, and what
        random paths meet besides."""
        self._look({})
        walked = sum(1 for _ in islice(self.paths(), _WALKED + 1))
        if walked <= _WALKED:
            self.size = walked
        else:
            self._search_breadth_first()
        self._closed.clear()

    def _search_breadth_first(self) -> None:
        waiting: deque[dict[str, int]] = deque([{}])
        seen: set[str] = set()
        looks = 0
        while waiting and looks < _MOST_LOOKS:
            closed = waiting.popleft()
            for choice in self.met(self.path(closed)):
                if choice.name in seen:
                    continue
                seen.add(choice.name)
                for index in range(len(choice.options)):
                    looks += 1
                    waiting.append(closed | {choice.name: index})
                    self.path(waiting[-1])
        random = Random(0)
        for _ in range(_DRAWN):
            self.draw(random)
