"""The operators of the graph and of the plan: the contract between the compiler and the runtime.

Every kind of node has one frozen class here that holds its attributes; what it takes and gives is said in its docstring
as `inputs -> result`. The runtime has one implementation for each (a test holds the two tables against each other).

Meaning and economy are kept apart: `joined` says how draws are sent to the engine, not what is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

__all__ = [
    "Action", "AnswerKind", "Ask", "Concat", "Dedupe", "Extract", "Filter", "IfNone", "Input", "OnFail", "Operator",
    "Over", "PromptText", "READS_FIELD", "Reads", "Sample", "Sampling", "Single", "Sort", "Take", "Vote",
]  # fmt: skip


class Over(StrEnum):
    """What one prompt is about: the question alone, each candidate by itself, or all candidates together."""

    QUERY = "query"
    EACH = "each"
    ALL = "all"


class Reads(StrEnum):
    """How a reply is read.

    TEXT any text; VERDICT correct or not (bool); GRADE a number from 1 to 10 (float); NUMBER any number (float);
    YES the probability that the next token says yes (float in 0..1, nothing is generated); PASSES how many of the
    listed tests the candidate passes (int); ORDER a permutation of all candidates; LIST one new candidate per item.
    """

    TEXT = "text"
    VERDICT = "verdict"
    GRADE = "grade"
    NUMBER = "number"
    YES = "yes"
    PASSES = "passes"
    ORDER = "order"
    LIST = "list"


# Readings that become a field of the candidate; the others make or reorder candidates.
READS_FIELD = frozenset({Reads.TEXT, Reads.VERDICT, Reads.GRADE, Reads.NUMBER, Reads.YES, Reads.PASSES})


class Action(StrEnum):
    """What happens to a candidate whose reply cannot be read: it stays unannotated, goes, or the example fails."""

    KEEP = "keep"
    DROP = "drop"
    FAIL = "fail"


class Single(StrEnum):
    """What an `ask` over all does with a pool of one: hand it on as it is, or ask all the same."""

    KEEP = "keep"
    ASK = "ask"


class IfNone(StrEnum):
    """What a filter gives when no candidate passes: all of them, or an empty pool."""

    KEEP = "keep"
    DROP = "drop"


class AnswerKind(StrEnum):
    NUMBER = "number"
    CHOICE = "choice"
    BOXED = "boxed"
    CODE = "code"
    JSON = "json"
    REGEX = "regex"
    LINE = "line"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How tokens are drawn. Temperature 0 is greedy. `stop` strings end a sample and are not part of its text."""

    temperature: float = 0.7
    top_p: float = 1.0
    max_tokens: int = 512
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptText:
    """A Jinja template of one exchange. `params` are the variables it may use."""

    name: str
    params: tuple[str, ...]
    user: str
    system: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OnFail:
    """After `retries` more tries with fresh seeds, `then`."""

    retries: int = 0
    then: Action = Action.KEEP


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """`() -> Chat`: the question."""

    kind: Literal["input"] = "input"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """`(Chat) -> Pool[n]{text, logprob, model}`: samples 0 … n-1 of this node's stream.

    `system` replaces the system message; `stream` tells apart streams of what is otherwise the same prompt. `joined`:
    one request for all n, sharing one prefill, instead of n requests.
    """

    kind: Literal["sample"] = "sample"
    model: str
    sampling: Sampling = field(default_factory=Sampling)
    system: str | None = None
    stream: int = 0
    n: int = 1
    joined: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """`(Chat, Pool unless over the query, Pool for each of `variables`) -> Pool`: a model is shown `prompt`.

    The prompt sees `query` (text), `candidate` (over each) or `candidates` (over all), every pool of `variables` as a
    list of candidates under its name, and the `constants`.

    | over | into | reads | result |
    |---|---|---|---|
    | each | a field | one of READS_FIELD | the pool, that field added |
    | each | None | TEXT | n new candidates for each candidate |
    | all | None | TEXT | n new candidates |
    | all | None | ORDER | the pool in the order of the reply |
    | query, all | None | LIST | one new candidate per item, at most `count` |
    | query | None | TEXT | n new candidates |

    `n` is above 1 only where new candidates are made from TEXT. New candidates have text, logprob, model.
    """

    kind: Literal["ask"] = "ask"
    model: str
    prompt: PromptText
    over: Over
    reads: Reads = Reads.TEXT
    into: str | None = None
    sampling: Sampling = field(default_factory=Sampling)
    n: int = 1
    count: int | None = None
    on_fail: OnFail = field(default_factory=OnFail)
    single: Single = Single.ASK
    variables: tuple[str, ...] = ()
    constants: tuple[tuple[str, str | int | float | bool], ...] = ()
    joined: bool = False

    @property
    def tests(self) -> int | None:
        """Which of `variables` are tests: those of that name, else the first where the passes are counted."""
        if "tests" in self.variables:
            return self.variables.index("tests")
        return 0 if self.reads is Reads.PASSES and self.variables else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Extract:
    """`(Pool{text}) -> Pool{answer}`: reads the final answer as canonical text; absent where there is none.

    Two answers of one kind are equal exactly when their canonical texts are. `pattern` belongs to REGEX (RE2; its first
    group, or the whole match), `after` starts the reading behind the last occurrence of a marker.
    """

    kind: Literal["extract"] = "extract"
    answer: AnswerKind
    pattern: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """`(Pool{by}) -> Pool[0..1]{votes}`: the first candidate of the group with most votes (or greatest weight).

    Candidates without the field do not vote; a tie goes to the group that appeared first; nobody voting gives an
    empty pool. `weight` is a numeric field; without it every candidate counts 1. `votes` is the group's total.
    """

    kind: Literal["vote"] = "vote"
    by: str = "answer"
    weight: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sort:
    """`(Pool{by}) -> Pool`: stable, greatest first unless `ascending`; candidates without the field come last."""

    kind: Literal["sort"] = "sort"
    by: str = "score"
    ascending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """`(Pool{by}) -> Pool`: candidates whose field is true, or at least `at_least` where that is given."""

    kind: Literal["filter"] = "filter"
    by: str = "verdict"
    at_least: float | None = None
    if_none: IfNone = IfNone.DROP


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """`(Pool) -> Pool`: the first `k`."""

    kind: Literal["take"] = "take"
    k: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dedupe:
    """`(Pool{by}) -> Pool`: the first candidate of each value of the field (whitespace at the ends ignored)."""

    kind: Literal["dedupe"] = "dedupe"
    by: str = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Concat:
    """`(Pool, …) -> Pool`: all candidates, in order."""

    kind: Literal["concat"] = "concat"


Operator: TypeAlias = Input | Sample | Ask | Extract | Vote | Sort | Filter | Take | Dedupe | Concat
