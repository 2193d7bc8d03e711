"""What an operator's implementation is given and what it gives back.

A node of a plan becomes a `Step` once per plan; `prepare(step)` makes its `Begin` once per plan;
`begin(example, pools)` runs once per example and gives the pool at once, or the `Work` that has to be done for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeAlias, TypeVar

from pnyx.compiler.operators import Filter, Operator, Vote
from pnyx.runtime.candidates import Pool
from pnyx.runtime.errors import EmptyPool
from pnyx.runtime.question import Question
from pnyx.runtime.request import Request, Response, Subject
from pnyx.runtime.results import ReadingFailure
from pnyx.runtime.seeds import example_key, seed_for

__all__ = ["Begin", "Example", "Step", "Work", "empty_pool", "no_result"]

O_co = TypeVar("O_co", bound=Operator, covariant=True)


@dataclass(frozen=True, slots=True)
class Step(Generic[O_co]):
    """A node as the runtime sees it. `pools`: the nodes whose pools it reads, the question left out."""

    index: int
    operator: O_co
    pools: tuple[int, ...]
    stream: str
    label: str
    place: str | None


@dataclass(slots=True)
class Example:
    """One question on its way through the plan. `unread` collects, per node, the replies that could not be read."""

    question: Question
    seed: int
    query: str = field(init=False)
    key: str = field(init=False)
    subject: Subject = field(init=False)
    unread: list[tuple[int, ReadingFailure]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.query = self.question.text
        self.key = example_key(self.question.messages)
        self.subject = Subject(self.query)

    def seed_for(self, stream: str, candidate: str = "", attempt: int = 0) -> int:
        return seed_for(self.seed, self.key, stream, candidate, attempt)

    def report_unread(self, step: Step[Operator], candidate: str, reply: str, attempts: int) -> None:
        self.unread.append((step.index, ReadingFailure.of(step.label, step.place, candidate, reply, attempts)))


class Work(Protocol):
    """Slots to be filled by replies, in whatever order they come.

    `requests` holds the first request of every slot. `accept(slot, attempt, response)` takes the reply to a slot's
    request: a further request to try again, or None when the slot is filled. `finish` is called once, when all are.
    Both raise RuntimeFailure.
    """

    @property
    def requests(self) -> Sequence[Request]: ...

    def accept(self, slot: int, attempt: int, response: Response, /) -> Request | None: ...

    def finish(self) -> Pool: ...


Begin: TypeAlias = Callable[[Example, tuple[Pool, ...]], "Pool | Work"]


def empty_pool(step: Step[Operator]) -> EmptyPool:
    """The failure of an operator that needs candidates and got none."""
    return EmptyPool(
        f"`{step.label}` got no candidates",
        help="everything before it was dropped; a filter with `if_none = keep` always leaves some",
    )


def no_result(step: Step[Operator]) -> EmptyPool:
    """The failure of a pipeline whose last operator, `step`, left nothing."""
    match step.operator:
        case Vote(by=by):
            help = f"no candidate had `{by}` to vote with; see the replies that could not be read"
        case Filter(by=by):
            help = f"no candidate had a `{by}` that passes; `if_none = keep` lets all go on then"
        case _:
            help = "everything before it was dropped; a filter with `if_none = keep` always leaves some"
    return EmptyPool(f"`{step.label}` left no candidate to answer with", place=step.place, help=help)
