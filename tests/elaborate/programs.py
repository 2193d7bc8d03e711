"""Small programs for the tests of elaboration."""

from __future__ import annotations

from pnyx.compiler.diagnostics import Diagnostic
from pnyx.compiler.plan import Plan
from pnyx.compiler.program import Program

MODELS = 'model small = "smollm2-135m"\nmodel judge = "smollm2-135m"\n'


def body(text: str, before: str = "") -> str:
    """A program with one pipeline of that body, which may use `small` and `judge`."""
    return f"{MODELS}{before}\npipeline main(query) {{\n{text}\n}}\n"


def check(text: str) -> tuple[Diagnostic, ...]:
    return Program.parse(text, "main.pnyx").check()


def errors(text: str) -> list[Diagnostic]:
    return [d for d in check(text) if d.is_error]


def warnings(text: str) -> list[Diagnostic]:
    return [d for d in check(text) if not d.is_error]


def compiled(text: str, *, optimise: bool = False, **choices: object) -> Plan:
    return Program.parse(text, "main.pnyx").compile("main", choices, optimise=optimise)


def kinds(plan: Plan) -> list[str]:
    """The operators of a plan without the question, in order."""
    return [n.operator.kind for n in plan.nodes[1:]]
