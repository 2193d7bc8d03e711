"""The built-in operators of the language: signatures and documentation. How each becomes nodes is in `lower.py`."""

from __future__ import annotations

from pnyx.compiler.elaborate.kinds import REQUIRED, Base, Kind, Parameter, Signature
from pnyx.compiler.elaborate.values import PolicyValue, Symbol
from pnyx.compiler.operators import AnswerKind, IfNone, OnFail, Over, Reads, Single

__all__ = ["BUILTINS"]

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
        Parameter("max_tokens", _INT, max_tokens, "the most tokens of one sample"),
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
        Parameter("over", _words(Over.EACH, Over.ALL), Symbol("each"), "one prompt for each candidate, or one for all"),
        Parameter("into", Kind(Base.FIELD, optional=True), None, "the field for the reply; without it: new candidates"),
        Parameter("reads", _words(*Reads), Symbol("text"), "how the reply is read"),
        Parameter("n", _INT, 1, "samples of each prompt, where they become new candidates"),
        Parameter("count", Kind(Base.INT, optional=True, low=1, high=1000), None, "the most items of `reads = list`"),
        *_sampling(512, 0.7),
        Parameter("on_fail", Kind(Base.POLICY), PolicyValue(OnFail()), "what happens when a reply cannot be read"),
        Parameter(
            "single", _words(*Single), Symbol(Single.ASK), "what `over = all` does with one candidate: ask, or keep it"
        ),
    ),
    variables=True,
    doc="Shows a model a prompt: about the question, about each candidate, or about all of them.",
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

SORT = Signature(
    "sort",
    (
        Parameter("pool", Kind(Base.POOL, fields=("by",))),
        Parameter("by", _FIELD, Symbol("score")),
        Parameter("ascending", Kind(Base.BOOL), False),
    ),
    doc="Orders candidates by a field, greatest first; candidates without it come last.",
)

FILTER = Signature(
    "filter",
    (
        Parameter("pool", Kind(Base.POOL, fields=("by",))),
        Parameter("by", _FIELD, Symbol("verdict")),
        Parameter("at_least", Kind(Base.FLOAT, optional=True), None, "the least value that passes"),
        Parameter("if_none", _words(*IfNone), Symbol(IfNone.DROP), "when none passes: keep all, or drop all"),
    ),
    doc="Keeps the candidates whose field is true, or at least `at_least`.",
)

TAKE = Signature("take", (Parameter("pool", _POOL), Parameter("k", _INT)), doc="The first `k` candidates.")

DEDUPE = Signature(
    "dedupe",
    (Parameter("pool", Kind(Base.POOL, fields=("by",))), Parameter("by", _FIELD, Symbol("text"))),
    doc="Keeps the first candidate of each value of a field.",
)

HAS = Signature(
    "has",
    (Parameter("pool", _POOL), Parameter("field", _FIELD)),
    doc="Whether the candidates have a field; known when compiling.",
)

SIZE = Signature("size", (Parameter("pool", _POOL),), doc="How many candidates, where that is known when compiling.")

BUILTINS: dict[str, Signature] = {
    s.name: s for s in (GENERATE, ASK, EXTRACT, VOTE, SORT, FILTER, TAKE, DEDUPE, HAS, SIZE)
}
