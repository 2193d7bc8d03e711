"""The operators of the graph and of the plan: the contract between the compiler and the runtime.

Every kind of node has one frozen class here that holds its attributes; what it takes and gives is said in its docstring
as `inputs -> result`. The runtime has one implementation for each (a test holds the two tables against each other).

Nodes of `Loop`, `Each` and `Branch` have bodies: graphs with parameters, which run as often as the values say. Their
first inputs are their own; the others are what the bodies use from outside, and the last parameters of every body.

Meaning and economy are kept apart: `joined` says how draws are sent to the engine, not what is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

__all__ = [
    "Action", "AnswerKind", "AsQuery", "Ask", "Branch", "Compute", "Concat", "Constant", "ConstantValue", "Dedupe",
    "Each", "Empty", "Extend", "Extern", "Extract", "FieldOf", "Filter", "IfNone", "Input", "Loop", "Measure",
    "MeasureKind", "ModelOperator", "OnFail", "Operator", "Over", "Param", "Part", "Pick", "PromptText", "READS_FIELD",
    "Reads", "Region", "Resample", "Sample", "Sampling", "Scheme", "Single", "Sort", "Take", "Vote", "Weights",
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
    listed tests the candidate passes (int); CHOICE one of the `options` (text, spelt as there); ORDER a permutation of
    all candidates; LIST one new candidate per item.
    """

    TEXT = "text"
    VERDICT = "verdict"
    GRADE = "grade"
    NUMBER = "number"
    YES = "yes"
    PASSES = "passes"
    CHOICE = "choice"
    ORDER = "order"
    LIST = "list"


# Readings that become a field of the candidate; the others make or reorder candidates.
READS_FIELD = frozenset({Reads.TEXT, Reads.VERDICT, Reads.GRADE, Reads.NUMBER, Reads.YES, Reads.PASSES, Reads.CHOICE})


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


ConstantValue: TypeAlias = str | int | float | bool


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
    """`(Chat) -> Pool[n]{text, logprob, model, finished}`: samples 0 … n-1 of this node's stream.

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
    """`(Chat, Pool unless over the query, Pool or Scalar for each of `variables`) -> Pool`: a model is shown `prompt`.

    The prompt sees `query` (text), `candidate` (over each) or `candidates` (over all), every pool of `variables` as a
    list of candidates under its name (of which `name.field` reads the first), every scalar as its value, and the
    `constants`. With CHOICE it sees `options`.

    | over | into | reads | result |
    |---|---|---|---|
    | each | a field | one of READS_FIELD | the pool, that field added |
    | each | None | TEXT | n new candidates for each candidate |
    | all | None | TEXT | n new candidates |
    | all | None | ORDER | the pool in the order of the reply |
    | query, all | None | LIST | one new candidate per item, at most `count` |
    | query | None | TEXT | n new candidates |
    | query, all | None | CHOICE | one new candidate, its text the option; none where the reply says none |

    `n` is above 1 only where new candidates are made from TEXT. New candidates have text, logprob, model, finished.
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
    constants: tuple[tuple[str, ConstantValue], ...] = ()
    options: tuple[str, ...] = ()
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Extend:
    """`(Chat, Pool{text}) -> Pool`: a model goes on with each candidate from where its text ends.

    What is continued is the text, the stop string that ended it (`stopped`), and `force`. Without `into` each candidate
    gives n new ones, whose text is all of that and what follows; a candidate that is `finished` stays as it is, once.
    With `into` what follows becomes that field, read as text and stripped, and the candidate stays as it was: a probe.
    """

    kind: Literal["extend"] = "extend"
    model: str
    sampling: Sampling = field(default_factory=Sampling)
    system: str | None = None
    force: str = ""
    into: str | None = None
    n: int = 1
    joined: bool = False


class Weights(StrEnum):
    """How values become weights: exp(value / temperature), (value / (1 - value)) ** (1 / temperature) for values in
    0..1, or the values themselves."""

    SOFTMAX = "softmax"
    ODDS = "odds"
    LINEAR = "linear"


class Scheme(StrEnum):
    """Independent draws; one draw and even steps from it; or the greatest first, each its rounded-up share of what is
    left (Wu et al., 2024, REBASE)."""

    MULTINOMIAL = "multinomial"
    SYSTEMATIC = "systematic"
    BALANCED = "balanced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resample:
    """`(Pool{by}) -> Pool[n]`: n copies of candidates, as often as their weights say; each copy goes its own way from
    there (it has a key of its own). Candidates without the field weigh nothing; where nothing weighs, all weigh alike.
    The order of the pool is kept, copies side by side."""

    kind: Literal["resample"] = "resample"
    n: int
    by: str = "score"
    weights: Weights = Weights.SOFTMAX
    temperature: float = 1.0
    scheme: Scheme = Scheme.MULTINOMIAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """`(Pool) -> Pool`: k different candidates drawn at random, all alike or by exp(field / temperature); in the order
    in which they were drawn."""

    kind: Literal["pick"] = "pick"
    k: int
    by: str | None = None
    temperature: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AsQuery:
    """`(Chat, Pool{text}) -> Chat`: the text of the first candidate takes the place of the question (the last message
    of the user); the messages before it stay. An empty pool fails the example."""

    kind: Literal["as_query"] = "as_query"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extern:
    """`(what the parameters `names` take) -> what is declared`: a function of the user's, `module:function`.

    `constants` are the arguments known when compiling. `gives` is `pool`, or the base of a scalar. A pool has at most
    `high` candidates, each with `fields`; where `annotates`, it has those of its first pool, and their fields too.
    """

    kind: Literal["extern"] = "extern"
    name: str
    target: str
    names: tuple[str, ...]
    constants: tuple[tuple[str, ConstantValue | None], ...] = ()
    gives: Literal["pool", "int", "float", "bool", "text"]
    low: int = 0
    high: int = 0
    fields: tuple[str, ...] = ()
    annotates: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Empty:
    """`() -> Pool[0]`: no candidates."""

    kind: Literal["empty"] = "empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """`() -> Scalar`: a value known when compiling."""

    kind: Literal["constant"] = "constant"
    value: ConstantValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute:
    """`(Scalar) -> Scalar`, `(Scalar, Scalar) -> Scalar`: arithmetic, comparison, logic.

    With one input `-` negates. An absent operand makes arithmetic absent, every comparison false, and is false to
    `and`, `or`, `not`. Values that do not compare or add (a text and a number) are as if absent; `==` of them is false
    and `!=` true. A division by zero is absent.
    """

    kind: Literal["compute"] = "compute"
    symbol: Literal["+", "-", "*", "/", "//", "%", "==", "!=", "<", "<=", ">", ">=", "and", "or", "not"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldOf:
    """`(Pool[0..1]{name}) -> Scalar`: a field of the only candidate; absent where it lacks it, or is not there."""

    kind: Literal["field"] = "field"
    name: str


class MeasureKind(StrEnum):
    """What a measure says of a pool. Where it reads a field, candidates without it do not count; groups are of equal
    values. Of nothing, a size or share is 0, a mean, least or greatest value absent, `all` true and `any` false.

    SIZE candidates (int). AGREEMENT share of the largest group (0..1). ENTROPY of the groups, in nats. CERTAINTY
    (ln n - entropy) / ln n for n candidates, 0 for fewer than two (Fu et al., 2024, Certaindex). BETA probability that
    the largest group is the majority of the two largest, under a uniform prior: 1 - I(1/2; v1 + 1, v2 + 1) (Aggarwal et
    al., 2023, Adaptive-Consistency). DIRICHLET probability that the largest group is the most likely of all seen, under
    a uniform prior. WINDOW share of the last `window` candidates that have the last one's value (0 where there are
    fewer than `window`). MEAN, LEAST, GREATEST, TOTAL of numbers. ALL, ANY whether the field is true.
    """

    SIZE = "size"
    AGREEMENT = "agreement"
    ENTROPY = "entropy"
    CERTAINTY = "certainty"
    BETA = "beta_confidence"
    DIRICHLET = "dirichlet_confidence"
    WINDOW = "window_agreement"
    MEAN = "mean"
    LEAST = "min"
    GREATEST = "max"
    TOTAL = "sum"
    ALL = "all"
    ANY = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """`(Pool{by}) -> Scalar`. `window` belongs to WINDOW; SIZE reads no field."""

    kind: Literal["measure"] = "measure"
    what: MeasureKind
    by: str = "answer"
    window: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """`(Type x carried, captured …) -> Results(Type x carried)`: the body again and again, up to `most` times.

    The body gives the new values of those it carries and, with `until`, a last result that ends the loop when it is
    true; it is looked at after every round. `most` is 1 or more, so the body runs at least once.
    """

    kind: Literal["loop"] = "loop"
    most: int
    carried: int
    until: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Each:
    """`(Pool, captured …) -> Results(Pool)`: the body for every candidate by itself, as a pool of one; what it gives,
    side by side in the order of the pool."""

    kind: Literal["each"] = "each"


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """`(Scalar, captured …) -> Results`: the one body whose pattern the value equals, or else the last.

    There are as many bodies as `patterns`, and one more where there is a body for all other values (`otherwise`);
    without it a value that fits no pattern fails the example. A condition is a branch on `true`, and an absent value
    is not.
    """

    kind: Literal["branch"] = "branch"
    patterns: tuple[ConstantValue, ...]
    otherwise: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """`(Results) -> Type`: one of several results."""

    kind: Literal["part"] = "part"
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """`() -> Type`: a parameter of the body, its type given there. `state` names a value that outlives the example;
    such parameters stand in the program's own graph."""

    kind: Literal["param"] = "param"
    index: int
    state: str | None = None


ModelOperator: TypeAlias = Sample | Ask | Extend
Region: TypeAlias = Loop | Each | Branch
Operator: TypeAlias = (
    Input
    | Sample
    | Ask
    | Extend
    | Extract
    | Vote
    | Sort
    | Filter
    | Take
    | Dedupe
    | Concat
    | Resample
    | Pick
    | AsQuery
    | Extern
    | Empty
    | Constant
    | Compute
    | FieldOf
    | Measure
    | Loop
    | Each
    | Branch
    | Part
    | Param
)
