"""Programs for the tests of lints."""

from __future__ import annotations

from pnyx.compiler.diagnostics import Diagnostic
from pnyx.compiler.graph import Graph
from pnyx.compiler.lint import Subject
from pnyx.compiler.program import Program

HEADER = """model small = "tiny-1B" { parameters = 1B }
model judge = "big-70B" { parameters = 70B }

prompt plain(query, candidates) = "{{ query }} {% for c in candidates %}{{ c.text }}{% endfor %}"

prompt shown(query, candidates) = "{{ query }} {% for c in candidates %}{{ c.text }} {{ c.critique }}{% endfor %}"

prompt alone(query, candidate) = "{{ query }} {{ candidate.text }}"
"""


def program(body: str, before: str = "", head: str = "pipeline main(query)") -> Program:
    return Program.parse(f"{HEADER}{before}\n{head} {{\n{body}\n}}\n", "main.pnyx")


def found(body: str, before: str = "", head: str = "pipeline main(query)") -> tuple[Diagnostic, ...]:
    """What is found, without the names of the header that the body does not use."""
    return tuple(
        d
        for d in program(body, before, head).check()
        if d.code != "W702" or (d.span is not None and d.span.start >= len(HEADER))
    )


def subject_of(graph: Graph) -> Subject:
    """A graph without a program around it."""

    def nothing(*_: object) -> None:
        return None

    return Subject(declarations=(), models={}, variants=(), elaborate=nothing, plan=_no_plan)


def _no_plan(graph: Graph) -> object:
    raise AssertionError(f"no cost is asked of {graph}")
