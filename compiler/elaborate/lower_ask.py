"""How `ask` becomes a node: its options checked against each other, its prompt given what it asks for."""

from __future__ import annotations

from typing import cast

from pnyx.compiler.diagnostics import Label
from pnyx.compiler.elaborate.builtin_call import BuiltinCall, sampling_of
from pnyx.compiler.elaborate.templates import field_faults
from pnyx.compiler.elaborate.values import ERROR, GraphValue, ModelValue, PolicyValue, PromptValue, Value, describe
from pnyx.compiler.operators import READS_FIELD, SUBJECTS, Ask, ConstantValue, Over, Reads, Single
from pnyx.compiler.types import Chat, Pool, Scalar

__all__ = ["lower_ask"]


def lower_ask(call: BuiltinCall) -> Value:
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
        sampling=sampling_of(call),
        n=call.number("n"),
        count=cast("int | None", call.values["count"]),
        on_fail=cast("PolicyValue", call.values["on_fail"]).policy,
        single=Single(call.word("single") or "ask"),
        variables=tuple(pools),
        constants=constants,
        options=cast("tuple[str, ...]", call.values["options"] or ()),
    )
    inputs = [subject.query, *([] if over is Over.QUERY else [subject.node]), *(p.node for p in pools.values())]
    return call.make(operator, inputs, subject.query)


def _agree(call: BuiltinCall, over: Over, reads: Reads) -> bool:
    """Whether `over`, `into`, `reads`, `n` and `count` go together (the table of `Ask`)."""
    into = call.word("into")
    two = over in (Over.NEIGHBOURS, Over.PAIRS)
    if reads is Reads.CHOICE and len(cast("tuple[str, ...]", call.values["options"] or ())) < 2:
        call.fault("E307", "`reads = choice` needs options", "reads", help='say which: `options = ["easy", "hard"]`')
    elif call.values["options"] is not None and reads is not Reads.CHOICE:
        call.fault("E307", f"`options` has no meaning for `reads = {reads}`", "options", help="add `reads = choice`")
    elif two != (reads is Reads.WINNER):
        call.fault(
            "E307",
            f"`over = {over}` asks which of two is better" if two else "a winner is one of two candidates",
            "over" if two else "reads",
            help="add `reads = winner`" if two else "add `over = neighbours`, or `over = pairs`",
        )
    elif over is Over.PAIRS and into is None:
        call.fault("E307", "`over = pairs` needs a field", "over", help="say which: `into = wins`")
    elif over is Over.NEIGHBOURS and into is not None:
        help = "drop `into`, or compare every two: `over = pairs`"
        call.fault("E307", "of neighbours one stays and the other goes: no field is filled", "into", help=help)
    elif into is not None and over in (Over.QUERY, Over.ALL):
        about = "the question" if over is Over.QUERY else "all candidates together"
        call.fault(
            "E307",
            f"a prompt about {about} has no one candidate whose field it could fill",
            "into",
            help="drop `into`, or ask about each candidate: `over = each`",
        )
    elif into is not None and not two and reads not in READS_FIELD:
        call.fault(
            "E307", f"`reads = {reads}` fills no field", "into", help="drop `into`: it gives candidates by itself"
        )
    elif into is None and reads is Reads.CHOICE and over is Over.EACH:
        call.fault("E307", "a choice for each candidate needs a field", "reads", help="say which: `into = label`")
    elif into is None and reads in READS_FIELD - {Reads.TEXT, Reads.CHOICE}:
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
) -> tuple[dict[str, GraphValue], tuple[tuple[str, ConstantValue], ...]] | None:
    """The prompt's variables beyond those that `ask` supplies: pools, and constants. None after a report."""
    value = cast("PromptValue", call.values["prompt"])
    about = SUBJECTS[over]
    supplied = {"query", *about}
    if call.values["options"]:
        supplied.add("options")
    constants: dict[str, ConstantValue] = {}
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
        elif isinstance(given, GraphValue) and isinstance(given.node.type, Pool | Scalar):
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
    types |= dict.fromkeys(about, subject.node.type)
    known = {name: type_ for name, type_ in types.items() if isinstance(type_, Pool)}
    sound = field_faults(value.declaration, known, call.span, call.elaborator) and sound
    return (pools, tuple(sorted(constants.items()))) if sound else None


def _report_missing(call: BuiltinCall, value: PromptValue, name: str, over: Over) -> None:
    hints = {
        "candidate": "all candidates at once are the list `candidates`; each by itself is there with `over = each`",
        "candidates": "each is asked about by itself, as `candidate`; the list is there with `over = all`",
        **dict.fromkeys("ab", "two candidates, `a` and `b`, are there with `over = neighbours` or `over = pairs`"),
        "count": "pass `count = …`",
    }
    if over is Over.QUERY and name in ("candidate", "candidates"):
        hints[name] = "there are no candidates before a `generate`"
    elif over in (Over.NEIGHBOURS, Over.PAIRS) and name in ("candidate", "candidates"):
        hints[name] = f"with `over = {over}` the candidates are `a` and `b`"
    *first, last = ("query", *SUBJECTS[over])
    supplied = ", ".join(f"`{word}`" for word in first) + (" and " if first else "") + f"`{last}`"
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
