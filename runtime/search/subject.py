"""The subject of a search: its declaration with the program's plans and questions at hand, checked before anything is
asked.

Invariant: the questions to search on and those to confirm on have none in common.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from itertools import islice
from random import Random

from pnyx.compiler.declarations import Benchmark, ChoiceScore, Search
from pnyx.compiler.diagnostics import CompileError, Diagnostic
from pnyx.compiler.limits import NO_LIMITS
from pnyx.compiler.limits import Limits as WrittenLimits
from pnyx.compiler.plan import Plan, PlanModel
from pnyx.compiler.program import Program
from pnyx.compiler.trials import compile_trial
from pnyx.runtime.benchmarks import Problem, Problems, load_problems
from pnyx.runtime.budgets import KINDS, Limits
from pnyx.runtime.search.failures import NothingFeasible, NothingToSearch, NotIndependent
from pnyx.runtime.search.reach import Judging, judging_of
from pnyx.runtime.search.results import Infeasible
from pnyx.runtime.search.rows import Rows
from pnyx.runtime.search.space import Point
from pnyx.runtime.search.spaces.program_space import PIPELINE, Currency, ProgramSpace

__all__ = ["Subject", "Wishes", "never_right", "options_of", "subject_of"]

_LOOKED_AT = 400
"""Points that are looked at to find one that is feasible, or one that uses what no other has used."""
_REASONS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a person says beside the program, which goes over it. `tried`: assignments to ask first, with the texts or
    values of options by the names of their choices. `given`: they name a kind of a limit each."""

    budget: Limits = field(default_factory=Limits)
    per_query: Limits = field(default_factory=Limits)
    algorithm: str | None = None
    seed: int | None = None
    tried: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """`questions` to search on and `held_out` to confirm on, in the order in which they are asked. `judge` and
    `baseline` are plans that the score needs. `covering`: plans that need together what any point may need, and any of
    the `baselines`: pipelines that the winner is held against."""

    program: Program
    declared: Search
    benchmark: Benchmark
    space: ProgramSpace
    problems: Problems
    questions: tuple[Problem, ...]
    held_out: tuple[Problem, ...]
    budget: Limits
    per_query: Limits
    algorithm: str
    seed: int
    tried: tuple[Point, ...]
    covering: tuple[Plan, ...]
    infeasible: tuple[Infeasible, ...]
    baselines: tuple[ProgramSpace, ...]
    judge: Plan | None
    baseline: Plan | None
    judging: Judging
    only: Point | None
    """The one point that there is, where there is no other."""

    def fingerprint(self, models: Mapping[str, object]) -> dict[str, object]:
        """What the rows of the search depend on, by what people call it. `models`: what stands behind each."""
        asked = [(p.text, p.targets, p.held_out) for p in (*self.questions, *self.held_out)]
        return {
            **self.space.fingerprint(),
            **{f"the model `{name}`": identity for name, identity in models.items()},
            "the questions": blake2b(json.dumps(asked).encode(), digest_size=16).hexdigest(),
            "the score": repr(self.benchmark.score),
            "the objectives": [f"{'more' if o.maximize else 'less'} {o.metric}" for o in self.declared.objectives],
            "the limits of a question": {k: v for k, v in asdict(self.per_query).items() if v is not None},
            "the algorithm": self.algorithm,
            "the seed": self.seed,
        }


def subject_of(
    program: Program, declared: Search, wishes: Wishes, describe: Callable[[Plan], Sequence[PlanModel]]
) -> Subject:
    """`describe` says what is known of a plan's models. Raises CompileError, and RuntimeFailure where there is nothing
    to ask (E641, E642, E644), to search (E681) or that could be asked (E683), or where the order of questions would
    decide answers (E685)."""
    benchmark = program.benchmarks[declared.benchmark]
    if declared.held_out is not None:
        benchmark = replace(benchmark, split=declared.held_out)
    problems = load_problems(benchmark)
    questions = tuple(problem for problem in problems.problems if not problem.held_out)
    if not questions:
        load_problems(benchmark, "search")  # says so
    budget = over(Limits(**asdict(declared.budget)), wishes.budget)
    per_query = over(Limits(**asdict(declared.per_query)), wishes.per_query)
    written = WrittenLimits(**asdict(per_query))
    space = ProgramSpace(program, declared.pipelines, limits=written, currency=_currency(budget), models=describe)
    place = str(declared.span)
    if not space.parameters:
        raise NothingToSearch(
            f"`{declared.pipelines[0]}` has no choice that is open",
            place=place,
            help="leave one open, as in `n = tune(1, 4)`, or name several pipelines",
        )
    covering, infeasible = _explored(space, place)
    plans = list(map(space.plan, covering))
    baselines = tuple(
        ProgramSpace(program, [name], limits=written, currency=space.currency, models=describe)
        for name in declared.baselines
    )
    for own in baselines:
        plans.extend(map(own.plan, _explored(own, place)[0]))
    _check_independent(plans, place)
    judging = compile_trial(program, benchmark, space.pipeline(covering[0]), None, space.choices(covering[0]))
    return Subject(
        program=program,
        declared=declared,
        benchmark=benchmark,
        space=space,
        problems=problems,
        questions=questions,
        held_out=tuple(problem for problem in problems.problems if problem.held_out),
        budget=budget,
        per_query=per_query,
        algorithm=wishes.algorithm or declared.algorithm,
        seed=declared.seed if wishes.seed is None else wishes.seed,
        tried=tuple(_tried(space, wanted) for wanted in wishes.tried),
        covering=(*plans, *([judging.baseline] if judging.baseline is not None else ())),
        infeasible=infeasible,
        baselines=baselines,
        judge=judging.judge,
        baseline=judging.baseline,
        judging=judging_of(judging.judge, judging.baseline, describe),
        only=_only(space, covering),
    )


def over(limits: Limits, others: Limits) -> Limits:
    """`limits` with those that `others` say in their place."""
    return replace(limits, **{kind: said for kind in KINDS if (said := getattr(others, kind)) is not None})


def options_of(space: ProgramSpace, point: Point) -> tuple[tuple[str, str], ...]:
    """The choices that are met and the option that each takes, as the program writes them."""
    return tuple((choice.name, choice.options[choice.chosen]) for choice in space.closed(point))


def never_right(subject: Subject, rows: Rows) -> dict[str, int]:
    """Of multiple choice: letters that are right for so many questions which were asked, three at least, and for none
    of these anybody was right, while somebody was elsewhere."""
    if not isinstance(subject.benchmark.score, ChoiceScore):
        return {}
    asked = Counter[str]()
    right = set[str]()
    for number, problem in enumerate(subject.questions[: max(map(rows.count, rows), default=0)]):
        asked.update(problem.targets)
        if any(rows.settled(point)[number].score for point in rows if rows.count(point) > number):
            right.update(problem.targets)
    return {letter: asked[letter] for letter in sorted(asked) if right and letter not in right and asked[letter] >= 3}


def _currency(budget: Limits) -> Currency:
    """What the predicted cost of a point is counted in."""
    order: tuple[Currency, ...] = ("money", "flops", "tokens", "samples", "calls")
    for kind in order:
        if getattr(budget, kind) is not None:
            return kind
    return "tokens"


def _explored(space: ProgramSpace, place: str) -> tuple[tuple[Point, ...], tuple[Infeasible, ...]]:
    """Feasible points that together take every option that some feasible point was found to take; and the points that
    were refused. Raises NothingFeasible."""
    wanted = {(parameter.name, index) for parameter in space.parameters for index in range(len(parameter.options))}
    covering: list[Point] = []
    refused: dict[Point, str] = {}
    seen: set[Point] = set()
    for point in _candidates(space):
        if not wanted and covering:
            break
        if point in seen:
            continue
        seen.add(point)
        pruned = space.pruned(point)
        if pruned is not None:
            refused[point] = pruned.message
        elif not covering or not wanted.isdisjoint(point):
            covering.append(point)
            wanted.difference_update(point)
    if not covering:
        which = "configuration" if len(space.pipelines) > 1 else f"configuration of `{space.pipeline(space.default)}`"
        raise NothingFeasible(_why_none(which, len(seen), refused.values()), place=place, help=_way_out(space))
    infeasible = tuple(Infeasible(options_of(space, point), reason) for point, reason in refused.items())
    return tuple(covering), infeasible


def _candidates(space: ProgramSpace) -> Iterator[Point]:
    """The defaults, the defaults with one other option, then others: all of them, where they are few."""
    yield space.default
    for parameter in space.parameters:
        for index in range(len(parameter.options)):
            yield space.point({parameter.name: index})
    size = space.size
    if size.exact and size.points <= _LOOKED_AT:
        yield from space.all_points()
    else:
        random = Random(0)
        yield from (space.draw(random) for _ in range(_LOOKED_AT))


def _why_none(which: str, looked_at: int, reasons: Iterable[str]) -> str:
    common = Counter(reasons).most_common(_REASONS)
    if looked_at == 1:
        return f"the one {which} cannot be asked: it {common[0][0]}"
    said = "; ".join(f"{times} {reason}" for reason, times in common)
    return f"no {which} can be asked; of {looked_at} that were looked at, {said}"


def _way_out(space: ProgramSpace) -> str:
    return "raise `per query`" if space.limits != NO_LIMITS else "see with `pnyx check` which choices go together"


def _check_independent(plans: Sequence[Plan], place: str) -> None:
    stateful = next((plan for plan in plans if plan.states), None)
    if stateful is not None:
        raise NotIndependent(
            f"what `{stateful.pipeline}` answers depends on the questions before it: it has the state "
            f"`{stateful.states[0].name}`",
            place=place,
            help="a search asks configurations different questions; search without the state, and add it after",
        )


def _only(space: ProgramSpace, covering: Sequence[Point]) -> Point | None:
    if len(covering) > 1 or not (space.size.exact and space.size.points <= _LOOKED_AT):
        return None
    first = tuple(islice(space.points(), 2))
    return first[0] if len(first) == 1 else None


def _tried(space: ProgramSpace, wanted: Mapping[str, object]) -> Point:
    """Raises CompileError (E403) for what is no choice, or no option of it."""
    rest = {name: value for name, value in wanted.items() if name != PIPELINE}
    pipeline = str(wanted.get(PIPELINE, space.pipelines[0]))
    if pipeline not in space.pipelines:
        listed = ", ".join(f"`{name}`" for name in space.pipelines)
        help = f"the search is over {listed}"
        raise CompileError([Diagnostic("E403", f"`pipeline` cannot be `{pipeline}`", help=help)])
    closed = {choice.name: choice.chosen for choice in space.program.choices(pipeline, rest)}
    point = space.point({PIPELINE: space.pipelines.index(pipeline), **closed})
    pruned = space.pruned(point)
    if pruned is not None:
        raise NothingFeasible(f"`{space.describe(point)}` cannot be tried: it {pruned.message}",
                              help="raise `per query`, or try another one")  # fmt: skip
    return point
