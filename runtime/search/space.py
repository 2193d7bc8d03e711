"""The space of a search: parameters, points, and what a strategy may ask about them.

Invariants
- A point is canonical: two assignments that close a program in the same way are one point, since choices that the
  program does not meet are not in it.
- What a space answers is a function of the program alone; nothing is run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

__all__ = ["Parameter", "Point", "Space", "short_names"]

Point: TypeAlias = tuple[tuple[str, int], ...]
"""The choices that are met and the index of the option that each takes, in the order in which they are met."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """`options` as people read them; `values` what they are: numbers, texts, truth values, or the option's text.

    `ordered`: they are numbers that rise, so near ones behave alike. `models`: they are models.
    """

    name: str
    options: tuple[str, ...]
    values: tuple[int | float | str | bool, ...]
    default: int
    ordered: bool = False
    models: bool = False


def short_names(parameters: Iterable[Parameter]) -> dict[str, str]:
    """The last words of each name that no other one ends with: people may say these in its place.

    >>> names = "main.generate.n", "main.generate.model", "main.rank.model"
    >>> list(short_names(Parameter(name, (), (), 0) for name in names).values())
    ['n', 'generate.model', 'rank.model']
    """
    names = [parameter.name for parameter in parameters]
    return {name: _shortest(name, names) for name in names}


def _shortest(name: str, names: Collection[str]) -> str:
    words = name.split(".")
    ends = (".".join(words[start:]) for start in range(len(words) - 1, 0, -1))
    return next((end for end in ends if sum(f".{other}".endswith(f".{end}") for other in names) == 1), name)


class Space(Protocol):
    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All that some point has, in a fixed order."""
        ...

    def point(self, wanted: Mapping[str, int]) -> Point:
        """The point of these choices. What is not wanted takes its default; what is not met is dropped."""
        ...

    def feasible(self, point: Point) -> bool:
        """Whether it can be built, and may stay within what one question may spend."""
        ...

    def cost(self, point: Point) -> float:
        """What one question is predicted to cost in the currency of the budget, if nothing is shared; above 0."""
        ...

    def marginal(self, drawn: Iterable[Point]) -> Callable[[Point], float]:
        """What a question is predicted to cost on which the points `drawn` were evaluated before, and share their
        samples; at least a small share of `cost`."""
        ...

    def points(self) -> Iterator[Point]:
        """Every feasible point once, in a fixed order, lazily."""
        ...
