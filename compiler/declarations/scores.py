"""How an answer is scored: `exact`, `numeric(tolerance = 0.01)`, `judge(model)`, an `extern op`, …

Every score is a number from 0 to 1. What each of them computes is where benchmarks are carried out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

from pnyx.compiler import syntax
from pnyx.compiler.declarations.settings import Form, Settings
from pnyx.compiler.diagnostics import Label
from pnyx.compiler.elaborate.kinds import Base, Kind, Parameter, Signature
from pnyx.compiler.patterns import PatternFault, compile_pattern

__all__ = [
    "F1", "ChoiceScore", "CodeScore", "Exact", "ExternScore", "Judge", "MathScore", "Normalized", "Numeric", "OwnScore",
    "Pairwise", "RegexScore", "Score", "needs_target", "read_score",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Exact:
    """The texts are the same."""


@dataclass(frozen=True, slots=True)
class Normalized:
    """The texts are the same but for case, punctuation, articles and white space."""


@dataclass(frozen=True, slots=True)
class F1:
    """The harmonic mean of precision and recall of the words (Rajpurkar et al., 2016)."""


@dataclass(frozen=True, slots=True)
class Numeric:
    """The numbers differ by at most `tolerance`."""

    tolerance: float


@dataclass(frozen=True, slots=True)
class MathScore:
    """The expressions mean the same (`math-verify`)."""


@dataclass(frozen=True, slots=True)
class ChoiceScore:
    """The letter of the right choice."""


@dataclass(frozen=True, slots=True)
class RegexScore:
    """What the first group of a pattern (RE2) finds is the target; where there is no target, the pattern is found."""

    pattern: str


@dataclass(frozen=True, slots=True)
class CodeScore:
    """The code passes the tests."""


@dataclass(frozen=True, slots=True)
class Judge:
    """A model grades the answer. `prompt` None: the standard library's."""

    model: str
    prompt: str | None


@dataclass(frozen=True, slots=True)
class Pairwise:
    """How often a model prefers the answer to that of the baseline pipeline, asked in both orders."""

    model: str
    baseline: str
    prompt: str | None


@dataclass(frozen=True, slots=True)
class ExternScore:
    """The number that an `extern op` gives: the function `target` (`module:function`), with what its parameters are
    called and the types that they are declared with. A parameter in `optional` may be left out."""

    operator: str
    target: str
    parameters: tuple[tuple[str, str], ...]
    optional: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class OwnScore:
    """As the data scores answers itself."""


Score: TypeAlias = (
    Exact
    | Normalized
    | F1
    | Numeric
    | MathScore
    | ChoiceScore
    | RegexScore
    | CodeScore
    | Judge
    | Pairwise
    | ExternScore
    | OwnScore
)

_PLAIN: Final[Mapping[str, Score]] = {
    "exact": Exact(), "normalized": Normalized(), "f1": F1(), "math": MathScore(), "choice": ChoiceScore(),
    "code": CodeScore(),
}  # fmt: skip
_MODEL: Final = Parameter("model", Kind(Base.MODEL))
_PROMPT: Final = Parameter("prompt", Kind(Base.PROMPT, optional=True), None)
_FORMS: Final[Mapping[str, Signature]] = {
    signature.name: signature
    for signature in (
        *(Signature(name, ()) for name in _PLAIN),
        Signature("numeric", (Parameter("tolerance", Kind(Base.FLOAT, low=0), 1e-6),)),
        Signature("regex", (Parameter("pattern", Kind(Base.TEXT)),)),
        Signature("judge", (_MODEL, _PROMPT)),
        Signature("pairwise", (_MODEL, Parameter("baseline", Kind(Base.OP)), _PROMPT)),
    )
}
_NUMBERS: Final = ("Float", "Int", "Bool")


def read_score(settings: Settings, own: Score | None) -> Score | None:
    """None where it is missing or faulty, which is reported; `own` is what the data bring, where they do."""
    value = settings.value("score")
    if value is None and own is not None:
        return own
    settings.require("score", "exact")
    if isinstance(value, syntax.Name):
        declared = settings.find(value.name)
        if isinstance(declared, syntax.ExternDecl):
            return _extern(value, declared, settings)
    form = settings.form("score", _FORMS)
    return None if form is None else _made(form, settings)


def needs_target(score: Score) -> bool:
    """Whether the score holds answers against a target of the row."""
    return not isinstance(score, Judge | Pairwise | RegexScore | ExternScore | OwnScore)


def _extern(value: syntax.Name, declared: syntax.ExternDecl, settings: Settings) -> Score:
    settings.use(value.name)
    if declared.returns is not None and declared.returns.name not in _NUMBERS:
        settings.report(
            "E301",
            f"`{value.name}` gives no number to score with",
            value.span,
            secondary=[Label(declared.returns.span, "this is what it gives")],
            help="a score is a `Float`, an `Int` or a `Bool`",
        )
    types = tuple((p.name, p.type.name if p.type is not None else "Text") for p in declared.params)
    optional = frozenset(p.name for p in declared.params if p.default is not None)
    return ExternScore(value.name, declared.target.value, types, optional)


def _made(form: Form, settings: Settings) -> Score | None:
    given = form.arguments
    prompt = cast("str | None", given.get("prompt"))
    match form.name:
        case "numeric":
            return Numeric(float(given["tolerance"] or 0))
        case "regex":
            return _regex(str(given["pattern"]), form, settings)
        case "judge":
            return Judge(str(given["model"]), prompt)
        case "pairwise":
            return Pairwise(str(given["model"]), str(given["baseline"]), prompt)
        case name:
            return _PLAIN[name]


def _regex(pattern: str, form: Form, settings: Settings) -> Score | None:
    try:
        compile_pattern(pattern)
    except PatternFault as fault:
        help = "patterns are RE2's: no look-around, no back-references"
        settings.report("E401", f"the pattern is faulty: {fault}", form.span, help=help)
        return None
    return RegexScore(pattern)
