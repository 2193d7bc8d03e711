"""What a search has found, as data: everything that is reported of it, and nothing that is not.

Invariants
- `from_data(to_data(result))` is `result`, also by way of JSON: a report can be made again from `result.json` alone.
- Scores are from 0 to 1. Of questions they stand in the order in which they were asked, which is one for all.
- What decided the search are the scores of the configurations; what is quoted of it is the confirmation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pnyx.runtime.search.space import Parameter, Point
from pnyx.runtime.search.strategy import Origin

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = [
    "VERSION", "Amounts", "Budget", "Closed", "Configuration", "Confirmation", "Confirmed", "CostKind", "Effect",
    "Estimated", "FrontPoint", "Gain", "Infeasible", "Interval", "Objective", "Round", "SearchResult",
]  # fmt: skip

VERSION = 1
Interval: TypeAlias = tuple[float, float]
"""95 %, unless something else is said."""
Metric: TypeAlias = Literal["accuracy", "tokens", "calls", "money", "seconds", "flops"]
CostKind: TypeAlias = Literal["tokens", "flops", "money"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """`money` in dollars, `seconds` of the clock; prompt and generated tokens count alike."""

    calls: float = 0.0
    samples: float = 0.0
    tokens: float = 0.0
    flops: float = 0.0
    money: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Objective:
    metric: Metric
    maximize: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """A point that was asked something. `number`: in the order in which they were first asked, from 0 on.

    `choices`: names and options as the program writes them, of those choices that are met. `scores`: of the first
    questions, so many as it was asked; None: not scored. `cost`: the mean of a question if nothing is shared. `mean`
    and `sd` are what is believed of its score over all questions like these; `near_best`: the probability that it is
    within one point (0.01) of the best one. These are None for what was not asked enough to be believed anything of.
    """

    number: int
    point: Point
    pipeline: str
    choices: tuple[tuple[str, str], ...]
    digest: str
    origin: Origin
    raced_out: bool
    scores: tuple[float | None, ...]
    cost: Amounts | None
    mean: float | None = None
    sd: float | None = None
    near_best: float | None = None

    @property
    def accuracy(self) -> float | None:
        """The raw mean of its scores: of the best of many it is too high."""
        known = [score for score in self.scores if score is not None]
        return sum(known) / len(known) if known else None


@dataclass(frozen=True, slots=True)
class Infeasible:
    """A point that was refused before anything was asked."""

    choices: tuple[tuple[str, str], ...]
    reason: str


@dataclass(frozen=True, slots=True)
class FrontPoint:
    """A configuration than which none is better in every objective; `values` in the order of the objectives, `sds` how
    sure they are: of what is believed of its score, and of the mean of a cost."""

    number: int
    values: tuple[float, ...]
    sds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Effect:
    """What an option of a choice adds to the score, or takes from it, over configurations drawn uniformly."""

    parameter: str
    option: str
    effect: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Estimated:
    """The winner's accuracy on the search's questions: `raw`, which is too high for having been chosen by it, and
    `value`, without that."""

    raw: float
    value: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Closed:
    """How the choices of a baseline were closed: such that it takes as many `kind` as the winner. Of what the winner
    took on the first `questions` of the confirmation it took the `share`, which is measured, nothing shared; None: the
    winner takes nothing, and this is the least."""

    kind: CostKind
    share: float | None
    questions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """One pipeline on the questions of the confirmation. `role`: the winner, the program's defaults, or a baseline.

    `scores` in the order of the questions; `cost` the mean of a question if nothing is shared. `closed`: of a baseline
    with choices of its own.
    """

    role: Literal["winner", "defaults", "baseline"]
    pipeline: str
    choices: tuple[tuple[str, str], ...]
    digest: str
    accuracy: float | None
    interval: Interval | None
    n: int
    cost: Amounts
    scores: tuple[float | None, ...]
    closed: Closed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """The winner less `against`, an index into `Confirmation.pipelines`, question by question. `p` of the sign test,
    two-sided; `verdict` in words."""

    against: int
    n: int
    difference: float
    interval: Interval
    wins: int
    ties: int
    losses: int
    p: float
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """The winner, first, and what it is held against, on questions that no search has seen, with samples that none has
    seen (`seed`). `complete` False: the budget ended before all of them were asked; then all were asked the same."""

    seed: int
    questions: int
    complete: bool
    pipelines: tuple[Confirmed, ...]
    gains: tuple[Gain, ...]
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """The search after a round. `rows`: questions asked, of all configurations; `charged`: really drawn; `virtual`:
    what the rows take if nothing is shared; `incumbent`: the number of the best one, with what is believed of it."""

    number: int
    rows: int
    charged: Amounts
    virtual: Amounts
    incumbent: int | None
    mean: float | None
    sd: float | None
    configurations: int
    raced_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """`limits` by kind, where there is one. `charged` in all, of it `confirming` by the confirmation and `lost` to
    calls that a killed process had under way, counted as the most they could take. `kept`: the share that only the
    confirmation may spend. `least`: what a search of this space takes about at least, by kind."""

    limits: dict[str, float]
    charged: Amounts
    confirming: Amounts
    lost: Amounts
    kept: float
    least: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """`file` and `name` of the search; `winner`: the number of the best configuration, None where none was asked;
    `why` it is; `stopped` why the search ended; both sentences without a full stop. `difference`: lines of a unified
    diff that make the winner's source of that of the program's defaults, where it is another one.

    `size`: points of the space, None where they are too many to count. `questions` there are to search on, `held_out`
    to confirm on. `reuse`: virtual tokens by those drawn for the search. `seconds` during which a process was at work,
    and `workers` how many took part. `complete` False: it can go on, with the same command.
    """

    file: str
    name: str
    program: str
    algorithm: str
    seed: int
    benchmark: str
    score: str
    simulated: bool
    complete: bool
    objectives: tuple[Objective, ...]
    per_query: dict[str, float]
    parameters: tuple[Parameter, ...]
    size: int | None
    questions: int
    held_out: int
    configurations: tuple[Configuration, ...]
    infeasible: tuple[Infeasible, ...]
    winner: int | None
    why: str
    front: tuple[FrontPoint, ...]
    effects: tuple[Effect, ...]
    estimated: Estimated | None
    confirmation: Confirmation | None
    unconfirmed: str | None
    """Why there is no confirmation, where there is none."""
    history: tuple[Round, ...]
    budget: Budget
    virtual: Amounts
    reuse: float | None
    stopped: str
    versions: dict[str, str]
    models: dict[str, str]
    """What stands behind each logical model."""
    seconds: float
    workers: int
    difference: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What a reader should know: few questions, rows that were left out."""
    version: int = VERSION

    @property
    def best(self) -> Configuration | None:
        return None if self.winner is None else self.configurations[self.winner]

    def to_data(self) -> dict[str, Any]:
        """For JSON."""
        data = _adapter().dump_python(self, mode="json")
        assert isinstance(data, dict)
        return data

    @classmethod
    def from_data(cls, data: object) -> SearchResult:
        """Raises ValueError where it is not the data of a result, or that of another version of Pnyx."""
        if isinstance(data, dict) and data.get("version") not in (None, VERSION):
            raise ValueError(f"a result of version {data['version']}, and this Pnyx reads version {VERSION}")
        return _adapter().validate_python(data)


@cache
def _adapter() -> TypeAdapter[SearchResult]:
    from pydantic import TypeAdapter

    return TypeAdapter(SearchResult)
