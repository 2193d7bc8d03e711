"""Operators that take pools and give pools without asking a model, and where values come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pnyx.compiler.operators.words import AnswerKind, ConstantValue, IfNone, Scheme, Weights

__all__ = [
    "AsQuery",
    "Concat",
    "Dedupe",
    "Empty",
    "Extern",
    "Extract",
    "Filter",
    "Group",
    "Input",
    "Pick",
    "Resample",
    "RestoreOption",
    "ShuffleOptions",
    "Sort",
    "Take",
    "Vote",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """`() -> Chat`: the question."""

    kind: Literal["input"] = "input"


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
class Group:
    """`(Pool{by}) -> Pool{votes}`: the first candidate of every group of equal values, the largest group first; a tie
    goes to the group that appeared first. What counts, and `votes`, are as of `Vote`, which is the first of these."""

    kind: Literal["group"] = "group"
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
    in which they were drawn. They stay who they are. Those without the field are drawn when no other is left."""

    kind: Literal["pick"] = "pick"
    k: int
    by: str | None = None
    temperature: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AsQuery:
    """`(Chat, Pool{text}) -> Chat`: the text of the first candidate takes the place of the question (the last message
    of the user); the messages before it stay, those behind it go. An empty pool fails the example."""

    kind: Literal["as_query"] = "as_query"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShuffleOptions:
    """`(Chat) -> Pool[n]{text, order}`: the question's text n times, its lettered options in another order each time.

    The first has them as they were; no order comes twice before all have come. `order` says, place by place, which
    letter the option there had. Options are two to ten paragraphs that begin with A, B, C … and a bracket, point or
    colon (`A)`, `(B)`, `c.`), each letter on a line of its own. A question without them stays as it is, and `order` is
    absent.
    """

    kind: Literal["shuffle_options"] = "shuffle_options"
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOption:
    """`(Pool{by}, Scalar) -> Pool`: the letter of an option in the order that the scalar tells (`order`), as the letter
    it had at first. A value that is no letter of an option there is absent then; without an order all stay."""

    kind: Literal["restore_option"] = "restore_option"
    by: str = "answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extern:
    """`(what the parameters `names` take) -> what is declared`: a function of the user's, `module:function`.

    `constants` are the arguments known when compiling. `gives` is `pool`, or the base of a scalar. A pool has at most
    `high` candidates, each with `fields`; where `annotates`, it has those of its first pool, and their fields too.

    The function gets the question as its text, pools as lists of candidates (mappings of their fields), absent values
    as None. Candidates that it gives back, `with_fields` or not, stay who they are; texts and mappings are new ones.
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
