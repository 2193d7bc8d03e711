"""How each built-in operator becomes nodes of the graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from pnyx.compiler.diagnostics import Label
from pnyx.compiler.elaborate.templates import field_faults
from pnyx.compiler.elaborate.values import (
    ERROR,
    GraphValue,
    ModelValue,
    PolicyValue,
    PromptValue,
    Symbol,
    Value,
    describe,
)
from pnyx.compiler.graph import Node
from pnyx.compiler.operators import (
    READS_FIELD,
    AnswerKind,
    Ask,
    Concat,
    Dedupe,
    Extract,
    Filter,
    IfNone,
    Operator,
    Over,
    Reads,
    Sample,
    Sampling,
    Single,
    Sort,
    Take,
    Vote,
)
from pnyx.compiler.patterns import PatternFault, compile_pattern
from pnyx.compiler.source import Span
from pnyx.compiler.types import Chat, Pool

if TYPE_CHECKING:
    from pnyx.compiler.elaborate.evaluate import Elaborator

__all__ = ["BuiltinCall", "lower"]


@dataclass(frozen=True, slots=True)
class BuiltinCall:
    """A call whose arguments have been checked and converted. `spans` point at those that were written, `names` at the
    names of the extra ones."""

    name: str
    values: Mapping[str, Value]
    extra: Mapping[str, Value]
    spans: Mapping[str, Span]
    names: Mapping[str, Span]
    span: Span
    elaborator: Elaborator

    def make(self, operator: Operator, inputs: list[Node], query: Node) -> GraphValue:
        return self.elaborator.make(operator, inputs, query, self.span, self.name)

    def word(self, name: str) -> str | None:
        value = self.values[name]
        return value.name if isinstance(value, Symbol) else None

    def number(self, name: str) -> int:
        return cast("int", self.values[name])

    def text(self, name: str) -> str | None:
        return cast("str | None", self.values[name])

    def graph(self, name: str) -> GraphValue:
        return cast("GraphValue", self.values[name])

    def fault(self, code: str, message: str, argument: str, *, help: str, label: str = "") -> Value:
        self.elaborator.report(code, message, self.spans.get(argument, self.span), label, help=help)
        return ERROR


def lower(call: BuiltinCall) -> Value:
    """The value of a built-in operator's call."""
    return _LOWERINGS[call.name](call)


def _sampling(call: BuiltinCall) -> Sampling:
    return Sampling(
        temperature=cast("float", call.values["temperature"]),
        top_p=cast("float", call.values["top_p"]),
        max_tokens=call.number("max_tokens"),
        stop=cast("tuple[str, ...]", call.values["stop"] or ()),
    )


def _generate(call: BuiltinCall) -> Value:
    query = call.graph("query")
    models = cast("tuple[ModelValue, ...]", call.values["model"])
    if not models:
        return call.fault("E303", "`generate` gets no model", "model", help="list at least one")
    samples = [
        call.make(
            Sample(
                model=model.name,
                sampling=_sampling(call),
                system=call.text("system"),
                stream=call.number("stream"),
                n=call.number("n"),
            ),
            [query.node],
            query.node,
        )
        for model in models
    ]
    if len(samples) == 1:
        return samples[0]
    return call.make(Concat(), [s.node for s in samples], query.node)


def _ask(call: BuiltinCall) -> Value:
    subject = call.graph("subject")
    over = Over.QUERY if isinstance(subject.node.type, Chat) else Over(call.word("over") or "each")
    reads = Reads(call.word("reads") or "text")
    if not _agree(call, over, reads):
        return ERROR
    variables = _variables(call, subject, over)
    if variables is None:
        return ERROR
    pools, constants = variables
    if reads is Reads.PASSES and not pools:
        return call.fault(
            "E204", "`reads = passes` needs the tests", "reads", help="pass a pool of tests that the prompt shows"
        )
    operator = Ask(
        model=cast("ModelValue", call.values["model"]).name,
        prompt=cast("PromptValue", call.values["prompt"]).prompt,
        over=over,
        reads=reads,
        into=call.word("into"),
        sampling=_sampling(call),
        n=call.number("n"),
        count=cast("int | None", call.values["count"]),
        on_fail=cast("PolicyValue", call.values["on_fail"]).policy,
        single=Single(call.word("single") or "ask"),
        variables=tuple(pools),
        constants=constants,
    )
    inputs = [subject.query, *([] if over is Over.QUERY else [subject.node]), *(p.node for p in pools.values())]
    return call.make(operator, inputs, subject.query)


def _agree(call: BuiltinCall, over: Over, reads: Reads) -> bool:
    """Whether `over`, `into`, `reads`, `n` and `count` go together (the table of `Ask`)."""
    into = call.word("into")
    if into is not None and over is not Over.EACH:
        about = "the question" if over is Over.QUERY else "all candidates together"
        call.fault(
            "E307",
            f"a prompt about {about} has no one candidate whose field it could fill",
            "into",
            help="drop `into`, or ask about each candidate: `over = each`",
        )
    elif into is not None and reads not in READS_FIELD:
        call.fault(
            "E307", f"`reads = {reads}` fills no field", "into", help="drop `into`: it gives candidates by itself"
        )
    elif into is None and reads in READS_FIELD - {Reads.TEXT}:
        call.fault("E307", f"`reads = {reads}` needs a field", "reads", help="say which: `into = score`")
    elif reads is Reads.ORDER and over is not Over.ALL:
        call.fault("E307", "an order is of all candidates", "reads", help="add `over = all`")
    elif reads is Reads.LIST and over is Over.EACH:
        call.fault("E307", "a list is of the question or of all candidates", "reads", help="add `over = all`")
    elif reads is Reads.LIST and call.values["count"] is None:
        call.fault("E204", "`reads = list` needs `count`", "reads", help="say how many items at most: `count = 5`")
    elif call.number("n") > 1 and (into is not None or reads is not Reads.TEXT):
        call.fault("E307", "several samples need to become new candidates", "n", help="drop `n`")
    else:
        return True
    return False


def _variables(
    call: BuiltinCall, subject: GraphValue, over: Over
) -> tuple[dict[str, GraphValue], tuple[tuple[str, str | int | float | bool], ...]] | None:
    """The prompt's variables beyond those that `ask` supplies: pools, and constants. None after a report."""
    value = cast("PromptValue", call.values["prompt"])
    supplied = {"query", *({"candidate"} if over is Over.EACH else {"candidates"} if over is Over.ALL else ())}
    constants: dict[str, str | int | float | bool] = {}
    if call.values["count"] is not None and "count" in value.prompt.params:
        constants["count"] = call.number("count")
    pools: dict[str, GraphValue] = {}
    sound = True
    for name, given in call.extra.items():
        if name not in value.prompt.params or name in supplied:
            sound = False
            reason = "supplies it itself" if name in supplied else "has no such argument, nor has the prompt"
            message, help = f"`ask` {reason}: `{name}`", f"the prompt's are {_listed(value)}"
            call.elaborator.report("E203", message, call.names[name], help=help)
        elif isinstance(given, GraphValue) and isinstance(given.node.type, Pool):
            pools[name] = given
        elif isinstance(given, str | int | float | bool):
            constants[name] = given
        else:
            sound = False
            call.fault(
                "E301", f"a prompt cannot show {describe(given)}", name, help="give it a pool, a text or a number"
            )
    for parameter in value.declaration.params:
        if parameter.default is not None and parameter.name not in supplied | pools.keys() | constants.keys():
            default = call.elaborator.default_of(parameter.default, value.declaration)
            if isinstance(default, str | int | float | bool):
                constants[parameter.name] = default
            elif default is not ERROR:
                sound = False
                call.fault(
                    "E301",
                    f"the default of `{parameter.name}` is {describe(default)}",
                    "prompt",
                    help="give a text or a number",
                )
    missing = [p for p in value.prompt.params if p not in supplied | pools.keys() | constants.keys()]
    if missing and sound:
        _report_missing(call, value, missing[0], over)
        return None
    types = {name: pool.node.type for name, pool in pools.items()}
    if over is not Over.QUERY:
        types["candidate" if over is Over.EACH else "candidates"] = subject.node.type
    known = {name: type_ for name, type_ in types.items() if isinstance(type_, Pool)}
    sound = field_faults(value.declaration, known, call.span, call.elaborator) and sound
    return (pools, tuple(sorted(constants.items()))) if sound else None


def _report_missing(call: BuiltinCall, value: PromptValue, name: str, over: Over) -> None:
    hints = {
        "candidate": "all candidates at once are the list `candidates`; each by itself is there with `over = each`",
        "candidates": "each is asked about by itself, as `candidate`; the list is there with `over = all`",
        "count": "pass `count = …`",
    }
    if over is Over.QUERY and name in ("candidate", "candidates"):
        hints[name] = "there are no candidates before a `generate`"
    supplied = {Over.QUERY: "`query`", Over.EACH: "`query` and `candidate`", Over.ALL: "`query` and `candidates`"}[over]
    other = f"only {supplied} come by themselves; give `{name}` a default, or pass it to an `ask`: `{name} = …`"
    call.elaborator.report(
        "E204",
        f"the prompt `{value.prompt.name}` needs `{name}`",
        call.span,
        f"no `{name}` here",
        secondary=[Label(value.declaration.name_span, "declared here")],
        help=hints.get(name, other),
    )


def _listed(value: PromptValue) -> str:
    return ", ".join(f"`{p}`" for p in value.prompt.params) or "none"


def _extract(call: BuiltinCall) -> Value:
    kind = AnswerKind(call.word("kind") or "")
    pattern = call.text("pattern")
    if kind is AnswerKind.REGEX:
        if pattern is None:
            return call.fault("E204", "`extract(regex)` needs `pattern`", "kind", help='add `pattern = "…"`')
        try:
            compile_pattern(pattern)
        except PatternFault as fault:
            help = "patterns are RE2's: no look-around, no back-references"
            return call.fault("E401", f"the pattern is faulty: {fault}", "pattern", help=help)
    elif pattern is not None:
        return call.fault("E307", f"`pattern` has no meaning for `{kind}`", "pattern", help="use `extract(regex, …)`")
    return _over_pool(call, Extract(answer=kind, pattern=pattern, after=call.text("after")))


def _over_pool(call: BuiltinCall, operator: Operator) -> Value:
    pool = call.graph("pool")
    return call.make(operator, [pool.node], pool.query)


def _vote(call: BuiltinCall) -> Value:
    weight = call.word("weight")
    pool = cast("Pool", call.graph("pool").node.type)
    if weight is not None and weight not in pool.fields:
        return call.fault("E302", f"`vote` weighs by `{weight}`, which these lack", "weight", help="score them first")
    return _over_pool(call, Vote(by=call.word("by") or "answer", weight=weight))


def _sort(call: BuiltinCall) -> Value:
    return _over_pool(call, Sort(by=call.word("by") or "score", ascending=bool(call.values["ascending"])))


def _filter(call: BuiltinCall) -> Value:
    operator = Filter(
        by=call.word("by") or "verdict",
        at_least=cast("float | None", call.values["at_least"]),
        if_none=IfNone(call.word("if_none") or "drop"),
    )
    return _over_pool(call, operator)


def _take(call: BuiltinCall) -> Value:
    return _over_pool(call, Take(k=call.number("k")))


def _dedupe(call: BuiltinCall) -> Value:
    return _over_pool(call, Dedupe(by=call.word("by") or "text"))


def _has(call: BuiltinCall) -> Value:
    return call.word("field") in cast("Pool", call.graph("pool").node.type).fields


def _size(call: BuiltinCall) -> Value:
    size = cast("Pool", call.graph("pool").node.type).size
    if size.exact:
        return size.low
    return call.fault(
        "E304",
        f"the size of this pool is {size}, known only at run time",
        "pool",
        help="it is exact after `generate`, `rank` and `fuse`; filters and votes leave it open",
    )


_LOWERINGS: dict[str, Callable[[BuiltinCall], Value]] = {
    "generate": _generate,
    "ask": _ask,
    "extract": _extract,
    "vote": _vote,
    "sort": _sort,
    "filter": _filter,
    "take": _take,
    "dedupe": _dedupe,
    "has": _has,
    "size": _size,
}
