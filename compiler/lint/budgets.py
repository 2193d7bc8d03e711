"""Pipelines that cost more than they are allowed to."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Diagnostics
from pnyx.compiler.limits import read_limits
from pnyx.compiler.lint.subject import Finding, Subject, Variant

if TYPE_CHECKING:
    from pnyx.compiler.cost.interval import Estimate

__all__ = ["exceeded_limits"]


def exceeded_limits(subject: Subject) -> Iterator[Finding]:
    """E520: the least that a pipeline costs is above its limit, whatever its choices take; W710: the most is, or, where
    nothing bounds that, what is expected."""
    pipelines = {v.pipeline.name: v for v in subject.variants if v.is_default and v.pipeline.limits}
    for name, default in pipelines.items():
        others = [v for v in subject.variants if v.pipeline.name == name and not v.is_default]
        for written in default.pipeline.limits:
            yield from _exceeded(subject, default, others, written)


def _exceeded(subject: Subject, default: Variant, others: list[Variant], written: syntax.Number) -> Iterator[Finding]:
    # A sound program is linted, so each amount that is written is one limit.
    ((quantity, limit),) = [(n, v) for n, v in asdict(read_limits([written], Diagnostics())).items() if v is not None]
    cost = _cost(subject, default, quantity)
    if cost is None:
        return
    name, shown = default.pipeline.name, _amount(quantity, limit)
    if cost.least > limit:
        message = f"`{name}` takes at least {_amount(quantity, cost.least)}, and its limit is {shown}"
        fits = any((c := _cost(subject, v, quantity)) is not None and c.least <= limit for v in others)
        help = "raise the limit, or draw fewer samples"
        yield Finding("W710" if fits else "E520", message, written.span, help)
    elif cost.expected > limit:
        message = f"`{name}` takes about {_amount(quantity, cost.expected)}, and its limit is {shown}"
        yield Finding("W710", message, written.span, "raise the limit, or draw fewer samples")
    elif limit < cost.most < math.inf:
        message = f"`{name}` may take up to {_amount(quantity, cost.most)}, and its limit is {shown}"
        yield Finding("W710", message, written.span, "raise the limit, or lower `n`, retries or `max_tokens`")


def _cost(subject: Subject, variant: Variant, quantity: str) -> Estimate | None:
    """Of one question, as the pipeline runs; None for what nobody can tell before, such as time."""
    total = subject.total(variant.graph)
    if quantity == "tokens":
        return total.prompt_tokens + total.generated_tokens
    known: dict[str, Estimate | None] = {
        "calls": total.calls, "samples": total.samples, "flops": total.flops, "money": total.money
    }  # fmt: skip
    return known.get(quantity)


def _amount(quantity: str, value: float) -> str:
    from pnyx.compiler.cost.interval import show_number

    if quantity == "money":
        return f"${value:.3g}"
    noun = quantity.removesuffix("s") if value == 1 else quantity
    return f"{show_number(value)} {noun}"
