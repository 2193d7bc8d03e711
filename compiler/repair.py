"""Repair: the safe fixes of a program's diagnostics, applied until none is left.

Invariants: the text changes only to one that still checks without errors and whose optimised plans are the same but for
the names of their streams, under every single choice; repairing twice is repairing once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pnyx.compiler.diagnostics import Diagnostic, Diagnostics, Fix, apply_fixes
from pnyx.compiler.program import Program
from pnyx.compiler.source import Source

if TYPE_CHECKING:
    from pnyx.compiler.plan import Plan

__all__ = ["Repair", "repair", "same_plans"]

# A program with more ways of closing one of its choices is left as it is: nobody would wait for all of its plans.
MOST_PLANS = 200


@dataclass(frozen=True, slots=True)
class Repair:
    """The text as it is to be, and what was done, in order: the diagnostics, each with the fix that answered it."""

    text: str
    applied: tuple[tuple[Diagnostic, Fix], ...]


def repair(source: Source) -> Repair:
    """The source with every safe fix applied. A file in standard form stays in it.

    >>> text = 'model m = "x"\\n\\npipeline main(query) {\\n    query\\n    |> generate(m)\\n    |> rank(m)\\n}\\n'
    >>> repair(Source("<text>", text)).text
    'model m = "x"\\n\\npipeline main(query) {\\n    query |> generate(m)\\n}\\n'
    """
    standard = _formatted(source) == source.text
    applied: list[tuple[Diagnostic, Fix]] = []
    refused: set[str] = set()
    current = Program(source)
    while True:
        step = next(_steps(current, refused), None)
        if step is None:
            break
        diagnostic, fix = step
        text, _ = apply_fixes(current.source.text, [fix])
        following = Program(Source(source.name, text))
        if same_plans(current, following):
            applied.append(step)
            current = following
        else:
            refused.add(diagnostic.message)
    text = current.source.text
    if applied and standard:
        text = _formatted(current.source) or text
    return Repair(text, tuple(applied))


def _steps(program: Program, refused: set[str]) -> Iterator[tuple[Diagnostic, Fix]]:
    """Fixes that may be applied, those of inner places behind those around them."""
    for diagnostic in program.check():
        if diagnostic.message in refused:
            continue
        for fix in diagnostic.fixes:
            if fix.safe and all(edit.span.source == program.source for edit in fix.edits):
                yield diagnostic, fix


def same_plans(one: Program, other: Program) -> bool:
    """Whether two sound programs have the same pipelines, which ask the same under each of their choices."""
    if any(d.is_error for program in (one, other) for d in program.check()) or one.pipelines != other.pipelines:
        return False
    for name in one.pipelines:
        choices = [{c.name: c.options for c in program.choices(name)} for program in (one, other)]
        if choices[0] != choices[1] or sum(map(len, choices[0].values())) > MOST_PLANS:
            return False
        settings = [{}, *({c: option} for c, options in choices[0].items() for option in options)]
        if any(_shape(one.compile(name, s)) != _shape(other.compile(name, s)) for s in settings):
            return False
    return True


def _shape(plan: Plan) -> object:
    """What a plan asks, without the names of streams, labels and places."""
    data = plan.model_dump(mode="json", exclude={"source", "choices"})
    _strip(data["nodes"])
    return data


def _strip(nodes: list[dict[str, Any]]) -> None:
    for entry in nodes:
        for key in ("stream", "label", "place"):
            entry.pop(key, None)
        for body in entry.get("bodies", ()):
            _strip(body["nodes"])


def _formatted(source: Source) -> str | None:
    from pnyx.compiler.format import format_source

    return format_source(source, Diagnostics())
