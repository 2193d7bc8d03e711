"""What an operator's implementation is given and what it gives back.

A node of a plan becomes a `Step` once per plan; `prepare(step)` makes its `Begin` once per plan;
`begin(scope, values)` runs once for every time that the node runs and gives the value at once, or the `Work` that has
to be done for it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Generic, TypeAlias, TypeVar

from pnyx.compiler.operators import Filter, Group, Operator, Vote
from pnyx.runtime.candidates import Value
from pnyx.runtime.errors import EmptyPool
from pnyx.runtime.externs import Invocation, Returned
from pnyx.runtime.question import Chat, Question
from pnyx.runtime.request import Request, Response
from pnyx.runtime.results import ReadingFailure
from pnyx.runtime.seeds import example_key, seed_for

__all__ = ["Begin", "Example", "Scope", "Step", "Work", "empty_pool", "no_result"]

O_co = TypeVar("O_co", bound=Operator, covariant=True)
R = TypeVar("R", Request, Invocation)
A = TypeVar("A", Response, Returned)

_LONGEST_KEY = 120


@dataclass(frozen=True, slots=True)
class Step(Generic[O_co]):
    """A node as the runtime sees it. `index` counts the nodes of the plan, those of bodies behind the node that has
    them; `inputs` are places in the body that the node is in. `scored`: whether something reads the log-probabilities
    of what it draws. `numbers`: which samples of its stream a `Sample` takes, where they are not the first."""

    index: int
    operator: O_co
    inputs: tuple[int, ...]
    stream: str
    label: str
    place: str | None
    scored: bool = True
    numbers: tuple[int, ...] | None = None


@dataclass(slots=True)
class Example:
    """One question on its way through the plan. `unread` collects the replies that could not be read, each with the
    place in the run of the node that asked."""

    question: Question
    seed: int
    key: str = field(init=False)
    chat: Chat = field(init=False)
    unread: list[tuple[tuple[int, ...], ReadingFailure]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.key = example_key(self.question.messages)
        self.chat = Chat(self.question.messages)


class Scope:
    """Where nodes run: an example, and the rounds of loops and the candidates of `each` that they are in.

    `path` is a short hash of those, empty outside of them, which goes into the streams of everything drawn there; so
    every round draws anew. `place` orders what happens: it is the beginning of the places of the nodes in this scope.
    """

    __slots__ = ("_suffix", "example", "path", "place")

    def __init__(self, example: Example, path: str, place: tuple[int, ...]) -> None:
        self.example, self.path, self.place = example, path, place
        self._suffix = f"@{path}" if path else ""

    def stream(self, step: Step[Operator]) -> str:
        return step.stream + self._suffix

    def seed_for(self, step: Step[Operator], candidate: str = "", attempt: int = 0) -> int:
        example = self.example
        return seed_for(example.seed, example.key, step.stream + self._suffix, candidate, attempt)

    def key_of(self, step: Step[Operator], candidate: str) -> str:
        """The beginning of the keys of what a step makes of a candidate. Only loops could make keys grow without a
        bound; there, long ones are hashed."""
        key = f"{step.stream}{self._suffix}:{candidate}"
        return key if len(key) <= _LONGEST_KEY or not self.path else f"#{_short(key, 16)}"

    def inside(self, step: Step[Operator], name: str) -> str:
        """The path of the round, or of the candidate, `name` of a step here."""
        return _short(f"{self.path}\0{step.stream}\0{name}", 8)

    def report_unread(self, step: Step[Operator], candidate: str, reply: str, attempts: int) -> None:
        failure = ReadingFailure.of(step.label, step.place, candidate, reply, attempts)
        self.example.unread.append(((*self.place, step.index), failure))


def _short(text: str, size: int) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()


class Work(ABC, Generic[R, A]):
    """Slots to be filled by answers, in whatever order they come.

    `requests` holds the first request of every slot. `accept(slot, attempt, answer)` takes the answer to a slot's
    request: a further request to try again, or None when the slot is filled. `finish` is called once, when all are.
    Both raise RuntimeFailure. Models answer with a `Response`; what is asked of the user's own functions is an
    `Invocation`, answered by `Returned`.
    """

    __slots__ = ("requests",)

    requests: Sequence[R]

    @abstractmethod
    def accept(self, slot: int, attempt: int, answer: A, /) -> Request | None: ...

    @abstractmethod
    def finish(self) -> Value: ...


Begin: TypeAlias = "Callable[[Scope, tuple[Any, ...]], Value | Work[Any, Any]]"


def empty_pool(step: Step[Operator]) -> EmptyPool:
    """The failure of an operator that needs candidates and got none."""
    return EmptyPool(
        f"`{step.label}` got no candidates",
        help="everything before it was dropped; a filter with `if_none = keep` always leaves some",
    )


def no_result(step: Step[Operator]) -> EmptyPool:
    """The failure of a pipeline whose last operator, `step`, left nothing."""
    match step.operator:
        case Vote(by=by) | Group(by=by):
            help = f"no candidate had `{by}` to vote with; see the replies that could not be read"
        case Filter(by=by):
            help = f"no candidate had a `{by}` that passes; `if_none = keep` lets all go on then"
        case _:
            help = "everything before it was dropped; a filter with `if_none = keep` always leaves some"
    return EmptyPool(f"`{step.label}` left no candidate to answer with", place=step.place, help=help)
