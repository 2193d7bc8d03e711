"""Operators that ask a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from pnyx.compiler.operators.words import Action, ConstantValue, Over, Reads, Single

__all__ = ["SUBJECTS", "Ask", "Extend", "Loglik", "OnFail", "PromptText", "Sample", "Sampling"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How tokens are drawn. Temperature 0 is greedy. `stop` strings end a sample and are not part of its text.

    Of the tokens, only the `top_k` likeliest are drawn (None: all), of these only those with `min_p` times the
    probability of the likeliest or more (Nguyen et al., 2024), and of these only the nucleus of `top_p`. Before a
    sample has `min_tokens`, neither the end of the text nor a stop string ends it.
    """

    temperature: float = 0.7
    top_p: float = 1.0
    max_tokens: int = 512
    stop: tuple[str, ...] = ()
    top_k: int | None = None
    min_p: float = 0.0
    min_tokens: int = 0

    @property
    def greedy(self) -> bool:
        """Whether all samples of a prompt are alike."""
        return self.temperature == 0 or self.top_k == 1 or self.min_p == 1

    @property
    def unusual(self) -> dict[str, int | float]:
        """`top_k`, `min_p` and `min_tokens`, where they are not off: not every engine knows them."""
        given = {"top_k": self.top_k or 0, "min_p": self.min_p, "min_tokens": self.min_tokens}
        return {name: value for name, value in given.items() if value}

    def told(self) -> dict[str, object]:
        """What the identity of a sample tells of this: the unusual only where it is not off."""
        usual: dict[str, object] = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_tokens,
            "stop": self.stop,
        }
        return usual | self.unusual


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


SUBJECTS: Final[Mapping[Over, tuple[str, ...]]] = MappingProxyType(
    {
        Over.QUERY: (),
        Over.EACH: ("candidate",),
        Over.ALL: ("candidates",),
        Over.NEIGHBOURS: ("a", "b"),
        Over.PAIRS: ("a", "b"),
    }
)
"""What a prompt calls the candidates that it is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """`(Chat, Pool unless over the query, Pool or Scalar for each of `variables`) -> Pool`: a model is shown `prompt`.

    The prompt sees `query` (text), `candidate` (over each), `candidates` (over all) or `a` and `b` (over two), every
    pool of `variables` as a list of candidates under its name (of which `name.field` reads the first), every scalar as
    its value, and the `constants`. With CHOICE it sees `options`.

    | over | into | reads | result |
    |---|---|---|---|
    | each | a field | one of READS_FIELD | the pool, that field added |
    | each | None | TEXT | n new candidates for each candidate |
    | all | None | TEXT | n new candidates |
    | all | None | ORDER | the pool in the order of the reply |
    | query, all | None | LIST | one new candidate per item, at most `count` |
    | query | None | TEXT | n new candidates |
    | query, all | None | CHOICE | one new candidate, its text the option; none where the reply says none |
    | neighbours | None | WINNER | the winners in order, and an odd last one |
    | pairs | a field | WINNER | the pool, the field the share of its comparisons that a candidate won |

    Of neighbours whose reply cannot be read the first stays; with DROP neither does. Over pairs such a comparison does
    not count; a candidate none of whose comparisons counts has no share, and with DROP it goes.

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
    def about(self) -> tuple[str, ...]:
        """What the prompt calls the candidates that it is about."""
        return SUBJECTS[self.over]

    @property
    def tests(self) -> int | None:
        """Which of `variables` are tests: those of that name, else the first where the passes are counted."""
        if "tests" in self.variables:
            return self.variables.index("tests")
        return 0 if self.reads is Reads.PASSES and self.variables else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Extend:
    """`(Chat, Pool{text}) -> Pool`: a model goes on with each candidate from where its text ends.

    What is continued is the text, the stop string that ended it (`stopped`), and `force`. Without `into` each candidate
    gives n new ones, whose text is all of that and what follows; one that is `finished` stays as it is, once, unless
    `force` makes it go on (Muennighoff et al., 2025, budget forcing). `logprob` is that of all that was drawn. With
    `into` what follows becomes that field, read as text and stripped, and the candidate stays as it was: a probe.
    """

    kind: Literal["extend"] = "extend"
    model: str
    sampling: Sampling = field(default_factory=Sampling)
    system: str | None = None
    force: str = ""
    into: str | None = None
    n: int = 1
    joined: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Loglik:
    """`(Chat, Pool{of}) -> Pool{into}`: how likely the model finds each candidate's text `of` as its reply.

    The value is the sum of the log-probabilities of its tokens, 0 for the empty text; nothing is drawn. Candidates
    whose field is absent, or no text, have none. All are asked about in one call.
    """

    kind: Literal["loglik"] = "loglik"
    model: str
    system: str | None = None
    of: str = "text"
    into: str = "loglik"
