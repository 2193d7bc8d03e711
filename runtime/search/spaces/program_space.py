"""The space of a program's open choices: its points are plans, its costs the cost model's.

Invariants
- Nothing is run: every answer is a function of the program, the limits, the profile and what is known of the models.
- A point that does not compile, or takes more than one question may at the very least, is not feasible, and `pruned`
  says why; a point of which that is only likely is feasible.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from pnyx.compiler.cost import Cost, Estimate, Profile, estimate
from pnyx.compiler.diagnostics import CompileError
from pnyx.compiler.elaborate.choices import Choice
from pnyx.compiler.limits import NO_LIMITS, Limits
from pnyx.compiler.program import Program
from pnyx.runtime.errors import ConfigurationError
from pnyx.runtime.search.space import Parameter, Point
from pnyx.runtime.search.spaces.choice_tree import ChoiceTree
from pnyx.runtime.search.spaces.sharing import Draw, draws_of, joined_draws, remaining

if TYPE_CHECKING:
    from pnyx.compiler.plan import Plan, PlanModel

__all__ = ["PIPELINE", "Currency", "ProgramSpace", "Pruned", "Size"]

Currency: TypeAlias = Literal["calls", "samples", "tokens", "flops", "money"]
_CURRENCIES: Final[tuple[Currency, ...]] = ("calls", "samples", "tokens", "flops", "money")

PIPELINE: Final = "pipeline"
"""The parameter that says which pipeline; no choice is called so, since it is a word of the language."""

_KEPT_PLANS = 256
_KEPT_FIGURES = 20_000
_LEAST_COST = 1e-9
_LEAST_SHARE = 0.02
_DESCENTS = 300


@dataclass(frozen=True, slots=True)
class Pruned:
    """Why a point is not feasible. `limit` is the kind of limit that stands against it, with the `least` that it takes;
    None: its choices do not go together, and `message` says why."""

    limit: str | None
    least: float
    message: str


@dataclass(frozen=True, slots=True)
class Size:
    """How many points there are, feasible or not; where it is not `exact`, about so many."""

    points: float
    exact: bool


@dataclass(frozen=True, slots=True)
class _Figures:
    """Of one question, in every currency; infinite where the point is pruned."""

    pruned: Pruned | None
    expected: tuple[float, ...]
    draws: tuple[Draw, ...]


class ProgramSpace:
    """A `Space` over the choices of `pipelines`; with several of them the parameter `pipeline` comes first.

    `limits` are those of a question, on top of what a pipeline says itself. `models` gives a plan's models with
    what is known of them besides what the program says. Raises CompileError where the program has errors.
    """

    def __init__(
        self,
        program: Program,
        pipelines: Sequence[str],
        *,
        limits: Limits = NO_LIMITS,
        currency: Currency = "tokens",
        profile: Profile | None = None,
        models: Callable[[Plan], Sequence[PlanModel]] | None = None,
    ) -> None:
        self.program = program
        self.pipelines = tuple(pipelines)
        self.limits = limits
        self.currency: Currency = currency
        self._profile = profile
        self._models = models
        self._trees = {name: ChoiceTree(program, name) for name in self.pipelines}
        self._parameters = tuple(self._all_parameters())
        self._names = frozenset(parameter.name for parameter in self._parameters)
        self._plan = lru_cache(maxsize=_KEPT_PLANS)(self._compiled)
        self._figures = lru_cache(maxsize=_KEPT_FIGURES)(self._estimated)

    # What strategies ask

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return self._parameters

    def point(self, wanted: Mapping[str, int]) -> Point:
        index = min(max(wanted.get(PIPELINE, 0), 0), len(self.pipelines) - 1)
        return self._canonical(index, self._trees[self.pipelines[index]].path(wanted))

    def feasible(self, point: Point) -> bool:
        return self._figures(point).pruned is None

    def cost(self, point: Point) -> float:
        """Infinite for a point that is not feasible."""
        return max(self._in_currency(point, self._figures(point).expected), _LEAST_COST)

    def marginal(self, drawn: Iterable[Point]) -> Callable[[Point], float]:
        had = joined_draws(draw for point in drawn for draw in self._figures(point).draws)

        def cost(point: Point) -> float:
            whole = self.cost(point)
            if math.isinf(whole):
                return whole
            left = self._in_currency(point, remaining(self._figures(point).draws, had))
            return max(min(left, whole), _LEAST_SHARE * whole)

        return cost

    def points(self) -> Iterator[Point]:
        return (point for point in self.all_points() if self.feasible(point))

    # What people and drivers ask

    @property
    def default(self) -> Point:
        """The first pipeline as it is written."""
        return self.point({})

    def all_points(self) -> Iterator[Point]:
        """Every point once, feasible or not."""
        for index, tree in enumerate(self._trees.values()):
            for path in tree.paths():
                yield self._canonical(index, path)

    def draw(self, random: Random) -> Point:
        """A point of a uniformly drawn pipeline, each option drawn uniformly where it is met."""
        return self.weighed(random)[0]

    def weighed(self, random: Random) -> tuple[Point, float]:
        """The same, with how many points it stands for: one over the probability with which it is drawn."""
        index = random.randrange(len(self.pipelines))
        path, weight = self._trees[self.pipelines[index]].draw(random)
        return self._canonical(index, path), weight * len(self.pipelines)

    @cached_property
    def size(self) -> Size:
        if all(tree.size is not None for tree in self._trees.values()):
            return Size(float(sum(tree.size or 0 for tree in self._trees.values())), True)
        random = Random(0)
        return Size(sum(self.weighed(random)[1] for _ in range(_DESCENTS)) / _DESCENTS, False)

    def pipeline(self, point: Point) -> str:
        return self.pipelines[dict(point).get(PIPELINE, 0)]

    def closed(self, point: Point) -> tuple[Choice, ...]:
        """The choices that the point's pipeline meets, each with the option that it takes."""
        return self._trees[self.pipeline(point)].met(_without_pipeline(point))

    def choices(self, point: Point) -> dict[str, object]:
        """By name, as `Program.compile` takes them."""
        return {choice.name: choice.value for choice in self.closed(point)}

    def describe(self, point: Point) -> str:
        """`voting, voting.generate.n = 8`."""
        parts = [f"{choice.name} = {choice.options[choice.chosen]}" for choice in self.closed(point)]
        if len(self.pipelines) > 1 or not parts:
            parts.insert(0, self.pipeline(point))
        return ", ".join(parts)

    def place(self, parameter: Parameter) -> str | None:
        """Where the choice is written; None for the pipeline."""
        spans = (c.span for tree in self._trees.values() for c in tree.choices if c.name == parameter.name)
        return next((str(span) for span in spans), None)

    def plan(self, point: Point) -> Plan:
        """Raises CompileError for a point whose choices do not go together."""
        return self._plan(point)

    def pruned(self, point: Point) -> Pruned | None:
        """Why the point is not feasible; None where it is."""
        return self._figures(point).pruned

    def expected(self, point: Point) -> tuple[float, ...]:
        """What one question is predicted to take: calls, samples, tokens, FLOPs, dollars; infinite where it is pruned,
        NaN where it is not known."""
        return self._figures(point).expected

    def fingerprint(self) -> Mapping[str, str]:
        """What a search depends on of the program, by the names that people know it by."""
        return self.program.fingerprint(self.pipelines)

    # Inside

    def _canonical(self, index: int, path: Point) -> Point:
        path = tuple(entry for entry in path if entry[0] in self._names)
        return ((PIPELINE, index), *path) if len(self.pipelines) > 1 else path

    def _all_parameters(self) -> Iterator[Parameter]:
        if len(self.pipelines) > 1:
            yield Parameter(PIPELINE, self.pipelines, self.pipelines, 0)
        seen: dict[str, Choice] = {}
        for tree in self._trees.values():
            for choice in tree.choices:
                known = seen.get(choice.name)
                if known is None or len(known.options) < len(choice.options):
                    seen[choice.name] = choice
        for choice in seen.values():
            yield _parameter(choice, models=all(self.program.models_of(choice)))

    def _compiled(self, point: Point) -> Plan:
        closed = self._trees[self.pipeline(point)].close(_without_pipeline(point))
        if closed.graph is None:
            raise CompileError(closed.faults)
        return self.program.freeze(closed)

    def _estimated(self, point: Point) -> _Figures:
        try:
            plan = self._compiled(point)
        except CompileError as error:
            message = error.diagnostics[0].message if error.diagnostics else "its choices do not go together"
            return _Figures(Pruned(None, math.inf, message), (math.inf,) * len(_CURRENCIES), ())
        if self._models is not None:
            plan = plan.model_copy(update={"models": tuple(self._models(plan))})
        report = estimate(plan, self._profile)
        pruned = self._against(plan, report.total)
        if pruned is not None:
            return _Figures(pruned, (math.inf,) * len(_CURRENCIES), ())
        expected = tuple(
            math.nan if (figure := _amount(report.total, kind)) is None else figure.expected for kind in _CURRENCIES
        )
        return _Figures(None, expected, draws_of(plan, report))

    def _against(self, plan: Plan, total: Cost) -> Pruned | None:
        """The first limit that even the least cost is above."""
        for kind in _CURRENCIES:
            own = getattr(plan.limits, kind) if plan.limits is not None else None
            limit = min((v for v in (getattr(self.limits, kind), own) if v is not None), default=None)
            figure = _amount(total, kind)
            if limit is not None and figure is not None and figure.least > limit:
                message = f"takes at least {figure.least:.6g} {kind}, and one question may take {limit:.6g}"
                return Pruned(kind, figure.least, message)
        return None

    def _in_currency(self, point: Point, amounts: Sequence[float]) -> float:
        amount = amounts[_CURRENCIES.index(self.currency)]
        if math.isnan(self._figures(point).expected[_CURRENCIES.index(self.currency)]):
            raise self._unknown(point)
        return amount

    def _unknown(self, point: Point) -> ConfigurationError:
        plan = self._plan(point)
        models = plan.models if self._models is None else self._models(plan)
        what, keys = ("size", "parameters") if self.currency == "flops" else ("price", "price_in` and `price_out")
        lacking = next(
            m.name for m in models if (m.parameters if self.currency == "flops" else m.price_in and m.price_out) is None
        )
        return ConfigurationError(
            f"the search counts {self.currency}, and the {what} of the model `{lacking}` is not known",
            help=f"say `{keys}` in `[models.{lacking}]` of `pnyx.toml`, or in the program",
        )


def _without_pipeline(point: Point) -> Point:
    return point[1:] if point and point[0][0] == PIPELINE else point


def _parameter(choice: Choice, *, models: bool) -> Parameter:
    values = tuple(
        value if isinstance(value, int | float | str | bool) else text
        for text, value in zip(choice.options, choice.values, strict=True)
    )
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    ordered = len(numbers) == len(values) > 1 and all(a < b for a, b in pairwise(numbers))
    return Parameter(choice.name, choice.options, values, choice.default, ordered=ordered, models=models)


def _amount(cost: Cost, kind: Currency) -> Estimate | None:
    if kind == "tokens":
        return cost.prompt_tokens + cost.generated_tokens
    figure: Estimate | None = getattr(cost, kind)
    return figure
