"""The words that operators are told apart by."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

__all__ = [
    "Action",
    "AnswerKind",
    "ConstantValue",
    "IfNone",
    "MeasureKind",
    "Over",
    "READS_FIELD",
    "Reads",
    "Scheme",
    "Single",
    "TreePolicy",
    "Weights",
]


class Over(StrEnum):
    """What one prompt is about: the question alone, each candidate by itself, all candidates together, or two of them:
    the first and the second, the third and the fourth, and so on (NEIGHBOURS), or every two, once in either order
    (PAIRS)."""

    QUERY = "query"
    EACH = "each"
    ALL = "all"
    NEIGHBOURS = "neighbours"
    PAIRS = "pairs"


class Reads(StrEnum):
    """How a reply is read.

    TEXT any text; VERDICT correct or not (bool); GRADE a number from 1 to 10 (float); NUMBER any number (float);
    YES the probability that the next token says yes (float in 0..1, nothing is generated); PASSES how many of the
    listed tests the candidate passes (int); CHOICE one of the `options` (text, spelt as there); WINNER which of two
    candidates, A or B; ORDER a permutation of all candidates; LIST one new candidate per item.
    """

    TEXT = "text"
    VERDICT = "verdict"
    GRADE = "grade"
    NUMBER = "number"
    YES = "yes"
    PASSES = "passes"
    CHOICE = "choice"
    WINNER = "winner"
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


class Weights(StrEnum):
    """How values become weights: exp(value / temperature), (value / (1 - value)) ** (1 / temperature) for values in
    0..1 (kept 1e-7 away from the ends), or the values themselves, where they are positive. At temperature 0 only the
    greatest weighs."""

    SOFTMAX = "softmax"
    ODDS = "odds"
    LINEAR = "linear"


class Scheme(StrEnum):
    """Independent draws; one draw and even steps from it; or the greatest first, each its rounded-up share of what is
    left (Wu et al., 2024, REBASE)."""

    MULTINOMIAL = "multinomial"
    SYSTEMATIC = "systematic"
    BALANCED = "balanced"


class TreePolicy(StrEnum):
    """Which node of a tree goes on next. N is how many candidates a node's subtree has, itself among them, V the mean
    of the scores there, N_p the N of the parent; the roots hang from a root of all, which is no candidate.

    UCT and PUCT go down to a node without children, each time to the child with the greatest value: of UCT
    V + c √(ln N_p / N) (Kocsis & Szepesvári, 2006), of PUCT V + P (c + ln((N_p + 19653) / 19652)) √N_p / (N + 1), where
    P is the child's prior (Silver et al., 2018, AlphaZero). BEST_FIRST is the node without children of the greatest
    score, LEVIN that of the least depth / π, where π is the product of the scores on the way to it, which lie in 0..1
    (Orseau et al., 2018). THOMPSON draws at every node whether to widen it or to go down, and to which child, from what
    each has brought so far (Inoue et al., 2025, AB-MCTS-A with Gaussian rewards).
    """

    UCT = "uct"
    PUCT = "puct"
    BEST_FIRST = "best_first"
    LEVIN = "levin"
    THOMPSON = "thompson"


class MeasureKind(StrEnum):
    """What a measure says of a pool. Where it reads a field, candidates without it do not count; groups are of equal
    values. Of nothing, a size, share, entropy or total is 0, a confidence 1/2, a mean, least or greatest value absent,
    `all` true and `any` false.

    SIZE candidates (int). AGREEMENT share of the largest group (0..1). ENTROPY of the groups, in nats. CERTAINTY
    (ln n - entropy) / ln n for n candidates, 0 for fewer than two (Fu et al., 2024, Certaindex). BETA probability that
    the largest group is the majority of the two largest, under a uniform prior: 1 - I(1/2; v1 + 1, v2 + 1) (Aggarwal et
    al., 2023, Adaptive-Consistency). DIRICHLET probability that the largest group is the most likely of all seen, under
    a uniform prior; of fewer than three groups it is BETA, so one group is weighed against one not seen. WINDOW share
    of the last `window` candidates that have the last one's value; those without a value stand in the window and agree
    with nothing (0 where there are fewer than `window`). MEAN, LEAST, GREATEST, TOTAL of numbers, where true is 1. ALL,
    ANY whether the field is true, as to a filter.
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
