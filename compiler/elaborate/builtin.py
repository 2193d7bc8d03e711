"""The built-in operators of the language: signatures and documentation. How each becomes nodes is in `lower.py`."""

from __future__ import annotations

from pnyx.compiler.elaborate.acting import ACTING
from pnyx.compiler.elaborate.kinds import REQUIRED, Base, Kind, Parameter, Signature
from pnyx.compiler.elaborate.values import PolicyValue, Symbol
from pnyx.compiler.operators import (
    AnswerKind,
    IfNone,
    MeasureKind,
    OnFail,
    Over,
    Reads,
    Scheme,
    Single,
    TreePolicy,
    Weights,
)

__all__ = ["BUILTINS", "MEASURES", "VALUES"]

_POOL = Kind(Base.POOL)
_INT = Kind(Base.INT, low=1, high=1_000_000)
_TEXT = Kind(Base.TEXT)
_FIELD = Kind(Base.FIELD)
_MODEL = Kind(Base.MODEL)


def _words(*words: str) -> Kind:
    return Kind(Base.CHOICE, words=words)


def _sampling(max_tokens: int, temperature: float) -> tuple[Parameter, ...]:
    texts = Kind(Base.LIST, optional=True, element=_TEXT, single=True)
    return (
        Parameter(
            "temperature",
            Kind(Base.FLOAT, low=0, high=100),
            temperature,
            "0 is greedy; 1 is the model's own distribution",
        ),
        Parameter("top_p", Kind(Base.FLOAT, low=0.000001, high=1), 1.0, "nucleus sampling (Holtzman et al., 2020)"),
        Parameter(
            "top_k",
            Kind(Base.INT, optional=True, low=1, high=1_000_000),
            None,
            "draws from so many of the likeliest tokens only; 1 is greedy",
        ),
        Parameter(
            "min_p",
            Kind(Base.FLOAT, low=0, high=1),
            0.0,
            "leaves out tokens of less than this share of the likeliest one's probability (Nguyen et al., 2024)",
        ),
        Parameter("max_tokens", _INT, max_tokens, "the most tokens of one sample"),
        Parameter(
            "min_tokens",
            Kind(Base.INT, low=0, high=1_000_000),
            0,
            "before it has so many tokens, nothing ends a sample; at most `max_tokens`",
        ),
        Parameter("stop", texts, None, "strings that end a sample; not part of its text"),
    )


GENERATE = Signature(
    "generate",
    (
        Parameter("query", Kind(Base.CHAT), REQUIRED, "the question"),
        Parameter("model", Kind(Base.LIST, element=_MODEL, single=True), REQUIRED, "a model, or a list of models"),
        Parameter("n", _INT, 1, "samples from each model"),
        *_sampling(512, 0.7),
        Parameter("system", Kind(Base.TEXT, optional=True), None, "the system message"),
        Parameter(
            "stream",
            Kind(Base.INT, low=0, high=1_000_000),
            0,
            "which of the independent streams of this prompt to read",
        ),
    ),
    doc="Samples answers to the question: the first `n` of each model's stream.",
)

ASK = Signature(
    "ask",
    (
        Parameter("subject", Kind(Base.SUBJECT), REQUIRED, "the question, or the candidates to ask about"),
        Parameter("model", _MODEL, REQUIRED, "who is asked"),
        Parameter("prompt", Kind(Base.PROMPT), REQUIRED, "what is asked; its further variables are named arguments"),
        Parameter(
            "over",
            _words(*(over for over in Over if over is not Over.QUERY)),
            Symbol("each"),
            "one prompt for each candidate, for all, for one neighbour and the next, or for every two",
        ),
        Parameter("into", Kind(Base.FIELD, optional=True), None, "the field for the reply; without it: new candidates"),
        Parameter("reads", _words(*Reads), Symbol("text"), "how the reply is read"),
        Parameter("n", _INT, 1, "samples of each prompt, where they become new candidates"),
        Parameter("count", Kind(Base.INT, optional=True, low=1, high=1000), None, "the most items of `reads = list`"),
        *_sampling(512, 0.7),
        Parameter("on_fail", Kind(Base.POLICY), PolicyValue(OnFail()), "what happens when a reply cannot be read"),
        Parameter(
            "single", _words(*Single), Symbol(Single.ASK), "what `over = all` does with one candidate: ask, or keep it"
        ),
        Parameter(
            "options",
            Kind(Base.LIST, optional=True, element=_TEXT),
            None,
            "what `reads = choice` chooses from; the prompt sees them as `options`",
        ),
    ),
    variables=True,
    doc="Shows a model a prompt: about the question, about each candidate, two of them, or all of them.",
)

EXTRACT = Signature(
    "extract",
    (
        Parameter("pool", Kind(Base.POOL, fields=("text",))),
        Parameter("kind", _words(*AnswerKind), REQUIRED, "what an answer looks like"),
        Parameter("pattern", Kind(Base.TEXT, optional=True), None, "for `regex` (RE2): its first group is the answer"),
        Parameter("after", Kind(Base.TEXT, optional=True), None, "read behind the last occurrence of this marker"),
    ),
    doc="Reads the final answer out of each candidate's text, into `answer`; absent where there is none.",
)

VOTE = Signature(
    "vote",
    (
        Parameter("pool", Kind(Base.POOL, fields=("by",))),
        Parameter("by", _FIELD, Symbol("answer"), "equal values vote together"),
        Parameter("weight", Kind(Base.FIELD, optional=True), None, "a numeric field; without it each counts one"),
    ),
    doc="The first candidate of the largest group (Wang et al., 2023, self-consistency). Absent answers never vote.",
)

GROUP = Signature(
    "group",
    VOTE.parameters,
    doc="The first candidate of each group of equal values, the largest group first. Absent values form no group.",
)

SORT = Signature(
    "sort",
    (
        Parameter("pool", Kind(Base.POOL, fields=("by",))),
        Parameter("by", _FIELD, Symbol("score"), "what they are ordered by"),
        Parameter("ascending", Kind(Base.BOOL), False, "the least first"),
    ),
    doc="Orders candidates by a field, greatest first; candidates without it come last.",
)

FILTER = Signature(
    "filter",
    (
        Parameter("pool", Kind(Base.POOL, fields=("by",))),
        Parameter("by", _FIELD, Symbol("verdict"), "what is looked at"),
        Parameter("at_least", Kind(Base.FLOAT, optional=True), None, "the least value that passes"),
        Parameter("if_none", _words(*IfNone), Symbol(IfNone.DROP), "when none passes: keep all, or drop all"),
    ),
    doc="Keeps the candidates whose field is true, or at least `at_least`.",
)

TAKE = Signature(
    "take", (Parameter("pool", _POOL), Parameter("k", _INT, REQUIRED, "how many")), doc="The first `k` candidates."
)

DEDUPE = Signature(
    "dedupe",
    (
        Parameter("pool", Kind(Base.POOL, fields=("by",))),
        Parameter("by", _FIELD, Symbol("text"), "of whose equal values one stays"),
    ),
    doc="Keeps the first candidate of each value of a field.",
)

HAS = Signature(
    "has",
    (Parameter("pool", _POOL), Parameter("field", _FIELD, REQUIRED, "the name of the field")),
    doc="Whether the candidates have a field; known when compiling.",
)

EXTEND = Signature(
    "extend",
    (
        Parameter("pool", Kind(Base.POOL, fields=("text",))),
        Parameter("model", _MODEL, REQUIRED, "who goes on"),
        Parameter("n", _INT, 1, "continuations of each candidate"),
        Parameter("force", _TEXT, "", "what is put behind the text first"),
        *_sampling(512, 0.7),
        Parameter("system", Kind(Base.TEXT, optional=True), None, "the system message"),
    ),
    doc="Goes on with each candidate from where its text ends. A candidate that is `finished` stays as it is.",
)

PROBE = Signature(
    "probe",
    (
        Parameter("pool", Kind(Base.POOL, fields=("text",))),
        Parameter("model", _MODEL, REQUIRED, "who is looked into"),
        Parameter("into", _FIELD, REQUIRED, "the field for what the model would say"),
        Parameter("force", _TEXT, "", "what is put behind the text first"),
        *_sampling(20, 0.0),
        Parameter("system", Kind(Base.TEXT, optional=True), None, "the system message"),
    ),
    doc="What a model would say next, into a field; the candidates stay as they were (Fu et al., 2024, Dynasor).",
)

RESAMPLE = Signature(
    "resample",
    (
        Parameter("pool", Kind(Base.POOL, fields=("by",))),
        Parameter("n", _INT, REQUIRED, "how many there are after it"),
        Parameter("by", _FIELD, Symbol("score"), "what the weights are made of"),
        Parameter("weights", _words(*Weights), Symbol(Weights.SOFTMAX), "how values become weights"),
        Parameter("temperature", Kind(Base.FLOAT, low=0.001, high=1000), 1.0, "the lower, the more the best ones get"),
        Parameter("scheme", _words(*Scheme), Symbol(Scheme.MULTINOMIAL), "how the draws are made"),
    ),
    doc="Copies candidates as often as their weights say (particle filters; REBASE: `scheme = balanced`).",
)

SAMPLE = Signature(
    "sample",
    (
        Parameter("pool", _POOL),
        Parameter("k", _INT, REQUIRED, "how many"),
        Parameter("by", Kind(Base.FIELD, optional=True), None, "a numeric field; without it all are alike"),
        Parameter("temperature", Kind(Base.FLOAT, low=0.001, high=1000), 1.0, "the lower, the likelier the best"),
    ),
    doc="Draws `k` different candidates at random.",
)

LOGLIK = Signature(
    "loglik",
    (
        Parameter("pool", Kind(Base.POOL, fields=("of",))),
        Parameter("model", _MODEL, REQUIRED, "who is asked"),
        Parameter("of", _FIELD, Symbol("text"), "the text that is looked at"),
        Parameter("into", _FIELD, Symbol("loglik"), "the field for the log-probability"),
        Parameter("system", Kind(Base.TEXT, optional=True), None, "the system message"),
    ),
    doc="How likely a model finds each candidate's text as its own reply: the sum of its tokens' log-probabilities.",
)

CHOOSE = Signature(
    "choose",
    (
        Parameter("tree", Kind(Base.POOL, fields=("by",)), REQUIRED, "the nodes, those with a `parent` below it"),
        Parameter("policy", _words(*TreePolicy), Symbol(TreePolicy.UCT), "how the node is chosen"),
        Parameter("c", Kind(Base.FLOAT, low=0, high=1000), 1.0, "the greater, the more little-visited nodes are tried"),
        Parameter("by", _FIELD, Symbol("score"), "what is to be large"),
        Parameter("prior", Kind(Base.FIELD, optional=True), None, "a numeric field; without it all priors are 1"),
        Parameter("done", Kind(Base.FIELD, optional=True), None, "a field that is true of nodes that cannot go on"),
    ),
    doc="The node of a tree to go on from; none where a new root is due.",
)

GROW = Signature(
    "grow",
    (
        Parameter("tree", _POOL, REQUIRED, "the nodes so far"),
        Parameter("children", _POOL, REQUIRED, "what has been made of the node"),
        Parameter("node", _POOL, REQUIRED, "one candidate of the tree, or none: then the children are roots"),
    ),
    doc="The tree with the children behind it, each with the place of the node as its `parent`.",
)

SHUFFLE_OPTIONS = Signature(
    "shuffle_options",
    (
        Parameter("query", Kind(Base.CHAT), REQUIRED, "the question"),
        Parameter("n", _INT, REQUIRED, "how many orders; the first is the question's own"),
    ),
    doc="The question with its lettered options in other orders; `order` tells which is where.",
)

RESTORE_OPTION = Signature(
    "restore_option",
    (
        Parameter("pool", Kind(Base.POOL, fields=("by",))),
        Parameter("order", Kind(Base.TEXT, late=True), REQUIRED, "the order in which the options stood"),
        Parameter("by", _FIELD, Symbol("answer"), "the field with the letter"),
    ),
    doc="Letters of options that were shuffled, as the question had them.",
)

AS_QUERY = Signature(
    "as_query",
    (Parameter("pool", Kind(Base.POOL, fields=("text",))),),
    doc="The text of the first candidate as the question of what follows.",
)

SIZE = Signature(
    "size", (Parameter("pool", _POOL),), doc="How many candidates; known when compiling where it is exact."
)


def _measure(kind: MeasureKind, by: str | None, doc: str, *more: Parameter) -> Signature:
    field = Parameter("by", _FIELD, REQUIRED if by is None else Symbol(by), "what is looked at")
    return Signature(kind.value, (Parameter("pool", Kind(Base.POOL, fields=("by",))), *more, field), doc=doc)


MEASURES = (
    _measure(MeasureKind.AGREEMENT, "answer", "The share of the largest group of equal values, 0 to 1."),
    _measure(MeasureKind.ENTROPY, "answer", "The entropy of the groups of equal values, in nats."),
    _measure(
        MeasureKind.CERTAINTY,
        "answer",
        "1 where all values are equal, 0 where all differ (Fu et al., 2024, Certaindex).",
    ),
    _measure(
        MeasureKind.BETA,
        "answer",
        "The probability that the largest group stays ahead of the second (Aggarwal et al., 2023).",
    ),
    _measure(
        MeasureKind.DIRICHLET,
        "answer",
        "The probability that the largest group stays ahead of all others (Aggarwal et al., 2023).",
    ),
    _measure(
        MeasureKind.WINDOW,
        "answer",
        "The share of the last `window` candidates that agree with the last one (Fu et al., 2024, Dynasor).",
        Parameter("window", _INT, REQUIRED, "how many"),
    ),
    _measure(MeasureKind.MEAN, "score", "The mean of a numeric field."),
    _measure(MeasureKind.LEAST, "score", "The least value of a numeric field."),
    _measure(MeasureKind.GREATEST, "score", "The greatest value of a numeric field."),
    _measure(MeasureKind.TOTAL, "score", "The sum of a numeric field."),
    _measure(MeasureKind.ALL, None, "Whether a field is true of every candidate."),
    _measure(MeasureKind.ANY, None, "Whether a field is true of some candidate."),
)

BUILTINS: dict[str, Signature] = {
    s.name: s
    for s in (
        GENERATE, EXTEND, ASK, PROBE, LOGLIK, EXTRACT, VOTE, GROUP, SORT, FILTER, TAKE, SAMPLE, RESAMPLE, DEDUPE,
        CHOOSE, GROW, SHUFFLE_OPTIONS, RESTORE_OPTION, AS_QUERY, HAS, SIZE, *ACTING, *MEASURES,
    )
}  # fmt: skip

VALUES: dict[str, str] = {"empty": "A pool without candidates."}
"""Built-in names that are no operators."""
