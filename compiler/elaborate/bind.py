"""Which argument goes to which parameter. Knows nothing of values, so the name resolver and the elaborator share it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pnyx.compiler.diagnostics import Label, Reporter, rename
from pnyx.compiler.elaborate.kinds import REQUIRED, Base, Parameter, Signature
from pnyx.compiler.nearest import nearest
from pnyx.compiler.source import Span

__all__ = ["Bound", "Given", "bind", "usage"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Given(Generic[T]):
    """An argument as written (or piped in): its payload, and the places to point at."""

    name: str | None
    payload: T
    span: Span
    name_span: Span | None = None


@dataclass(frozen=True, slots=True)
class Bound(Generic[T]):
    """`values` by parameter; `extra` named arguments that no parameter takes, where the signature allows them."""

    values: dict[str, Given[T]]
    extra: dict[str, Given[T]]


def bind(signature: Signature, given: Sequence[Given[T]], call: Span, reporter: Reporter) -> Bound[T] | None:
    """None where something was wrong; it has been reported, every fault of the call at once."""
    values: dict[str, Given[T]] = {}
    extra: dict[str, Given[T]] = {}
    sound = True
    positions = iter(signature.parameters)
    for argument in given:
        if argument.name is not None:
            continue
        parameter = next(positions, None)
        if parameter is None:
            count = len(signature.parameters)
            reporter.report(
                "E210",
                f"`{signature.name}` takes at most {count} argument{'' if count == 1 else 's'}",
                argument.span,
                "one too many",
                help=usage(signature),
            )
            return None
        values[parameter.name] = argument
    for argument in given:
        if argument.name is not None:
            sound &= _bind_named(signature, argument, values, extra, reporter)
    for parameter in signature.parameters:
        if parameter.default is REQUIRED and parameter.name not in values:
            sound = False
            reporter.report(
                "E204",
                f"`{signature.name}` needs `{parameter.name}`",
                call,
                f"no `{parameter.name}` here",
                secondary=_declared(signature, parameter),
                help=_unpiped(signature, given, call) or usage(signature, required=True),
            )
    return Bound(values, extra) if sound else None


def _bind_named(
    signature: Signature,
    argument: Given[T],
    values: dict[str, Given[T]],
    extra: dict[str, Given[T]],
    reporter: Reporter,
) -> bool:
    name = argument.name or ""
    known = signature.parameter(name) is not None
    if not known and not signature.variables:
        likely = nearest(name, [p.name for p in signature.parameters])
        reporter.report(
            "E203",
            f"`{signature.name}` has no argument `{name}`",
            argument.name_span or argument.span,
            help=f"did you mean `{likely}`?" if likely else usage(signature),
            fixes=rename(argument.name_span or argument.span, name, likely),
        )
        return False
    target = values if known else extra
    if name in target:
        reporter.report(
            "E205",
            f"`{name}` is given twice",
            argument.name_span or argument.span,
            secondary=[Label(target[name].span, "first here")],
            help="remove one of the two",
        )
        return False
    target[name] = argument
    return True


def _unpiped(signature: Signature, given: Sequence[Given[T]], call: Span) -> str | None:
    """What a call lacks where nothing stands before it: not its last argument, as it seems, but what it works on."""
    first = signature.parameters[0].kind.base
    subject = {Base.CHAT: "query", Base.POOL: "pool", Base.SUBJECT: "query"}.get(first)
    if subject is None or not given or given[0].span.start < call.start or given[0].span.text == "_":
        return None
    what = "the question" if first is Base.CHAT else "candidates"
    return f"it works on {what}: `{subject} |> {signature.name}(…)`, or as a value `{signature.name}(_, …)`"


def usage(signature: Signature, *, required: bool = False) -> str:
    """`rank(pool, model, keep)` with what each parameter accepts, or each that must be given, for a help line."""
    shown = [_shown(p) for p in signature.parameters if p.default is REQUIRED or not required]
    more = ["…"] if len(shown) < len(signature.parameters) else []
    return f"it is `{signature.name}({', '.join(shown + more)})`"


def _shown(parameter: Parameter) -> str:
    text = f"{parameter.name}: {parameter.kind}"
    return text if parameter.default is REQUIRED else f"[{text}]"


def _declared(signature: Signature, parameter: Parameter) -> list[Label]:
    if signature.declaration is None or signature.declaration.span.source.name.startswith("<"):
        return []
    written = next(p for p in signature.declaration.params if p.name == parameter.name)
    return [Label(written.span, "declared here")]
