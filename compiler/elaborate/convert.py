"""Whether a value is what a parameter accepts. Reports what is wrong where it is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pnyx.compiler.diagnostics import Label, Reporter, rename
from pnyx.compiler.elaborate.kinds import Base, Kind
from pnyx.compiler.elaborate.values import (
    ERROR,
    GraphValue,
    ModelValue,
    OpValue,
    PolicyValue,
    PromptValue,
    Symbol,
    Value,
    describe,
)
from pnyx.compiler.nearest import nearest
from pnyx.compiler.operators import Action, OnFail
from pnyx.compiler.source import Span
from pnyx.compiler.types import Chat, Pool, Scalar, Size

__all__ = ["Place", "convert", "fits", "provider_of"]

_PROVIDERS = {
    "text": "generate(model)",
    "answer": "extract(number)",
    "score": "grade(model)",
    "passes": "judge_tests(model, tests)",
    "verdict": "assess(model)",
    "critique": "critique(model)",
    "votes": "vote",
    "order": "shuffle_options(n)",
    "loglik": "loglik(model)",
    "logprob": "generate(model)",
    "model": "generate(model)",
    "finished": "extend(model)",
    "output": "run_code",
    "error": "run_code",
    "passed": "run_tests(tests)",
}


_LATE: dict[Base, tuple[str, ...]] = {
    Base.TEXT: ("text", "any"),
    Base.INT: ("int", "any"),
    Base.FLOAT: ("float", "int", "any"),
    Base.BOOL: ("bool", "any"),
}


def provider_of(field: str) -> str:
    """How a program gets candidates with that field, for a help line."""
    known = _PROVIDERS.get(field)
    return f"add `|> {known}` before it" if known else f"an `ask(model, prompt, into = {field})` before it gives it"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value is used: the operator's name and the parameter's, and what to point at."""

    operator: str
    parameter: str
    span: Span
    call: Span


def convert(
    value: Value, kind: Kind, place: Place, reporter: Reporter, fields: Mapping[str, Value] | None = None
) -> Value:
    """The value as the parameter sees it (`3` as a Float is `3.0`), or ERROR once the problem is reported.

    `fields`: values of FIELD parameters, for kinds that name one.
    """
    if value is ERROR:
        return ERROR
    if value is None and kind.optional:
        return None
    if kind.late and isinstance(value, GraphValue) and isinstance(value.node.type, Scalar):
        return value if value.node.type.base in _LATE[kind.base] else _wrong(value, kind, place, reporter)
    match kind.base:
        case Base.ANY:
            return value
        case Base.LIST:
            return _convert_list(value, kind, place, reporter)
        case Base.POOL | Base.CHAT | Base.SUBJECT:
            return _convert_graph(value, kind, place, reporter, fields or {})
        case Base.INT | Base.FLOAT:
            return _convert_number(value, kind, place, reporter)
        case Base.CHOICE:
            return _convert_word(value, kind, place, reporter)
        case Base.POLICY:
            return _convert_policy(value, kind, place, reporter)
        case _:
            return value if _matches(value, kind.base) else _wrong(value, kind, place, reporter)


def _matches(value: Value, base: Base) -> bool:
    match base:
        case Base.TEXT:
            return isinstance(value, str)
        case Base.BOOL:
            return isinstance(value, bool)
        case Base.MODEL:
            return isinstance(value, ModelValue)
        case Base.PROMPT:
            return isinstance(value, PromptValue)
        case Base.OP:
            return isinstance(value, OpValue)
        case _:  # a field
            return isinstance(value, Symbol)


def _convert_list(value: Value, kind: Kind, place: Place, reporter: Reporter) -> Value:
    element = kind.element or Kind(Base.ANY, optional=True)
    if not isinstance(value, tuple):
        if not kind.single:
            return _wrong(value, kind, place, reporter)
        value = (value,)
    items = tuple(convert(item, element, place, reporter) for item in value)
    return ERROR if ERROR in items else items


def _convert_number(value: Value, kind: Kind, place: Place, reporter: Reporter) -> Value:
    whole = kind.base is Base.INT
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        return _wrong(value, kind, place, reporter)
    low, high = kind.low, kind.high
    if (low is not None and value < low) or (high is not None and value > high):
        bounds = f"{_plain(low)} to {_plain(high)}" if high is not None else f"at least {_plain(low)}"
        reporter.report(
            "E401",
            f"`{place.parameter}` of `{place.operator}` cannot be {_plain(value)}",
            place.span,
            help=f"it is {'a whole number' if whole else 'a number'}, {bounds}",
        )
        return ERROR
    return value if whole else float(value)


def _plain(number: float | None) -> str:
    return "" if number is None else str(int(number)) if number == int(number) else f"{number:g}"


def _convert_word(value: Value, kind: Kind, place: Place, reporter: Reporter) -> Value:
    if not isinstance(value, Symbol):
        return _wrong(value, kind, place, reporter)
    if value.name in kind.words:
        return value
    likely = nearest(value.name, kind.words)
    reporter.report(
        "E209",
        f"`{place.parameter}` of `{place.operator}` cannot be `{value.name}`",
        place.span,
        help=f"did you mean `{likely}`?" if likely else f"it is one of {', '.join(f'`{w}`' for w in kind.words)}",
        fixes=rename(place.span, value.name, likely),
    )
    return ERROR


def _convert_policy(value: Value, kind: Kind, place: Place, reporter: Reporter) -> Value:
    if isinstance(value, PolicyValue):
        return value
    if isinstance(value, Symbol):
        words = replace(kind, base=Base.CHOICE, words=tuple(Action))
        checked = _convert_word(value, words, place, reporter)
        return PolicyValue(OnFail(then=Action(checked.name))) if isinstance(checked, Symbol) else ERROR
    return _wrong(value, kind, place, reporter)


def _convert_graph(value: Value, kind: Kind, place: Place, reporter: Reporter, fields: Mapping[str, Value]) -> Value:
    if not isinstance(value, GraphValue):
        return _wrong(value, kind, place, reporter)
    type_ = value.node.type
    if not isinstance(type_, Chat | Pool):
        return _wrong(value, kind, place, reporter)
    if isinstance(type_, Chat):
        if kind.base is not Base.POOL:
            return value
        help = "add `|> generate(model)` before it"
        return _misplaced("candidates", value, place, reporter, help)
    if kind.base is Base.CHAT:
        return _misplaced("the question", value, place, reporter, "start again from the question: `query |> …`")
    return _check_pool(value, type_, kind, place, reporter, fields)


def _misplaced(wanted: str, value: GraphValue, place: Place, reporter: Reporter, help: str) -> Value:
    reporter.report(
        "E301",
        f"`{place.operator}` works on {wanted}, and this is {describe(value)}",
        place.call,
        secondary=_shown_source(value, place),
        help=help,
    )
    return ERROR


def _shown_source(value: GraphValue, place: Place) -> list[Label]:
    """Where a pool is made, or where the question stands; where that is not the place of the fault itself."""
    span = value.node.span if isinstance(value.node.type, Pool) and value.node.span is not None else place.span
    return [Label(span, describe(value))] if span != place.call and span.source == place.call.source else []


def _check_pool(
    value: GraphValue, type_: Pool, kind: Kind, place: Place, reporter: Reporter, fields: Mapping[str, Value]
) -> Value:
    if not fits(type_.size, kind.size):
        reporter.report(
            "E301",
            f"`{place.operator}` takes {_shown_size(kind.size)} candidates, and this pool has {type_.size}",
            place.call,
            secondary=[Label(value.node.span, f"this gives {type_.size}")] if value.node.span else [],
            help="change the size that is declared, or take as many as it says",
        )
        return ERROR
    for name in kind.fields if type_.size.high else ():
        named = fields.get(name)
        if named is ERROR or isinstance(named, str):  # no field, which is a fault of its own
            continue
        wanted = named.name if isinstance(named, Symbol) else name
        if wanted not in type_.fields:
            likely = nearest(wanted, type_.fields) if wanted not in _PROVIDERS else None
            reporter.report(
                "E302",
                f"`{place.operator}` needs candidates with {_article(wanted)} `{wanted}`",
                place.call,
                f"no `{wanted}` here",
                secondary=[Label(value.node.span, _shown_fields(type_))] if value.node.span else [],
                help=f"did you mean `{likely}`?" if likely else provider_of(wanted),
                fixes=rename(place.call, wanted, likely),
            )
            return ERROR
    return value


def fits(found: Size, declared: tuple[int, int | None] | None) -> bool:
    """A pool that may turn out empty fits all the same: emptiness fails the example."""
    if declared is None:
        return True
    low, high = declared
    return (found.low >= low or found.low == 0) and (high is None or found.high <= high)


def _shown_size(declared: tuple[int, int | None] | None) -> str:
    low, high = declared or (0, None)
    return f"{low} or more" if high is None else str(Size(low, high)) if low <= high else f"{low}..{high}"


def _article(word: str) -> str:
    return "an" if word[:1] in "aeiou" else "a"


def _shown_fields(type_: Pool) -> str:
    if not type_.fields:
        return "these have no fields"
    return f"these have {', '.join(f'`{f}`' for f in sorted(type_.fields))}"


def _wrong(value: Value, kind: Kind, place: Place, reporter: Reporter) -> Value:
    if isinstance(value, GraphValue) and kind.base not in (Base.CHAT, Base.POOL, Base.SUBJECT):
        reporter.report(
            "E304",
            f"`{place.parameter}` of `{place.operator}` must be known when compiling, and this is {describe(value)}",
            place.span,
            f"expected {kind}",
            help=_LATE_HELP if isinstance(value.node.type, Scalar) else _known_in_time(value, kind),
        )
        return ERROR
    reporter.report(
        "E301",
        f"`{place.parameter}` of `{place.operator}` cannot be {describe(value)}",
        place.span,
        f"expected {kind}",
        help=_way_out(value, kind, place),
    )
    return ERROR


def _known_in_time(value: GraphValue, kind: Kind) -> str:
    """What to write in place of a pool or the question, which exist only while a pipeline runs."""
    if kind.base is Base.INT and isinstance(value.node.type, Pool):
        return "write a number; how many candidates a pool has is `size(pool)`, where that is known"
    wanted = {Base.MODEL: "name a declared model", Base.TEXT: "write a text", Base.FIELD: "name a field: `by = score`"}
    return f"{wanted.get(kind.base, 'write the value')}: pools and questions exist only while the pipeline runs"


_LATE_HELP = "choose between the cases with `match` or `if`, each with a value of its own"


def _way_out(value: Value, kind: Kind, place: Place) -> str:
    match kind.base, value:
        case Base.MODEL, str():
            return 'declare it: `model NAME = "…"`, and use the name here'
        case Base.MODEL, tuple():
            return "only `generate` takes several models; ask one model here"
        case Base.OP, ModelValue():
            return f"an operator is meant: `grade(_, {value.name})`"
        case Base.FIELD, str():
            word = value if value.isidentifier() else "score"
            return f"the name of a field is written without quotes: `{place.parameter} = {word}`"
        case Base.INT | Base.FLOAT, tuple():
            return "write one number; what may be chosen from stands without brackets: `tune(1, 2, 4)`"
        case Base.INT, _:
            return "write a whole number"
        case Base.FLOAT, _:
            return "write a number, such as `0.7`"
        case Base.TEXT, _:
            return 'write a text between double quotes: `"…"`'
        case Base.BOOL, _:
            return "write `true` or `false`"
        case Base.MODEL, _:
            return 'name a model that is declared: `model NAME = "…"`'
        case Base.PROMPT, _:
            return 'name a prompt that is declared: `prompt NAME(query) = "…"`'
        case Base.OP, _:
            return "name an operator, or fill it in but for one argument: `critique(_, judge)`"
        case Base.FIELD, _:
            return f"name a field: `{place.parameter} = score`"
        case Base.POLICY, _:
            return "write `keep`, `drop`, `fail` or `retry(2) then drop`"
        case Base.CHOICE, _:
            return f"write one of {', '.join(f'`{w}`' for w in kind.words)}"
        case Base.LIST, _:
            return "write a list: `[a, b]`"
        case Base.POOL | Base.CHAT | Base.SUBJECT, OpValue():
            return "call it: write its arguments in brackets"
        case _:  # a pool or the question
            return "pipe the question or a pool into it: `query |> …`"
